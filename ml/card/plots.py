"""Draws the plots of a model card with matplotlib. Only training imports this module."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from itertools import product
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import PrecisionRecallDisplay, RocCurveDisplay

from ml.card.pictures import TITLES, picture_file
from ml.evaluation.reports import Evidence, Importance
from ml.product.formats import percent, short
from ml.product.texts import LANGUAGES, Text

WIDTH, HEIGHT = 4.2, 4.0  # inches; about 400 pixels, so that letters can be read on a telephone
LABEL_WIDTH = 22  # letters of a field's label in one line
BACKGROUND, TEXT, GRID, FIRST, SECOND = "#ffffff", "#212529", "#dee2e6", "#0a58ca", "#984c0c"
DARK = {  # Bootstrap's colours of the dark theme, by those of the light one
    BACKGROUND: "#212529",
    TEXT: "#dee2e6",
    GRID: "#495057",
    FIRST: "#6ea8fe",
    SECOND: "#feb272",
}
COLOUR = re.compile(rb"#[0-9a-f]{6}")
STYLE: dict[str, Any] = {
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor"), TEXT),
    **dict.fromkeys(("xtick.color", "ytick.color"), TEXT),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor", "legend.facecolor"), BACKGROUND),
    "axes.prop_cycle": f"cycler(color=['{FIRST}', '{SECOND}'])",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "legend.edgecolor": BACKGROUND,
    "figure.subplot.left": 0.19,
    "figure.subplot.right": 0.94,
    "figure.subplot.bottom": 0.13,
    "figure.subplot.top": 0.97,
    "path.simplify_threshold": 0.3,  # points
    # Text stays text, in the reader's font. The layout is computed with DejaVu, which is wider.
    "svg.fonttype": "none",
    "svg.hashsalt": "loan-desk",  # the same input gives the same bytes
}
LABELS = {
    "model": Text(en="Model", fr="Modèle"),
    "used": Text(en="Threshold in use", fr="Seuil appliqué"),
    "bin": Text(en="Model, 95% interval", fr="Modèle, intervalle à 95 %"),
    "calibrated": Text(en="Perfect calibration", fr="Calibration parfaite"),
    "predicted": Text(en="Mean predicted probability", fr="Probabilité moyenne prédite"),
    "found": Text(en="Observed share of good loans", fr="Part de bons prêts constatée"),
    "chance": Text(en="Chance", fr="Hasard"),
    "bad_granted": Text(en="Share of bad loans granted", fr="Part des mauvais prêts accordés"),
    "good_granted": Text(en="Share of good loans granted", fr="Part des bons prêts accordés"),
    "recall": Text(
        en="Share of bad loans refused (recall)", fr="Part des mauvais prêts refusés (rappel)"
    ),
    "precision": Text(
        en="Bad loans among refusals (precision)", fr="Mauvais prêts parmi les refus (précision)"
    ),
    "granted": Text(en="Grant rate", fr="Taux d’octroi"),
    "bad_rate": Text(en="Bad rate", fr="Taux de mauvais prêts"),
    "cost": Text(
        en="Cost per 1,000 applications,\nin good loans lost",
        fr="Coût pour 1\u202f000 demandes,\nen bons prêts perdus",
    ),
    "threshold": Text(
        en="Threshold: lowest probability granted",
        fr="Seuil : probabilité minimale pour un accord",
    ),
    "loss": Text(en="Loss of ROC-AUC", fr="Perte d’AUC"),
}
Say = Callable[[str], str]


def draw(
    *,
    good: np.ndarray,
    probability: np.ndarray,
    evidence: Evidence,
    importance: Sequence[Importance],
) -> dict[str, bytes]:
    """Draw every plot of a model card, in each language and theme.

    Parameters
    ----------
    good : ndarray of shape (n_samples,)
        1 for good, 0 for bad; both must occur.
    probability : ndarray of shape (n_samples,)
        The probabilities of being good, each by a model that was not fitted on the row.
    evidence : Evidence
        The figures of these rows.
    importance : sequence of Importance
        The importance of each field, in descending order of the mean.

    Returns
    -------
    dict of str to bytes
        The SVG files by their paths in a bundle. The same input gives the same bytes.

    Raises
    ------
    KeyError
        A plot has a colour that `DARK` does not list.
    """
    plots: dict[str, Callable[[Figure, str], None]] = {
        "calibration": partial(_calibration, evidence=evidence),
        "roc": partial(_roc, evidence=evidence, good=good, probability=probability),
        "precision_recall": partial(
            _precision_recall, evidence=evidence, good=good, probability=probability
        ),
        "thresholds": partial(_thresholds, evidence=evidence),
        "importance": partial(_importance, importance=importance),
    }
    drawn = {}
    for name, language in product(TITLES, LANGUAGES):
        light = _svg(plots[name], language)
        drawn[picture_file(name, language, "light")] = light
        drawn[picture_file(name, language, "dark")] = COLOUR.sub(_in_the_dark, light)
    return drawn


def _svg(plot: Callable[[Figure, str], None], language: str) -> bytes:
    content = BytesIO()
    with style.context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT))
        plot(figure, language)
        figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
    return content.getvalue()


def _in_the_dark(colour: re.Match[bytes]) -> bytes:
    return DARK[colour[0].decode()].encode()


def _words(language: str) -> Say:
    return lambda key: LABELS[key].in_language(language)


def _shares(*axes: Any, language: str) -> None:  # noqa: ANN401 - XAxis or YAxis
    for axis in axes:
        axis.set_major_formatter(FuncFormatter(lambda share, _: percent(share, language, places=0)))


def _calibration(figure: Figure, language: str, *, evidence: Evidence) -> None:
    axes, say = figure.subplots(), _words(language)
    bins = evidence.calibration.bins
    expected = [b.expected for b in bins]
    axes.plot([0, 1], [0, 1], linestyle="dashed", color=TEXT, label=say("calibrated"))
    axes.vlines(expected, [b.low for b in bins], [b.high for b in bins], color="C0")
    CalibrationDisplay([b.observed for b in bins], expected, None).plot(
        ax=axes, ref_line=False, marker="o", markersize=5, color="C0", label=say("bin")
    )
    _finish(axes, x=say("predicted"), y=say("found"), language=language)
    axes.legend(loc="lower right")


def _against_chance(say: Say) -> dict[str, Any]:
    """Return the arguments with which a display draws the curves of the model and of chance."""
    return {
        "curve_kwargs": {"label": say("model")},
        "plot_chance_level": True,
        "chance_level_kw": {"label": say("chance"), "color": TEXT},
    }


def _roc(
    figure: Figure, language: str, *, evidence: Evidence, good: np.ndarray, probability: np.ndarray
) -> None:
    axes, say = figure.subplots(), _words(language)
    RocCurveDisplay.from_predictions(good, probability, ax=axes, **_against_chance(say))
    point = evidence.operating_point
    axes.plot(point.bad_granted, point.good_granted, "o", color="C1", label=say("used"))
    _finish(axes, x=say("bad_granted"), y=say("good_granted"), language=language)
    axes.legend(loc="lower right")


def _precision_recall(
    figure: Figure, language: str, *, evidence: Evidence, good: np.ndarray, probability: np.ndarray
) -> None:
    axes, say = figure.subplots(), _words(language)
    PrecisionRecallDisplay.from_predictions(
        1 - good, 1 - probability, ax=axes, drop_intermediate=True, **_against_chance(say)
    )
    point = evidence.operating_point
    if point.precision is not None:
        axes.plot(1 - point.bad_granted, point.precision, "o", color="C1", label=say("used"))
    _finish(axes, x=say("recall"), y=say("precision"), language=language)
    axes.legend(loc="upper right")


def _finish(axes: Axes, *, x: str, y: str, language: str) -> None:
    """Replace the English labels of a display, and format both axes as percentages."""
    axes.set(xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    _shares(axes.xaxis, axes.yaxis, language=language)


def _thresholds(figure: Figure, language: str, *, evidence: Evidence) -> None:
    rows, say = evidence.thresholds, _words(language)
    upper, lower = figure.subplots(2, sharex=True, gridspec_kw={"top": 0.84})
    threshold = [row.threshold for row in rows]
    bad_rate = [np.nan if row.bad_rate is None else row.bad_rate for row in rows]
    upper.plot(threshold, [row.grant_rate for row in rows], label=say("granted"))
    upper.plot(threshold, bad_rate, linestyle="dashed", label=say("bad_rate"))
    upper.set_ylim(-0.02, 1.02)
    lower.plot(threshold, [row.cost_per_1000 for row in rows])
    lower.set(xlabel=say("threshold"), ylabel=say("cost"), xlim=(-0.02, 1.02))
    lower.set_ylim(bottom=0)
    lower.yaxis.set_major_formatter(FuncFormatter(lambda cost, _: short(cost, language, digits=10)))
    for axes in (upper, lower):
        axes.axvline(evidence.threshold, linestyle="dotted", color=TEXT, label=say("used"))
    figure.legend(*upper.get_legend_handles_labels(), loc="upper left", ncols=2)
    _shares(upper.yaxis, lower.xaxis, language=language)


def _importance(figure: Figure, language: str, *, importance: Sequence[Importance]) -> None:
    height = 0.7 + 0.35 * len(importance)
    figure.set_figheight(height)
    axes = figure.subplots(gridspec_kw={"left": 0.42, "bottom": 0.5 / height})
    labels = [fill(row.label.in_language(language), LABEL_WIDTH) for row in importance]
    axes.barh(
        labels,
        [row.mean for row in importance],
        xerr=[row.sd for row in importance],
        capsize=3,
        ecolor=TEXT,
    )
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(_words(language)("loss"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda loss, _: short(loss, language)))
