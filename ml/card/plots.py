"""The plots of a model card, drawn from its evidence at training."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any

from ml.card import captions
from ml.card.svg import (
    LINE,
    SIZE,
    WIDTH,
    Area,
    Point,
    dot,
    element,
    line,
    picture,
    ticks,
    words,
    wrapped,
)
from ml.evaluation.reports import CalibrationBin, Evidence, Importance, ThresholdRow
from ml.product.formats import decimal, format_integer, percent, short
from ml.product.texts import Text

HEIGHT = 360
SQUARE = Area(left=52, top=56, right=306, bottom=310)
ABOVE = Area(left=52, top=76, right=332, bottom=182)
BELOW = Area(left=52, top=222, right=332, bottom=310)
BARS = Area(left=196, top=36, right=414, bottom=HEIGHT)
DASHED, DOTTED = {"stroke_dasharray": "7 4"}, {"stroke_dasharray": "2 3"}
FIFTHS = [n / 5 for n in range(6)]
REFERENCE: dict[str, Any] = {"class_": "reference", "stroke_width": 1.5, **DASHED}
DIAGONAL = line([SQUARE.at(0, 0), SQUARE.at(1, 1)], **REFERENCE)
WHISKER: dict[str, Any] = {"class_": "whisker", "stroke_width": 1.5}


def draw(evidence: Evidence, importance: Sequence[Importance], language: str) -> dict[str, bytes]:
    """Draw every plot of a model card in one language.

    Parameters
    ----------
    evidence : Evidence
    importance : sequence of Importance
        Of each field, by falling mean.
    language : str
        Its two-letter code.

    Returns
    -------
    dict of str to bytes
        SVG by its path in a bundle.
    """
    drawn = {
        "calibration": _calibration(evidence, language),
        "roc": _roc(evidence, language),
        "precision_recall": _precision_recall(evidence, language),
        "thresholds": _thresholds(evidence, language),
        "importance": _importance(importance, language),
    }
    return {f"plots/{name}.{language}.svg": content for name, content in drawn.items()}


def _texts(caption: Mapping[str, Text], language: str, **facts: str) -> dict[str, str]:
    return {key: text.in_language(language).format(**facts) for key, text in caption.items()}


def _square(
    name: str, texts: dict[str, str], language: str, *parts: str, key: list[tuple[str, str]]
) -> bytes:
    """Draw shares over shares, and beside them what the signs mean."""
    shares = {n: percent(n, language, places=0) for n in FIFTHS}
    middle = (SQUARE.left + SQUARE.right) / 2
    return picture(
        name,
        SQUARE.grid(x=shares, y=shares) + SQUARE.axes(),
        words(texts["x"], (middle, SQUARE.bottom + 38), text_anchor="middle"),
        words(texts["y"], (8, SQUARE.top - 14)),
        *parts,
        _key(key, at=(SQUARE.right + 16, SQUARE.top + 12)),
        title=texts["title"],
        description=texts["description"],
        height=HEIGHT,
    )


def _key(entries: list[tuple[str, str]], *, at: Point) -> str:
    """Write what signs mean, one below the other."""
    parts, (x, y) = [], at
    for sign, meaning in entries:
        lines = wrapped(meaning, WIDTH - x - 30)
        parts.append(element("g", sign, transform=f"translate({x:g} {y:g})"))
        parts.append(words(lines, (x + 30, y + SIZE / 3)))
        y += LINE * len(lines) + 10
    return "".join(parts)


def _sign(**look: Any) -> str:  # noqa: ANN401 - an element's attributes
    return line([(0, 0), (22, 0)], **look)


def _calibration(evidence: Evidence, language: str) -> bytes:
    calibration = evidence.calibration
    widest = max(calibration.bins, key=lambda b: abs(b.expected - b.observed))
    texts = _texts(
        captions.CALIBRATION,
        language,
        groups=str(len(calibration.bins)),
        error=decimal(calibration.expected_error, language),
        expected=percent(widest.expected, language),
        observed=percent(widest.observed, language),
    )
    marks = [_interval(b) for b in calibration.bins]
    sign = line([(11, -9), (11, 9)], **WHISKER)
    sign += dot((11, 0), radius=3.5, class_="point")
    key = [(sign, texts["point"]), (_sign(**REFERENCE), texts["reference"])]
    return _square("calibration", texts, language, DIAGONAL, *marks, key=key)


def _interval(b: CalibrationBin) -> str:
    ends = [SQUARE.at(b.expected, end) for end in (b.low, b.high)]
    point = dot(SQUARE.at(b.expected, b.observed), radius=3.5, class_="point")
    return line(ends, **WHISKER) + point


def _curve(points: Iterable[Point]) -> str:
    return line([SQUARE.at(*p) for p in points], class_="line")


def _mark(at: Point) -> str:
    return dot(at, radius=5.5, class_="mark")


def _roc(evidence: Evidence, language: str) -> bytes:
    roc = evidence.roc
    bad, good = roc.at_threshold
    texts = _texts(
        captions.ROC,
        language,
        auc=decimal(evidence.figures.roc_auc, language),
        chance=decimal(0.5, language, places=1),
        threshold=short(evidence.threshold, language),
        good=percent(good, language),
        bad=percent(bad, language),
    )
    parts = [DIAGONAL, _curve(roc.points), _mark(SQUARE.at(bad, good))]
    key = [
        (_sign(class_="line"), texts["line"]),
        (_sign(**REFERENCE), texts["reference"]),
        (_mark((11, 0)), texts["mark"]),
    ]
    return _square("roc", texts, language, *parts, key=key)


def _precision_recall(evidence: Evidence, language: str) -> bytes:
    curve = evidence.precision_recall
    at = curve.at_threshold
    threshold = short(evidence.threshold, language)
    pattern = (captions.REFUSING if at else captions.REFUSING_NOBODY).in_language(language)
    recall, precision = (percent(share, language) for share in at or (0, 0))
    mark = pattern.format(threshold=threshold, recall=recall, precision=precision)
    texts = _texts(
        captions.PRECISION_RECALL,
        language,
        average=decimal(evidence.figures.pr_auc_refused, language),
        base=percent(curve.base_rate, language),
        mark=f"{mark}.",
    )
    base = [SQUARE.at(x, curve.base_rate) for x in (0, 1)]
    parts = [line(base, **REFERENCE), _curve(curve.points)]
    key = [(_sign(class_="line"), texts["line"]), (_sign(**REFERENCE), texts["reference"])]
    key.append((_mark((11, 0)) if at else "", mark))
    if at:
        parts.append(_mark(SQUARE.at(*at)))
    return _square("precision_recall", texts, language, *parts, key=key)


def _thresholds(evidence: Evidence, language: str) -> bytes:
    rows = evidence.thresholds
    texts = _threshold_texts(evidence, language)
    costs = _up_to(max(row.cost_per_1000 for row in rows))
    below = replace(BELOW, y=(0, costs[-1]))
    upper = {"grant_rate": (texts["granted"], {}), "bad_rate": (texts["bad"], DASHED)}
    lower = {"cost_per_1000": (texts["cost"], DOTTED)}
    shares = {n: percent(n, language, places=0) for n in (0, 0.5, 1)}
    sums = {n: short(n, language, digits=10) for n in costs}
    at_used = ABOVE.at(evidence.threshold, 1)[0], ABOVE.top - 10
    middle = (ABOVE.left + ABOVE.right) / 2, below.bottom + 38
    return picture(
        "thresholds",
        words(texts["above"], (8, ABOVE.top - 32)),
        words(texts["mark"], at_used, text_anchor="middle"),
        _panel(ABOVE, rows, upper, x=dict.fromkeys(FIFTHS, ""), y=shares),
        words(texts["below"], (8, below.top - 12)),
        _panel(below, rows, lower, x={n: short(n, language) for n in FIFTHS}, y=sums),
        words(texts["x"], middle, text_anchor="middle"),
        title=texts["title"],
        description=texts["description"],
        height=HEIGHT,
    )


def _threshold_texts(evidence: Evidence, language: str) -> dict[str, str]:
    rows = evidence.thresholds
    used = next(row for row in rows if row.used)
    cheapest = min(rows, key=lambda row: row.cost)
    return _texts(
        captions.THRESHOLDS,
        language,
        thousand=format_integer(1000, language),
        ratio=short(evidence.cost_ratio, language),
        threshold=short(used.threshold, language),
        granted=percent(used.grant_rate, language),
        bad="–" if used.bad_rate is None else percent(used.bad_rate, language),
        cost=decimal(used.cost_per_1000, language, places=0),
        least=decimal(cheapest.cost_per_1000, language, places=0),
        cheapest=short(cheapest.threshold, language),
    )


def _up_to(most: float) -> list[float]:
    """Return round numbers from 0 on, of which the last is the first not below."""
    steps = ticks(0, most or 1.0, most=4)
    return steps if steps[-1] >= most else [*steps, steps[-1] + steps[1]]


def _panel(
    area: Area,
    rows: Sequence[ThresholdRow],
    lines: dict[str, tuple[str, dict[str, str]]],
    *,
    x: dict[float, str],
    y: dict[float, str],
) -> str:
    """Draw figures over thresholds, and beside them what the lines mean."""
    used = next(row for row in rows if row.used)
    upright = [area.at(used.threshold, end) for end in area.y]
    parts = [area.grid(x=x, y=y), area.axes(), line(upright, class_="mark", stroke_width=1)]
    for name, (_, look) in lines.items():
        values = [(row, getattr(row, name)) for row in rows]
        points = [area.at(row.threshold, value) for row, value in values if value is not None]
        parts.append(line(points, class_="line", **look))
        if getattr(used, name) is not None:
            at_used = area.at(used.threshold, getattr(used, name))
            parts.append(dot(at_used, radius=4, class_="mark"))
    key = [(_sign(class_="line", **look), meaning) for meaning, look in lines.values()]
    return "".join([*parts, _key(key, at=(area.right + 10, area.top + 12))])


def _importance(importance: Sequence[Importance], language: str) -> bytes:
    labels = [wrapped(row.label.in_language(language), BARS.left - 22) for row in importance]
    tops = list(accumulate((LINE * len(lines) + 9 for lines in labels), initial=BARS.top))
    ends = [row.mean + sign * row.sd for row in importance for sign in (-1, 1)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    area = replace(BARS, bottom=tops[-1], x=(low, high if high > low else low + 1))
    texts = _texts(
        captions.IMPORTANCE,
        language,
        first=importance[0].label.in_language(language),
        most=decimal(importance[0].mean, language),
        last=importance[-1].label.in_language(language),
        least=decimal(importance[-1].mean, language),
    )
    parts = [area.grid(x={n: short(n, language) for n in ticks(*area.x)}, y={})]
    for row, lines, (top, bottom) in zip(importance, labels, pairwise(tops), strict=True):
        y = (top + bottom) / 2
        base = y + SIZE / 3
        mean = decimal(row.mean, language)
        first = (area.left - 10, base - LINE * (len(lines) - 1) / 2)
        parts.append(words(lines, first, text_anchor="end"))
        parts.append(words(mean, (WIDTH - 8, base), text_anchor="end"))
        parts.append(_bar(area, row, y))
    parts.append(line([area.at(0, 0), area.at(0, 1)], class_="axis", stroke_width=1))
    return picture(
        "importance",
        *parts,
        title=texts["title"],
        description=texts["description"],
        height=area.bottom + 26,
    )


def _bar(area: Area, row: Importance, y: float) -> str:
    zero, end = area.at(0, 0)[0], area.at(row.mean, 0)[0]
    low, high = (area.at(row.mean + sign * row.sd, 0)[0] for sign in (-1, 1))
    ends = [line([(x, y - 4), (x, y + 4)], **WHISKER) for x in (low, high)]
    bar = element(
        "rect",
        x=min(zero, end),
        y=y - 7,
        width=abs(end - zero),
        height=14,
        class_="bar",
        fill="currentColor",
        fill_opacity=0.45,
    )
    return "".join([bar, line([(low, y), (high, y)], **WHISKER), *ends])
