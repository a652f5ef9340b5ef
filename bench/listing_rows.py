"""Fills SQLite and PostgreSQL with the same invented decisions, for the bench of the list."""

import random
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import psycopg

from webapp.columns import now
from webapp.config import Config
from webapp.database import sqlite_module
from webapp.decisions.value_index import add_values, find_unindexed, last_indexed
from webapp.ledger.tables import SALT_BYTES
from webapp.ledger.transaction import end_reading, unit_of_work

SEED = 1
DAYS = 730
CLERKS, KEYS = 45, 5
OLDEST = 50  # decisions of a model that was soon given up
RARE = 3  # decisions of a clerk who has left
THRESHOLD = 0.75
REFERRED = 0.03  # of all decisions
UNINDEXED = 5_000  # more than are made within five busy minutes
ROWS_PER_STATEMENT = 20_000
OPERATORS = ("kind", "name", "created_at")
DECISIONS = (
    *("id", "created_at", "operator_id", "channel", "product", "model", "probability", "threshold"),
    *("model_decision", "decision", "basis", "policy", "amount", "novelty"),
)
CONTENTS = ("decision_id", "inputs", "normalised", "causes", "reference", "salt")
NUMBERS = "SELECT name, id FROM operators WHERE name LIKE 'bench-%' ORDER BY id"
Row = tuple[Any, ...]


def operators() -> list[Row]:
    moment = datetime(2020, 1, 1, tzinfo=UTC)
    clerks = [("user", f"bench-clerk-{n:02}", moment) for n in range(CLERKS)]
    keys = [("api_key", f"bench-key-{n}", moment) for n in range(KEYS)]
    return [*clerks, *keys, ("user", "bench-rare", moment)]


def decisions(count: int, numbers: dict[str, int]) -> Iterator[Row]:
    """Yield the facts of decisions of two years, of operators with these numbers."""
    draw = random.Random(SEED)
    end = datetime.now(UTC) - timedelta(seconds=1)
    step = timedelta(days=DAYS) / count
    names = list(numbers)[: CLERKS + KEYS]
    weights = [1] * CLERKS + [20] * KEYS
    who = draw.choices(names, weights, k=count)
    for n in range(1, count + 1):
        name = "bench-rare" if n in range(count // 3, count // 3 + RARE) else who[n - 1]
        model = "oldest" if n <= OLDEST else "older" if n <= count // 2 else "newer"
        probability = draw.random() ** 0.4
        made = "granted" if probability >= THRESHOLD else "refused"
        referred = draw.random() < REFERRED
        decision, basis = ("referred", "unusual") if referred else (made, "model")
        # As people ask for: mostly round amounts, so that many decisions have the same.
        amount = (
            draw.choice((5_000, 10_000)) if draw.random() < 0.1 else draw.randint(4, 1_600) * 100
        )
        channel = "api" if name.startswith("bench-key") else "desk"
        yield (
            *(n, end - step * (count - n), numbers[name], channel, "consumer_credit", model),
            *(probability, THRESHOLD, made, decision, basis, "bench", amount, draw.random() * 1.02),
        )


def contents(count: int) -> Iterator[Row]:
    for n in range(1, count + 1):
        yield n, "{}", "{}", "[]", f"{2024 + n % 3}/{n:07}" if n % 10 else None, bytes(SALT_BYTES)


def fill(config: Config, count: int) -> None:
    """Fill a migrated database, and index the values of all decisions but the newest."""
    if config.database_url:
        _fill_postgresql(config.database_url, count)
    else:
        _fill_sqlite(config, count)
    newest = timedelta(days=DAYS) * UNINDEXED / count
    while numbers := find_unindexed(after=last_indexed(), before=now() - newest):
        end_reading()
        with unit_of_work() as transaction:
            add_values(transaction, numbers)
    if config.database_url:
        with psycopg.connect(config.database_url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")  # as the server does by itself after a while


def _fill_postgresql(url: str, count: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")

        def copy(table: str, columns: tuple[str, ...], rows: Iterator[Row]) -> None:
            statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
            while some := list(islice(rows, ROWS_PER_STATEMENT)):
                with connection.cursor() as cursor, cursor.copy(statement) as file:
                    for row in some:
                        file.write_row(row)

        copy("operators", OPERATORS, iter(operators()))
        found = connection.execute(NUMBERS)
        copy("decisions", DECISIONS, decisions(count, dict(found.fetchall())))
        copy("decision_contents", CONTENTS, contents(count))
        connection.execute("SELECT setval('decisions_id_seq', max(id)) FROM decisions")


def _fill_sqlite(config: Config, count: int) -> None:
    with closing(
        sqlite_module().connect(str(config.sqlite_file), isolation_level=None)
    ) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")

        def insert(table: str, columns: tuple[str, ...], rows: Iterator[Row]) -> None:
            marks = ", ".join("?" * len(columns))
            statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
            connection.executemany(statement, (tuple(map(_stored, row)) for row in rows))

        insert("operators", OPERATORS, iter(operators()))
        found = connection.execute(NUMBERS)
        insert("decisions", DECISIONS, decisions(count, dict(found.fetchall())))
        insert("decision_contents", CONTENTS, contents(count))
        connection.execute("COMMIT")


def _stored(value: Any) -> Any:
    """Return a value as SQLite stores it."""
    if not isinstance(value, datetime):
        return value
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
