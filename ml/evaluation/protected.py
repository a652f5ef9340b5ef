"""The groups of a protected field, without pandas, so that the watch can use them."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from ml.product.definition import Field
from ml.product.texts import Text

FLAGS = {
    "1": ("yes", Text(en="Yes", fr="Oui")),
    "0": ("no", Text(en="No", fr="Non")),
}


class Group(NamedTuple):
    """A group of applicants, by one protected field."""

    name: str
    label: Text


def groups_of(field: Field, *, starts: Sequence[int] = ()) -> list[Group]:
    """Return the groups of a protected field.

    Parameters
    ----------
    field : Field
    starts : sequence of int, optional
        The first value of the second group of a number, of the third, and so on. Default: the bands
        of the field.

    Returns
    -------
    list of Group
        One for each answer of a choice, yes and no of a flag, and one for each band of a number,
        which has one group without bands.
    """
    if field.kind == "choice":
        return [Group(c.value, c.label) for c in field.choices]
    if field.kind == "flag":
        return [Group(*group) for group in FLAGS.values()]
    begin = [field.minimum or 0, *(starts or field.bands)]
    end = [*(b - 1 for b in begin[1:]), field.maximum or 0]
    labels = [_band(field, first, last) for first, last in zip(begin, end, strict=True)]
    return [Group(t.en.replace(" ", "_"), t) for t in labels]


def has_groups(field: Field) -> bool:
    """Return whether the product alone states the groups of a protected field."""
    return field.kind != "integer" or bool(field.bands)


def group_of(field: Field, value: str) -> str | None:
    """Return the name of the group of a value.

    Parameters
    ----------
    field : Field
        A protected field that has groups.
    value : str
        As in a CSV file of the product.

    Returns
    -------
    str or None
        None if the field has no such value.
    """
    if field.kind == "choice":
        return value if value in {c.value for c in field.choices} else None
    if field.kind == "flag":
        return FLAGS[value][0] if value in FLAGS else None
    if not value.removeprefix("-").isdecimal():
        return None
    return groups_of(field)[bisect_right(field.bands, int(value))].name


def _band(field: Field, first: int, last: int) -> Text:
    if first == last:
        return Text(en=f"{first}", fr=f"{first}")
    if last == field.maximum:
        return Text(en=f"{first} and over", fr=f"{first} et plus")
    if first == field.minimum:
        return Text(en=f"under {last + 1}", fr=f"moins de {last + 1}")
    return Text(en=f"{first} to {last}", fr=f"{first} à {last}")
