"""Corrects the probabilities of a bundle's models by outcomes, and writes a new bundle."""

import io
from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import joblib
import numpy as np
from sklearn.pipeline import Pipeline

from ml.bundle.facts import Recalibration
from ml.bundle.manifest import CHAMPION, PRODUCT, challenger_files, understood
from ml.bundle.reader import Bundle
from ml.card.card import card_content
from ml.monitoring.logistic import UNCHANGED, Line, fit_line, fit_logistic, log_odds, sigmoid
from ml.monitoring.rows import read_labelled
from ml.product.definition import Product
from ml.product.errors import InvalidData
from ml.training.build import Origin, assemble
from ml.training.dataset import Rows, read_rows, sha256_of
from ml.training.train import Trained

MIN_EACH = 50  # good and bad outcomes, for two coefficients; our own choice
LEVEL = 0.95  # by convention
# Quantiles of the chi-squared distribution with one and two degrees of freedom.
ONE = NormalDist().inv_cdf((1 + LEVEL) / 2) ** 2
TWO = -2 * float(np.log(1 - LEVEL))


class Recalibrated(NamedTuple):
    """A new bundle, and what the outcomes said of the old one.

    Attributes
    ----------
    bundle : Bundle
    lines : dict of str to Line
        The correction of each model.
    expected, observed : float
        The share of good loans that the probabilities promised, and that came true.
    no_longer : int
        How many of the loans the new probabilities would refuse.
    """

    bundle: Bundle
    lines: dict[str, Line]
    expected: float
    observed: float
    no_longer: int


def recalibrate(bundle: Bundle, directory: Path, *, outcomes: Path, data: Path) -> Recalibrated:
    """Correct the probabilities of a bundle's models by outcomes, and write a new bundle.

    Each model keeps its margins; only the two coefficients of its sigmoid change, so the ranking of
    applications stays the same.

    Parameters
    ----------
    bundle : Bundle
    directory : Path
        The folder to write; an older bundle in it is kept, as in a training.
    outcomes : Path
        A CSV file as `flask export training-data` writes it.
    data : Path
        The CSV file that the bundle was trained with.

    Returns
    -------
    Recalibrated

    Raises
    ------
    InvalidData
        A file cannot be read, is not the one that the bundle was trained with, or has too few
        outcomes; or the outcomes do not show that the probabilities are wrong, or the loans are
        ranked in reverse.
    InvalidBundle
        The bundle cannot be read or written.
    """
    known = read_rows(_repeating(bundle.product), outcomes)
    _refuse_few(known)
    rows = _training_rows(bundle, data)
    models = dict(_models(bundle))
    champion = bundle.manifest.champion
    line = _line_of(models[champion], known)
    lines = {champion: line} | {
        name: _line_if_any(model, known) for name, model in models.items() if name != champion
    }
    if line == UNCHANGED:
        raise InvalidData(
            f"{outcomes}: {len(known.good):,} outcomes do not show that the probabilities are wrong"
        )
    before = bundle.scorer.score_many(known.fields)
    for name, model in models.items():
        _correct(model, lines[name])
    origin = _origin(bundle, rows, line, data=data, outcomes=outcomes, known=known)
    new = assemble(directory, bundle.product, _trained(bundle, models, line), origin)
    after = new.scorer.score_many(known.fields)
    return Recalibrated(
        new,
        lines,
        float(before.mean()),
        float(known.good.mean()),
        int(((before >= bundle.threshold) & (after < new.threshold)).sum()),
    )


def line_of(probability: np.ndarray, good: np.ndarray) -> Line:
    """Return the correction that outcomes ask for.

    Likelihood-ratio tests choose between none, a shift alone, and a shift with a slope (Vergouwe
    et al. 2017, "A closed testing procedure to select an appropriate method for updating
    prediction models").

    Parameters
    ----------
    probability : ndarray of shape (n_samples,)
    good : ndarray of shape (n_samples,)
        1 for good, 0 for bad; both must occur.

    Returns
    -------
    Line

    Raises
    ------
    InvalidData
        The higher a probability, the fewer loans are good.
    """
    odds, one = log_odds(probability), np.ones(len(good))
    full = fit_line(odds, good)
    [shift] = fit_logistic(
        one[:, None], good, weights=one, penalty=np.zeros(1), start=np.zeros(1), offset=odds
    ).tolist()
    losses = [_loss(line.of(odds), good) for line in (UNCHANGED, Line(shift), full)]
    if 2 * (losses[0] - losses[2]) <= TWO:
        return UNCHANGED
    if 2 * (losses[1] - losses[2]) <= ONE:
        return Line(shift)
    if full.slope <= 0:
        raise InvalidData("the higher a probability, the fewer loans are good: train a new model")
    return full


def _line_if_any(model: Pipeline, known: Rows) -> Line:
    """Return the correction of a challenger; none if it ranks these loans in reverse.

    The champion chose them, so they say less of a challenger.
    """
    try:
        return _line_of(model, known)
    except InvalidData:
        return UNCHANGED


def _line_of(model: Pipeline, known: Rows) -> Line:
    return line_of(model.predict_proba(known.fields)[:, 1], known.good)


def _loss(odds: np.ndarray, good: np.ndarray) -> float:
    """Return the negative log-likelihood."""
    return float((np.logaddexp(0, odds) - good * odds).sum())


def _repeating(product: Product) -> Product:
    """Return a product that lets rows be equal: several people may answer alike."""
    rows = product.rows.model_copy(update={"repeated": "keep"})
    return product.model_copy(update={"rows": rows})


def _refuse_few(known: Rows) -> None:
    good = int(known.good.sum())
    if min(good, len(known.good) - good) < MIN_EACH:
        raise InvalidData(
            f"at least {MIN_EACH} good and {MIN_EACH} bad outcomes are needed, "
            f"not {good:,} and {len(known.good) - good:,}"
        )


def _training_rows(bundle: Bundle, data: Path) -> Rows:
    rows = read_rows(bundle.product, data)
    if sha256_of(data) != bundle.manifest.data.sha256:
        raise InvalidData(f"{data}: not the file that {bundle.version} was trained with")
    return rows


def _models(bundle: Bundle) -> Iterator[tuple[str, Pipeline]]:
    """Yield each model of a bundle, whose hashes have been compared."""
    yield bundle.manifest.champion, _unpickled(bundle, CHAMPION)
    for name in bundle.challengers:
        yield name, _unpickled(bundle, challenger_files(name)[0])


def _unpickled(bundle: Bundle, name: str) -> Pipeline:
    with understood(bundle.directory / name):
        model: Pipeline = joblib.load(io.BytesIO(bundle.file(name)))
        return model


def _correct(model: Pipeline, line: Line) -> None:
    """Change the sigmoid 1 / (1 + exp(a · margin + b)) of a model."""
    sigmoid_of = model.named_steps["calibrated"].calibrated_classifiers_[0].calibrators[0]
    sigmoid_of.a_ = line.slope * sigmoid_of.a_
    sigmoid_of.b_ = line.slope * sigmoid_of.b_ - line.shift


def _trained(bundle: Bundle, models: dict[str, Pipeline], line: Line) -> Trained:
    manifest, content = bundle.manifest, card_content(bundle)
    return Trained(
        table=manifest.table,
        champion=manifest.champion,
        reason=manifest.reason,
        models=models,
        settings=manifest.settings,
        out_of_fold=sigmoid(line.of(log_odds(read_labelled(bundle).probability))),
        importance=content.importance,
        bound=content.bound,
        chosen_blind=content.chosen_blind,
    )


def _origin(
    bundle: Bundle, rows: Rows, line: Line, *, data: Path, outcomes: Path, known: Rows
) -> Origin:
    manifest = bundle.manifest
    return Origin(
        definition=bundle.file(PRODUCT),
        data_file=data,
        rows=rows,
        seed=manifest.seed,
        effort=manifest.effort,
        cost_ratio=manifest.cost_ratio,
        threshold=manifest.threshold,
        by_hand=manifest.threshold_from == "set by hand",
        force=True,  # the labels of the training rows no longer say what a decision costs
        line=line.after(read_labelled(bundle).line),
        recalibration=Recalibration(
            before=bundle.version,
            shift=line.shift,
            slope=line.slope,
            file=outcomes.name,
            sha256=sha256_of(outcomes),
            rows=len(known.good),
            good=int(known.good.sum()),
        ),
    )
