"""The rule by which one of the candidates comes to decide."""

import math
from collections.abc import Collection, Iterable

import numpy as np

from ml.evaluation.reports import Figures
from ml.explaining.reasons import MOST_PLAYERS
from ml.product.definition import Product
from ml.product.texts import Text
from ml.training.candidates import SVC_KERNELS

EXPLAINED = frozenset({*SVC_KERNELS, "logistic"})  # exact Shapley values in closed form
RULE = Text(
    en=(
        "Only a candidate whose single decisions can be explained exactly may decide: the SVCs and "
        "logistic regression always, any other if a decision is shared among at most "
        f"{MOST_PLAYERS} fields, those that a ratio joins counted as one. Of these the SVC with "
        "the higher mean accuracy decides, unless another's mean accuracy is better than its by "
        "more than one standard error: its standard deviation over the n folds times the root of "
        "1/n + 1/(k - 1) in k-fold cross-validation, since folds share their training rows "
        "(Nadeau and Bengio 2003). Then the most accurate one does."
    ),
    fr=(
        "Seul peut décider un candidat dont chaque décision s’explique exactement : les SVC et la "
        "régression logistique toujours, un autre si une décision se partage entre au plus "
        f"{MOST_PLAYERS} champs, ceux qu’un ratio réunit comptant pour un seul. Parmi eux décide "
        "le SVC dont l’exactitude moyenne est la plus élevée, à moins que celle d’un autre ne "
        "dépasse la sienne de plus d’une erreur type : son écart type sur les n plis, multiplié "
        "par la racine de 1/n + 1/(k − 1) en validation croisée à k plis, car les plis partagent "
        "leurs lignes d’apprentissage (Nadeau et Bengio 2003). Alors décide le plus exact."
    ),
)


def explainable(product: Product, names: Iterable[str]) -> set[str]:
    """Return the candidates whose single decisions can be explained exactly.

    Parameters
    ----------
    product : Product
    names : iterable of str
        Of the candidates.

    Returns
    -------
    set of str
    """
    few = len(product.players) <= MOST_PLAYERS
    return {name for name in names if few or name in EXPLAINED}


def choose(
    folds: dict[str, list[Figures]], *, may_decide: Collection[str], k: int
) -> tuple[str, Text]:
    """Apply `RULE`.

    Parameters
    ----------
    folds : dict of str to list of Figures
        For each candidate its figures in every outer fold, in the same order of folds.
    may_decide : collection of str
        The candidates that can be explained exactly, both SVCs among them.
    k : int
        Into how many folds each cross-validation parts the rows.

    Returns
    -------
    champion : str
    reason : Text
        The numbers that decided, and which candidate would be more accurate but may not decide.
    """

    def mean(name: str) -> float:
        return float(np.mean([f.accuracy for f in folds[name]]))

    svc = max(SVC_KERNELS, key=mean)
    best = max((name for name in folds if name in may_decide), key=mean)
    accuracies = np.array([f.accuracy for f in folds[svc]])
    error = math.sqrt((1 / len(accuracies) + 1 / (k - 1)) * accuracies.var(ddof=1))
    gain = mean(best) - mean(svc)
    champion = best if gain > error else svc
    reason = _reason(champion, svc, gain, error)
    first = max(folds, key=mean)
    if mean(first) > mean(best):
        barred = _barred(first, mean(first) - mean(champion))
        reason = Text(en=f"{reason.en} {barred.en}", fr=f"{reason.fr} {barred.fr}")
    return champion, reason


def _reason(champion: str, svc: str, gain: float, error: float) -> Text:
    numbers = Text(
        en=f"{gain:.4f}, standard error {error:.4f}",
        fr=f"{gain:.4f}, erreur type {error:.4f}".replace(".", ","),
    )
    if champion != svc:
        return Text(
            en=f"{champion} decides: more accurate than {svc} by {numbers.en}.",
            fr=f"{champion} décide : plus exact que {svc} de {numbers.fr}.",
        )
    if not gain:
        return Text(
            en=f"{svc} decides: no candidate that may is more accurate.",
            fr=f"{svc} décide : aucun candidat admis n’est plus exact.",
        )
    return Text(
        en=f"{svc} decides: the most accurate candidate that may is better by {numbers.en}.",
        fr=f"{svc} décide : le plus exact des candidats admis le dépasse de {numbers.fr}.",
    )


def _barred(name: str, gain: float) -> Text:
    better = f"{gain:.4f}"
    return Text(
        en=(
            f"{name} is more accurate by {better} but may not: its single decisions cannot be "
            "explained exactly."
        ),
        fr=(
            f"{name} est plus exact de {better.replace('.', ',')} mais n’est pas admis : ses "
            "décisions ne s’expliquent pas exactement."
        ),
    )
