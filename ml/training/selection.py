"""The rule that selects the champion among the candidates."""

from collections.abc import Collection, Iterable

import numpy as np

from ml.evaluation.reports import Bound, Figures
from ml.explaining.reasons import MAX_PLAYERS
from ml.product.definition import Product
from ml.product.formats import decimal
from ml.product.texts import LANGUAGES, Text
from ml.training.candidates import LABELS, SVC_KERNELS, UNBOUND

EXPLAINED = frozenset({*SVC_KERNELS, "logistic"})  # their Shapley values have a closed form
# A direction is knowledge of the bank that is independent of the data. It is dropped only if chance
# hardly explains its cost. Chance alone exceeds one standard error in one case of six.
DIRECTION_ERRORS = 2
RULE = Text(
    en=(
        "Candidates are compared by their expected cost per application: a bad loan granted costs "
        "the cost ratio, a good one refused costs 1. Where two costs differ by no more than one "
        "standard error, the log loss of the probabilities is compared instead. The standard "
        "error is that of the paired difference over the n outer folds: its standard deviation "
        "times the root of 1/n + 1/(k − 1) in k-fold cross-validation, because folds share their "
        "training rows (Nadeau and Bengio 2003). The better of the two SVCs decides, unless "
        "another eligible candidate is better by more than one standard error. A candidate is "
        "eligible if its single decisions can be explained exactly: the SVCs and logistic "
        f"regression always, any other if a decision is shared among at most {MAX_PLAYERS} "
        "fields, those that a ratio joins counted as one. A linear candidate keeps to the "
        "directions that the product states, unless its expected cost is lower without them by "
        f"more than {DIRECTION_ERRORS} standard errors."
    ),
    fr=(
        "Les candidats sont comparés par leur coût attendu par demande : un mauvais prêt accordé "
        "coûte le rapport des coûts, un bon prêt refusé coûte 1. Si deux coûts ne diffèrent pas de "
        "plus d’une erreur type, c’est la perte logarithmique des probabilités qui est comparée. "
        "L’erreur type est celle de la différence appariée sur les n plis extérieurs : son écart "
        "type multiplié par la racine de 1/n + 1/(k − 1) en validation croisée à k plis, car les "
        "plis partagent leurs lignes d’apprentissage (Nadeau et Bengio 2003). Le meilleur des "
        "deux SVC décide, à moins qu’un autre candidat admis ne soit meilleur de plus d’une "
        "erreur type. Un candidat est admis si chacune de ses décisions s’explique exactement : "
        "les SVC et la régression logistique toujours, un autre si une décision se partage entre "
        f"au plus {MAX_PLAYERS} champs, ceux qu’un ratio réunit comptant pour un seul. Un "
        "candidat linéaire respecte les sens de variation que le produit fixe, à moins que son "
        f"coût attendu ne soit inférieur sans eux de plus de {DIRECTION_ERRORS} erreurs types."
    ),
)
COMPARED = {  # in this order
    "expected_cost": Text(
        en="its expected cost is lower by", fr="son coût attendu est plus bas de"
    ),
    "log_loss": Text(en="its log loss is lower by", fr="sa perte logarithmique est plus basse de"),
}


def explainable(product: Product, names: Iterable[str]) -> set[str]:
    """Return the candidates whose single decisions can be explained exactly.

    Parameters
    ----------
    product : Product
    names : iterable of str
        The names of all candidates.

    Returns
    -------
    set of str
    """
    few = len(product.players) <= MAX_PLAYERS
    return {name for name in names if few or name in EXPLAINED}


class PairedFolds:
    """Compares candidates in pairs, over the same outer folds.

    Parameters
    ----------
    folds : dict of str to list of Figures
        The figures of each candidate in every outer fold, in the same order of folds.
    k : int
        The number of folds of one cross-validation.
    """

    def __init__(self, folds: dict[str, list[Figures]], *, k: int) -> None:
        self._k = k
        self._values = {
            name: {metric: np.array([getattr(f, metric) for f in figures]) for metric in COMPARED}
            for name, figures in folds.items()
        }

    def gain(self, better: str, worse: str, metric: str) -> tuple[float, float]:
        """Return the mean difference of a metric between two candidates, and its standard error.

        Parameters
        ----------
        better, worse : str
            The names of the candidates.
        metric : {"expected_cost", "log_loss"}

        Returns
        -------
        gain : float
            The mean of `worse` minus the mean of `better`.
        error : float
            The standard error of the gain, corrected for training rows that folds share (Nadeau and
            Bengio 2003, "Inference for the generalization error").
        """
        difference = self._values[worse][metric] - self._values[better][metric]
        n = len(difference)
        error = np.sqrt((1 / n + 1 / (self._k - 1)) * difference.var(ddof=1))
        return float(difference.mean()), float(error)

    def beats(self, one: str, other: str) -> str | None:
        """Return the first metric that differs by more than its error, if `one` is better by it."""
        for metric in COMPARED:
            gain, error = self.gain(one, other, metric)
            if abs(gain) > error:
                return metric if gain > 0 else None
        return None

    def best(self, names: Iterable[str]) -> str:
        """Return the candidate with the lowest cost, or with the lowest log loss at equal cost."""
        return min(names, key=lambda n: [self._values[n][m].mean().round(12) for m in COMPARED])


def choose(
    folds: dict[str, list[Figures]], *, may_decide: Collection[str], k: int
) -> tuple[str, Text]:
    """Select the champion by `RULE`.

    Parameters
    ----------
    folds : dict of str to list of Figures
        The figures of each candidate in every outer fold, in the same order of folds. The names are
        those of `LABELS`.
    may_decide : collection of str
        The candidates that can be explained exactly, both SVCs among them.
    k : int
        The number of folds of one cross-validation.

    Returns
    -------
    champion : str
    reason : Text
        The numbers that determined the selection. If a candidate has a lower cost but is not
        eligible, the reason names it.
    """
    compared = PairedFolds(folds, k=k)
    svc = compared.best(SVC_KERNELS)
    [second] = set(SVC_KERNELS) - {svc}
    if compared.beats(second, svc):
        svc = second
    eligible = [name for name in folds if name in may_decide and name != svc]
    better = {name: metric for name in eligible if (metric := compared.beats(name, svc))}
    champion = compared.best(better or [svc])
    reason = (
        _displaced(compared, champion, svc, better[champion])
        if better
        else _kept(compared, svc, eligible)
    )
    first = compared.best(folds)
    if first not in may_decide and compared.gain(first, champion, "expected_cost")[0] > 0:
        barred = _barred(first, _numbers(*compared.gain(first, champion, "expected_cost")))
        reason = Text(en=f"{reason.en} {barred.en}", fr=f"{reason.fr} {barred.fr}")
    return champion, reason


def keep_directions(
    folds: dict[str, list[Figures]], *, k: int
) -> tuple[dict[str, list[Figures]], tuple[Bound, ...]]:
    """Select, for each candidate with directions, the form with or without them.

    Parameters
    ----------
    folds : dict of str to list of Figures
        The figures of each candidate in every outer fold. The name of a form without directions
        ends with `UNBOUND`.
    k : int
        The number of folds of one cross-validation.

    Returns
    -------
    folds : dict of str to list of Figures
        The figures of the selected form of each candidate, under the name without `UNBOUND`.
    bound : tuple of Bound
        What the directions cost each candidate that has both forms.
    """
    compared = PairedFolds(folds, k=k)
    kept, bound = {name: f for name, f in folds.items() if not name.endswith(UNBOUND)}, []
    for name in kept:
        if name + UNBOUND in folds:
            gain, error = compared.gain(name + UNBOUND, name, "expected_cost")
            keeps = gain <= DIRECTION_ERRORS * error
            bound.append(Bound(candidate=name, kept=keeps, gain=gain, error=error))
            if not keeps:
                kept[name] = folds[name + UNBOUND]
    return kept, tuple(bound)


def chosen_blind(
    folds: dict[str, list[Figures]], *, may_decide: Collection[str], k: int
) -> Figures:
    """Estimate the performance of `RULE`: select on all folds but one, and measure on that one.

    The figures of the champion come from the same folds that selected it, so they are too good on
    average (Varma and Simon 2006, "Bias in error estimation when using cross-validation for model
    selection"). The bias of this estimate is smaller but not 0, because the models of the other
    folds were trained on rows of the fold that is measured.

    Parameters
    ----------
    folds : dict of str to list of Figures
        As for `keep_directions`, with all repeats in order.
    may_decide : collection of str
        As for `choose`.
    k : int
        The number of folds of one cross-validation.

    Returns
    -------
    Figures
        The mean over all outer folds. The selection for a fold uses the other folds of its repeat.
    """
    judged = []
    for place in range(len(next(iter(folds.values())))):
        repeat = range(place - place % k, place - place % k + k)
        others = {n: [f[i] for i in repeat if i != place] for n, f in folds.items()}
        kept, bound = keep_directions(others, k=k)
        champion, _ = choose(kept, may_decide=may_decide, k=k)
        free = {b.candidate for b in bound if not b.kept}
        judged.append(folds[champion + UNBOUND if champion in free else champion][place])
    means = {m: float(np.mean([getattr(f, m) for f in judged])) for m in Figures.model_fields}
    return Figures(**means)


def _numbers(gain: float, error: float) -> Text:
    differs, errs = _number(gain), _number(error)
    return Text(
        en=f"{differs.en} (standard error {errs.en})", fr=f"{differs.fr} (erreur type {errs.fr})"
    )


def _number(number: float) -> Text:
    return Text(**{code: decimal(number, code, places=4) for code in LANGUAGES})


def _displaced(compared: PairedFolds, champion: str, svc: str, metric: str) -> Text:
    numbers, lower = _numbers(*compared.gain(champion, svc, metric)), COMPARED[metric]
    one, other = LABELS[champion], LABELS[svc]
    same = Text(en="", fr="")
    if metric != "expected_cost":
        same = Text(
            en="their costs do not differ by more than the error, and ",
            fr="leurs coûts ne diffèrent pas de plus de l’erreur, et ",
        )
    return Text(
        en=f"The {one.en} decides: against the {other.en}, {same.en}{lower.en} {numbers.en}.",
        fr=f"Modèle retenu : {one.fr}. Face à « {other.fr} », {same.fr}{lower.fr} {numbers.fr}.",
    )


def _kept(compared: PairedFolds, svc: str, eligible: list[str]) -> Text:
    cheapest = compared.best([svc, *eligible])
    gain, error = compared.gain(cheapest, svc, "expected_cost")
    one, other = LABELS[svc], LABELS[cheapest]
    if not round(gain, 4):
        return Text(
            en=f"The {one.en} decides: no eligible candidate has a lower expected cost.",
            fr=f"Modèle retenu : {one.fr}. Aucun candidat admis n’a un coût attendu inférieur.",
        )
    numbers = _numbers(gain, error)
    return Text(
        en=(
            f"The {one.en} decides: the expected cost of the {other.en} is lower by only "
            f"{numbers.en}."
        ),
        fr=(
            f"Modèle retenu : {one.fr}. Le coût attendu de « {other.fr} » n’est inférieur que de "
            f"{numbers.fr}."
        ),
    )


def _barred(name: str, lower: Text) -> Text:
    return Text(
        en=f"The cost of the {LABELS[name].en} is lower by {lower.en}, but it is not eligible.",
        fr=(
            f"Le coût de « {LABELS[name].fr} » est inférieur de {lower.fr}, mais ce candidat "
            "n’est pas admis."
        ),
    )
