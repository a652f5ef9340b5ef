"""The command line: python -m ml COMMAND."""

from importlib import import_module

import click

from ml.bundle.manifest import InvalidBundle
from ml.product.errors import InvalidData
from ml.product.files import InvalidProduct

COMMANDS = ("train", "recalibrate", "rules", "evaluate", "fairness", "card", "verify")


class Refused(click.ClickException):
    """An error that the user can correct; printed as one line, with exit code 2."""

    exit_code = 2


class Commands(click.Group):
    """A group that imports a command only when it is used: scikit-learn takes a second."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order in which people use them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return ``command`` of the module of that name, or None."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"ml.commands.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; print an invalid bundle, CSV file or product as one line."""
        try:
            return super().invoke(ctx)
        except (InvalidBundle, InvalidData, InvalidProduct) as error:
            raise Refused(str(error)) from error


@click.group(cls=Commands)
def main() -> None:
    """Train, check and describe the model of a product."""


if __name__ == "__main__":
    main(prog_name="python -m ml")
