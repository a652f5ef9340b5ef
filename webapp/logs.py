"""The format of log lines: one line for each event, with control characters escaped."""

import logging

from flask import Flask
from flask.logging import default_handler

from webapp.config import Config

LINE_FORMAT = "[%(asctime)s] %(levelname)s in %(module)s: %(message)s"  # Flask's own


class OneLine(logging.Formatter):
    """Escapes line ends and other control characters, also in tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return "".join(
            c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
        )


def init_app(app: Flask, config: Config) -> None:
    default_handler.setFormatter(OneLine(LINE_FORMAT))
    app.logger.setLevel(config.log_level.upper())
