"""A batch in a real browser: errors by line and column, all or none, the result to download."""

import csv
import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from ml.product.samples import examples
from tests.browser.batches import Batches

MANY, WRONG = 10_000, 37
TEXTS = {"loan_amount": "much", "employment_type": "pirate", "monthly_expenses": "-1"}
SECONDS = 60  # at most, for each step on a busy machine


@pytest.fixture
def written(product, tmp_path):
    """A file of many applications, and how to write it with other values in some lines."""
    names = [field.name for field in product.inputs]
    rows = [
        ["" if one[name] is None else str(one[name]) for name in names]
        for one in examples(product, count=MANY, seed=5)
    ]

    def write(changed: dict[int, tuple[str, str]]) -> Path:
        file = tmp_path / "june.csv"
        with file.open("w", newline="") as out:
            writer = csv.writer(out)
            writer.writerow([*names, "reference"])
            for line, values in enumerate(rows, 2):
                row = list(values)
                if line in changed:
                    name, text = changed[line]
                    row[names.index(name)] = text
                writer.writerow([*row, f"2026/{line}"])
        return file

    return write


def rows_of(download, delimiter=","):
    text = Path(download.path()).read_text(encoding="utf-8-sig")
    return list(csv.reader(text.splitlines(), delimiter=delimiter))


def test_many_applications_in_one_file(open_desk, database_url, page, words, written, tmp_path):
    fields = sorted(TEXTS)
    lines = range(3, 3 + 270 * WRONG, 270)
    wrong = {line: fields[i % len(fields)] for i, line in enumerate(lines)}
    with open_desk(database_url) as desk:
        desk.sign_in(page, words)
        batches = Batches(page, words).open(desk.url)
        batches.upload(written({line: (name, TEXTS[name]) for line, name in wrong.items()}))
        expect(batches.alert).to_contain_text(f"{WRONG} lines of the file are wrong")
        expect(batches.errors).to_have_count(WRONG)
        cells = [row.split("\t") for row in batches.errors.all_inner_texts()]
        named = {int(line.replace(",", "")): name for line, name, _ in cells}
        assert named == wrong
        with page.expect_download() as downloading:
            batches.link("Download all errors (CSV)").click()
        _, *errors = rows_of(downloading.value)
        assert {int(line): name for line, name, _ in errors} == wrong
        assert desk.decisions(page) == 0

        batches.link("Upload the corrected file").click()
        started = time.monotonic()
        batches.upload(written({}))
        checked = time.monotonic()
        batches.decide(MANY)
        decided = time.monotonic()
        assert max(checked - started, decided - checked) < SECONDS
        count, *counts = batches.figures()
        assert (count, sum(counts)) == (MANY, MANY)
        with page.expect_download() as downloading:
            batches.result.click()
        _, *rows = rows_of(downloading.value)
        assert [row[:2] for row in rows] == [
            [str(line), f"2026/{line}"] for line in range(2, MANY + 2)
        ]
        decisions = [row[3] for row in rows]
        assert [decisions.count(kind) for kind in ("granted", "refused", "referred")] == counts


@pytest.mark.parametrize("locale", ["fr-FR"])
def test_progress_without_javascript(desk, chromium, role_states, locale, words, written):
    context = chromium.new_context(
        locale=locale, storage_state=role_states["clerk"], java_script_enabled=False
    )
    page = context.new_page()
    batches = Batches(page, words).open(desk.url)
    batches.upload(written({}))
    batches.decide(MANY)
    assert sum(batches.figures()) == 2 * MANY
    context.close()


def test_same_file_by_a_double_click_is_kept_once(desk, page, words, written, tmp_path):
    desk.sign_in(page, words)
    batches = Batches(page, words).open(desk.url)
    page.get_by_label(words("CSV file")).set_input_files(written({}))
    batches.button("Check the file").dblclick()
    expect(page).to_have_url(re.compile(r"/batches/\d+$"))  # though one of two answers is dropped
    batches.open(desk.url)
    expect(page.get_by_role("link", name="june.csv")).to_have_count(1)
