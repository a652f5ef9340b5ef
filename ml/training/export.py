"""Exports a fitted pipeline as the arrays that a Scorer reads."""

import io
import json
import math
from typing import Any

import numpy as np
from scipy.interpolate import BSpline
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC, LinearSVC

from ml.bundle.facts import ScorerKind
from ml.training.columns import Columns
from ml.training.monotone import MonotoneLinear


def kind_of(model: Pipeline) -> ScorerKind:
    """Return how a Scorer computes the margin of a fitted model.

    Parameters
    ----------
    model : Pipeline
        A model that `ml.training.train.fit` returned.

    Returns
    -------
    {"linear", "rbf", "pipeline"}
    """
    classifier = model.named_steps["calibrated"].calibrated_classifiers_[0].estimator[-1]
    if isinstance(classifier, SVC) and classifier.kernel == "rbf":
        return "rbf"
    linear = isinstance(classifier, LinearSVC | LogisticRegression | MonotoneLinear)
    return "linear" if linear else "pipeline"


def export_scorer(model: Pipeline) -> bytes:
    """Write a fitted model as arrays.

    Parameters
    ----------
    model : Pipeline
        A model that `ml.training.train.fit` returned.

    Returns
    -------
    bytes
        The content of an ``.npz`` file without pickles. It holds the whole model if that is an SVC
        or logistic regression; for any other model only the normalisation, with the kind
        ``pipeline``.
    """
    columns: Columns = model.named_steps["columns"]
    calibrated = model.named_steps["calibrated"].calibrated_classifiers_[0]
    inner: Pipeline = calibrated.estimator
    parts = {name: (step, names) for name, step, names in inner[0].transformers_ if names}
    scaled = [n for part in ("number", "flag") if part in parts for n in parts[part][1]]
    steps = [parts[part][0] for part in ("number", "flag") if part in parts]
    arrays: dict[str, Any] = {
        "median": np.concatenate([s["impute"].statistics_ for s in steps]),
        "mean": np.concatenate([s["scale"].mean_ for s in steps]),
        "scale": np.concatenate([s["scale"].scale_ for s in steps]),
    }
    sigmoid = calibrated.calibrators[0]
    layout: dict[str, Any] = {
        "kind": kind_of(model),
        "numbers": columns.numbers,
        "ratios": columns.ratios,
        "scaled": scaled,
        "absent": list(parts["missing"][1]) if "missing" in parts else [],
        "choices": _choices(parts),
        "calibration": [float(sigmoid.a_), float(sigmoid.b_)],
    }
    classifier = inner[-1]
    if layout["kind"] == "rbf":
        arrays |= {
            "vectors": classifier.support_vectors_,
            "dual": classifier.dual_coef_[0],
            "intercept": classifier.intercept_[0],
            "gamma": np.float64(classifier.gamma),
        }
    elif layout["kind"] == "linear":
        curves, weights = _curves(parts["number"][0]["spline"], classifier.coef_[0])
        layout["curves"] = len(curves)
        arrays |= {"weights": weights, "intercept": classifier.intercept_[0]}
        for i, (breaks, pieces) in enumerate(curves):
            arrays |= {f"breaks_{i}": breaks, f"pieces_{i}": pieces}
    content = io.BytesIO()
    np.savez(content, layout=np.array(json.dumps(layout)), **arrays)
    return content.getvalue()


def _choices(parts: dict[str, Any]) -> list[tuple[str, list[str], str | None]]:
    if "choice" not in parts:
        return []
    step, names = parts["choice"]
    fills, values = step["impute"].statistics_, step["encode"].categories_
    return [(n, list(map(str, v)), str(f)) for n, v, f in zip(names, values, fills, strict=True)]


def _curves(
    spline: Any,  # noqa: ANN401 - fitted `ml.training.splines.Splines`, whose base is untyped
    coefficients: np.ndarray,
) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Return the curve of each number as a piecewise polynomial, and the weights of other columns.

    Between two knots, a sum of B-splines is one polynomial. Its coefficients are the derivatives at
    the left knot, divided by factorials (de Boor 1978, "A practical guide to splines").
    """
    degree, curves, at = spline.degree, [], 0
    for basis in spline.bsplines_:
        count = basis.c.shape[1] - 1  # the last spline of each number is left out of the model
        weights = np.append(coefficients[at : at + count], 0.0)
        at += count
        breaks = np.unique(basis.t[degree:-degree])
        if breaks.size == 1:  # a constant number, which adds nothing to the margin
            curves.append((np.append(breaks, breaks + 1), np.zeros((degree + 1, 1))))
            continue
        curve = BSpline(basis.t, weights, degree)
        orders = range(degree, -1, -1)
        pieces = np.array([curve(breaks[:-1], nu=k) / math.factorial(k) for k in orders])
        curves.append((breaks, pieces))
    return curves, coefficients[at:]
