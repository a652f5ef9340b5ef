"""The command that checks a bundle."""

from pathlib import Path

import click

from ml.bundle.reader import read_bundle
from ml.bundle.verify import verify_bundle
from ml.commands.options import bundle_option


@click.command("verify")
@bundle_option
def command(bundle: Path) -> None:
    """Check a bundle: file hashes, library versions and known answers."""
    model = read_bundle(bundle)
    verify_bundle(model)
    click.echo(f"{model.directory}: {model.version} is unchanged and gives its known answers")
