"""Loans to record outcomes of, and days."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from flask import Flask

from ml.product.application import Application
from webapp.columns import now
from webapp.config import Config
from webapp.decisions.records import Decision
from webapp.ledger.transaction import unit_of_work
from webapp.outcomes import service
from webapp.outcomes.records import NewOutcome, Outcome
from webapp.people.operators import Operator

HISTORY = "SELECT decision_id, number, outcome, known_on, reason FROM outcomes ORDER BY id"


@pytest.fixture
def today(config: Config) -> date:
    return now().astimezone(config.timezone).date()


@pytest.fixture
def yesterday(today: date) -> date:
    return today - timedelta(days=1)


@pytest.fixture
def loans(
    app: Flask,
    operator: Operator,
    take: Callable[..., Decision],
    granted: Application,
    refused: Application,
) -> list[int]:
    """The numbers of three granted loans and of a refused one.

    The second and the fourth have the reference `A/2`, the third has `A/3`.
    """
    kinds = [(granted, None), (granted, "A/2"), (granted, "A/3"), (refused, "A/2")]
    with app.app_context():
        return [take(a, operator=operator, reference=r).id for a, r in kinds]


@pytest.fixture
def record(app: Flask, operator: Operator, config: Config, today: date) -> Callable[..., Outcome]:
    """Record an outcome, by default one that is known today."""

    def add(number: int, outcome: Any, known_on: date = today, reason: Any = None) -> Outcome:
        new = NewOutcome(number, outcome, known_on, reason)
        with app.app_context(), unit_of_work() as transaction:
            return service.record_outcome(transaction, new, operator=operator, zone=config.timezone)

    return add


@pytest.fixture
def history(query: Callable[[str], list[Any]]) -> Callable[[], list[tuple[Any, ...]]]:
    """Return the stored outcomes, the first one first, with dates as text."""
    return lambda: [(*row[:3], str(row[3]), row[4]) for row in query(HISTORY)]
