"""Which language a person reads, and how numbers, shares and moments look in it."""

from datetime import datetime
from typing import Any

from babel.numbers import format_decimal, format_percent
from flask import Flask, request
from flask_babel import format_datetime, get_locale, gettext as _

from ml.product.definition import Field
from ml.product.formats import format_integer
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
        "signed": signed,
        "plain": plain,
        "bounds": bounds,
    }
    app.context_processor(lambda: {"language": current()})


def current() -> str:
    locale = get_locale()
    return str(locale.language) if locale else LANGUAGES[0]


def words(text: Text) -> str:
    return text.in_language(current())


def integer(number: int) -> str:
    return format_integer(number, current())


def share(number: float) -> str:
    return format_percent(
        number, format="0.0\xa0%" if current() == "fr" else "0.0%", locale=current()
    )


def decimal(number: float) -> str:
    return format_decimal(number, format="0.000;−0.000", locale=current())


def plain(number: float) -> str:
    """Write a number with two decimals at most."""
    return format_decimal(number, format="#,##0.##", locale=current())


def signed(number: float) -> str:
    shown = round(number, 2) + 0.0  # no zero below zero
    return format_decimal(shown, format="+0.00;−0.00", locale=current())


def bounds(field: Field) -> str:
    """Say between which numbers an integer field lies."""
    low, high = (integer(n or 0) for n in (field.minimum, field.maximum))
    return str(_("%(low)s to %(high)s", low=low, high=high))


def moment(when: datetime) -> str:
    return str(format_datetime(when, "d MMM y, HH:mm:ss"))


def _chosen() -> str | None:
    cookie = request.cookies.get(COOKIE)
    if cookie in LANGUAGES:
        return cookie
    asked = (tag.partition("-")[0].lower() for tag in request.accept_languages.values())
    return next((code for code in asked if code in LANGUAGES), None)
