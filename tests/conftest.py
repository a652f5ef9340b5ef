"""Registers the shared fixtures, and orders the tests."""

import gc
import os
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

# Until the tests are collected, nearly all that is made stays: looking for garbage finds none.
gc.disable()

# Set before NumPy is imported, and inherited by every command that a test runs: the test processes
# keep all processors busy, so threads of BLAS would only compete for them.
for library in ("OMP", "OPENBLAS"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

# Settings of the person who runs the tests do not apply to them.
for name in [name for name in os.environ if name.startswith("LOAN_")]:
    del os.environ[name]
os.environ["FLASK_SKIP_DOTENV"] = "1"

# pytest rewrites the asserts of tests and plugins only.
pytest.register_assert_rewrite("tests.ml.explaining.search")
pytest_plugins = [
    "tests.fixtures.models",
    "tests.fixtures.databases",
    "tests.fixtures.desk",
    "tests.fixtures.locks",
    "tests.fixtures.processes",
    "tests.fixtures.prometheus",
    "tests.fixtures.servers",
    "tests.fixtures.store",
]

SLOW_FIXTURES = {"start_server", "brought"}  # which start a service and run a whole training
# Files that share a slow start run in one process: another would wait for it, idle.
GROUPS = {
    "tests/browser/": "chromium",
    "tests/project/test_bring_your_own.py": "brought",
    "tests/project/test_readme.py": "brought",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest files first, so that the processes end at about the same time."""
    slow = {
        item.path
        for item in items
        if isinstance(item, pytest.Function) and SLOW_FIXTURES & set(item.fixturenames)
    }
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """Look for garbage again, seldom, and not among what has been imported."""
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    gc.enable()


class GroupScheduling(LoadFileScheduling):
    """Run each file in one process, and the files of a group in the same one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((group for name, group in GROUPS.items() if file.startswith(name)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupScheduling | None:
    return GroupScheduling(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of one test run share."""
    base: Path = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
