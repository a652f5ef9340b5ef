"""The fairness report as text for a terminal."""

from io import StringIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from ml.evaluation.fairness_reports import AttributeReport, FairnessReport, Ratio
from ml.evaluation.reports import Estimate
from ml.product.formats import decimal, format_integer
from ml.product.texts import Text

FIGURES = {
    "good_rate": Text(en="good, in the data", fr="bons, selon les données"),
    "grant_rate": Text(en="granted", fr="accordés"),
    "grant_ratio": Text(en="grant ratio", fr="rapport des taux d’octroi"),
    "equal_opportunity_difference": Text(en="equal opportunity", fr="égalité des chances"),
    "false_refusals": Text(en="false refusals", fr="refus à tort"),
}
LABELS = {
    "group": Text(en="group", fr="groupe"),
    "rows": Text(en="rows", fr="lignes"),
    "verdict": Text(en="verdict", fr="verdict"),
    "predicted": Text(en="mean probability", fr="probabilité moyenne"),
    "p_value": Text(en="p, corrected", fr="p corrigée"),
    "roc_auc": Text(en="ROC-AUC", fr="AUC ROC"),
    "calibration": Text(en="calibration", fr="calibration"),
    "reference": Text(en="reference", fr="référence"),
    "within": Text(en="within the limits", fr="dans les limites"),
    "outside": Text(en="outside", fr="hors limites"),
    "not_assessable": Text(en="not assessable", fr="non évaluable"),
    "unknown": Text(en="without a value: {}", fr="sans valeur : {}"),
    "nothing": Text(en="No protected column to compare.", fr="Aucune colonne protégée à comparer."),
    "limits": Text(
        en="Limits, which are settings and not law: grant ratio from {} to {}, difference at most"
        " {}, at least {} rows in a group. The 95% interval is below each figure. Calibration is"
        " outside if p, corrected by Holm's method for all groups, is at most 5%.",
        fr="Limites, qui sont des réglages et non des seuils légaux : rapport de {} à {},"
        " différence de {} au plus, {} lignes au moins par groupe. L’intervalle à 95 % figure sous"
        " chaque valeur. La calibration est hors limites si p, corrigée pour tous les groupes par"
        " la méthode de Holm, est d’au plus 5 %.",
    ),
}


def as_text(report: FairnessReport, *, language: str = "en") -> str:
    """Write a fairness report for a terminal.

    Parameters
    ----------
    report : FairnessReport
    language : str
        Its two-letter code.

    Returns
    -------
    str
        A table for each protected field, then the limits.
    """
    labels = {name: text.in_language(language) for name, text in (FIGURES | LABELS).items()}
    if not report.attributes:
        return labels["nothing"]
    out = StringIO()
    console = Console(file=out, width=100, color_system=None, markup=False, emoji=False)
    for attribute in report.attributes:
        console.print(_table(attribute, labels, language))
        console.print(_fit(attribute, labels, language))
    limits = report.limits
    stated = (limits.grant_ratio, 1 / limits.grant_ratio, limits.difference)
    numbers = [decimal(limit, language) for limit in stated]
    smallest = format_integer(limits.smallest_group, language)
    console.print(labels["limits"].format(*numbers, smallest))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _table(attribute: AttributeReport, labels: dict[str, str], language: str) -> Table:
    label = attribute.label.in_language(language)
    unknown = format_integer(attribute.unknown, language)
    title = f"{label} ({labels['unknown'].format(unknown)})"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(labels["group"], overflow="fold")
    table.add_column(labels["rows"], justify="right")
    for name in FIGURES:
        table.add_column(labels[name], justify="right", min_width=11)
    table.add_column(labels["verdict"], overflow="fold")
    for group in attribute.groups:
        figures = [_cell(getattr(group, name), language) for name in FIGURES]
        verdict = "\n".join([labels[group.verdict], *(labels[name] for name in group.findings)])
        count = format_integer(group.n, language)
        table.add_row(group.label.in_language(language), count, *figures, verdict)
    return table


def _fit(attribute: AttributeReport, labels: dict[str, str], language: str) -> Table:
    """Return the table of calibration and ranking within each group."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(labels["group"], overflow="fold")
    for name in ("predicted", "good_rate", "p_value", "roc_auc"):
        table.add_column(labels[name], justify="right")
    for group in attribute.groups:
        numbers = (
            "–" if number is None else decimal(number, language, places=places)
            for number, places in ((group.predicted, 3), (group.calibration_p, 4))
        )
        predicted, p_value = numbers
        cells = (_cell(group.good_rate, language), _cell(group.roc_auc, language))
        table.add_row(group.label.in_language(language), predicted, cells[0], p_value, cells[1])
    return table


def _cell(figure: Estimate | Ratio | None, language: str) -> str:
    if figure is None:
        return "–"
    value = decimal(figure.value, language)
    if figure.low is None or figure.high is None:
        return value
    low, high = (decimal(end, language, places=2) for end in (figure.low, figure.high))
    return f"{value}\n{low}…{high}"
