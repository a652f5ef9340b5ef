"""Runs the migrations in one transaction under a lock, so that several starts can do it at once."""

from alembic import context
from flask import current_app
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from webapp.database import MIGRATION_LOCK_SECONDS, WRITING
from webapp.extensions import db
from webapp.failures import LockNotFree, WrongEncoding

LOCK = 5_018_735_322  # an arbitrary number, the same for every start
LOCK_NOT_AVAILABLE = "55P03"
HOLDERS = """
SELECT DISTINCT pid, usename FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE granted AND pid <> pg_backend_pid() AND datname = current_database() AND (
    locktype = 'advisory'
    OR relation IN (SELECT oid FROM pg_class WHERE relnamespace = current_schema()::regnamespace)
)
"""


def run() -> None:
    with db.engine.connect().execution_options(**WRITING) as connection:
        try:
            migrate(connection)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                raise
            connection.rollback()
            holders = connection.exec_driver_sql(HOLDERS)
            sessions = ", ".join(f"{pid} of {role}" for pid, role in holders) or "none any more"
            raise LockNotFree(
                f"waited {MIGRATION_LOCK_SECONDS} seconds for a lock. "
                f"Sessions that hold locks here: {sessions}. End them, or try again"
            ) from None


def migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
        if encoding != "UTF8":
            raise WrongEncoding(
                f"its encoding is {encoding}. Create it with ENCODING 'UTF8' TEMPLATE template0"
            )
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{MIGRATION_LOCK_SECONDS}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
    else:
        connection.exec_driver_sql("SELECT 1")  # begins, which takes SQLite's write lock
    context.configure(
        connection=connection,
        target_metadata=db.metadata,
        transactional_ddl=True,
        include_name=lambda name, kind, _: kind != "table" or name in db.metadata.tables,
        **current_app.extensions["migrate"].configure_args,
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()


if context.is_offline_mode():
    raise SystemExit("Migrations run against a database: --sql is not supported.")
run()
