"""Tests of ml/product/definition.py."""

import csv
import re

import pytest

from ml.product.definition import DATA, Product
from ml.product.files import PRODUCTS, InvalidProduct, parse_product, read_product
from ml.training.columns import columns_of

SHIPPED = sorted(path.stem for path in PRODUCTS.glob("*.toml"))
TEXT = (PRODUCTS / "consumer_credit.toml").read_text(encoding="utf-8")


def dictionary(product: Product) -> dict[str, str]:
    """Return the rows of the data dictionary about the product, as texts by column."""
    rows = {}
    section = ""
    for line in (DATA / "DATA.md").read_text(encoding="utf-8").splitlines():
        section = line if line.startswith("## ") else section
        row = re.match(r"\| `(\w+)` \|(.*)", line)
        if row and product.data.removesuffix(".csv") in section:
            rows[row[1]] = row[2]
    return rows


def header(product: Product) -> list[str]:
    with product.data_file.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


def number(text: str) -> int:
    return int(text.replace("−", "-").replace(",", ""))


@pytest.mark.parametrize("name", SHIPPED)
def test_product_shipped_loads(name):
    product = read_product(name)
    assert product.name == name
    assert product.data_file.is_file()
    assert {field.group for field in product.inputs} == {group.name for group in product.groups}
    assert all(product.fields_of(group) for group in product.groups)


@pytest.mark.parametrize("name", SHIPPED)
def test_product_columns_are_those_of_its_data(name):
    product = read_product(name)
    assert {field.name for field in product.fields} | {product.target} == set(header(product))
    assert set(dictionary(product)) == set(header(product))


@pytest.mark.parametrize("name", SHIPPED)
def test_product_ranges_are_those_of_the_data_dictionary(name):
    product = read_product(name)
    stated = 0
    for field in product.fields:
        row = dictionary(product)[field.name]
        ranges = re.search(r"\| (−?[\d,]+) – (−?[\d,]+)(?:,| \|)", row)
        if field.kind == "integer":
            assert ranges, field.name
            assert (field.minimum, field.maximum) == (number(ranges[1]), number(ranges[2]))
            stated += 1
    assert stated > 0


@pytest.mark.parametrize("name", SHIPPED)
def test_product_choices_are_those_of_the_data_dictionary(name):
    product = read_product(name)
    for field in product.fields:
        words = re.findall(r"`(\w+)`", dictionary(product)[field.name])
        if field.kind == "choice":
            assert [choice.value for choice in field.choices] == words


@pytest.mark.parametrize("name", SHIPPED)
def test_product_field_may_lack_where_the_data_dictionary_counts_missing_values(name):
    product = read_product(name)
    for field in product.fields:
        missing = dictionary(product)[field.name].rstrip(" |").split("|")[-2].strip()
        may_lack = field.optional or field.name in product.rows.leave_out_empty
        assert may_lack == missing.isdigit(), field.name


def test_product_limit_is_that_of_the_data_dictionary(product):
    limited = {field.name: field.at_most for field in product.fields if field.at_most}
    assert limited == {"loan_amount": "purchase_price"}
    assert "≤ `purchase_price`" in dictionary(product)["loan_amount"]


@pytest.mark.parametrize("name", SHIPPED)
def test_product_protected_columns_are_all_protected(name):
    product = read_product(name)
    protected = {column for column in header(product) if column.startswith("protected_")}
    assert protected
    assert {field.name for field in product.protected} == protected
    assert not protected & {field.name for field in product.inputs}
    assert not protected & set(product.by_name)


@pytest.mark.parametrize("name", SHIPPED)
def test_product_protected_columns_are_in_no_model(name):
    product = read_product(name)
    columns = columns_of(product)
    seen = {n for n, _ in columns.numbers} | set(columns.choices)
    for ratio, terms, times, over, _, _ in columns.ratios:
        seen |= {ratio, *(n for n, _ in terms), *times, *over}
    assert not [column for column in seen if column.startswith("protected_")]
    assert product.target not in seen


def test_product_bands_group_a_protected_number(product):
    bands = {f.name: f.bands for f in product.protected}
    assert bands == {"protected_age": (25, 35, 45, 55, 62), "protected_marital_status": ()}


def test_product_words_fall_back_to_english(product):
    assert product.label.in_language("fr") == product.label.fr
    assert product.label.in_language("en") == product.label.en
    assert product.label.in_language("de") == product.label.en


def test_field_suggests_multiples_of_its_step(product):
    fields = product.by_name
    assert list(fields["loan_term_months"].suggested) == list(range(6, 73, 6))
    assert fields["loan_amount"].suggested == range(500, 50_001, 50)
    worth = fields["loan_amount"].model_copy(update={"minimum": -130, "maximum": 99})
    assert list(worth.suggested) == [-100, -50, 0, 50]


@pytest.mark.parametrize("name", SHIPPED)
def test_product_suggests_in_steps(name):
    product = read_product(name)
    changeable = [f for f in product.inputs if f.changeable]
    numbers = [f for f in changeable if f.kind == "integer"]
    assert {f.name for f in numbers} == {product.amount, product.term}
    assert all(f.step > 1 for f in numbers)
    assert product.by_name[product.term].step % 6 == 0
    assert {product.amount, product.term} <= {n for r in product.policy_rules for n in r.inputs}


@pytest.mark.parametrize(
    ("number", "said"),
    [(0, "years an"), (1, "year an"), (2, "years ans"), (21, "years ans"), (-1, "year an")],
)
def test_unit_of_so_many(product, number, said):
    unit = product.by_name["years_in_job"].unit_of(number)
    assert f"{unit.en} {unit.fr}" == said
    assert product.by_name["employment_type"].unit_of(number) is None


@pytest.mark.parametrize("name", SHIPPED)
def test_every_unit_that_counts_is_said_of_one(name):
    product = read_product(name)
    for field in product.inputs:
        if field.unit and not field.unit.en.startswith(product.currency):
            one, two = field.unit_of(1), field.unit_of(2)
            assert one.en + "s" == two.en
        else:
            assert field.unit_of(1) == field.unit


REASONS = "[fields.reasons]\n"
BANDS = "bands = [25, 35, 45, 55, 62]\n"
RULE, BELOW = "[[policy_rules]]", "below = 1.0\n"
LIMITED = 'at_most = "purchase_price"\n'
SQRT = 'minimum = 0\nmaximum = 50\ntransform = "sqrt"'
INVALID = {
    "no TOML": ("name =", "not TOML"),
    "unknown key": ('colour = "red"\n' + TEXT, "colour"),
    "no target": (TEXT.replace('target = "eligible"\n', ""), "target: Field required"),
    "target is a field": (
        TEXT.replace('target = "eligible"', 'target = "assets"'),
        "defined twice",
    ),
    "name with a space": (TEXT.replace('name = "work"', 'name = "my work"'), "groups.1.name"),
    "currency": (TEXT.replace('"EUR"\ndata', '"euro"\ndata'), "currency"),
    "cost ratio 0": (TEXT.replace("cost_ratio = 1.0", "cost_ratio = 0"), "cost_ratio"),
    "cost ratio infinite": (TEXT.replace("cost_ratio = 1.0", "cost_ratio = inf"), "cost_ratio"),
    "field twice": (TEXT.replace('"years_in_job"', '"assets"'), "defined twice: assets"),
    "group twice": (TEXT.replace('name = "work"', 'name = "means"'), "defined twice: means"),
    "choice twice": (TEXT.replace('"temporary"', '"permanent"'), "defined twice: permanent"),
    "unknown group": (TEXT.replace('name = "work"', 'name = "job"'), "unknown group, work"),
    "no group": (TEXT.replace('group = "work"\n', "", 1), "needs a group"),
    "no maximum": (TEXT.replace("maximum = 72\n", ""), "has a minimum and a maximum"),
    "bounds of a choice": (
        TEXT.replace('kind = "choice"\n', 'kind = "choice"\nminimum = 1\n', 1),
        "has a minimum and a maximum",
    ),
    "bounds crossed": (TEXT.replace("minimum = 6\n", "minimum = 73\n"), "above the maximum"),
    "choices of an integer": (
        TEXT.replace(
            "maximum = 72\n", 'maximum = 72\nchoices = [{value="a",label={en="",fr=""}}]\n'
        ),
        "has choices",
    ),
    "choice without choices": (
        TEXT.replace('kind = "flag"', 'kind = "choice"'),
        "has choices",
    ),
    "square root of a negative": (
        TEXT.replace(SQRT, SQRT.replace("minimum = 0", "minimum = -1")),
        "square root",
    ),
    "transform of a flag": (
        TEXT.replace('kind = "flag"\n', 'kind = "flag"\ntransform = "log"\n'),
        "can have at_most, transform, monotone or step",
    ),
    "step of a flag": (
        TEXT.replace('kind = "flag"\n', 'kind = "flag"\nstep = 2\n'),
        "can have at_most, transform, monotone or step",
    ),
    "direction of a choice": (
        TEXT.replace('kind = "choice"\n', 'kind = "choice"\nmonotone = "up"\n', 1),
        "can have at_most, transform, monotone or step",
    ),
    "direction of a protected field": (
        TEXT.replace(BANDS, BANDS + 'monotone = "up"\n'),
        "a protected field cannot have monotone",
    ),
    "unknown direction": (TEXT.replace('monotone = "up"', 'monotone = "rising"', 1), "monotone"),
    "step of 0": (TEXT.replace("step = 50\n", "step = 0\n"), "fields.0.step"),
    "steps that leave too many pairs": (
        TEXT.replace("step = 50\n", "step = 5\n"),
        "118,812 pairs of values could be suggested",
    ),
    "term unknown": (
        TEXT.replace('term = "loan_term_months"', 'term = "years"'),
        "term refers to years",
    ),
    "unit of one alone": (
        TEXT.replace('unit = { en = "years", fr = "ans" }\n', ""),
        "unit_one needs a unit",
    ),
    "rule that cannot be broken": (TEXT.replace("below = 1.0\n", ""), "needs above or below"),
    "rule of a protected field": (
        TEXT.replace("monthly_expenses = -1 }", "protected_age = -1 }"),
        "affordability refers to protected_age",
    ),
    "rule twice": (TEXT + TEXT[TEXT.index(RULE) : TEXT.index(BELOW)] + BELOW, "defined twice"),
    "field named as a method": (TEXT.replace('"years_in_job"', '"model_dump"'), "model_dump"),
    "limit unknown": (TEXT.replace(LIMITED, 'at_most = "wealth"\n'), "loan_amount"),
    "limit protected": (TEXT.replace(LIMITED, 'at_most = "protected_age"\n'), "protected_age"),
    "limit limited": (
        TEXT.replace(LIMITED, 'at_most = "loan_amount"\n'),
        "which has an at_most itself",
    ),
    "amount unknown": (TEXT.replace('amount = "loan_amount"', 'amount = "sum"'), "amount"),
    "amount of nothing": (TEXT.replace("minimum = 500\n", "minimum = 0\n"), "minimum of 1"),
    "amount optional": (TEXT.replace('amount = "loan_amount"', 'amount = "assets"'), "optional"),
    "ratio of a protected field": (
        TEXT.replace("sum = { loan_amount = 1 }", "sum = { protected_age = 1 }"),
        "protected_age",
    ),
    "ratio of nothing": (TEXT.replace("sum = { loan_amount = 1 }", "sum = {}"), "ratios.0.sum"),
    "ratio clipped to nothing": (TEXT.replace("maximum = 1.0", "maximum = 0.0"), "must be below"),
    "wording of a number as a flag's": (
        TEXT.replace(REASONS + "high", REASONS + "yes", 1),
        "field of kind integer have no yes",
    ),
    "wording of a choice as a number's": (
        TEXT.replace(REASONS + "value", REASONS + "low", 1),
        "field of kind choice have no low",
    ),
    "wording of a flag as a choice's": (
        TEXT.replace(REASONS + "yes", REASONS + "value", 1),
        "field of kind flag have no value",
    ),
    "wording of no case": (TEXT.replace(REASONS + "high", REASONS + "higher", 1), "reasons.higher"),
    "wording in one language": (
        TEXT.replace(', fr = "Le montant du prêt est élevé"', ""),
        "reasons.high.fr",
    ),
    "bands that do not ascend": (TEXT.replace(BANDS, "bands = [35, 25]\n"), "in ascending order"),
    "bands twice": (TEXT.replace(BANDS, "bands = [25, 25]\n"), "in ascending order"),
    "bands of a field that is scored": (
        TEXT.replace("maximum = 72\n", "maximum = 72\nbands = [12, 24]\n"),
        "only a protected integer field can have bands",
    ),
    "bands of a protected choice": (
        TEXT.replace(
            'name = "protected_marital_status"\n',
            'name = "protected_marital_status"\nbands = [1]\n',
        ),
        "only a protected integer field can have bands",
    ),
    "label in one language": (TEXT.replace(', fr = "Durée"', ""), "fr"),
}


@pytest.mark.parametrize("case", INVALID)
def test_product_invalid_gives_one_line(case):
    text, words = INVALID[case]
    assert text != TEXT
    with pytest.raises(InvalidProduct) as raised:
        parse_product(text, source="bank.toml")
    message = str(raised.value)
    assert message.startswith("bank.toml: ")
    assert words in message
    assert "\n" not in message
