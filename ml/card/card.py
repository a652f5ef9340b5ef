"""Builds the model card: the facts about a model, its performance and its checks."""

from ml.bundle.facts import (
    CandidateRow,
    Effort,
    Fact,
    Moment,
    Omission,
    Recalibration,
    RulesChange,
    ScorerKind,
    Settings,
    TrainingData,
)
from ml.bundle.manifest import CARD, understood
from ml.bundle.reader import Bundle
from ml.evaluation.fairness_reports import FairnessReport
from ml.evaluation.reports import (
    Bound,
    Curve,
    Evidence,
    Figures,
    Importance,
    NoveltyWorth,
    Stability,
)
from ml.product.definition import Product
from ml.product.formats import day, decimal, format_integer
from ml.product.texts import LANGUAGES, Text

RECALIBRATED = Text(
    en="The probabilities were corrected by the outcomes of {rows} granted loans ({file}): "
    "log-odds times {slope}, plus {shift}. The figures on this card are of the training data, "
    "which these probabilities no longer fit.",
    fr="Les probabilités ont été corrigées par les issues de {rows} prêts accordés ({file}) : "
    "log-cotes fois {slope}, plus {shift}. Les mesures de cette fiche portent sur les données "
    "d’apprentissage, auxquelles ces probabilités ne correspondent plus.",
)
CHANGED = Text(
    en="The policy rules, the referral or texts of the product were changed on {day}, without "
    "training again. The version before was {before}.",
    fr="Les règles d’octroi, la transmission ou des textes du produit ont été modifiés le {day}, "
    "sans nouvel apprentissage. La version précédente était {before}.",
)
FIGURES = {  # by the names of `ml.bundle.facts.Metrics`
    "expected_cost": Text(en="Expected cost", fr="Coût attendu"),
    "log_loss": Text(en="Log loss", fr="Perte logarithmique"),
    "accuracy": Text(en="Accuracy", fr="Exactitude"),
    "balanced_accuracy": Text(en="Balanced accuracy", fr="Exactitude équilibrée"),
    "roc_auc": Text(en="ROC-AUC", fr="AUC de la courbe ROC"),
    "pr_auc_refused": Text(en="PR-AUC of refusals", fr="AUC précision–rappel des refus"),
    "brier": Text(en="Brier score", fr="Score de Brier"),
}
POOLED = Text(
    en="The figures are computed from all rows together. The probability of each row comes from a "
    "model that was fitted without it. The models of different folds have slightly different "
    "scales, so a figure may differ from the mean over the folds. ROC-AUC differs most and may "
    "be too low (Forman and Scholz 2010).",
    fr="Les mesures portent sur toutes les lignes ensemble. La probabilité de chaque ligne "
    "provient d’un modèle ajusté sans elle. Les modèles des différents plis n’ont pas exactement "
    "la même échelle : une mesure peut donc s’écarter de la moyenne des plis. L’AUC de la courbe "
    "ROC s’en écarte le plus et peut être trop basse (Forman et Scholz 2010).",
)


class CardContent(Fact):
    """The content of ``card.json``: the part of a model card that only training can compute.

    Attributes
    ----------
    chosen_blind : Figures
        The result of `ml.training.selection.chosen_blind`.
    bound : tuple of Bound
        What the directions of the product cost each candidate that can keep to them.
    curves : tuple of Curve
        One for each field with a direction.
    stability : Stability or None
        None if it was not measured.
    """

    evidence: Evidence
    chosen_blind: Figures
    importance: tuple[Importance, ...]
    fairness: FairnessReport
    bound: tuple[Bound, ...]
    curves: tuple[Curve, ...]
    stability: Stability | None
    novelty: NoveltyWorth


def recalibrated(by: Recalibration | None) -> tuple[Text, ...]:
    """Say how outcomes have corrected the probabilities.

    Parameters
    ----------
    by : Recalibration or None

    Returns
    -------
    tuple of Text
        Empty if they have not.
    """
    if by is None:
        return ()
    said = {
        language: RECALIBRATED.in_language(language).format(
            rows=format_integer(by.rows, language),
            file=by.file,
            slope=decimal(by.slope, language),
            shift=decimal(by.shift, language),
        )
        for language in LANGUAGES
    }
    return (Text(**said),)


def rules_changed(change: RulesChange | None) -> tuple[Text, ...]:
    """Say when rules and texts were changed without training again.

    Parameters
    ----------
    change : RulesChange or None

    Returns
    -------
    tuple of Text
        Empty if they were not.
    """
    if change is None:
        return ()
    said = {
        language: CHANGED.in_language(language).format(
            day=day(change.changed_at, language), before=change.before
        )
        for language in LANGUAGES
    }
    return (Text(**said),)


class CardProduct(Fact):
    """The product of a model."""

    name: str
    label: Text


class CardRule(Fact):
    """A policy rule: what is true while it is kept, and what follows if it is broken."""

    name: str
    label: Text
    then: str


class CardRules(Fact):
    """What decides beside the model, with its version; the numbers are those of `Referral`."""

    version: str
    rules: tuple[CardRule, ...]
    band: float
    unusual: bool
    tries: int
    tries_days: int


class ModelCard(CardContent):
    """The model card.

    Attributes
    ----------
    policy : CardRules
        The policy rules of the product, and when a person decides.
    settings : dict of str to object
        The settings of the champion.
    evidence_is : Text
        How the figures in `evidence` were computed.
    target_meaning : Text or None
        What good and bad mean in the data.
    limits : tuple of Text
        What the data, and so any model of them, cannot show.
    """

    version: str
    trained_at: Moment
    versions: dict[str, str]
    data: TrainingData
    seed: int
    effort: Effort
    champion: str
    scorer: ScorerKind
    rule: Text
    product: CardProduct
    reason: Text
    settings: Settings
    candidates: tuple[CandidateRow, ...]
    threshold: float
    cost_ratio: float
    threshold_from: str
    evidence_is: Text
    omissions: tuple[Omission, ...]
    target_meaning: Text | None
    limits: tuple[Text, ...]
    policy: CardRules


def card_content(bundle: Bundle) -> CardContent:
    """Read the part of a model card that training computed.

    Parameters
    ----------
    bundle : Bundle

    Returns
    -------
    CardContent

    Raises
    ------
    BundleMissing, BundleTampered
        The file no longer exists, has changed, or has invalid content.
    """
    with understood(bundle.directory / CARD):
        return CardContent.model_validate_json(bundle.file(CARD))


def model_card(bundle: Bundle) -> ModelCard:
    """Build the model card.

    Parameters
    ----------
    bundle : Bundle

    Returns
    -------
    ModelCard

    Raises
    ------
    BundleMissing, BundleTampered
        As for `card_content`.
    """
    manifest, product, content = bundle.manifest, bundle.product, card_content(bundle)
    return ModelCard(
        **dict(content),
        version=manifest.version,
        trained_at=manifest.trained_at,
        versions=manifest.versions,
        data=manifest.data,
        seed=manifest.seed,
        effort=manifest.effort,
        champion=manifest.champion,
        scorer=manifest.scorer,
        rule=manifest.rule,
        product=CardProduct(name=product.name, label=product.label),
        reason=manifest.reason,
        settings=manifest.settings[manifest.champion],
        candidates=manifest.table,
        threshold=manifest.threshold,
        cost_ratio=manifest.cost_ratio,
        threshold_from=manifest.threshold_from,
        evidence_is=POOLED,
        omissions=manifest.omissions,
        target_meaning=product.target_meaning,
        limits=(
            *product.limits,
            *recalibrated(manifest.recalibration),
            *rules_changed(manifest.rules_change),
        ),
        policy=_rules_of(product),
    )


def _rules_of(product: Product) -> CardRules:
    rules = tuple(CardRule(name=r.name, label=r.label, then=r.then) for r in product.policy_rules)
    return CardRules(version=product.policy_version, rules=rules, **product.referral.model_dump())
