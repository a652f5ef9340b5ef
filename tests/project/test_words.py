"""Tests that settings, docs and files agree with the code."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from ml.product.files import read_product
from webapp.config import Config, variable
from webapp.static_files import BOOTSTRAP

ROOT = Path(__file__).parent.parent.parent
TRACKED = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
]
CODE = [f for f in TRACKED if f.suffix == ".py" and f.is_file()]


def test_every_setting_is_documented():
    table = (ROOT / "docs/settings.md").read_text()
    expected = []
    for name, field in Config.model_fields.items():
        default = {"False": "no", "True": "yes"}.get(str(field.default), field.default)
        shown = "" if default == "" else f"`{default}`"
        expected.append(f"| `{variable(name)}` | {shown} | {field.description} |")
    assert re.findall(r"^\| `LOAN_.*$", table, flags=re.M) == expected


def test_api_docs_state_the_product_s_own_bounds():
    text = (ROOT / "docs/api.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", text, flags=re.M))
    product = read_product("consumer_credit")
    assert list(rows) == list(product.by_name)
    for name, field in product.by_name.items():
        if field.kind == "integer":
            assert rows[name].startswith(f"{field.minimum} to {field.maximum}"), name
        elif field.kind == "choice":
            assert re.findall(r"`(\w+)`", rows[name]) == [c.value for c in field.choices]
        optional = re.search(rf"^\| `{name}` \|[^|]*\| optional \|", text, flags=re.M)
        assert bool(optional) == field.optional, name


def test_links_of_the_docs_exist():
    links = [
        (page, link)
        for page in sorted((ROOT / "docs").rglob("*.md"))
        for link in re.findall(r"\]\(([^)#:]+)", page.read_text())
    ]
    assert len(links) > 10
    assert [(p.name, link) for p, link in links if not (p.parent / link).exists()] == []


@pytest.mark.parametrize("readme", ["README.md", "README.fr.md"])
def test_readme_s_links_and_targets_exist(readme):
    text = (ROOT / readme).read_text()
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert len(links) > 10
    for link in links:
        assert (ROOT / link).exists(), link
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^make (\w+)", text, flags=re.M)
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.M), target


def test_make_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, flags=re.M)[1].split()
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert {line.split()[0] for line in shown.splitlines()} == set(phony) - {"translations"}


@pytest.mark.parametrize("file", CODE, ids=lambda f: str(f.relative_to(ROOT)))
def test_module_begins_with_a_docstring(file):
    assert ast.get_docstring(ast.parse(file.read_text()))


def test_no_unfinished_work_and_no_registry_is_named():
    undone = "|".join(("TO" + "DO", "FIX" + "ME"))
    hosts = "|".join((r"pypi\.or" + "g", "python" + "hosted", r"registry\.npm" + "js"))
    assert len(TRACKED) > len(CODE) > 100
    for file in TRACKED:
        if file.is_file() and file.suffix not in (".png", ".csv"):
            match = re.search(rf"\b({undone})\b|{hosts}", file.read_text())
            assert not match, (file, match)


@pytest.mark.parametrize(
    ("folder", "named"),
    [
        ("static", r"url_for\('static', filename='([^']+)'\)"),
        ("templates", r'{% (?:extends|include|from) "([^"]+)"'),
    ],
)
def test_templates_and_static_files_exist(folder, named):
    names = {
        name
        for file in (ROOT / "templates").rglob("*.html")
        for name in re.findall(named, file.read_text())
    }
    assert names
    missing = {name for name in names if not (ROOT / folder / name).is_file()}
    assert missing == ({Path(BOOTSTRAP).name} if folder == "static" else set())


def test_shipped_data_carries_its_notices():
    notice = (ROOT / "ml/data/NOTICE.md").read_text()
    assert "modeldata authors" in notice
    assert "Tetsu Haruyama" in notice
