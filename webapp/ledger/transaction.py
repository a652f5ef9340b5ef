"""The unit of work: one transaction that writes."""

from collections.abc import Iterator
from contextlib import contextmanager

from webapp.database import WRITING
from webapp.extensions import db


@contextmanager
def writing() -> Iterator[None]:
    """Begin a transaction that writes, and commit it unless something is raised."""
    db.session.rollback()  # ends whatever only read so far
    db.session.connection(execution_options=WRITING)
    try:
        yield
        db.session.commit()
    except BaseException:
        db.session.rollback()
        raise
