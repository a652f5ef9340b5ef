"""The log: one line an event, whatever a client sent."""

import logging

from flask import Flask
from flask.logging import default_handler

from webapp.config import Config

LINE = "[%(asctime)s] %(levelname)s in %(module)s: %(message)s"  # as Flask writes it


class OneLine(logging.Formatter):
    """Escapes line ends and other control characters, of tracebacks too."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return "".join(
            c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
        )


def init_app(app: Flask, config: Config) -> None:
    default_handler.setFormatter(OneLine(LINE))
    app.logger.setLevel(config.log_level.upper())  # with Flask's handler, where none is set up
