"""The fairness report as text for a terminal."""

from io import StringIO
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ml.evaluation.fairness import FIGURES, Figure
from ml.product.definition import Fairness
from ml.product.formats import decimal
from ml.product.texts import Text

WORDS = {
    "group": Text(en="group", fr="groupe"),
    "rows": Text(en="rows", fr="lignes"),
    "verdict": Text(en="verdict", fr="verdict"),
    "reference": Text(en="reference", fr="référence"),
    "within": Text(en="within the limits", fr="dans les limites"),
    "outside": Text(en="outside", fr="hors limites"),
    "not_assessable": Text(en="not assessable", fr="non évaluable"),
    "unknown": Text(en="without a value: {}", fr="sans valeur : {}"),
    "nothing": Text(en="No protected column to compare.", fr="Aucune colonne protégée à comparer."),
    "limits": Text(
        en="Limits, settings and not law: grant ratio {} to {}, difference {}, groups from {} rows."
        " Below a figure its 95 % interval.",
        fr="Limites, réglages et non loi : rapport {} à {}, différence {}, groupes dès {} lignes."
        " Sous un chiffre, son intervalle à 95 %.",
    ),
}


def as_text(found: dict[str, Any], *, language: str = "en") -> str:
    """Write a fairness report for a terminal.

    Parameters
    ----------
    found : dict of str to object
        As `assess` returns it.
    language : str
        Its two-letter code.

    Returns
    -------
    str
        A table for each protected field, then the limits.
    """
    words = {name: text.in_language(language) for name, text in (FIGURES | WORDS).items()}
    if not found["attributes"]:
        return words["nothing"]
    out = StringIO()
    console = Console(file=out, width=100, color_system=None, markup=False, emoji=False)
    for attribute in found["attributes"]:
        console.print(_table(attribute, words, language))
    limits = Fairness(**found["limits"])
    stated = (limits.grant_ratio, 1 / limits.grant_ratio, limits.difference)
    numbers = [decimal(limit, language) for limit in stated]
    console.print(words["limits"].format(*numbers, limits.smallest_group))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _table(attribute: dict[str, Any], words: dict[str, str], language: str) -> Table:
    title = f"{attribute['label'][language]} ({words['unknown'].format(attribute['unknown'])})"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(words["group"], overflow="fold")
    table.add_column(words["rows"], justify="right")
    for name in FIGURES:
        table.add_column(words[name], justify="right", min_width=11)
    table.add_column(words["verdict"], overflow="fold")
    for group in attribute["groups"]:
        figures = [_cell(group[name], language) for name in FIGURES]
        verdict = "\n".join([words[group["verdict"]], *(words[n] for n in group["findings"])])
        table.add_row(group["label"][language], str(group["n"]), *figures, verdict)
    return table


def _cell(figure: Figure | None, language: str) -> str:
    if figure is None:
        return "–"
    value = decimal(figure["value"], language)
    if figure["low"] is None:
        return value
    low, high = (decimal(figure[end], language, places=2) for end in ("low", "high"))
    return f"{value}\n{low}…{high}"
