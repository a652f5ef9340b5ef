"""The Flask extensions, which create_app initialises, and the settings."""

from flask import current_app
from flask_babel import Babel
from flask_security import Security
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

from webapp.config import Config


class Base(DeclarativeBase):
    # Alembic can change a constraint on SQLite only if it has a name.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


db = SQLAlchemy(model_class=Base)
csrf = CSRFProtect()
babel = Babel()
security = Security()


def settings() -> Config:
    """Return the settings of the current application."""
    found: Config = current_app.extensions["settings"]
    return found
