"""Pictures as SVG for any content policy and any theme: no style, no colour, no reference."""

import html
import math
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

WIDTH = 480
SIZE = 12  # of letters, in the picture's units
LINE = 15  # from one line of words to the next
LETTER = 0.58  # a letter's mean width over its size; of common sans-serif fonts the widest's

Point = tuple[float, float]
Look = dict[str, str | float]  # an element's attributes


def element(name: str, *children: str, **attributes: str | float) -> str:
    """Write an element.

    Parameters
    ----------
    name : str
    *children : str
        Written elements, or words that are escaped already.
    **attributes : str or float
        An underscore stands for a hyphen; one at the end is dropped.

    Returns
    -------
    str
    """
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
    )
    return f"<{name}{said}>{''.join(children)}</{name}>" if children else f"<{name}{said}/>"


def _value(value: str | float) -> str:
    return html.escape(value) if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


def words(said: str | Sequence[str], at: Point, **attributes: str | float) -> str:
    """Write words, one line below the other.

    Parameters
    ----------
    said : str or sequence of str
        The lines.
    at : (float, float)
        Where the first line's base begins, or where its anchor says.
    **attributes : str or float

    Returns
    -------
    str
    """
    lines = [said] if isinstance(said, str) else said
    look: Look = {"font_size": SIZE, "fill": "currentColor"}
    x, y = at
    return "".join(
        element(
            "text",
            html.escape(line),
            x=x,
            y=y + i * LINE,
            **{**look, **attributes},
        )
        for i, line in enumerate(lines)
        if line
    )


def wrapped(said: str, width: float) -> list[str]:
    """Break words into lines that fit.

    Parameters
    ----------
    said : str
    width : float
        In the picture's units, at the size `SIZE`.

    Returns
    -------
    list of str
    """
    # French sets a space before these, at which no line may end.
    kept = re.sub(r" (?=[:;?!%])", "\u00a0", said)
    most = max(1, int(width / (SIZE * LETTER)))
    return [
        line
        for part in kept.split("\n")
        for line in textwrap.wrap(part, most, break_on_hyphens=False)
    ]


def line(points: Iterable[Point], *, class_: str, **attributes: str | float) -> str:
    """Draw a line through points.

    Parameters
    ----------
    points : iterable of (float, float)
    class_ : str
        By which a page may colour it.
    **attributes : str or float

    Returns
    -------
    str
    """
    path = " ".join(f"{_value(x)},{_value(y)}" for x, y in points)
    look: Look = {"fill": "none", "stroke": "currentColor", "stroke_width": 2}
    return element("polyline", points=path, class_=class_, **{**look, **attributes})


def dot(at: Point, *, radius: float, class_: str) -> str:
    """Draw a filled circle.

    Parameters
    ----------
    at : (float, float)
    radius : float
    class_ : str
        By which a page may colour it.

    Returns
    -------
    str
    """
    return element("circle", cx=at[0], cy=at[1], r=radius, class_=class_, fill="currentColor")


def picture(name: str, *parts: str, title: str, description: str, height: float) -> bytes:
    """Put a picture together.

    Parameters
    ----------
    name : str
        Of which no page shows two.
    *parts : str
        Its written elements.
    title, description : str
        What it shows, for those who do not see it; the title is written above it too.
    height : float
        Its width is `WIDTH`.

    Returns
    -------
    bytes
    """
    root = element(
        "svg",
        element("title", html.escape(title), id=f"{name}-title"),
        element("desc", html.escape(description), id=f"{name}-description"),
        words(title, (8, 20), font_size=15, font_weight=600),
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {height:g}",
        role="img",
        aria_labelledby=f"{name}-title",
        aria_describedby=f"{name}-description",
        font_family="system-ui, sans-serif",
        class_="plot",
    )
    return root.encode() + b"\n"


def ticks(low: float, high: float, *, most: int = 6) -> list[float]:
    """Return round numbers that divide a range.

    Parameters
    ----------
    low, high : float
    most : int
        How many there may be at the most.

    Returns
    -------
    list of float
        Multiples of 1, 2 or 5 times a power of ten, all within the range.
    """
    power = 10 ** math.floor(math.log10((high - low) / most))
    step = next(n * power for n in (1, 2, 5, 10, 20) if (high - low) / (n * power) <= most - 1)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [n * step for n in range(first, last + 1)]


@dataclass(frozen=True)
class Area:
    """Where quantities are drawn.

    Attributes
    ----------
    left, top, right, bottom : float
        Its edges in the picture's units.
    x, y : (float, float)
        The values at its edges, left and right, bottom and top.
    """

    left: float
    top: float
    right: float
    bottom: float
    x: Point = (0, 1)
    y: Point = (0, 1)

    def at(self, x: float, y: float) -> Point:
        """Return where a pair of values is drawn.

        Parameters
        ----------
        x, y : float

        Returns
        -------
        (float, float)
        """
        right = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return (
            self.left + right * (self.right - self.left),
            self.bottom - up * (self.bottom - self.top),
        )

    def grid(self, *, x: dict[float, str], y: dict[float, str]) -> str:
        """Draw faint lines through values, and what is said at them.

        Parameters
        ----------
        x, y : dict of float to str
            Words by values; empty for a line without.

        Returns
        -------
        str
        """
        faint: Look = {"stroke_width": 1, "stroke_opacity": 0.18}
        parts = []
        for value, said in x.items():
            place = self.at(value, self.y[0])[0]
            parts.append(line([(place, self.top), (place, self.bottom)], class_="grid", **faint))
            parts.append(words(said, (place, self.bottom + LINE), text_anchor="middle"))
        for value, said in y.items():
            place = self.at(self.x[0], value)[1]
            parts.append(line([(self.left, place), (self.right, place)], class_="grid", **faint))
            parts.append(words(said, (self.left - 6, place + SIZE / 3), text_anchor="end"))
        return "".join(parts)

    def axes(self) -> str:
        """Draw its left and its lower edge.

        Returns
        -------
        str
        """
        corner = [(self.left, self.top), (self.left, self.bottom), (self.right, self.bottom)]
        return line(corner, class_="axis", stroke_width=1)
