"""Every text is in French too: messages, templates, products, and how numbers are written."""

import ast
import io
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from jinja2 import Environment

from ml.product.files import PRODUCTS
from ml.product.texts import LANGUAGES

ROOT = Path(__file__).parents[2]
ALL = sorted((ROOT / "templates").rglob("*.html"))
# Letters have a file for each language.
TEMPLATES = [file for file in ALL if file.stem not in LANGUAGES]
PAGES = sorted((ROOT / "webapp").rglob("*.py"))
ENVIRONMENT = Environment(extensions=["jinja2.ext.do"])
TRANSLATING = {"_", "gettext", "ngettext"}
# Names, and what is written the same in both languages.
UNTRANSLATED = {"Loan Desk", "SHA-256", "English", "Français", "ROC-AUC", "CSV", "JSON", "API"}
SAME_IN_BOTH = re.compile(r"EUR\S*|USD\S*|\W*")
READ_ALOUD = re.compile(r'\b(?:title|aria-label|alt|placeholder|content)="([^"]*)"')
WORD = re.compile(r"[^\W\d_]{2,}")
SENTENCE = re.compile(r"[A-ZÀ-Ý][a-zà-ÿ]+( |$)")
# Filters whose result is a number as Python writes it.
BARE = {"length", "round", "sum", "int", "float", "abs", "count", "format"}


class Expression(NamedTuple):
    """A `{{ … }}` of a template: its tokens, and whether it stands in a tag."""

    line: int
    tokens: list[tuple[str, str]]
    in_tag: bool


def parts(source: str) -> tuple[str, list[Expression], list[list[tuple[str, str]]]]:
    """Return a template's own text, its expressions, and the tokens of all that is between braces.

    In the text, `\0` stands for an expression.
    """
    text, expressions, blocks = "", [], []
    current: list[tuple[str, str]] = []
    for line, kind, value in ENVIRONMENT.lex(source):
        if kind == "data":
            text += value
        elif kind in ("variable_begin", "block_begin"):
            current = []
        elif kind == "variable_end":
            expressions.append(Expression(line, current, text.rfind("<") > text.rfind(">")))
            text += "\0"
            blocks.append(current)
        elif kind == "block_end":
            blocks.append(current)
        elif kind not in ("whitespace", "comment"):
            current.append((kind, value))
    return text, expressions, blocks


def strings_outside_calls(tokens: list[tuple[str, str]]) -> Iterator[str]:
    """Yield the strings that are not arguments of a translating function."""
    depth, translating = 0, []
    for i, (kind, value) in enumerate(tokens):
        if (kind, value) == ("operator", "("):
            depth += 1
            if i and tokens[i - 1][1] in TRANSLATING:
                translating.append(depth)
        elif (kind, value) == ("operator", ")"):
            translating = [d for d in translating if d != depth]
            depth -= 1
        elif kind == "string" and not translating:
            yield value[1:-1]


def test_every_message_is_in_french():
    messages = Catalog()
    methods = [("webapp/**.py", "python"), ("templates/**.html", "jinja2")]
    keywords = {"_": None, "gettext": None, "lazy_gettext": None, "ngettext": (1, 2)}
    for _, _, message, _, _ in extract_from_dir(ROOT, methods, keywords=keywords):
        messages.add(message)
    file = ROOT / "webapp/translations/fr/LC_MESSAGES/messages.po"
    french = read_po(io.BytesIO(file.read_bytes()), locale="fr")
    wanted = {message.id for message in messages if message.id}
    assert len(wanted) > 50
    translated = {m.id for m in french if m.id and not m.fuzzy and m.string and all(m.string)}
    assert wanted - translated == set()
    assert {m.id for m in french if m.id} - wanted == set()


def test_every_message_is_where_babel_looks_for_it():
    """It knows the names of the functions, and no other name that a module gives them."""
    names = {
        (file.name, name.name, name.asname)
        for file in PAGES
        for line in ast.walk(ast.parse(file.read_text()))
        if isinstance(line, ast.ImportFrom) and line.module == "flask_babel"
        for name in line.names
        if "gettext" in name.name
    }
    assert len(names) > 10
    assert {n for n in names if n[2] not in (None, "_") or n[1:] == ("ngettext", "_")} == set()


def test_wording_of_letters_is_in_every_language():
    folders = {file.parent for file in ALL if file.stem in LANGUAGES}
    assert folders
    for folder in folders:
        assert {f.stem for f in folder.glob("*.html")} >= set(LANGUAGES), folder


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda f: str(f.relative_to(ROOT / "templates")))
def test_template_says_nothing_untranslated(file):
    text, _, blocks = parts(file.read_text())
    text = re.sub(r"<code[^>]*>[^<]*</code>", "", text)  # names, as in a file's columns
    own = re.sub(r"<[^>]*>|[\w-]+=\"[^\"]*\"", "\n", text)  # without tags and parts of tags
    shown = [own, *READ_ALOUD.findall(re.sub(r"<meta[^>]*>", "", text))]
    literal = [s.strip() for part in shown for s in re.split(r"[\n\0]", part) if WORD.search(s)]
    written = [s for tokens in blocks for s in strings_outside_calls(tokens) if SENTENCE.match(s)]
    said = {re.sub(r"&\w+;|[^\w\s-]", "", s).strip() for s in (*literal, *written)}
    assert {s for s in said if WORD.search(s)} - UNTRANSLATED == set()


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda f: str(f.relative_to(ROOT / "templates")))
def test_template_writes_numbers_and_days_in_the_reader_s_language(file):
    _, expressions, _ = parts(file.read_text())
    bare = []
    for line, tokens, in_tag in expressions:
        words = [value for _, value in tokens]
        last = words[-1] if words[-2:-1] == ["|"] else ""
        dated = "strftime" in words or words[-3:-2] == ["isoformat"]
        if not in_tag and (last in BARE or dated):
            bare.append((line, " ".join(words)))
    assert bare == []


def test_code_writes_no_number_or_day_for_people_by_itself():
    """`webapp/language.py` has the functions for it; logs and commands are in English."""
    own = re.compile(r"\.strftime\(|\{[^{}]*:,[^{}]*\}")
    pages = [f for f in PAGES if re.fullmatch(r"(\w+_)?(pages|forms)\.py", f.name)]
    assert len(pages) > 5
    assert [f.name for f in pages if own.search(f.read_text())] == []


def test_no_text_is_hidden_in_an_f_string():
    """Babel does not look for messages in f-strings under Python 3.11."""
    hidden = [
        (file.name, part.lineno)
        for file in PAGES
        for whole in ast.walk(ast.parse(file.read_text()))
        if isinstance(whole, ast.JoinedStr)
        for part in ast.walk(whole)
        if isinstance(part, ast.Call)
        and isinstance(part.func, ast.Name)
        and part.func.id in TRANSLATING
    ]
    assert hidden == []


def texts(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, str]]]:
    """Yield every text of a product's file, with its place."""
    if isinstance(part, dict):
        if part.keys() & {"en", "fr"}:
            yield path, part
            return
        for key, value in part.items():
            yield from texts(value, f"{path}.{key}")
    elif isinstance(part, list):
        for i, value in enumerate(part):
            yield from texts(value, f"{path}[{i}]")


@pytest.mark.parametrize("file", sorted(PRODUCTS.glob("*.toml")), ids=lambda f: f.stem)
def test_product_says_everything_in_both_languages(file):
    product = tomllib.loads(file.read_text())
    found = dict(texts(product))
    assert len(found) > 50
    for place, text in found.items():
        assert text.keys() == {"en", "fr"}, place
        assert text["en"].strip(), place
        assert text["fr"].strip(), place
    same = {t["en"] for t in found.values() if t["en"] == t["fr"]}
    assert {text for text in same if not SAME_IN_BOTH.fullmatch(text)} == set()
