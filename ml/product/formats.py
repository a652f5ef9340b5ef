"""Numbers, shares and moments as English and French write them, by CLDR."""

import re
from collections.abc import Sequence
from copy import copy
from datetime import datetime, tzinfo
from functools import cache

from babel import Locale
from babel.dates import format_datetime
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
    """Put a true minus sign in place of CLDR's hyphen."""
    return number.replace("-", "−")


def _fixed(number: float, language: str, *, percent: bool, places: int) -> str:
    """Write a number with a fixed count of decimals; zero has no sign."""
    pattern = _pattern(language, percent=percent, places=places)
    written = pattern.apply(number, _locale(language))
    return _with_minus(written) if re.search("[1-9]", written) else written.removeprefix("-")


def decimal(number: float, language: str, *, places: int = 3) -> str:
    """Write a number with a fixed count of decimals.

    Parameters
    ----------
    number : float
    language : str
        Its two-letter code.
    places : int
        How many decimals.

    Returns
    -------
    str
        Without a minus sign where all its digits are zero.
    """
    return _fixed(number, language, percent=False, places=places)


def signed(number: float, language: str, *, places: int = 2) -> str:
    """Write a number with a sign in any case.

    Parameters
    ----------
    number : float
    language : str
        Its two-letter code.
    places : int
        How many decimals.

    Returns
    -------
    str
        With a plus sign where all its digits are zero.
    """
    written = decimal(number, language, places=places)
    return written if written.startswith("−") else f"+{written}"


def short(number: float, language: str, *, digits: int = 4) -> str:
    """Write a number with no more digits than it needs.

    Parameters
    ----------
    number : float
    language : str
        Its two-letter code.
    digits : int
        How many it may have at the most.

    Returns
    -------
    str
    """
    rounded = float(f"{number:.{digits}g}")
    return _with_minus(
        format_decimal(rounded, locale=_locale(language), decimal_quantization=False)
    )


def percent(share: float, language: str, *, places: int = 1) -> str:
    """Write a share in hundredths.

    Parameters
    ----------
    share : float
        1 for all.
    language : str
        Its two-letter code.
    places : int
        How many decimals.

    Returns
    -------
    str
    """
    return _fixed(share, language, percent=True, places=places)


def moment(when: datetime, language: str, *, zone: tzinfo) -> str:
    """Write a date with its time.

    Parameters
    ----------
    when : datetime
        Aware of its time zone.
    language : str
        Its two-letter code.
    zone : tzinfo
        In which it is shown.

    Returns
    -------
    str
    """
    return format_datetime(when, "medium", tzinfo=zone, locale=_locale(language))


def listed(items: Sequence[str], language: str) -> str:
    """Join items as a sentence does: a, b and c.

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
    """Return which form of a word goes with a number.

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
    """Write a whole number with its thousands set apart as readers of the language expect.

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


# A space of any width, a comma or an apostrophe may set thousands apart. No number needs more
# digits than here.
_SEPARATORS = " ,'\u2019\u00a0\u2009\u202f"
_INTEGER = re.compile(rf"[+−-]?([0-9]{{1,18}}|[0-9]{{1,3}}(?:[{_SEPARATORS}][0-9]{{3}}){{1,5}})")
_PLAIN = str.maketrans("−", "-", _SEPARATORS)


def parse_integer(text: str) -> int | None:
    """Read a whole number as a person writes it.

    Parameters
    ----------
    text : str
        Digits, with or without separated thousands: ``12000``, ``12 000``, ``12,000``.

    Returns
    -------
    int or None
        None where the text is no whole number; a decimal part is never cut off or guessed at.
    """
    text = text.strip()
    return int(text.translate(_PLAIN)) if _INTEGER.fullmatch(text) else None
