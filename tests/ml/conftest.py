"""The command line of ml, run in the test's process."""

import sys

import pytest

from ml.__main__ import main


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line; return its exit code and the lines of its two streams."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["python -m ml", *map(str, arguments)])
        try:
            code = main()
        except SystemExit as stopped:  # argparse leaves this way
            code = stopped.code
        out, errors = capsys.readouterr()
        return code, out.splitlines(), errors.splitlines()

    return run
