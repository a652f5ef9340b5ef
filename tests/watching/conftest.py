"""Fixtures of the monitoring tests: the shipped dashboards, and PostgreSQL with compose's roles."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from bench.grafana import read_dashboards
from tests.fixtures.databases import migrate, running_postgresql
from webapp.config import Config

ROOT = Path(__file__).parent.parent.parent
Json = dict[str, Any]


@pytest.fixture(scope="session")
def dashboards() -> list[Json]:
    """Every dashboard, as Grafana reads it."""
    found = read_dashboards()
    assert found
    return found


@pytest.fixture(scope="session")
def queries(dashboards: list[Json]) -> list[tuple[Json, Json]]:
    """Every panel with each of its queries."""
    panels = [panel for dashboard in dashboards for panel in dashboard["panels"]]
    return [(panel, target) for panel in panels for target in panel.get("targets", [])]


@pytest.fixture(scope="session")
def datasources() -> dict[str, Json]:
    """The provisioned data sources by uid."""
    files = sorted((ROOT / "grafana/provisioning/datasources").glob("*.yml"))
    sources = [one for f in files for one in yaml.safe_load(f.read_text())["datasources"]]
    by_uid = {source["uid"]: source for source in sources}
    assert len(by_uid) == len(sources)
    return by_uid


@pytest.fixture(scope="session")
def compose() -> Json:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@dataclass(frozen=True)
class Database:
    """The URLs of one database, one for each role that signs in."""

    administrator: str
    owner: str
    desk: str
    grafana: str


@pytest.fixture(scope="session")
def own_postgresql() -> Iterator[Any]:
    """A separate server, because roles belong to a whole server."""
    with running_postgresql() as server:
        yield server


@pytest.fixture
def database(own_postgresql: Any, compose: Json) -> Iterator[Database]:
    """The empty database that compose's first start makes, by the same scripts."""
    administrator = own_postgresql.get_uri()
    mounted = [v.split(":") for v in compose["services"]["db"]["volumes"]]
    scripts = sorted(ROOT / source for source, target, *_ in mounted if target.endswith(".sql"))
    subprocess.run(
        [
            own_postgresql.bin_path / "psql",
            "--no-psqlrc",
            "--quiet",
            *(f"--file={script}" for script in scripts),
            administrator,
        ],
        env={
            **os.environ,
            "OWNER_DATABASE_PASSWORD": "the owner's",
            "DESK_DATABASE_PASSWORD": "it's the desk's",
            "GRAFANA_DATABASE_PASSWORD": "grafana's",
        },
        check=True,
    )
    host = administrator.partition("?")[2]
    yield Database(
        administrator,
        f"postgresql://loan_owner@/loan_desk?{host}",
        f"postgresql://loan_desk@/loan_desk?{host}",
        f"postgresql://grafana@/loan_desk?{host}",
    )
    with psycopg.connect(administrator, autocommit=True) as connection:
        connection.execute("DROP DATABASE loan_desk WITH (FORCE)")
        connection.execute("DROP ROLE grafana, loan_reader, loan_desk, loan_writer, loan_owner")


@pytest.fixture
def database_url(database: Database) -> str:
    """The URL of the application's database, for the service's own role."""
    return database.desk


@pytest.fixture
def migrated(config: Config, database: Database) -> Config:
    """The settings of the service's role, after the owner's role has created the tables."""
    migrate(config.model_copy(update={"database_url": database.owner}))
    return config


@pytest.fixture(scope="session")
def variables() -> Callable[[str], set[str]]:
    """Find the names of a query's variables; Grafana's own begin with two underscores."""
    return lambda text: {a or b for a, b in re.findall(r"\$(?:(\w+)|\{(\w+)[:}])", text)}
