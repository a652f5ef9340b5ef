"""Putting a bundle together from what a training found."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from ml.bundle.manifest import (
    ARRAYS,
    BACKGROUND,
    CARD,
    CHAMPION,
    NOVELTY,
    PRODUCT,
    challenger_files,
)
from ml.bundle.reader import Bundle, load_pipeline, read_bundle
from ml.bundle.verify import verify_bundle
from ml.bundle.writer import write_bundle
from ml.card.plots import draw
from ml.evaluation.fairness import assess
from ml.evaluation.performance import evidence
from ml.explaining.reasons import Explainer
from ml.product.application import Application
from ml.product.definition import Product
from ml.product.samples import examples
from ml.product.texts import LANGUAGES
from ml.scoring.scorer import Scorer
from ml.training.export import export_scorer, kind_of
from ml.training.reference import background, novelty_arrays, ranges
from ml.training.selection import RULE
from ml.training.train import Effort, Trained

KNOWN_ANSWERS = 20  # an optional field is missing in one of them with probability .99
KNOWN_SHARES = 3  # of them; those of a model without a closed form take seconds each


@dataclass(frozen=True)
class Origin:
    """Where a model comes from.

    Attributes
    ----------
    definition : bytes
        Of the product's TOML file.
    data_file : Path
        The rows it was trained on.
    data : (DataFrame of shape (n_samples, n_fields), ndarray of shape (n_samples,))
        Their raw fields, and 1 for good or 0 for bad.
    protected : DataFrame of shape (n_samples, n_attributes)
        Their protected attributes, for the fairness report alone.
    seed : int
    effort : Effort
    cost_ratio : float
        What a bad loan granted costs, over what a good one refused costs.
    threshold : float
        From which probability of being good on a loan is granted.
    by_hand : bool
        Whether the threshold was set by hand and not by the cost ratio.
    """

    definition: bytes
    data_file: Path
    data: tuple[pd.DataFrame, np.ndarray]
    protected: pd.DataFrame
    seed: int
    effort: Effort
    cost_ratio: float
    threshold: float
    by_hand: bool = False


def assemble(directory: Path, product: Product, trained: Trained, origin: Origin) -> Bundle:
    """Write a bundle, then open it as a service would and replay its known answers.

    Parameters
    ----------
    directory : Path
    product : Product
    trained : Trained
    origin : Origin

    Returns
    -------
    Bundle

    Raises
    ------
    InvalidBundle
        It cannot be written there, or does not give its known answers.
    InvalidData
        No row reaches the threshold.
    """
    champion = trained.models[trained.champion]
    files = {PRODUCT: origin.definition, **_models(trained)}
    scorer = Scorer(files[ARRAYS], pipeline=load_pipeline(files[CHAMPION]))
    fields, good = origin.data
    compared = background(fields, scorer.score_many(fields), threshold=origin.threshold)
    files[BACKGROUND] = _json(compared)
    files[NOVELTY] = novelty_arrays(scorer.matrix(fields), seed=origin.seed)
    files |= _evidence(product, trained, origin)
    manifest = {
        "product": product.name,
        "champion": trained.champion,
        "scorer": kind_of(champion),
        "rule": RULE.model_dump(),
        "reason": trained.reason.model_dump(),
        "table": trained.table,
        "settings": trained.settings,
        "threshold": origin.threshold,
        "threshold_from": "set by hand"
        if origin.by_hand
        else f"cost ratio {origin.cost_ratio:g} : 1",
        "cost_ratio": origin.cost_ratio,
        "seed": origin.seed,
        "effort": asdict(origin.effort),
        "data": {
            "file": origin.data_file.name,
            "sha256": hashlib.sha256(origin.data_file.read_bytes()).hexdigest(),
            "rows": len(good),
            "good": int(good.sum()),
        },
        "ranges": ranges(product, fields),
        "known_answers": _known_answers(product, champion, Explainer(product, scorer, compared)),
    }
    manifest["version"] = f"{trained.champion}-{_fingerprint(manifest, files)}"
    manifest["trained_at"] = datetime.now(UTC).isoformat(timespec="seconds")
    write_bundle(directory, files, manifest)
    bundle = read_bundle(directory)
    verify_bundle(bundle)
    return bundle


def _models(trained: Trained) -> dict[str, bytes]:
    files = {}
    for name, model in trained.models.items():
        pickle, arrays = (CHAMPION, ARRAYS) if name == trained.champion else challenger_files(name)
        files[pickle], files[arrays] = _dumped(model), export_scorer(model)
    return files


def _evidence(product: Product, trained: Trained, origin: Origin) -> dict[str, bytes]:
    """Return the model card's content and its plots."""
    good, probability = origin.data[1], trained.out_of_fold
    found = evidence(
        good=good,
        probability=probability,
        threshold=origin.threshold,
        cost_ratio=origin.cost_ratio,
    )
    importance = [
        {**row, "label": product.by_name[row["field"]].label.model_dump()}
        for row in trained.importance
    ]
    granted = (probability >= origin.threshold).astype(int)
    fairness = assess(product, origin.protected, good=good, granted=granted)
    card = {"evidence": found, "importance": importance, "fairness": fairness}
    files = {CARD: _json(card)}
    for language in LANGUAGES:
        files |= draw(found, importance, language)
    return files


def _known_answers(
    product: Product, champion: Pipeline, explainer: Explainer
) -> list[dict[str, Any]]:
    applications = examples(product, count=KNOWN_ANSWERS, seed=0, unseen=True)
    answers = champion.predict_proba(pd.DataFrame(applications))[:, 1].tolist()
    known: list[dict[str, Any]] = [
        {"application": a, "probability": p} for a, p in zip(applications, answers, strict=True)
    ]
    for one in known[:KNOWN_SHARES]:
        one["shares"] = _shares(explainer, one["application"])
    return known


def _shares(explainer: Explainer, application: Application) -> dict[str, float]:
    return {r.field: r.share for r in explainer.explain(application, granted=False).reasons}


def _json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1).encode() + b"\n"


def _dumped(model: object) -> bytes:
    content = io.BytesIO()
    joblib.dump(model, content, compress=3)
    return content.getvalue()


def _fingerprint(manifest: dict[str, Any], files: Mapping[str, bytes]) -> str:
    """Hash what decides and explains: two trainings that do both alike have one version."""
    said = {k: manifest[k] for k in ("product", "champion", "threshold", "known_answers")}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    digest.update(files[PRODUCT] + files[BACKGROUND])
    # The arrays, not their file: how a zip archive is laid out depends on Python's version.
    for file in (ARRAYS, NOVELTY):
        with np.load(io.BytesIO(files[file]), allow_pickle=False) as arrays:
            for name in sorted(arrays.files):
                digest.update(name.encode() + arrays[name].tobytes())
    return digest.hexdigest()[:8]
