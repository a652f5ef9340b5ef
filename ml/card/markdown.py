"""A model card as Markdown."""

import math
from collections.abc import Iterable, Sequence

from ml.bundle.facts import Spread
from ml.card.card import FIGURES, ModelCard
from ml.card.fairness_table import as_text
from ml.evaluation.performance import threshold_for
from ml.product.formats import decimal, format_integer, percent, short
from ml.product.texts import Text

LABELS = {
    "title": Text(en="Model card: {}", fr="Fiche du modèle {}"),
    "fact": Text(en="{}: {}", fr="{} : {}"),
    "product": Text(en="Product", fr="Produit"),
    "trained": Text(en="Trained", fr="Entraîné le"),
    "versions": Text(en="Under", fr="Sous"),
    "seed": Text(en="Seed", fr="Graine"),
    "target": Text(en="What good and bad mean", fr="Ce que veulent dire bon et mauvais"),
    "limits": Text(en="Known limits", fr="Limites connues"),
    "data": Text(en="Data", fr="Données"),
    "file": Text(en="File", fr="Fichier"),
    "rows": Text(en="Rows", fr="Lignes"),
    "good": Text(en="Good", fr="Bons"),
    "candidates": Text(en="Candidates", fr="Candidats"),
    "nested": Text(
        en="Nested cross-validation: mean ± standard deviation over the outer folds.",
        fr="Validation croisée imbriquée : moyenne ± écart type sur les plis extérieurs.",
    ),
    "candidate": Text(en="Candidate", fr="Candidat"),
    "settings": Text(en="Settings", fr="Réglages"),
    "threshold": Text(en="Threshold", fr="Seuil"),
    "by_cost": Text(
        en="A loan is granted from a probability of {threshold} on. That follows from the cost "
        "ratio: a bad loan granted costs {ratio} times what a good loan lost does.",
        fr="Un prêt est accordé à partir d’une probabilité de {threshold}. C’est ce que veut le "
        "rapport des coûts : un mauvais prêt accordé coûte {ratio} fois ce que coûte un bon prêt "
        "perdu.",
    ),
    "by_hand": Text(
        en="A loan is granted from a probability of {threshold} on, which was set by hand. A bad "
        "loan granted is counted at {ratio} times the cost of a good loan lost.",
        fr="Un prêt est accordé à partir d’une probabilité de {threshold}, fixée à la main. Un "
        "mauvais prêt accordé est compté à {ratio} fois le coût d’un bon prêt perdu.",
    ),
    "others": Text(
        en="What each threshold would grant and lose; the one used in bold:",
        fr="Ce que chaque seuil accorderait et perdrait ; en gras celui qui est appliqué :",
    ),
    "grant_rate": Text(en="Grant rate", fr="Taux d’accord"),
    "granted": Text(en="Granted", fr="Accordés"),
    "bad_granted": Text(en="Bad among them", fr="Dont mauvais"),
    "bad_rate": Text(en="Bad rate", fr="Part de mauvais"),
    "good_refused": Text(en="Good refused", fr="Bons refusés"),
    "cost": Text(en="Cost, in good loans", fr="Coût, en bons prêts"),
    "cost_per_1000": Text(en="Cost per 1,000", fr="Coût pour 1\u202f000"),
    "evidence": Text(en="On rows it had not seen", fr="Sur des lignes qu’il n’avait pas vues"),
    "figure": Text(en="Figure", fr="Chiffre"),
    "value": Text(en="Value", fr="Valeur"),
    "calibration": Text(en="Calibration", fr="Calibration"),
    "expected_error": Text(en="Expected calibration error", fr="Erreur de calibration attendue"),
    "expected": Text(en="Mean probability", fr="Probabilité moyenne"),
    "observed": Text(en="Found good", fr="Trouvés bons"),
    "interval": Text(en="95% interval", fr="Intervalle à 95\u00a0%"),
    "roc": Text(en="ROC curve", fr="Courbe ROC"),
    "precision_recall": Text(
        en="Precision and recall for finding the bad",
        fr="Précision et rappel pour repérer les mauvais",
    ),
    "importance": Text(en="Importance of the fields", fr="Importance des champs"),
    "shuffled": Text(
        en="What ROC-AUC loses on held-out rows when a field's values are shuffled.",
        fr="Ce que perd l’AUC sur des lignes tenues à l’écart quand un champ est mélangé.",
    ),
    "field": Text(en="Field", fr="Champ"),
    "loss": Text(en="Loss, mean ± standard deviation", fr="Perte, moyenne ± écart type"),
    "fairness": Text(en="Fairness", fr="Équité"),
    "compared": Text(
        en="The decisions on the same rows, compared between the groups of each protected field.",
        fr="Les décisions sur ces mêmes lignes, comparées entre groupes de chaque champ protégé.",
    ),
}


def as_markdown(card: ModelCard, language: str) -> str:
    """Write a model card as Markdown.

    Parameters
    ----------
    card : ModelCard
    language : str
        Its two-letter code.

    Returns
    -------
    str
        Its pictures are named by their paths in the bundle.
    """
    labels = {key: text.in_language(language) for key, text in LABELS.items()}
    parts = [
        f"# {labels['title'].format(card.version)}",
        *_origin(card, labels, language),
        *_candidates(card, labels, language),
        *_threshold(card, labels, language),
        *_evidence(card, labels, language),
        *_importance(card, labels, language),
    ]
    text = as_text(card.fairness, language=language)
    parts += [f"## {labels['fairness']}", labels["compared"], f"```\n{text}\n```"]
    return "\n\n".join(parts)


def _origin(card: ModelCard, labels: dict[str, str], language: str) -> list[str]:
    data = card.data
    share = percent(data.good / data.rows, language)
    facts = [
        (labels["product"], card.product.label.in_language(language)),
        (labels["trained"], card.trained_at.isoformat(timespec="seconds")),
        (labels["versions"], ", ".join(f"{k} {v}" for k, v in sorted(card.versions.items()))),
        (labels["seed"], str(card.seed)),
    ]
    parts = [_list(labels["fact"].format(name, fact) for name, fact in facts)]
    if card.target_meaning:
        parts += [f"## {labels['target']}", card.target_meaning.in_language(language)]
    if card.limits:
        limits = _list(limit.in_language(language) for limit in card.limits)
        parts += [f"## {labels['limits']}", limits]
    rows = [
        data.file,
        f"`{data.sha256}`",
        format_integer(data.rows, language),
        f"{format_integer(data.good, language)} ({share})",
    ]
    header = [labels["file"], "SHA-256", labels["rows"], labels["good"]]
    return [*parts, f"## {labels['data']}", _table(header, [rows], left=2)]


def _candidates(card: ModelCard, labels: dict[str, str], language: str) -> list[str]:
    header = [labels["candidate"], *(text.in_language(language) for text in FIGURES.values())]
    rows = []
    for row in card.candidates:
        label = row.label.in_language(language)
        name = f"**{label}**" if row.name == card.champion else label
        rows.append([name, *(_spread(getattr(row, metric), language) for metric in FIGURES)])
    settings = ", ".join(f"`{key} = {value}`" for key, value in sorted(card.settings.items()))
    return [
        f"## {labels['candidates']}",
        labels["nested"],
        _table(header, rows),
        card.rule.in_language(language),
        card.reason.in_language(language),
        labels["fact"].format(labels["settings"], settings),
    ]


def _threshold(card: ModelCard, labels: dict[str, str], language: str) -> list[str]:
    threshold, ratio = card.threshold, card.cost_ratio
    how = "by_cost" if math.isclose(threshold, threshold_for(ratio)) else "by_hand"
    numbers = {"threshold": short(threshold, language), "ratio": short(ratio, language)}
    rows = []
    for row in card.evidence.thresholds:
        cells = [
            short(row.threshold, language),
            percent(row.grant_rate, language),
            format_integer(row.granted, language),
            format_integer(row.bad_granted, language),
            "–" if row.bad_rate is None else percent(row.bad_rate, language),
            format_integer(row.good_refused, language),
            short(row.cost, language, digits=10),
            decimal(row.cost_per_1000, language, places=1),
        ]
        rows.append([f"**{cell}**" for cell in cells] if row.used else cells)
    header = ("threshold", "grant_rate", "granted", "bad_granted", "bad_rate", "good_refused")
    columns = [labels[key] for key in (*header, "cost", "cost_per_1000")]
    return [
        f"## {labels['threshold']}",
        labels[how].format(**numbers),
        labels["others"],
        _table(columns, rows, left=0),
        _plot("thresholds", labels["threshold"], language),
    ]


def _evidence(card: ModelCard, labels: dict[str, str], language: str) -> list[str]:
    evidence = card.evidence
    figures = [
        [name.in_language(language), decimal(getattr(evidence.figures, metric), language)]
        for metric, name in FIGURES.items()
    ]
    error = decimal(evidence.calibration.expected_error, language)
    bins = [
        [
            percent(b.expected, language),
            percent(b.observed, language),
            f"{percent(b.low, language)} – {percent(b.high, language)}",
            format_integer(b.n, language),
        ]
        for b in evidence.calibration.bins
    ]
    header = [labels[key] for key in ("expected", "observed", "interval", "rows")]
    return [
        f"## {labels['evidence']}",
        card.evidence_is.in_language(language),
        _table([labels["figure"], labels["value"]], figures),
        f"### {labels['calibration']}",
        labels["fact"].format(labels["expected_error"], error),
        _table(header, bins, left=0),
        *(
            _plot(name, labels[name], language)
            for name in ("calibration", "roc", "precision_recall")
        ),
    ]


def _importance(card: ModelCard, labels: dict[str, str], language: str) -> list[str]:
    rows = [[row.label.in_language(language), _spread(row, language)] for row in card.importance]
    return [
        f"## {labels['importance']}",
        labels["shuffled"],
        _table([labels["field"], labels["loss"]], rows),
        _plot("importance", labels["importance"], language),
    ]


def _spread(spread: Spread, language: str) -> str:
    mean, sd = (decimal(value, language, places=4) for value in (spread.mean, spread.sd))
    return f"{mean} ± {sd}"


def _plot(name: str, title: str, language: str) -> str:
    return f"![{title}](plots/{name}.{language}.svg)"


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """Write a table of which so many columns hold words, and the others numbers."""
    rule = ["---" if i < left else "--:" for i in range(len(header))]
    lines = [header, rule, *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )
