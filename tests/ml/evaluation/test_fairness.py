"""What ml/evaluation/fairness.py promises."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import demographic_parity_ratio, equal_opportunity_difference
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import Pipeline

from ml.card.fairness_table import as_text
from ml.evaluation.fairness import FIGURES, assess
from ml.product.definition import (
    PRODUCTS,
    Fairness,
    parse_product,
    read_product,
)
from ml.training.candidates import candidates
from ml.training.columns import columns_of
from ml.training.dataset import read_protected, read_rows

BANDS = "bands = [25, 35, 45, 55, 62]\n"
EVEN = (40, 10, 10, 40)  # good granted, good refused, bad granted, bad refused


@pytest.fixture(scope="module")
def mortgage():
    return read_product("mortgage")


@pytest.fixture(scope="module")
def unbanded():
    text = (PRODUCTS / "consumer_credit.toml").read_text(encoding="utf-8")
    assert BANDS in text
    return parse_product(text.replace(BANDS, ""), source="unbanded")


def rows(column, counts):
    """Return the rows that hold each value's counts, in the order of EVEN."""
    values, good, granted = [], [], []
    for value, (good_granted, good_refused, bad_granted, bad_refused) in counts.items():
        values += [value] * (good_granted + good_refused + bad_granted + bad_refused)
        good += [1] * (good_granted + good_refused) + [0] * (bad_granted + bad_refused)
        granted += [True] * good_granted + [False] * good_refused
        granted += [True] * bad_granted + [False] * bad_refused
    frame = pd.DataFrame({column: values})
    return frame, {"good": np.array(good), "granted": np.array(granted)}


def groups_of(product, column, counts, **limits):
    """Audit the rows that hold these counts; return the one attribute and its groups by name."""
    frame, answers = rows(column, counts)
    found = assess(product, frame, **answers, limits=Fairness(**limits))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    (attribute,) = found["attributes"]
    return attribute, {g["name"]: g for g in attribute["groups"]}


def out_of_fold(product, name):
    fields, good = read_rows(product, product.data_file)
    chosen = next(c for c in candidates(product, seed=0) if c.name == name)
    model = Pipeline([("columns", columns_of(product)), ("model", chosen.estimator)])
    granted = cross_val_predict(model, fields, good) == 1
    return assess(product, read_protected(product, product.data_file), good=good, granted=granted)


def test_assess_gives_hand_computed_figures(mortgage):
    counts = {"female": (56, 14, 4, 26), "male": (48, 32, 52, 68)}
    attribute, found = groups_of(mortgage, "protected_sex", counts)
    assert attribute["reference"] == "male"
    male, female = found["male"], found["female"]
    assert (male["n"], male["n_good"], female["n"], female["n_good"]) == (200, 80, 100, 70)
    assert male["grant_rate"]["value"] == pytest.approx(100 / 200)
    assert male["good_rate"]["value"] == pytest.approx(80 / 200)
    assert male["false_refusals"]["value"] == pytest.approx(32 / 80)
    assert male["grant_ratio"] is None
    assert male["equal_opportunity_difference"] is None
    assert male["verdict"] == "reference"
    assert female["grant_rate"]["value"] == pytest.approx(60 / 100)
    assert female["good_rate"]["value"] == pytest.approx(70 / 100)
    assert female["grant_ratio"]["value"] == pytest.approx(1.2)
    assert female["false_refusals"]["value"] == pytest.approx(14 / 70)
    # Newcombe 1998, table II, method 10: 56/70 and 48/80
    difference = {"value": 0.2, "low": 0.0524, "high": 0.3339}
    assert female["equal_opportunity_difference"] == pytest.approx(difference, abs=5e-5)
    assert (female["verdict"], female["findings"]) == ("outside", ["equal_opportunity_difference"])


@pytest.mark.parametrize(
    ("cases", "total", "low", "high"),
    [  # Newcombe 1998, two-sided intervals for the single proportion, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_assess_rates_have_wilson_s_interval(mortgage, cases, total, low, high):
    counts = {"male": (cases, total - cases, 0, 0)}
    _, found = groups_of(mortgage, "protected_sex", counts, smallest_group=20)
    interval = {"value": cases / total, "low": low, "high": high}
    assert found["male"]["grant_rate"] == pytest.approx(interval, abs=5e-5)


def test_assess_ratio_has_katz_s_interval(mortgage):
    # The trial of aspirin in Agresti, Categorical Data Analysis: relative risk 1.82, 1.43 to 2.31
    counts = {"female": (0, 0, 189, 10_845), "male": (0, 0, 104, 10_933)}
    _, found = groups_of(mortgage, "protected_sex", counts)
    ratio = (189 / 11_034) / (104 / 11_037)
    error = math.sqrt(1 / 189 - 1 / 11_034 + 1 / 104 - 1 / 11_037)
    low, high = ratio * math.exp(-1.959964 * error), ratio * math.exp(1.959964 * error)
    expected = {"value": ratio, "low": low, "high": high}
    assert found["female"]["grant_ratio"] == pytest.approx(expected, rel=1e-6)
    assert [round(x, 2) for x in (ratio, low, high)] == [1.82, 1.43, 2.31]


def test_assess_agrees_with_fairlearn_s_own_comparison(mortgage):
    frame, answers = rows("protected_sex", {"male": (50, 10, 7, 23), "female": (31, 9, 3, 17)})
    found = assess(mortgage, frame, **answers)["attributes"][0]["groups"][1]
    same = {"y_true": answers["good"], "y_pred": answers["granted"].astype(int)}
    ratio = demographic_parity_ratio(**same, sensitive_features=frame["protected_sex"])
    gap = equal_opportunity_difference(**same, sensitive_features=frame["protected_sex"])
    assert found["name"] == "female"
    assert found["grant_ratio"]["value"] == pytest.approx(ratio)
    assert abs(found["equal_opportunity_difference"]["value"]) == pytest.approx(gap)


def test_assess_group_below_the_smallest_is_never_a_pass(mortgage):
    counts = {"white": EVEN, "black": (29, 0, 0, 0), "hispanic": (30, 0, 0, 0)}
    _, found = groups_of(mortgage, "protected_race", counts)
    assert (found["black"]["n"], found["black"]["n_good"]) == (29, 29)
    assert [found["black"][name] for name in FIGURES] == [None] * len(FIGURES)
    assert (found["black"]["verdict"], found["black"]["findings"]) == ("not_assessable", [])
    assert None not in [found["hispanic"][name] for name in FIGURES]
    assert found["hispanic"]["verdict"] == "outside"


@pytest.mark.parametrize(
    ("few", "verdict", "findings"),
    [((25, 4, 25, 4), "outside", ["grant_ratio"]), ((15, 14, 14, 15), "not_assessable", [])],
)
def test_assess_few_good_rows_are_never_a_pass(mortgage, few, verdict, findings):
    _, found = groups_of(mortgage, "protected_sex", {"male": EVEN, "female": few})
    female = found["female"]
    assert female["grant_rate"] is not None
    assert female["grant_ratio"] is not None
    assert female["equal_opportunity_difference"] is None
    assert female["false_refusals"] is None
    assert (female["verdict"], female["findings"]) == (verdict, findings)


def test_assess_reference_with_few_good_rows_lets_nothing_pass(mortgage):
    counts = {"male": (0, 0, 50, 50), "female": (30, 15, 0, 15)}
    _, found = groups_of(mortgage, "protected_sex", counts)
    assert found["male"]["verdict"] == "reference"
    assert found["male"]["false_refusals"] is None
    assert found["female"]["equal_opportunity_difference"] is None
    assert found["female"]["false_refusals"]["value"] == pytest.approx(1 / 3)
    assert found["female"]["grant_ratio"]["value"] == pytest.approx(1)
    assert found["female"]["verdict"] == "not_assessable"


def test_assess_group_without_grants(mortgage):
    _, found = groups_of(mortgage, "protected_sex", {"male": EVEN, "female": (0, 40, 0, 40)})
    female = found["female"]
    assert female["grant_rate"]["value"] == female["grant_rate"]["low"] == 0
    assert female["grant_ratio"] == {"value": 0, "low": None, "high": None}
    assert female["findings"] == ["grant_ratio", "equal_opportunity_difference"]


@pytest.mark.parametrize(
    ("female", "verdict"), [((0, 40, 1, 39), "outside"), ((0, 40, 0, 40), "not_assessable")]
)
def test_assess_reference_without_grants_has_no_ratio(mortgage, female, verdict):
    _, found = groups_of(mortgage, "protected_sex", {"male": (0, 50, 0, 50), "female": female})
    assert found["female"]["grant_ratio"] is None
    assert found["female"]["equal_opportunity_difference"]["value"] == 0
    assert found["female"]["verdict"] == verdict


def test_assess_all_granted(mortgage):
    counts = {"male": (60, 0, 40, 0), "female": (40, 0, 20, 0)}
    _, found = groups_of(mortgage, "protected_sex", counts)
    assert found["female"]["grant_ratio"] == {"value": 1, "low": None, "high": None}
    assert found["female"]["grant_rate"]["high"] == 1
    assert found["female"]["false_refusals"]["value"] == 0
    assert found["female"]["verdict"] == "within"


def test_assess_one_group_has_nothing_beside_it(mortgage):
    attribute, found = groups_of(mortgage, "protected_sex", {"female": EVEN})
    assert attribute["reference"] == "female"
    assert {name: g["verdict"] for name, g in found.items()} == {
        "male": "not_assessable",
        "female": "reference",
    }
    assert found["male"]["n"] == 0


@pytest.mark.parametrize("column", ["protected_sex", "protected_married", "protected_dependents"])
@pytest.mark.parametrize("missing", [None, math.nan])
def test_assess_no_value_at_all(mortgage, column, missing):
    attribute, found = groups_of(mortgage, column, {missing: EVEN})
    assert (attribute["reference"], attribute["unknown"]) == (None, 100)
    assert {g["verdict"] for g in found.values()} == {"not_assessable"}
    assert {g["n"] for g in found.values()} == {0}


def test_assess_rows_without_a_value_are_in_no_group(mortgage):
    attribute, found = groups_of(mortgage, "protected_sex", {"male": EVEN, None: (7, 0, 0, 0)})
    assert attribute["unknown"] == 7
    assert found["male"]["grant_rate"]["value"] == pytest.approx(0.5)


def test_assess_without_protected_columns(mortgage):
    found = assess(mortgage, pd.DataFrame(index=range(3)), good=np.ones(3), granted=np.ones(3))
    assert (found["rows"], found["attributes"]) == (3, [])
    assert as_text(found) == "No protected column to compare."


def test_assess_reference_is_the_largest_group_and_the_first_of_two(mortgage):
    counts = {"hispanic": EVEN, "black": EVEN, "white": (40, 10, 10, 39)}
    attribute, _ = groups_of(mortgage, "protected_race", counts)
    assert attribute["reference"] == "black"


@pytest.mark.parametrize(
    ("female", "findings"),
    [
        ((80, 20, 50, 50), ["grant_ratio", "equal_opportunity_difference"]),
        ((50, 50, 50, 50), ["equal_opportunity_difference"]),
        ((70, 30, 9, 91), ["grant_ratio"]),
        ((70, 30, 30, 70), []),
    ],
)
def test_assess_limits_hold_in_both_directions(mortgage, female, findings):
    counts = {"male": (65, 35, 35, 66), "female": female}
    _, found = groups_of(mortgage, "protected_sex", counts)
    assert found["female"]["findings"] == findings
    assert found["female"]["verdict"] == ("outside" if findings else "within")


def test_assess_figure_at_its_limit_is_within(mortgage):
    assert 0.72 / 0.9 < 0.8  # what binary makes of it
    assert 0.8 - 0.7 > 0.1
    counts = {"male": (28, 12, 152, 8), "female": (40, 10, 32, 18)}
    _, found = groups_of(mortgage, "protected_sex", counts)
    assert found["female"]["grant_ratio"]["value"] == pytest.approx(0.8)
    assert found["female"]["equal_opportunity_difference"]["value"] == pytest.approx(0.1)
    assert found["female"]["verdict"] == "within"


def test_assess_limits_are_the_product_s_unless_given(mortgage):
    frame, answers = rows("protected_sex", {"male": EVEN, "female": (35, 15, 10, 40)})
    usual = assess(mortgage, frame, **answers)
    assert usual["limits"] == mortgage.fairness.model_dump()
    assert usual["attributes"][0]["groups"][1]["verdict"] == "within"
    strict = assess(mortgage, frame, **answers, limits=Fairness(grant_ratio=0.95, difference=0.05))
    assert strict["limits"] == {"grant_ratio": 0.95, "difference": 0.05, "smallest_group": 30}
    assert strict["attributes"][0]["groups"][1]["findings"] == [
        "grant_ratio",
        "equal_opportunity_difference",
    ]


def sizes(product, column, values):
    frame = pd.DataFrame({column: values})
    answers = {"good": np.ones(len(values)), "granted": np.ones(len(values))}
    groups = assess(product, frame, **answers)["attributes"][0]["groups"]
    return {g["name"]: g["n"] for g in groups}, [g["label"] for g in groups]


def test_assess_numbers_by_the_product_s_bands(product):
    ages = [18, 24, 25, 34, 35, 54, 55, 61, 62, 100, None]
    found, labels = sizes(product, "protected_age", ages)
    assert found == {
        "under_25": 2,
        "25_to_34": 2,
        "35_to_44": 1,
        "45_to_54": 1,
        "55_to_61": 2,
        "62_and_over": 2,
    }
    assert labels[0] == {"en": "under 25", "fr": "moins de 25"}
    assert labels[1] == {"en": "25 to 34", "fr": "25 à 34"}
    assert labels[-1] == {"en": "62 and over", "fr": "62 et plus"}


def test_assess_bands_of_one_number_bear_it(mortgage):
    found, labels = sizes(mortgage, "protected_dependents", [0, 0, 1, 2, 3, 8])
    assert found == {"0": 2, "1": 1, "2": 1, "3_and_over": 2}
    assert labels[0] == {"en": "0", "fr": "0"}


@pytest.mark.parametrize(
    ("ages", "expected"),
    [
        (range(20, 60), {"under_30": 10, "30_to_39": 10, "40_to_49": 10, "50_and_over": 10}),
        ([18, 18, 18, 18, 60], {"18_and_over": 5}),
        ([18, 18, 40, 40], {"under_40": 2, "40_and_over": 2}),
        ([40, 40], {"18_and_over": 2}),
        ([None, None], {"18_and_over": 0}),
    ],
)
def test_assess_numbers_without_bands_by_quartiles(unbanded, ages, expected):
    assert sizes(unbanded, "protected_age", list(ages))[0] == expected


def test_assess_flags_are_yes_and_no(mortgage):
    found, labels = sizes(mortgage, "protected_married", [1, 1, 0, None])
    assert found == {"yes": 2, "no": 1}
    assert labels == [{"en": "Yes", "fr": "Oui"}, {"en": "No", "fr": "Non"}]


def test_as_text_says_every_group_limit_and_finding(mortgage):
    frame, answers = rows(
        "protected_race", {"white": EVEN, "black": (20, 30, 5, 45), "hispanic": (9, 0, 0, 0)}
    )
    found = assess(mortgage, frame, **answers)
    kept = json.loads(json.dumps(found, sort_keys=True))  # as a file may hold it
    english, french = as_text(kept), as_text(kept, language="fr")
    assert english == as_text(found)
    for words in ("Race", "White", "reference", "Black", "outside", "grant ratio", "0.500"):
        assert words in english
    for words in ("Hispanic", "assessable", "ratio 0.800 to 1.250", "difference 0.100", "30 rows"):
        assert words in english
    for words in ("Origine", "Blanche", "référence", "hors", "−0,400", "0,800 à 1,250"):
        assert words in french
    assert max(map(len, english.splitlines())) <= 100


def test_assess_mortgage_finds_what_the_lenders_of_1990_did(mortgage):
    found = out_of_fold(mortgage, "svc_linear")
    assert [a["name"] for a in found["attributes"]] == [f.name for f in mortgage.protected]
    race = found["attributes"][0]
    black = next(g for g in race["groups"] if g["name"] == "black")
    assert race["reference"] == "white"
    assert black["grant_ratio"]["value"] == pytest.approx(0.78, abs=0.03)
    assert black["grant_ratio"]["high"] < 1
    assert black["verdict"] == "outside"
    assert "grant_ratio" in black["findings"]


def test_assess_consumer_credit_by_age_and_marital_status(product):
    found = out_of_fold(product, "logistic")
    age, marital = found["attributes"]
    assert sum(g["n"] for g in age["groups"]) == found["rows"]
    assert marital["reference"] == "married"
    assert marital["unknown"] == 1
    by_name = {g["name"]: g for g in marital["groups"]}
    divorced = by_name["divorced"]  # enough rows for a rate, too few good ones for the rest
    assert divorced["n"] >= found["limits"]["smallest_group"] > divorced["n_good"]
    assert divorced["grant_rate"] is not None
    assert divorced["verdict"] != "within"
    assert by_name["single"]["verdict"] == "within"


def test_assess_consumer_credit_group_below_the_smallest(product):
    fields, good = read_rows(product, product.data_file)
    protected = read_protected(product, product.data_file)
    limits = Fairness(
        smallest_group=(protected["protected_marital_status"] == "divorced").sum() + 1
    )
    found = assess(product, protected, good=good, granted=good == 1, limits=limits)
    groups = {g["name"]: g for g in found["attributes"][1]["groups"]}
    assert groups["divorced"]["verdict"] == "not_assessable"
    assert groups["divorced"]["grant_rate"] is None
    assert len(fields) == found["rows"]
