"""What ml/card/plots.py and ml/card/captions.py promise."""

import itertools
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from ml.card.plots import draw
from ml.card.svg import LETTER, WIDTH
from ml.evaluation.performance import evidence
from ml.evaluation.reports import Importance
from ml.product.files import read_product
from ml.product.texts import LANGUAGES

SPACE = "{http://www.w3.org/2000/svg}"
NAMES = ("calibration", "roc", "precision_recall", "thresholds", "importance")
SHARED = {"x", "y", "font-size", "font-weight", "text-anchor"}
ALLOWED = {
    "svg": {"viewBox", "role", "aria-labelledby", "aria-describedby", "font-family"},
    "title": {"id"},
    "desc": {"id"},
    "g": {"transform"},
    "text": SHARED,
    "polyline": {"points", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity"},
    "circle": {"cx", "cy", "r"},
    "rect": {"x", "y", "width", "height", "fill-opacity"},
}
LOOKS = {"line", "reference", "point", "bar", "axis", "grid", "mark", "whisker", "plot"}


def evidence_of(*, threshold=0.5, cost_ratio=1.0, n=900):
    rng = np.random.default_rng(2)
    probability = rng.beta(3, 1.5, size=n)
    good = (rng.random(n) < probability).astype(int)
    return evidence(good=good, probability=probability, threshold=threshold, cost_ratio=cost_ratio)


def weights_of(product, *, least=-0.004):
    means = np.linspace(0.07, least, len(product.inputs))
    return [
        Importance(field=f.name, label=f.label, mean=float(m), sd=0.009)
        for f, m in zip(product.inputs, means, strict=True)
    ]


@pytest.fixture(scope="module")
def found():
    return evidence_of()


@pytest.fixture(scope="module")
def drawn(found):
    """The plots of the product with the longest labels, by name and language."""
    weights = weights_of(read_product("mortgage"))
    files = {language: draw(found, weights, language) for language in LANGUAGES}
    return {
        (name, language): ElementTree.fromstring(files[language][f"plots/{name}.{language}.svg"])
        for name, language in itertools.product(NAMES, LANGUAGES)
    }


def said(root):
    """All that can be read in a plot."""
    texts = [e.text for e in root.iter(f"{SPACE}text")]
    return " ".join([root[0].text, root[1].text, *texts]).replace("\u00a0", " ")


def test_draw_names_every_plot_in_its_language(found, product):
    for language in LANGUAGES:
        files = draw(found, weights_of(product), language)
        assert sorted(files) == sorted(f"plots/{name}.{language}.svg" for name in NAMES)
        assert draw(found, weights_of(product), language) == files


def test_plots_hold_nothing_that_a_content_policy_or_a_theme_forbids(drawn):
    for root in drawn.values():
        for e in root.iter():
            tag = e.tag.removeprefix(SPACE)
            assert tag in ALLOWED, tag
            assert set(e.attrib) <= ALLOWED[tag] | {"class", "fill"}, e.attrib
            assert e.get("fill", "none") in {"none", "currentColor"}
            assert e.get("stroke", "none") in {"none", "currentColor"}
            assert e.get("class", "plot") in LOOKS


def test_plots_in_one_page_share_no_id(drawn):
    for language in LANGUAGES:
        ids = [e.get("id") for n in NAMES for e in drawn[n, language].iter() if e.get("id")]
        assert len(ids) == len(set(ids)) == 2 * len(NAMES)


def test_plots_say_their_main_figures(drawn, found):
    auc, ap = found.figures.roc_auc, found.figures.pr_auc_refused
    error = found.calibration.expected_error
    used = next(row for row in found.thresholds if row.used)
    figures = {
        "roc": f"{auc:.3f}",
        "precision_recall": f"{ap:.3f}",
        "calibration": f"{error:.3f}",
        "thresholds": f"{100 * used.grant_rate:.1f}",
        "importance": "0.070",
    }
    for name, figure in figures.items():
        english, french = drawn[name, "en"], drawn[name, "fr"]
        assert figure in english[1].text
        assert figure.replace(".", ",") in french[1].text
        if name in ("roc", "precision_recall", "calibration"):
            assert figure in english[0].text
            assert figure.replace(".", ",") in french[0].text


def test_plots_in_french_are_french(drawn):
    words = {
        "calibration": "prédite",
        "roc": "Seuil appliqué",
        "precision_recall": "rappel",
        "thresholds": "Accordées",
        "importance": "mélangé",
    }
    for name, word in words.items():
        assert word in said(drawn[name, "fr"])
        assert word not in said(drawn[name, "en"])
        assert not re.search(r"\d\.\d", said(drawn[name, "fr"]))
        assert re.search(r"\d\.\d", said(drawn[name, "en"]))
    assert not any(re.search(r"[{}]", said(root)) for root in drawn.values())


def extents(root):
    """From where to where each text reaches, at most, in the picture's units."""
    moved = {id(e): 0.0 for e in root.iter()}
    for e in root.iter(f"{SPACE}text"):
        assert id(e) in moved
        width = len(e.text) * LETTER * float(e.get("font-size"))
        before = {"middle": width / 2, "end": width}.get(e.get("text-anchor"), 0)
        x = float(e.get("x"))
        yield e.text, x - before, x - before + width, float(e.get("y"))


@pytest.mark.parametrize("threshold", [0.02, 0.5, 0.8333333333, 0.98])
def test_no_words_are_cut_off(product, threshold):
    for language, p in itertools.product(LANGUAGES, (product, read_product("mortgage"))):
        files = draw(evidence_of(threshold=threshold), weights_of(p), language)
        for content in files.values():
            root = ElementTree.fromstring(content)
            height = float(root.get("viewBox").split()[3])
            for text, left, right, y in extents(root):
                assert left >= 0, text
                assert right <= WIDTH, text
                assert 10 <= y <= height - 3, text


def test_importance_has_every_label_whole_and_a_bar_for_each_field(drawn):
    product = read_product("mortgage")
    for language in LANGUAGES:
        root = drawn["importance", language]
        text = said(root)
        for field in product.inputs:
            assert field.label.in_language(language) in text
        bars = [e for e in root.iter(f"{SPACE}rect") if e.get("class") == "bar"]
        widths = [float(e.get("width")) for e in bars]
        assert len(bars) == len(product.inputs)
        assert widths[0] == max(widths)
        # The last is negative: its bar ends where the first one's begins.
        end = float(bars[-1].get("x")) + widths[-1]
        assert end == pytest.approx(float(bars[0].get("x")), abs=0.02)
        assert widths[-1] / widths[0] == pytest.approx(0.004 / 0.07, rel=0.05)


def test_importance_of_nothing_can_be_drawn(found, product):
    weights = [row.model_copy(update={"mean": 0.0, "sd": 0.0}) for row in weights_of(product)]
    root = ElementTree.fromstring(draw(found, weights, "en")["plots/importance.en.svg"])
    assert {e.get("width") for e in root.iter(f"{SPACE}rect")} == {"0"}


def placed(root, class_, tag="circle"):
    """The signs of a class that lie in the picture itself and not in its key."""
    keys = {id(e) for g in root.iter(f"{SPACE}g") for e in g.iter()}
    return [e for e in root.iter(SPACE + tag) if e.get("class") == class_ and id(e) not in keys]


def square(root):
    """The edges of the area: left, top, right, bottom."""
    (axis,) = placed(root, "axis", "polyline")
    corners = [tuple(map(float, p.split(","))) for p in axis.get("points").split()]
    return corners[0][0], corners[0][1], corners[2][0], corners[2][1]


@pytest.mark.parametrize("name", ["roc", "precision_recall"])
def test_curves_mark_the_threshold_used(drawn, found, name):
    root = drawn[name, "en"]
    left, top, right, bottom = square(root)
    assert right - left == bottom - top
    (mark,) = placed(root, "mark")
    x, y = getattr(found, name).at_threshold
    assert float(mark.get("cx")) == pytest.approx(left + x * (right - left), abs=0.01)
    assert float(mark.get("cy")) == pytest.approx(bottom - y * (bottom - top), abs=0.01)
    (curve,) = placed(root, "line", "polyline")
    assert len(curve.get("points").split()) == len(getattr(found, name).points)


def test_calibration_has_a_point_and_an_interval_for_each_bin(drawn, found):
    root = drawn["calibration", "en"]
    left, top, right, bottom = square(root)
    bins = found.calibration.bins
    points, whiskers = placed(root, "point"), placed(root, "whisker", "polyline")
    assert len(points) == len(whiskers) == len(bins)
    for b, point, whisker in zip(bins, points, whiskers, strict=True):
        x = left + b.expected * (right - left)
        y = bottom - b.observed * (bottom - top)
        assert (float(point.get("cx")), float(point.get("cy"))) == pytest.approx((x, y), abs=0.01)
        ends = [list(map(float, p.split(","))) for p in whisker.get("points").split()]
        for (at, height), end in zip(ends, (b.low, b.high), strict=True):
            assert at == pytest.approx(x, abs=0.01)
            assert height == pytest.approx(bottom - end * (bottom - top), abs=0.01)


def test_thresholds_are_told_apart_without_colour(drawn, found):
    root = drawn["thresholds", "en"]
    lines = placed(root, "line", "polyline")
    patterns = [e.get("stroke-dasharray") for e in lines]
    assert len(patterns) == len(set(patterns)) == 3
    assert all(len(e.get("points").split()) == len(found.thresholds) for e in lines)
    assert len(placed(root, "mark")) == 3
    upright = [e.get("points") for e in placed(root, "mark", "polyline")]
    xs = {p.split(",")[0] for points in upright for p in points.split()}
    assert len(upright) == 2
    assert xs == {e.get("cx") for e in placed(root, "mark")}


def test_threshold_that_grants_or_refuses_nobody_has_no_rate_to_mark(product):
    weights = weights_of(product)
    nobody = evidence_of(threshold=0.9999999)
    assert next(row for row in nobody.thresholds if row.used).bad_rate is None
    root = ElementTree.fromstring(draw(nobody, weights, "en")["plots/thresholds.en.svg"])
    assert len(placed(root, "mark")) == 2
    everybody = evidence_of(threshold=0.0001)
    files = draw(everybody, weights, "fr")
    root = ElementTree.fromstring(files["plots/precision_recall.fr.svg"])
    assert placed(root, "mark") == []
    assert "ne refuse personne" in said(root)


@pytest.mark.parametrize("cost_ratio", [0.1, 1, 2500.0])
def test_cost_stays_within_its_panel(product, cost_ratio):
    found = evidence_of(cost_ratio=cost_ratio)
    root = ElementTree.fromstring(draw(found, weights_of(product), "en")["plots/thresholds.en.svg"])
    axes = placed(root, "axis", "polyline")
    top, _, bottom = (float(p.split(",")[1]) for p in axes[1].get("points").split())
    bottom = max(bottom, top)
    cost = placed(root, "line", "polyline")[2]
    heights = [float(p.split(",")[1]) for p in cost.get("points").split()]
    assert top - 0.01 <= min(heights) < max(heights) <= bottom + 0.01
    # No more than a grid's step is left above it.
    assert min(heights) < top + (bottom - top) * 0.55
