"""The command that changes the rules and texts of a bundle, and keeps its model."""

from pathlib import Path

import click

from ml.bundle.reader import read_bundle
from ml.bundle.rules import change_rules
from ml.bundle.writer import refuse_foreign
from ml.commands.options import bundle_option, out_option, unchecked_lines
from ml.product.files import file_of, read_product


@click.command("rules")
@bundle_option
@click.option(
    "--product",
    required=True,
    help="The product with the changed rules: a shipped one, or the path of a TOML file.",
)
@out_option
def command(bundle: Path, product: str, out: Path | None) -> None:
    """Change the policy rules, the referral and the texts of a bundle; the model stays the same."""
    old, folder = read_bundle(bundle), out or bundle
    refuse_foreign(folder)
    read_product(product)  # for its errors
    file = file_of(product)
    new = change_rules(old, folder, definition=file.read_bytes(), source=str(file))
    change = new.manifest.rules_change
    click.echo(f"Changed: {', '.join(change.changed) if change else ''}.")
    click.echo(f"Rules: {old.product.policy_version} → {new.product.policy_version}.")
    for line in unchecked_lines(new.product):
        click.echo(line)
    click.echo(f"Written to {new.directory}, version {new.version}.")
