"""The choice of a page's language, and the template filters that format values in it."""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from babel import negotiate_locale
from flask import Flask, request
from flask_babel import get_locale, get_timezone, gettext as _
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from ml.product import formats
from ml.product.definition import Field
from ml.product.texts import LANGUAGES, Text
from webapp.config import Config
from webapp.extensions import babel

COOKIE = "language"


def settings(config: Config) -> dict[str, Any]:
    return {
        "BABEL_DEFAULT_LOCALE": config.language,
        "BABEL_DEFAULT_TIMEZONE": config.timezone.key,
        "BABEL_TRANSLATION_DIRECTORIES": "translations",
    }


def init_app(app: Flask) -> None:
    babel.init_app(app, locale_selector=_chosen)
    app.jinja_env.filters |= {
        "words": words,
        "integer": integer,
        "share": share,
        "decimal": decimal,
        "moment": moment,
        "day": day,
        "month": month,
        "utc": utc,
        "signed": signed,
        "plain": plain,
        "bounds": bounds,
    }
    app.context_processor(_in_templates)


def _in_templates() -> dict[str, str]:
    language = current()
    return {"language": language, "colon": "\u00a0: " if language == "fr" else ": "}


def current() -> str:
    locale = get_locale()
    return str(locale.language) if locale else LANGUAGES[0]


def words(text: Text) -> str:
    return text.in_language(current())


def integer(number: int) -> str:
    return formats.format_integer(number, current())


def share(number: float) -> str:
    return formats.percent(number, current())


def decimal(number: float) -> str:
    return formats.decimal(number, current())


def plain(number: float) -> str:
    """Format a number with at most two decimals."""
    return formats.short(round(number, 2), current(), digits=15)


def signed(number: float) -> str:
    return formats.signed(number, current())


def bounds(field: Field) -> str:
    """Return the range of an integer field as text."""
    low, high = (integer(n or 0) for n in (field.minimum, field.maximum))
    return str(_("%(low)s to %(high)s", low=low, high=high))


def listed(items: Iterable[str]) -> str:
    """Join items as in a sentence: a, b and c."""
    return formats.listed(list(items), current())


def moment(when: datetime) -> str:
    return formats.moment(when, current(), zone=get_timezone())


def day(when: date) -> str:
    return formats.day(when, current())


def month(when: date) -> str:
    return formats.month(when, current())


def utc(when: datetime) -> str:
    """Format a moment in UTC, in which days and hours are counted."""
    return formats.moment(when, current(), zone=UTC)


def _chosen() -> str | None:
    cookie = request.cookies.get(COOKIE)
    return cookie if cookie in LANGUAGES else of_header(request.headers.get("Accept-Language", ""))


@lru_cache(maxsize=256)  # clients send the same few headers
def of_header(header: str) -> str | None:
    """Return the language that the header Accept-Language asks for; None if we have none of it."""
    languages = parse_accept_header(header, LanguageAccept)
    accepted = [tag.lower() for tag, quality in languages if quality > 0]
    return negotiate_locale(accepted, LANGUAGES, sep="-")
