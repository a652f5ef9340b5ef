"""Decimals and percentages as readers of each language write them."""


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
