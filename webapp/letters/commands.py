"""The `letters` command."""

import html
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
from flask.cli import AppGroup

from webapp.config import ROOT, Config
from webapp.extensions import settings
from webapp.failures import LetterBroken
from webapp.letters.examples import examples, left_out
from webapp.letters.forms import LANGUAGES
from webapp.letters.records import REGIMES, Draft, Rendered
from webapp.letters.wording import folder_of, render

STYLE_SHEET = ROOT / "static" / "letter.css"
PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>
<link rel="stylesheet" href="letter.css"></head>
<body><main class="container"><div class="paper">
{text}
</div></main></body></html>
"""

letters = AppGroup("letters", help="Check the templates of letters to applicants.")


@letters.command("check")
@click.option(
    "--write",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Also write the examples there, as HTML files.",
)
def check_letters(folder: Path | None) -> None:
    """Write an example of every letter, and name templates that are wrong.

    A template is wrong if it cannot be used, or leaves out what a letter must say. The exit code is
    0 if none is. A regime without a folder is left out, unless it is the one in use.
    """
    config = settings()
    wrong: list[str] = []
    written = 0
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(STYLE_SHEET, folder)
    for draft, rendered in _rendered(config, wrong):
        written += 1
        if folder:
            _write(folder, draft, rendered)
        if missing := left_out(draft, html.unescape(rendered.text)):
            wrong.append(f"{rendered.template}: {draft.kind}: not shown: {', '.join(missing)}")
    for line in wrong:
        click.echo(line)
    templates = folder_of(config.letter_templates)
    click.echo(f"{written} letters written from {templates}, {len(wrong)} wrong")
    click.get_current_context().exit(1 if wrong else 0)


def _rendered(config: Config, wrong: list[str]) -> Iterator[tuple[Draft, Rendered]]:
    """Yield every example with its text; add what is wrong with its template."""
    templates = folder_of(config.letter_templates)
    for regime in REGIMES:
        if regime != config.letter_regime and not (templates / regime).is_dir():
            continue
        for language in LANGUAGES:
            for draft in examples(regime, language, config):
                try:
                    yield draft, render(draft, folder=templates)
                except LetterBroken as error:
                    wrong.append(f"{error.template}: {draft.kind}: {error.problem}")


def _write(folder: Path, draft: Draft, rendered: Rendered) -> None:
    name = f"{draft.regime}-{draft.language}-{draft.kind}"
    page = PAGE.format(language=draft.language, title=name, text=rendered.text)
    (folder / f"{name}.html").write_text(page)
