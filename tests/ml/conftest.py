"""A fixture that runs the command line of ml."""

import pytest

from tests.fixtures.commands import run_ml


@pytest.fixture
def run():
    """Run the command line; return its exit code and the lines of its two streams."""

    def run(*arguments):
        done = run_ml(*arguments)
        return done.code, done.out.splitlines(), done.err.splitlines()

    return run
