"""The verdict of the watch: what people should do, from stated rules, each with its evidence."""

from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from typing import Literal, NamedTuple, get_args

from ml.product import formats
from ml.product.texts import LANGUAGES, Text

Step = Literal["nothing", "look", "recalibrate", "retrain", "repair"]
STEPS: tuple[Step, ...] = get_args(Step)  # from the least to the most
Kind = Literal[
    "audit_log",
    "miscounted",
    "ranks_worse",
    "miscalibrated",
    "expected_worse",
    "score_changed",
    "score_moved",
    "fields_moved",
    "unusual",
    "unequal",
    "challenger_better",
]
Formatted = Callable[[str], str]  # returns a value as text in a language


class Rule(NamedTuple):
    """What follows from a finding, and how it is told."""

    step: Step
    text: Text


class Finding(NamedTuple):
    """Something that people should know, with its evidence."""

    kind: Kind
    step: Step
    text: Text


RULES: dict[Kind, Rule] = {
    "audit_log": Rule(
        "repair",
        Text(
            en="The audit log is not as it was written: {where}.",
            fr="Le journal d’audit n’est pas tel qu’il a été écrit : {where}.",
        ),
    ),
    "miscounted": Rule(
        "repair",
        Text(
            en="The database holds other decisions than it has counted.",
            fr="La base contient d’autres décisions que celles qu’elle a comptées.",
        ),
    ),
    "ranks_worse": Rule(
        "retrain",
        Text(
            en="The model ranks loans worse than in training: of the loans granted in the quarter "
            "from {day}, a good one has a higher probability than a bad one in {now} of cases; "
            "of the training data, in {before}.",
            fr="Le modèle classe les prêts moins bien qu’à l’apprentissage : parmi les prêts "
            "accordés dans le trimestre commençant le {day}, un bon prêt a une probabilité plus "
            "élevée qu’un mauvais dans {now} des cas ; dans les données d’apprentissage, dans "
            "{before}.",
        ),
    ),
    "miscalibrated": Rule(
        "recalibrate",
        Text(
            en="Loans are not good as often as their probabilities say.",
            fr="Les prêts ne sont pas bons aussi souvent que l’annoncent leurs probabilités.",
        ),
    ),
    "expected_worse": Rule(
        "look",
        Text(
            en="Of the loans granted in {month}, {low} to {high} are expected to go bad; in the "
            "training data, {before} did.",
            fr="Parmi les prêts accordés en {month}, on s’attend à {low} à {high} de mauvais "
            "prêts ; dans les données d’apprentissage, il y en avait {before}.",
        ),
    ),
    "score_changed": Rule(
        "look",
        Text(
            en="The scores no longer come from the distribution of the training data "
            "(since {day}).",
            fr="Les scores ne suivent plus la distribution des données d’apprentissage "
            "(depuis le {day}).",
        ),
    ),
    "score_moved": Rule(
        "look",
        Text(
            en="The scores of the last week differ much from those of the training data.",
            fr="Les scores de la dernière semaine diffèrent beaucoup de ceux des données "
            "d’apprentissage.",
        ),
    ),
    "fields_moved": Rule(
        "look",
        Text(
            en="In the last week, the values of these fields differ much from those of the "
            "training data: {fields}.",
            fr="La dernière semaine, les valeurs de ces champs diffèrent beaucoup de celles des "
            "données d’apprentissage : {fields}.",
        ),
    ),
    "unusual": Rule(
        "look",
        Text(
            en="Many applications are unlike the training data: {share}.",
            fr="Beaucoup de demandes ne ressemblent pas aux données d’apprentissage : {share}.",
        ),
    ),
    "unequal": Rule(
        "look",
        Text(
            en="By a protected field, the grant rates differ by more than the limit "
            "({field}: {groups}).",
            fr="Selon un attribut protégé, les taux d’octroi diffèrent de plus que la limite "
            "({field} : {groups}).",
        ),
    ),
    "challenger_better": Rule(
        "look",
        Text(
            en="The challenger {challenger} has better probabilities than the model in service, on "
            "loans that were granted: consider making it the champion.",
            fr="Le challenger {challenger} a de meilleures probabilités que le modèle en service, "
            "sur les prêts accordés : envisagez d’en faire le champion.",
        ),
    ),
}
VERDICTS: dict[Step, Text] = {
    "nothing": Text(en="Nothing to do", fr="Rien à faire"),
    "look": Text(en="Look at the data", fr="Examiner les données"),
    "recalibrate": Text(en="Recalibrate the model", fr="Recalibrer le modèle"),
    "retrain": Text(en="Train the model again", fr="Réentraîner le modèle"),
    "repair": Text(en="Look at the database", fr="Examiner la base de données"),
}
NEXT: dict[Step, Text] = {
    "nothing": Text(
        en="No change from the training data is large.",
        fr="Aucun écart avec les données d’apprentissage n’est important.",
    ),
    "look": Text(
        en="Find out first whether the data has changed: a form, an interface, a unit. If the "
        "applicants have changed, train the model on newer applications.",
        fr="Vérifiez d’abord si les données ont changé : un formulaire, une interface, une unité. "
        "Si les demandeurs ont changé, réentraînez le modèle sur des demandes plus récentes.",
    ),
    "recalibrate": Text(
        en="Check that all outcomes have been imported. Then export them and run "
        "python -m ml recalibrate: it keeps the model and corrects its probabilities.",
        fr="Vérifiez que toutes les issues ont été importées. Exportez-les ensuite et lancez "
        "python -m ml recalibrate : le modèle reste, ses probabilités sont corrigées.",
    ),
    "retrain": Text(
        en="Check that all outcomes have been imported. Then train a model on newer applications: "
        "correcting the probabilities is not enough.",
        fr="Vérifiez que toutes les issues ont été importées. Entraînez ensuite un modèle sur des "
        "demandes plus récentes : corriger les probabilités ne suffit pas.",
    ),
    "repair": Text(
        en="Somebody or a fault has changed it. Keep a copy of it as it is, and run "
        "flask audit verify --contents.",
        fr="Quelqu’un ou une panne l’a modifiée. Gardez-en une copie telle quelle et lancez "
        "flask audit verify --contents.",
    ),
}


def finding(kind: Kind, **evidence: Formatted) -> Finding:
    """Return a finding with its evidence in its text."""
    rule = RULES[kind]
    texts = {
        language: rule.text.in_language(language).format(
            **{name: formatted(language) for name, formatted in evidence.items()}
        )
        for language in LANGUAGES
    }
    return Finding(kind, rule.step, Text(**texts))


def listed(texts: Sequence[Text]) -> Formatted:
    """Return texts as a list in a sentence."""
    return lambda language: formats.listed([t.in_language(language) for t in texts], language)


def same(text: str) -> Formatted:
    """Return a name, which is the same in every language."""
    return lambda _: text


def day_text(day: date) -> Formatted:
    return partial(formats.day, day)


def month_text(month: date) -> Formatted:
    return partial(formats.month, month)


def percent(share: float) -> Formatted:
    return partial(formats.percent, share)


def worst_first(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda f: -STEPS.index(f.step))


def verdict_of(findings: Sequence[Finding]) -> Step:
    """Return what people should do: the most that one of the findings asks for."""
    return max((f.step for f in findings), key=STEPS.index, default="nothing")
