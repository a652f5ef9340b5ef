"""Putting a bundle together from what a training found."""

import hashlib
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import joblib
import pandas as pd

from ml.bundle.facts import Effort, Facts, KnownAnswer, TrainingData
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
from ml.card.card import CardContent
from ml.evaluation.fairness import assess
from ml.evaluation.performance import evidence
from ml.explaining.reasons import Explainer
from ml.product.application import Application
from ml.product.definition import Product
from ml.product.samples import examples
from ml.scoring.scorer import Scorer
from ml.training.dataset import Rows
from ml.training.export import export_scorer, kind_of
from ml.training.reference import (
    BACKGROUND_ROWS,
    background,
    novelty_arrays,
    ranges,
)
from ml.training.selection import RULE
from ml.training.train import Trained

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
    rows : Rows
        Their protected attributes serve the fairness report alone.
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
    rows: Rows
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
    files = {PRODUCT: origin.definition, **_models(trained)}
    scorer = Scorer(files[ARRAYS], pipeline=load_pipeline(files[CHAMPION]))
    fields, good = origin.rows.data
    kind = kind_of(trained.models[trained.champion])
    probability = scorer.score_many(fields)
    compared = background(
        fields, probability, threshold=origin.threshold, count=BACKGROUND_ROWS[kind]
    )
    files[BACKGROUND] = _json(compared)
    files[NOVELTY] = novelty_arrays(scorer.matrix(fields), seed=origin.seed)
    files |= _evidence(product, trained, origin)
    facts = Facts(
        product=product.name,
        champion=trained.champion,
        scorer=kind,
        rule=RULE,
        reason=trained.reason,
        table=trained.table,
        settings=trained.settings,
        threshold=origin.threshold,
        threshold_from="set by hand" if origin.by_hand else f"cost ratio {origin.cost_ratio:g} : 1",
        cost_ratio=origin.cost_ratio,
        seed=origin.seed,
        effort=origin.effort,
        data=TrainingData(
            file=origin.data_file.name,
            sha256=hashlib.sha256(origin.data_file.read_bytes()).hexdigest(),
            rows=len(good),
            good=int(good.sum()),
            left_out=origin.rows.left_out,
        ),
        ranges=ranges(product, fields),
        known_answers=_known_answers(product, trained, Explainer(product, scorer, compared)),
        trained_at=datetime.now(UTC),
    )
    write_bundle(directory, files, facts)
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
    good, probability = origin.rows.good, trained.out_of_fold
    judged = evidence(
        good=good,
        probability=probability,
        threshold=origin.threshold,
        cost_ratio=origin.cost_ratio,
    )
    granted = (probability >= origin.threshold).astype(int)
    card = CardContent(
        evidence=judged,
        importance=trained.importance,
        fairness=assess(product, origin.rows.protected, good=good, granted=granted),
    )
    from ml.card.plots import draw  # noqa: PLC0415 - matplotlib takes a second

    pictures = draw(
        good=good, probability=probability, evidence=judged, importance=trained.importance
    )
    return {CARD: _json(card.model_dump(mode="json")), **pictures}


def _known_answers(
    product: Product, trained: Trained, explainer: Explainer
) -> tuple[KnownAnswer, ...]:
    applications = examples(product, count=KNOWN_ANSWERS, seed=0, unseen=True)
    frame = pd.DataFrame(applications)
    answers = {
        name: model.predict_proba(frame)[:, 1].tolist() for name, model in trained.models.items()
    }
    champion = answers.pop(trained.champion)
    return tuple(
        KnownAnswer(
            application=application,
            probability=champion[i],
            challengers={name: others[i] for name, others in answers.items()},
            shares=_shares(explainer, application) if i < KNOWN_SHARES else None,
        )
        for i, application in enumerate(applications)
    )


def _shares(explainer: Explainer, application: Application) -> dict[str, float]:
    return {r.field: r.share for r in explainer.explain(application, granted=False).reasons}


def _json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1).encode() + b"\n"


def _dumped(model: object) -> bytes:
    content = io.BytesIO()
    joblib.dump(model, content, compress=3)
    return content.getvalue()
