"""What the tests that inject faults share: the service under load, how long, and the figures.

Each test has a short form, and a long one if FAULTS_SECONDS is set (`make faults`).
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ml.product.definition import Product
from ml.product.samples import examples
from tests.faults.load import Load
from tests.faults.stored import Found, check_chain, compare
from tests.fixtures.servers import Server, Start

WORKERS = 4
APPLICATIONS = 200
FIGURES = pytest.StashKey[list[tuple[str, ...]]]()
COLUMNS = ("fault", "seconds", "faults", "sent", "acknowledged", "stored", "lost", "duplicates")
COLUMNS += ("wrong answers", "refused", "recovery s", "slowest answer s")


@dataclass(frozen=True)
class Desk:
    """A running service, where its database is, and what sends it decisions."""

    server: Server
    where: str | Path
    load: Load

    def check(self) -> Found:
        """Fail unless all that was acknowledged is stored, once, and the log proves it."""
        found = compare(self.where, self.load)
        found.check()
        assert self.load.wrong == []
        assert found.stored == len(self.load.sent) == len(self.load.acknowledged)
        check_chain(self.server.environment, found)
        return found


@pytest.fixture
def long_form() -> bool:
    return "FAULTS_SECONDS" in os.environ


@pytest.fixture
def seconds() -> Callable[[float], float]:
    """Return how long a test lasts whose short form lasts so long."""
    return lambda short: float(os.environ.get("FAULTS_SECONDS", short))


@pytest.fixture
def start_desk(
    serve: Start, product: Product, tmp_path: Path
) -> Callable[..., AbstractContextManager[Desk]]:
    """Start the service, with clients that are ready to send."""
    applications = examples(product, count=APPLICATIONS, seed=11)

    @contextmanager
    def start(database_url: str = "", **more: Any) -> Iterator[Desk]:
        with serve(database_url, workers=WORKERS, **more) as server:
            key = server.flask("api-keys", "create", "load")
            where = database_url or tmp_path / "served"
            yield Desk(server, where, Load(server.url, key, applications))

    return start


@pytest.fixture
def desk(
    start_desk: Callable[..., AbstractContextManager[Desk]], database_url: str
) -> Iterator[Desk]:
    """The service on either database."""
    with start_desk(database_url) as started:
        yield started


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Add a line to the table of figures."""

    def add(
        fault: str,
        load: Load,
        found: Found,
        *,
        lasted: float,
        faults: int,
        recovery: float | None = None,
    ) -> None:
        numbers = (lasted, faults, len(load.sent), len(load.acknowledged), found.stored)
        numbers += (len(found.lost), found.duplicates, len(load.wrong), load.refused.total())
        line = (fault, *(f"{n:,.0f}" for n in numbers), _shown(recovery), _shown(load.slowest))
        request.config.stash.setdefault(FIGURES, []).append(line)

    return add


def _shown(seconds: float | None) -> str:
    return f"{seconds:.2f}" if seconds else "–"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the figures of a long run as a table for the documentation."""
    lines = config.stash.get(FIGURES, [])
    if lines and "FAULTS_SECONDS" in os.environ:
        terminalreporter.section("figures")
        rule = ("---", *["---:"] * (len(COLUMNS) - 1))
        for line in (COLUMNS, rule, *lines):
            terminalreporter.write_line(f"| {' | '.join(line)} |")
