"""The check of a bundle: its known answers, computed again."""

from typing import Any

import numpy as np

from ml.bundle.manifest import (
    ARRAYS,
    BACKGROUND,
    CHAMPION,
    MANIFEST,
    TOLERANCE,
    BundleTampered,
    understood,
    verified,
)
from ml.bundle.reader import Bundle, load_pipeline
from ml.product.application import as_columns


def verify_bundle(bundle: Bundle) -> None:
    """Compare the bundle's known answers with its pipeline's and its scorer's.

    Parameters
    ----------
    bundle : Bundle

    Raises
    ------
    BundleMissing
        The pipeline is no longer there.
    BundleTampered
        The pipeline has changed since the bundle was read, or an answer differs from the known one
        by more than `TOLERANCE`.
    """
    content = verified(bundle.directory, bundle.manifest, CHAMPION)
    with understood(bundle.directory / MANIFEST):
        known = bundle.manifest["known_answers"]
        applications = [
            {f.name: k["application"][f.name] for f in bundle.product.inputs} for k in known
        ]
        expected = np.array([k["probability"] for k in known], dtype=np.float64)
        frame = as_columns(applications)
    found = {}
    with understood(bundle.directory / CHAMPION):
        found[CHAMPION] = load_pipeline(content)(frame)
    with understood(bundle.directory / ARRAYS):
        found[ARRAYS] = bundle.scorer.score_many(frame)
        one_by_one = [bundle.scorer.score(a).probability for a in applications]
        found[f"{ARRAYS}, one by one"] = np.array(one_by_one)
    with understood(bundle.directory / BACKGROUND):
        _verify_shares(bundle, [k for k in known if "shares" in k])
    for name, answers in found.items():
        difference = float(np.abs(answers - expected).max())
        if not difference <= TOLERANCE:
            raise BundleTampered(
                f"{bundle.directory / name}: a known answer differs by {difference:.2g}"
            )


def _verify_shares(bundle: Bundle, known: list[dict[str, Any]]) -> None:
    for one in known:
        explained = bundle.explainer.explain(one["application"], granted=False)
        for reason in explained.reasons:
            difference = abs(reason.share - one["shares"][reason.field])
            if not difference <= TOLERANCE:
                raise ValueError(f"a known share of {reason.field} differs by {difference:.2g}")
