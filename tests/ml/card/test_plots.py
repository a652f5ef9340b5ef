"""Tests of ml/card/plots.py."""

import itertools
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.textpath import TextPath

from ml.card.pictures import THEMES, TITLES, picture_file
from ml.card.plots import DARK, LABELS, draw
from ml.evaluation.performance import evidence
from ml.evaluation.reports import Importance
from ml.product.files import read_product
from ml.product.texts import LANGUAGES

TEXT = "{http://www.w3.org/2000/svg}text"
SIZE = 10  # points


def drawn_of(product, *, threshold=0.5):
    rng = np.random.default_rng(2)
    probability = rng.beta(3, 1.5, size=900)
    good = (rng.random(900) < probability).astype(int)
    found = evidence(good=good, probability=probability, threshold=threshold, cost_ratio=1)
    means = np.linspace(0.07, -0.004, len(product.inputs))
    weights = [
        Importance(field=f.name, label=f.label, mean=float(mean), sd=0.009)
        for f, mean in zip(product.inputs, means, strict=True)
    ]
    return draw(good=good, probability=probability, evidence=found, importance=weights)


@pytest.fixture(scope="module")
def mortgage():
    return read_product("mortgage")  # it has the longest labels


@pytest.fixture(scope="module")
def drawn(mortgage):
    return drawn_of(mortgage)


def words(content):
    return [e.text for e in ElementTree.fromstring(content).iter(TEXT)]


def test_draw_every_plot_in_each_language_and_theme(drawn):
    every = itertools.product(TITLES, LANGUAGES, THEMES)
    assert set(drawn) == {picture_file(*one) for one in every}
    assert all(ElementTree.fromstring(content) is not None for content in drawn.values())
    assert max(map(len, drawn.values())) < 50_000


def test_draw_gives_the_same_bytes_again(drawn, mortgage):
    assert drawn_of(mortgage) == drawn
    assert not any(re.search(rb"<dc:date|20\d\d-\d\d", content) for content in drawn.values())


def test_themes_differ_in_every_colour_and_in_nothing_else(drawn):
    for name, language in itertools.product(TITLES, LANGUAGES):
        light, dark = (drawn[picture_file(name, language, t)].decode() for t in THEMES)
        colours = re.findall(r"#[0-9a-f]{6}\b", light)
        assert {"#ffffff", "#212529"} < set(colours) <= set(DARK)
        assert [DARK[c] for c in colours] == re.findall(r"#[0-9a-f]{6}\b", dark)
        assert re.sub("#[0-9a-f]{6}", "", light) == re.sub("#[0-9a-f]{6}", "", dark)


def test_plots_hold_the_words_of_their_language_alone(drawn, mortgage):
    for name in TITLES:
        english, french = (words(drawn[picture_file(name, c, "light")]) for c in LANGUAGES)
        labels = [*LABELS.values(), *(f.label for f in mortgage.inputs)]
        own = {part for text in labels for part in re.split(r"\s", text.fr)}
        letters = {part for line in french for part in line.split() if re.search("[A-Za-z]", part)}
        assert letters <= own, name
        assert len(french) >= len(english) - 2 > 10
        assert not any(re.search(r"\d\.\d|\d%", line) for line in french)


def test_importance_has_every_label_whole(drawn, mortgage):
    for language in LANGUAGES:
        text = " ".join(words(drawn[picture_file("importance", language, "light")]))
        for field in mortgage.inputs:
            assert field.label.in_language(language) in text


def test_no_words_are_cut_off(drawn):
    for file, content in drawn.items():
        root = ElementTree.fromstring(content)
        width, height = map(float, root.get("viewBox").split()[2:])
        for e in root.iter(TEXT):
            turned, (x, y) = "rotate(-90" in e.get("transform"), place(e)
            limit, at = (height, height - y) if turned else (width, x)
            length = TextPath((0, 0), e.text, size=SIZE).get_extents().width
            anchor = re.search(r"text-anchor: (\w+)", e.get("style"))
            before = {"middle": length / 2, "end": length}.get(anchor and anchor[1], 0)
            assert at - before >= 0, (file, e.text)
            assert at - before + length <= limit, (file, e.text)


def place(element):
    if element.get("x"):
        return float(element.get("x")), float(element.get("y"))
    found = re.match(r"translate\(([\d.]+) ([\d.]+)\)", element.get("transform"))
    return float(found[1]), float(found[2])


def test_threshold_that_refuses_nobody_has_no_precision_to_mark(mortgage, drawn):
    everybody = drawn_of(mortgage, threshold=0.0001)
    file = picture_file("precision_recall", "en", "light")
    assert "Threshold in use" in words(drawn[file])
    assert "Threshold in use" not in words(everybody[file])
    roc = picture_file("roc", "en", "light")
    assert "Threshold in use" in words(everybody[roc])
