"""The names, files and text descriptions of the plots of a model card."""

from collections.abc import Sequence
from functools import partial

from ml.evaluation.reports import Evidence, Importance
from ml.product.formats import decimal, format_integer, percent, short
from ml.product.texts import Text

THEMES = ("light", "dark")
TITLES = {
    "calibration": Text(en="Calibration", fr="Calibration"),
    "roc": Text(en="ROC curve", fr="Courbe ROC"),
    "precision_recall": Text(
        en="Precision and recall in finding bad loans",
        fr="Précision et rappel pour repérer les mauvais prêts",
    ),
    "thresholds": Text(
        en="What each threshold grants and costs", fr="Ce que chaque seuil accorde et coûte"
    ),
    "importance": Text(en="Importance of the fields", fr="Importance des champs"),
}
DESCRIPTIONS = {
    "calibration": Text(
        en="Share found good against mean predicted probability, in {groups} groups of rising "
        "probability. The expected calibration error is {error}. The largest gap: {expected} "
        "predicted, {observed} found.",
        fr="Part de bons prêts constatée selon la probabilité moyenne prédite, en {groups} groupes "
        "de probabilité croissante. L’erreur de calibration attendue est de {error}. Plus grand "
        "écart : {expected} prédits, {observed} constatés.",
    ),
    "roc": Text(
        en="Share of good loans granted against share of bad loans granted, for every threshold. "
        "The area under the curve is {auc}; chance gives {chance}. The threshold in use, "
        "{threshold}, grants {good} of the good loans and {bad} of the bad ones.",
        fr="Part des bons prêts accordés selon la part des mauvais prêts accordés, pour chaque "
        "seuil. L’aire sous la courbe est de {auc} ; le hasard donne {chance}. Le seuil appliqué, "
        "{threshold}, accorde {good} des bons prêts et {bad} des mauvais.",
    ),
    "precision_recall": Text(
        en="Share of refused loans that are bad (precision) against share of bad loans refused "
        "(recall), for every threshold. The average precision is {average}; refusing at random "
        "gives {base}. {refuses}",
        fr="Part de mauvais prêts parmi les refus (précision) selon la part des mauvais prêts "
        "refusés (rappel), pour chaque seuil. La précision moyenne est de {average} ; refuser au "
        "hasard donne {base}. {refuses}",
    ),
    "thresholds": Text(
        en="Grant rate, bad rate and cost per {thousand} applications, for every threshold. At the "
        "one in use, {threshold}: {granted} granted, {bad_rate} of them bad, a cost of {cost} good "
        "loans. The lowest cost shown is {least}, at {cheapest}.",
        fr="Taux d’octroi, taux de mauvais prêts et coût pour {thousand} demandes, pour chaque "
        "seuil. Au seuil appliqué, {threshold} : {granted} d’octrois, dont {bad_rate} de mauvais "
        "prêts, pour un coût de {cost} bons prêts. Le coût le plus bas affiché est de {least}, "
        "à {cheapest}.",
    ),
    "importance": Text(
        en="ROC-AUC lost when a field’s values are shuffled among unseen applications, with one "
        "standard deviation either way. Largest: “{first}”, {most}. Smallest: “{last}”, {lowest}.",
        fr="AUC perdue quand les valeurs d’un champ sont mélangées entre des demandes inédites, à "
        "un écart type près. La plus grande : « {first} », {most}. La plus petite : "
        "« {last} », {lowest}.",
    ),
}
REFUSES = Text(
    en="The threshold in use, {threshold}, refuses {recall} of the bad loans; {precision} of its "
    "refusals are bad loans.",
    fr="Le seuil appliqué, {threshold}, refuse {recall} des mauvais prêts ; {precision} de ses "
    "refus sont de mauvais prêts.",
)
REFUSES_NOBODY = Text(
    en="The threshold in use, {threshold}, refuses no loan.",
    fr="Le seuil appliqué, {threshold}, ne refuse aucun prêt.",
)


def picture_file(name: str, language: str, theme: str) -> str:
    """Return the path of a plot in a bundle.

    Parameters
    ----------
    name : str
        One of `TITLES`.
    language : str
        Its two-letter code.
    theme : str
        One of `THEMES`.

    Returns
    -------
    str
    """
    return f"plots/{name}.{language}.{theme}.svg"


def describe(evidence: Evidence, importance: Sequence[Importance], language: str) -> dict[str, str]:
    """Describe each plot in words, with its key figures.

    Parameters
    ----------
    evidence : Evidence
    importance : sequence of Importance
        At least one, in descending order of the mean.
    language : str
        Its two-letter code.

    Returns
    -------
    dict of str to str
        The descriptions by the names of `TITLES`.
    """
    number, share = partial(decimal, language=language), partial(percent, language=language)
    plain = partial(short, language=language)
    used, point, bins = evidence.used, evidence.operating_point, evidence.calibration.bins
    widest = max(bins, key=lambda b: abs(b.expected - b.observed))
    cheapest = min(evidence.thresholds, key=lambda row: row.cost)
    facts = {
        "groups": str(len(bins)),
        "error": number(evidence.calibration.expected_error),
        "expected": share(widest.expected),
        "observed": share(widest.observed),
        "auc": number(evidence.figures.roc_auc),
        "chance": number(0.5, places=1),
        "threshold": plain(used.threshold),
        "good": share(point.good_granted),
        "bad": share(point.bad_granted),
        "average": number(evidence.figures.pr_auc_refused),
        "base": share(evidence.base_rate),
        "recall": share(1 - point.bad_granted),
        "precision": "" if point.precision is None else share(point.precision),
        "thousand": format_integer(1000, language),
        "granted": share(used.grant_rate),
        "bad_rate": "–" if used.bad_rate is None else share(used.bad_rate),
        "cost": number(used.cost_per_1000, places=0),
        "least": number(cheapest.cost_per_1000, places=0),
        "cheapest": plain(cheapest.threshold),
        "first": importance[0].label.in_language(language),
        "most": number(importance[0].mean),
        "last": importance[-1].label.in_language(language),
        "lowest": number(importance[-1].mean),
    }
    refuses = REFUSES_NOBODY if point.precision is None else REFUSES
    facts["refuses"] = refuses.in_language(language).format(**facts)
    return {name: text.in_language(language).format(**facts) for name, text in DESCRIPTIONS.items()}
