"""Formats numbers, percentages, dates and lists in English and French, by CLDR."""

import re
from collections.abc import Sequence
from copy import copy
from datetime import date, datetime, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import NamedTuple

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.lists import format_list
from babel.numbers import NumberPattern, format_decimal


@cache
def _locale(language: str) -> Locale:
    # British English has the day before the month and 24 hours, as French does.
    return Locale("fr", "FR") if language == "fr" else Locale("en", "GB")


@cache
def _pattern(language: str, *, percent: bool, places: int) -> NumberPattern:
    locale = _locale(language)
    formats = locale.percent_formats if percent else locale.decimal_formats
    pattern: NumberPattern = copy(formats[None])
    pattern.frac_prec = (places, places)
    return pattern


def _with_minus(number: str) -> str:
    """Replace CLDR's hyphen by a minus sign."""
    return number.replace("-", "−")


def _fixed(number: float, language: str, *, percent: bool, places: int) -> str:
    """Format a number with a fixed number of decimals; zero has no sign."""
    pattern = _pattern(language, percent=percent, places=places)
    written = pattern.apply(number, _locale(language))
    return _with_minus(written) if re.search("[1-9]", written) else written.removeprefix("-")


def decimal(number: float, language: str, *, places: int = 3) -> str:
    """Format a number with a fixed number of decimals.

    Parameters
    ----------
    number : float
    language : str
        Its two-letter code.
    places : int
        The number of decimals.

    Returns
    -------
    str
        Without a minus sign if all digits shown are 0.
    """
    return _fixed(number, language, percent=False, places=places)


def signed(number: float, language: str, *, places: int = 2) -> str:
    """Format a number with a plus or minus sign.

    Parameters
    ----------
    number : float
    language : str
        Its two-letter code.
    places : int
        The number of decimals.

    Returns
    -------
    str
        With a plus sign if all digits shown are 0.
    """
    written = decimal(number, language, places=places)
    return written if written.startswith("−") else f"+{written}"


def short(number: float, language: str, *, digits: int = 4) -> str:
    """Format a number rounded to significant digits, without trailing zeros.

    Parameters
    ----------
    number : float
    language : str
        Its two-letter code.
    digits : int
        The largest number of significant digits.

    Returns
    -------
    str
    """
    rounded = float(f"{number:.{digits}g}")
    return _with_minus(
        format_decimal(rounded, locale=_locale(language), decimal_quantization=False)
    )


def percent(share: float, language: str, *, places: int = 1) -> str:
    """Format a share as a percentage.

    Parameters
    ----------
    share : float
        From 0 for none to 1 for all.
    language : str
        Its two-letter code.
    places : int
        The number of decimals.

    Returns
    -------
    str
    """
    return _fixed(share, language, percent=True, places=places)


def moment(when: datetime, language: str, *, zone: tzinfo) -> str:
    """Format a date with its time.

    Parameters
    ----------
    when : datetime
        With a time zone.
    language : str
        Its two-letter code.
    zone : tzinfo
        The time zone to show it in.

    Returns
    -------
    str
    """
    return format_datetime(when, "medium", tzinfo=zone, locale=_locale(language))


def day(when: date, language: str) -> str:
    """Format a date without a time.

    Parameters
    ----------
    when : date
    language : str
        Its two-letter code.

    Returns
    -------
    str
    """
    return format_date(when, "medium", locale=_locale(language))


def long_day(when: date, language: str, *, american: bool = False) -> str:
    """Format a date as a letter has it, with the month's full name; French writes "1er" for 1.

    Parameters
    ----------
    when : date
    language : str
        Its two-letter code.
    american : bool
        Whether English has the month before the day.

    Returns
    -------
    str
    """
    locale = Locale("en", "US") if american and language == "en" else _locale(language)
    written = format_date(when, "long", locale=locale)
    return written.replace("1 ", "1er ", 1) if language == "fr" and when.day == 1 else written


def month(when: date, language: str) -> str:
    """Format the month of a date.

    Parameters
    ----------
    when : date
    language : str
        Its two-letter code.

    Returns
    -------
    str
    """
    return format_date(when, "MMM y", locale=_locale(language))


def listed(items: Sequence[str], language: str) -> str:
    """Join items as in a sentence: "a, b and c".

    Parameters
    ----------
    items : sequence of str
    language : str
        Its two-letter code.

    Returns
    -------
    str
    """
    return format_list(items, locale=_locale(language))


def plural_form(number: int, language: str) -> str:
    """Return which plural form of a word to use with a number.

    Parameters
    ----------
    number : int
    language : str
        Its two-letter code.

    Returns
    -------
    str
        CLDR's name of the form: ``one``, ``other``, or ``many`` for millions in French.
    """
    return _locale(language).plural_form(number)


def format_integer(number: int, language: str) -> str:
    """Format a whole number with the thousands separators of the language.

    Parameters
    ----------
    number : int
    language : str
        Its two-letter code.

    Returns
    -------
    str
    """
    return _with_minus(format_decimal(number, locale=_locale(language)))


# Separators of thousands that people type: spaces of several widths, a comma, apostrophes. 18
# digits fit a 64-bit integer.
_SEPARATORS = " ,'\u2019\u00a0\u2009\u202f"
_INTEGER = re.compile(
    rf"[+−-]?([0-9]{{1,18}}|[0-9]{{1,3}}([{_SEPARATORS}])[0-9]{{3}}(?:\2[0-9]{{3}}){{0,4}})"
)
_PLAIN = str.maketrans("−", "-", _SEPARATORS)
_CENTS = re.compile(r"(?P<whole>.*[0-9])(?P<point>[.,])(?P<cents>[0-9]{2})")


class Amount(NamedTuple):
    """An amount of money that a person typed, in whole units of the currency."""

    whole: int
    rounded: bool  # cents other than 00 were typed


def parse_integer(text: str) -> int | None:
    """Read a whole number that a person typed.

    Parameters
    ----------
    text : str
        Digits, with or without separated thousands: ``12000``, ``12 000``, ``12,000``.

    Returns
    -------
    int or None
        None if the text is not a whole number; a number with decimals is never rounded.
    """
    text = text.strip()
    return int(text.translate(_PLAIN)) if _INTEGER.fullmatch(text) else None


def parse_amount(text: str) -> Amount | None:
    """Read an amount of money that a person typed, and round it if it has cents.

    Parameters
    ----------
    text : str
        As for `parse_integer`, or with two decimals after a point or a comma: ``1 234,50``.

    Returns
    -------
    Amount or None
        The nearest whole amount, the larger one for 50 cents; None if the text is not an amount.
    """
    found = _CENTS.fullmatch(text.strip())
    if found is None:
        whole = parse_integer(text)
        return None if whole is None else Amount(whole, rounded=False)
    whole = parse_integer(found["whole"])
    if whole is None or found["point"] in found["whole"]:
        return None
    exact = Decimal(f"{found['whole'].translate(_PLAIN)}.{found['cents']}")
    return Amount(int(exact.quantize(Decimal(1), ROUND_HALF_UP)), rounded=found["cents"] != "00")
