"""The model card: all that is known of a model, on one page."""

from ml.bundle.facts import (
    CandidateRow,
    Effort,
    Fact,
    Moment,
    Omission,
    ScorerKind,
    Settings,
    TrainingData,
)
from ml.bundle.manifest import CARD, understood
from ml.bundle.reader import Bundle
from ml.evaluation.reports import (
    Bound,
    Curve,
    Evidence,
    FairnessReport,
    Figures,
    Importance,
    NoveltyWorth,
    Stability,
)
from ml.product.texts import Text

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
    en="All rows are judged together, each by a model that was fitted without it. The models of "
    "the folds do not share one scale, so a figure may differ from the mean over the folds; most "
    "of all ROC-AUC, which may come out too low (Forman and Scholz 2010).",
    fr="Toutes les lignes sont jugées ensemble, chacune par un modèle ajusté sans elle. Les "
    "modèles des plis n’ont pas une échelle commune : un chiffre peut s’écarter de la moyenne des "
    "plis, surtout l’AUC de la courbe ROC, parfois trop basse (Forman et Scholz 2010).",
)


class CardContent(Fact):
    """What ``card.json`` holds: the part of a card that only training can find.

    Attributes
    ----------
    chosen_blind : Figures
        The mean over the outer folds, each judged by what the rule chooses in the others.
    bound : tuple of Bound
        For each candidate that the product's directions concern, what keeping to them costs.
    stability : Stability or None
        None where it was not measured.
    """

    evidence: Evidence
    chosen_blind: Figures
    importance: tuple[Importance, ...]
    fairness: FairnessReport
    bound: tuple[Bound, ...]
    curves: tuple[Curve, ...]
    stability: Stability | None
    novelty: NoveltyWorth


class CardProduct(Fact):
    """The product that a model is of."""

    name: str
    label: Text


class ModelCard(CardContent):
    """All that is known of a model.

    Attributes
    ----------
    settings : dict of str to object
        The champion's.
    evidence_is : Text
        How the evidence is to be read.
    target_meaning : Text or None
        How good and bad are to be read.
    limits : tuple of Text
        What no model of the data can say.
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


def card_content(bundle: Bundle) -> CardContent:
    """Read what training found out about a model.

    Parameters
    ----------
    bundle : Bundle

    Returns
    -------
    CardContent

    Raises
    ------
    BundleMissing, BundleTampered
        The file is not there any more, or does not hold what it must.
    """
    with understood(bundle.directory / CARD):
        return CardContent.model_validate_json(bundle.file(CARD))


def model_card(bundle: Bundle) -> ModelCard:
    """Build a model's card.

    Parameters
    ----------
    bundle : Bundle

    Returns
    -------
    ModelCard

    Raises
    ------
    BundleMissing, BundleTampered
        As `card_content`.
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
        limits=product.limits,
    )
