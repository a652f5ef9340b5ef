"""The model card: all that is known of a model, on one page."""

from typing import Any

from ml.bundle.reader import Bundle
from ml.product.definition import Product
from ml.product.texts import Text

FIGURES = {  # by the names of `ml.evaluation.performance.METRICS`
    "accuracy": Text(en="Accuracy", fr="Exactitude"),
    "balanced_accuracy": Text(en="Balanced accuracy", fr="Exactitude équilibrée"),
    "roc_auc": Text(en="ROC-AUC", fr="AUC de la courbe ROC"),
    "pr_auc_refused": Text(en="PR-AUC of refusals", fr="AUC précision–rappel des refus"),
    "brier": Text(en="Brier score", fr="Score de Brier"),
}
IN_FRENCH = {  # the candidates' labels; in English the manifest has them
    "svc_rbf": "SVC (rbf)",
    "svc_linear": "SVC (linéaire)",
    "logistic": "régression logistique",
    "neighbours": "k plus proches voisins",
    "forest": "forêt aléatoire",
    "boosting": "gradient boosting par histogrammes",
}
POOLED = Text(
    en="All rows are judged together, each by a model that was fitted without it. The models of "
    "the folds do not share one scale, so a figure may differ from the mean over the folds; most "
    "of all ROC-AUC, which may come out too low (Forman and Scholz 2010).",
    fr="Toutes les lignes sont jugées ensemble, chacune par un modèle ajusté sans elle. Les "
    "modèles des plis n’ont pas une échelle commune : un chiffre peut s’écarter de la moyenne des "
    "plis, surtout l’AUC de la courbe ROC, parfois trop basse (Forman et Scholz 2010).",
)


def limits(product: Product) -> dict[str, Any]:
    """Return how a product's target is to be read, and what no model of its data can say.

    Parameters
    ----------
    product : Product

    Returns
    -------
    dict of str to object
        ``target_meaning``: a dict of language to str, or None. ``limits``: a list of such dicts.
    """
    meaning = product.target_meaning
    return {
        "target_meaning": meaning.model_dump() if meaning else None,
        "limits": [limit.model_dump() for limit in product.limits],
    }


def model_card(bundle: Bundle) -> dict[str, Any]:
    """Return a model's card.

    Parameters
    ----------
    bundle : Bundle

    Returns
    -------
    dict of str to object
        Ready for JSON; words are dicts of language to str.
    """
    manifest, product, found = bundle.manifest, bundle.product, bundle.card
    said = ("version", "trained_at", "versions", "data", "seed", "effort", "champion", "rule")
    return {
        **{key: manifest[key] for key in said},
        "product": {"name": product.name, "label": product.label.model_dump()},
        "reason": manifest["reason"],
        "settings": manifest["settings"][manifest["champion"]],
        "candidates": [_candidate(row) for row in manifest["table"]],
        "threshold": bundle.threshold,
        "cost_ratio": manifest["cost_ratio"],
        "threshold_from": manifest["threshold_from"],
        "evidence": found["evidence"],
        "evidence_is": POOLED.model_dump(),
        "importance": found["importance"],
        "fairness": found["fairness"],
        **limits(product),
    }


def _candidate(row: dict[str, Any]) -> dict[str, Any]:
    label = Text(en=row["label"], fr=IN_FRENCH.get(row["name"], row["label"]))
    return {**row, "label": label.model_dump()}
