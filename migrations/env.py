"""How migrations are run: one transaction under a lock, so that any number of starts may race."""

from alembic import context
from flask import current_app

from webapp.database import WRITING
from webapp.extensions import db

LOCK = 5_018_735_322  # any number, the same for every start


def run() -> None:
    with db.engine.connect().execution_options(**WRITING) as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
        else:
            connection.exec_driver_sql("SELECT 1")  # begins, and so takes SQLite's lock
        context.configure(
            connection=connection,
            target_metadata=db.metadata,
            transactional_ddl=True,
            **current_app.extensions["migrate"].configure_args,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


if context.is_offline_mode():
    raise SystemExit("Migrations run against a database: --sql is not supported.")
run()
