"""Tests of ml/card/markdown.py."""

import json
import re
from datetime import UTC

import pytest

from ml.card.card import FIGURES, ModelCard, model_card
from ml.card.checks import checks
from ml.card.markdown import as_markdown
from ml.card.pictures import describe
from ml.product.formats import moment


@pytest.fixture(scope="module")
def card(bundle):
    return model_card(bundle)


def tables(text):
    """Return every table as a list of rows of cells."""
    found, rows = [], []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif rows:
            found.append(rows)
            rows = []
    return found


@pytest.mark.parametrize("language", ["en", "fr"])
def test_markdown_holds_the_whole_card(card, language):
    text = as_markdown(card, language)
    said = [
        card.version,
        card.data.sha256,
        f"{moment(card.trained_at, language, zone=UTC)} UTC",
    ]
    texts = [
        card.product.label,
        card.rule,
        card.reason,
        card.target_meaning,
        card.evidence_is,
        *card.limits,
        *(row.label for row in card.importance),
        *(row.label for row in card.candidates),
        *(attribute.label for attribute in card.fairness.attributes),
    ]
    said += [text.in_language(language) for text in texts]
    said += [f"\n- {sentence}\n" for sentence in checks(card, language)]
    for words in said:
        assert words in text
    for name, description in describe(card.evidence, card.importance, language).items():
        assert text.count(f"![{description}](plots/{name}.{language}.light.svg)") == 1


@pytest.mark.parametrize("language", ["en", "fr"])
def test_markdown_tables_are_whole(card, language):
    found = tables(as_markdown(card, language))
    assert len(found) == 6
    for header, rule, *rows in found:
        assert all(len(row) == len(header) for row in rows)
        assert all(cell in ("---", "--:") for cell in rule)
    sizes = [len(rows) - 2 for rows in found]
    assert sizes == [1, len(card.candidates), len(card.evidence.thresholds), len(FIGURES), 10, 11]


def test_markdown_says_what_each_threshold_grants_and_loses(card):
    header, _, *rows = tables(as_markdown(card, "en"))[2]
    assert header[0] == "Threshold"
    used = next(row for row in card.evidence.thresholds if row.used)
    bold = [row for row in rows if row[0].startswith("**")]
    assert len(bold) == 1
    assert [cell.strip("*") for cell in bold[0]] == [
        f"{used.threshold:g}",
        f"{100 * used.grant_rate:.1f}%",
        str(used.granted),
        str(used.bad_granted),
        f"{100 * used.bad_rate:.1f}%",
        str(used.good_refused),
        f"{used.cost:g}",
        f"{used.cost_per_1000:.1f}",
    ]


def test_markdown_in_french_writes_numbers_the_french_way(card):
    text = as_markdown(card, "fr")
    assert "# Fiche du modèle" in text
    assert "Ce que signifient «\u00a0bon\u00a0» et «\u00a0mauvais\u00a0»" in text
    cells = [cell for rows in tables(text) for row in rows[2:] for cell in row]
    assert any(re.search(r"\d,\d", cell) for cell in cells)
    numbers = [cell for cell in cells if not re.search(r"[a-z]", cell)]
    assert len(numbers) > 200
    assert not any("." in cell for cell in numbers)


def test_markdown_says_where_the_threshold_comes_from(card):
    assert "follows from the cost ratio" in as_markdown(card, "en")
    by_hand = card.model_copy(update={"threshold": 0.8})
    expected = "if its probability is at least 0.8. This threshold was set by hand;"
    assert expected in as_markdown(by_hand, "en")
    assert "fixé à la main" in as_markdown(by_hand, "fr")


def test_markdown_of_a_card_with_gaps(card):
    bare = card.model_dump(mode="json") | {"target_meaning": None, "limits": []}
    bare["evidence"]["thresholds"][-1]["bad_rate"] = None
    bare["importance"][0]["label"]["en"] = "Yes | no"
    bare["fairness"]["attributes"] = []
    text = as_markdown(ModelCard.model_validate_json(json.dumps(bare)), "en")
    assert "No protected column to compare." in text
    for heading in ("## Known limits", "## What good and bad mean"):
        assert heading in as_markdown(card, "en")
        assert heading not in text
    found = tables(text)
    assert found[2][-1][4] == "–"
    assert found[5][2][0] == r"Yes \| no"


def test_markdown_escapes_the_signs_in_texts_of_a_product(card):
    changed = card.model_dump(mode="json")
    changed["product"]["label"]["en"] = "2 * 3 <b>_x_</b> [a](b) `c` \\ d_e"
    changed["limits"] = [{"en": "one\n\n# two", "fr": "un"}]
    text = as_markdown(ModelCard.model_validate_json(json.dumps(changed)), "en")
    assert r"- Product: 2 \* 3 \<b>\_x\_\</b> \[a\](b) \`c\` \\ d_e" in text.splitlines()
    assert "- one # two" in text.splitlines()


@pytest.mark.parametrize("language", ["en", "fr"])
def test_markdown_has_one_empty_line_between_its_blocks(card, language):
    text = as_markdown(card, language)
    assert "\n\n\n" not in text.partition("```")[0]
    lines = text.partition("```")[0].splitlines()
    for before, line, after in zip(lines, lines[1:], lines[2:], strict=False):
        if line.startswith(("#", "![")):
            assert (before, after) == ("", "")


@pytest.mark.parametrize(("ratio", "loans"), [(1, "1 good loan."), (3, "3 good loans.")])
def test_markdown_counts_good_loans(card, ratio, loans):
    text = as_markdown(card.model_copy(update={"cost_ratio": ratio}), "en")
    assert f"costs as much as refusing {loans}\n" in text
