"""The `outcomes` and `export` commands."""

from pathlib import Path

import click
from flask.cli import AppGroup

from webapp.commands import clear_errors
from webapp.csv_files import InvalidFile
from webapp.extensions import db, settings
from webapp.ledger.transaction import unit_of_work
from webapp.outcomes.exporting import export_training_data
from webapp.outcomes.files import read_file
from webapp.outcomes.importing import Imported, check_file, import_file
from webapp.people.operators import system
from webapp.serving.served import model

outcomes = AppGroup("outcomes", help="Record what came of granted loans.")
export = AppGroup("export", help="Write files from what is stored.")


@outcomes.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only check the file, and store nothing.")
def import_outcomes(file: Path, dry_run: bool) -> None:
    """Record the outcomes of a CSV FILE: all of them, or none if a row is wrong.

    Its columns are id or reference, outcome (good or bad), date (YYYY-MM-DD) and, for a correction,
    reason (mistake, changed or dispute).
    """
    zone = settings().timezone
    with clear_errors():
        try:
            read = read_file(file.read_bytes())
        except InvalidFile as error:
            raise click.ClickException(f"{file}: {error}") from None
        if dry_run:
            with db.engine.connect() as connection:
                imported = check_file(connection, read, zone=zone)
        else:
            with unit_of_work() as transaction:
                operator = system(transaction)
                imported = import_file(transaction, read, operator=operator, zone=zone)
    for line, wrong in imported.wrong:
        click.echo(f"line {line}: {wrong.field}: {wrong.message.en}")
    click.echo(_summary(imported, dry_run=dry_run))
    click.get_current_context().exit(1 if imported.wrong else 0)


@export.command("training-data")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def export_data(file: Path) -> None:
    """Write the applications with a known outcome to a new CSV FILE.

    A model can be trained with it. It has the columns of the product in service, and the outcome as
    1 for good and 0 for bad.
    """
    with clear_errors():
        try:
            with unit_of_work() as transaction:
                operator = system(transaction)
                written = export_training_data(transaction, model.rules, file, operator=operator)
        except FileExistsError:
            raise click.ClickException(f"{file}: it exists, and is not overwritten") from None
        except BaseException:
            file.unlink(missing_ok=True)  # without an entry in the audit log
            raise
    click.echo(f"{written.rows:,} row{'' if written.rows == 1 else 's'} written")
    if written.left_out:
        click.echo(f"{written.left_out:,} left out: erased, or of a product with other fields")


def _summary(imported: Imported, *, dry_run: bool) -> str:
    new, known = imported.new, imported.known
    if imported.wrong:
        lines = len({line for line, _ in imported.wrong})
        return f"{lines:,} {'row is' if lines == 1 else 'rows are'} wrong: nothing was stored"
    verb = "would be recorded" if dry_run else f"{'was' if new == 1 else 'were'} recorded"
    return (
        f"{new:,} outcome{'' if new == 1 else 's'} {verb}, {known:,} "
        f"{'is' if known == 1 else 'are'} known already"
    )
