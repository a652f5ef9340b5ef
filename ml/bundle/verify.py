"""Verifies a bundle: computes its known answers again, by the champion and the challengers."""

from pathlib import Path

import numpy as np

from ml.bundle.manifest import (
    ARRAYS,
    BACKGROUND,
    CHAMPION,
    KNOWN_ANSWER_TOLERANCE,
    MANIFEST,
    BundleTampered,
    challenger_files,
    understood,
    verified,
)
from ml.bundle.reader import Bundle, load_pipeline
from ml.product.application import as_columns


def verify_bundle(bundle: Bundle) -> None:
    """Compute the known answers again, by the pipeline, the Scorer and the challengers.

    Hashes and the version are not checked again, because reading the bundle has verified them.

    Parameters
    ----------
    bundle : Bundle

    Raises
    ------
    BundleMissing
        The file of the pipeline or of a challenger no longer exists.
    BundleTampered
        One of these files has changed since the bundle was read, or a probability or a share
        differs from the known one by more than `KNOWN_ANSWER_TOLERANCE`.
    BundleForeign
        A challenger has no array form, and was trained with other versions than those installed.
    """
    content = verified(bundle.directory, bundle.manifest, CHAMPION)
    known = bundle.manifest.known_answers
    with understood(bundle.directory / MANIFEST):
        applications = [
            {f.name: k.application[f.name] for f in bundle.product.inputs} for k in known
        ]
    frame = as_columns(applications)
    expected = np.array([k.probability for k in known])
    with understood(bundle.directory / CHAMPION):
        _compare(bundle.directory / CHAMPION, load_pipeline(content)(frame), expected)
    with understood(bundle.directory / ARRAYS):
        _compare(bundle.directory / ARRAYS, bundle.scorer.score_many(frame), expected)
        one_by_one = np.array([bundle.scorer.score(a).probability for a in applications])
        _compare(bundle.directory / f"{ARRAYS}, one by one", one_by_one, expected)
    with understood(bundle.directory / BACKGROUND):
        _verify_shares(bundle)
    for name in bundle.challengers:
        path = bundle.directory / challenger_files(name)[0]
        with understood(path):
            answers = bundle.challenger(name).score_many(frame)
            _compare(path, answers, np.array([k.challengers[name] for k in known]))


def _compare(path: Path, answers: np.ndarray, expected: np.ndarray) -> None:
    difference = float(np.abs(answers - expected).max())
    if not difference <= KNOWN_ANSWER_TOLERANCE:
        raise BundleTampered(f"{path}: a known answer differs by {difference:.2g}")


def _verify_shares(bundle: Bundle) -> None:
    for known in bundle.manifest.known_answers:
        if known.shares is None:
            continue
        explained = bundle.explainer.explain(known.application, granted=False)
        for reason in explained.reasons:
            difference = abs(reason.share - known.shares[reason.field])
            if not difference <= KNOWN_ANSWER_TOLERANCE:
                raise ValueError(f"a known share of {reason.field} differs by {difference:.2g}")
