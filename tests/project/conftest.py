"""A user's own product, one TOML and one CSV file, trained once by the commands of the docs."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ml.bundle.reader import Bundle, read_bundle
from ml.product.definition import DATA
from ml.product.files import PRODUCTS
from tests.fixtures.commands import Done, run_ml
from tests.fixtures.models import cells
from tests.fixtures.once import once

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs/bring-your-own.md").read_text()
ROWS = 300  # enough to train on; more would only take longer
# The texts of this product that differ from the mortgage's.
OWN = {
    'name = "mortgage"': 'name = "house_loan"',
    'data = "mortgages.csv"': 'data = "house_rows.csv"',
    '{ en = "Mortgage", fr = "Prêt immobilier" }': '{ en = "House loan", fr = "Prêt maison" }',
    '{ en = "Loan amount", fr = "Montant du prêt" }': (
        '{ en = "Sum for house & garden", fr = "Somme pour maison et jardin" }'
    ),
    '{ en = "Property type", fr = "Type de bien" }': (
        '{ en = "Sort of house", fr = "Genre de bien" }'
    ),
    (
        '[fields.reasons]\nvalue = { en = "Type of property: {choice}", '
        'fr = "Type de bien : {choice}" }\n'
    ): "",  # so the plain wording is used
    (
        '{ en = "Credit history does not meet the guidelines", '
        'fr = "L’historique de crédit n’est pas conforme aux règles" }'
    ): '{ en = "Our house rules are not met", fr = "Nos règles maison ne sont pas remplies" }',
}
# Fewer fields make the training faster.
LEFT_OUT = {
    "other_financing",
    "mortgage_insurance_sought",
    "gift_toward_down_payment",
    "coapplicant_income_monthly",
    "housing_expense_monthly",
    "total_obligations_monthly",
    "credit_lines",
    "public_record",
    "unverified_information",
    "consumer_credit_history",
    "mortgage_payment_history",
}

Outputs = dict[str, dict[str, str]]


@pytest.fixture(scope="session")
def definition() -> str:
    """The product's TOML: the mortgage's, with other names and fewer fields."""
    text = (PRODUCTS / "mortgage.toml").read_text()
    for ours, own in OWN.items():
        assert text.count(ours) == 1, ours
        text = text.replace(ours, own)
    head, *fields = re.split(r"^(?=\[\[fields\]\])", text, flags=re.M)
    left_out = [f for f in fields if re.search(r'^name = "(.*)"', f, re.M)[1] in LEFT_OUT]
    assert len(left_out) == len(LEFT_OUT)
    assert head.count(', "credit_lines"') == 1  # among those whose rows are left out if it is empty
    head = head.replace(', "credit_lines"', "")
    text = head + "".join(f for f in fields if f not in left_out)
    return re.sub(r"^monotone = .*\n", "", text, flags=re.M)  # else two candidates are fitted twice


@pytest.fixture(scope="session")
def brought(session_folder: Path, definition: str) -> Path:
    """The folder with the product's two files, unseen rows, its model and the commands' output."""

    def walk(folder: Path) -> None:
        folder.mkdir()
        (folder / "house_loan.toml").write_text(definition)
        rows = cells(DATA / "mortgages.csv")
        rows = rows[rows.columns[::-1]].assign(branch="north")  # another order, an unused column
        rows.head(ROWS).to_csv(folder / "house_rows.csv", index=False)
        rows.tail(ROWS).to_csv(folder / "unseen_rows.csv", index=False)
        outputs = run_commands(folder)
        (folder / "outputs").mkdir()
        (folder / "outputs/commands.json").write_text(json.dumps(outputs))

    return once(session_folder / "brought", walk)


def run_commands(folder: Path) -> Outputs:
    """Run each command of the doc on the folder's files, and return its output."""
    block = re.search(r"```sh\n(.*?)```", DOC, re.S)[1]
    outputs = {}
    for line in block.splitlines():
        program, *arguments = shlex.split(line)
        if program == "make":
            continue
        placed = [str(folder / a) if re.search(r"[./]", a) else a for a in arguments]
        done = train(placed) if arguments[2] == "train" else run_ml(*placed[2:])
        assert done.code == 0, done.err
        outputs[arguments[2]] = {"stdout": done.out, "stderr": done.err}
    assert outputs
    return outputs


def train(arguments: list[str]) -> Done:
    """Train in a new process, which uses every processor."""
    run = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 900}
    done = subprocess.run([sys.executable, *arguments], check=False, **run)
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def walked(brought: Path) -> Outputs:
    """The output of each command of the doc."""
    outputs: Outputs = json.loads((brought / "outputs/commands.json").read_text())
    return outputs


@pytest.fixture(scope="session")
def house(brought: Path) -> Bundle:
    return read_bundle(brought / "models/house_loan")
