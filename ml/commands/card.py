"""The command that prints a bundle's model card."""

from pathlib import Path

import click

from ml.bundle.reader import read_bundle
from ml.card.card import model_card
from ml.card.markdown import as_markdown
from ml.commands.options import bundle_option, print_json
from ml.product.texts import LANGUAGES


@click.command("card")
@bundle_option
@click.option(
    "--language",
    type=click.Choice(LANGUAGES),
    default=LANGUAGES[0],
    show_default=True,
    help="The language of the card.",
)
@click.option("--json", is_flag=True, help="Print the card in every language as one JSON object.")
def command(bundle: Path, language: str, *, json: bool) -> None:
    """Print a bundle's model card as Markdown."""
    card = model_card(read_bundle(bundle))
    if json:
        print_json(card)
    else:
        click.echo(as_markdown(card, language))
