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

from ml.bundle import ARRAYS, CHAMPION, PRODUCT, Bundle, read_bundle, replay, write_bundle
from ml.examples import examples
from ml.export import export_scorer, kind_of
from ml.product import Product
from ml.train import RULE, Effort, Trained

KNOWN_ANSWERS = 20  # an optional field is missing in one of them with probability .99


@dataclass(frozen=True)
class Origin:
    """Where a model comes from.

    Attributes
    ----------
    definition : bytes
        Of the product's TOML file.
    data_file : Path
        The rows it was trained on.
    rows, good : int
        How many, and how many of them are good.
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
    rows: int
    good: int
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
    """
    champion = trained.models[trained.champion]
    files = {
        PRODUCT: origin.definition,
        ARRAYS: export_scorer(champion),
        **{
            CHAMPION if name == trained.champion else f"challengers/{name}.joblib": _dumped(model)
            for name, model in trained.models.items()
        },
    }
    applications = examples(product, count=KNOWN_ANSWERS, seed=0, unseen=True)
    answers = champion.predict_proba(pd.DataFrame(applications))[:, 1].tolist()
    manifest = {
        "product": product.name,
        "champion": trained.champion,
        "scorer": kind_of(champion),
        "rule": RULE,
        "reason": trained.reason,
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
            "rows": origin.rows,
            "good": origin.good,
        },
        "known_answers": [
            {"application": a, "probability": p} for a, p in zip(applications, answers, strict=True)
        ],
    }
    manifest["version"] = f"{trained.champion}-{_fingerprint(manifest, files)}"
    manifest["trained_at"] = datetime.now(UTC).isoformat(timespec="seconds")
    write_bundle(directory, files, manifest)
    bundle = read_bundle(directory)
    replay(bundle)
    return bundle


def _dumped(model: object) -> bytes:
    content = io.BytesIO()
    joblib.dump(model, content, compress=3)
    return content.getvalue()


def _fingerprint(manifest: dict[str, Any], files: Mapping[str, bytes]) -> str:
    """Hash what decides: two trainings that decide alike have one version."""
    said = {k: manifest[k] for k in ("product", "champion", "threshold", "known_answers")}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    digest.update(files[PRODUCT])
    # The arrays, not their file: how a zip archive is laid out depends on Python's version.
    with np.load(io.BytesIO(files[ARRAYS]), allow_pickle=False) as arrays:
        for name in sorted(arrays.files):
            digest.update(name.encode() + arrays[name].tobytes())
    return digest.hexdigest()[:8]
