"""Decimals and percentages as readers of each language write them."""

import re


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
        With a decimal comma in French, a point in any other language, and a true minus sign.
    """
    return _in(language, f"{number:z,.{places}f}")


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
    return _in(language, f"{number:,.{digits}g}")


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
        With a no-break space before the sign in French.
    """
    return decimal(100 * share, language, places=places) + ("\u00a0%" if language == "fr" else "%")


def _in(language: str, number: str) -> str:
    number = number.replace("-", "−")
    return number.replace(",", "\u202f").replace(".", ",") if language == "fr" else number


# A space of any width, a comma or an apostrophe may set thousands apart. No number needs more
# digits than here.
_SEPARATORS = " ,'\u2019\u00a0\u2009\u202f"


_INTEGER = re.compile(rf"[+-]?([0-9]{{1,18}}|[0-9]{{1,3}}(?:[{_SEPARATORS}][0-9]{{3}}){{1,5}})")


_JOINED = str.maketrans("", "", _SEPARATORS)


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
        With narrow no-break spaces in French, with commas in any other language.
    """
    english = f"{number:,}"
    return english.replace(",", "\u202f") if language == "fr" else english


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
    return int(text.translate(_JOINED)) if _INTEGER.fullmatch(text) else None
