"""Loads the parts that every test may ask for, and finds the programs that some need."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# Before NumPy is imported, and for every command that a test runs: the processes of the tests
# keep the processors busy, and threads of arithmetic would only fight over them.
for library in ("OMP", "OPENBLAS"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

# A setting of whoever runs the tests is none of the tests'.
for name in [name for name in os.environ if name.startswith("LOAN_")]:
    del os.environ[name]
os.environ["FLASK_SKIP_DOTENV"] = "1"

# The asserts of what is no test and no plugin are explained as well.
pytest.register_assert_rewrite("tests.ml.explaining.search")
pytest_plugins = [
    "tests.fixtures.models",
    "tests.fixtures.databases",
    "tests.fixtures.desk",
    "tests.fixtures.servers",
    "tests.fixtures.store",
]

SLOW = {"start_server", "brought"}  # a service, and a whole training
# Started or made once. Who waits for another process leaves a processor idle.
TOGETHER = {
    "tests/browser/": "chromium",
    "tests/project/test_bring_your_own.py": "brought",
    "tests/project/test_readme.py": "brought",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first: of two processes, none then waits for the other."""
    slow = {
        item.path
        for item in items
        if isinstance(item, pytest.Function) and SLOW & set(item.fixturenames)
    }
    items.sort(key=lambda item: item.path not in slow)


class ByPart(LoadFileScheduling):
    """Give a whole file to one process, and to the same one those that share a slow start."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((part for name, part in TOGETHER.items() if file.startswith(name)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByPart | None:
    return ByPart(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of a run of the tests have in common."""
    own: Path = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def need() -> Callable[[str, str], str]:
    """Find a program that a test needs; without it skip, or fail where everything is required."""

    def find(program: str, install: str) -> str:
        path = shutil.which(program)
        if path:
            return path
        message = f"{program} is not installed: {install}"
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(message)
        pytest.skip(message)

    return find
