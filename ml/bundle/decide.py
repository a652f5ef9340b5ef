"""Decides applications with a bundle, and explains refusals."""

from collections.abc import Sequence
from typing import NamedTuple, cast

from ml.bundle.reader import Bundle
from ml.explaining.reasons import Reason
from ml.product.application import Application
from ml.scoring.columns import Normalised
from ml.scoring.scorer import Score


class Verdict(NamedTuple):
    """The decision of a bundle on an application.

    Attributes
    ----------
    product : str
        The product's name.
    model : str
        The version of the bundle.
    threshold : float
        The lowest probability of being good at which the loan is granted.
    probability : float
        The probability of being good.
    granted : bool
    amount : int
        The amount of the loan, in the product's currency.
    normalised : dict of str to float or list of int
        The normalised value of each field, as in `ml.scoring.scorer.Score`.
    novelty : float
        The result of `ml.scoring.novelty.Novelty.measure`. Above 1, the application is marked as
        unusual.
    reasons : list of Reason or None
        The reasons of a refusal, if it is explained; None for a grant, which is explained only on
        request.
    """

    product: str
    model: str
    threshold: float
    probability: float
    granted: bool
    amount: int
    normalised: Normalised
    novelty: float
    reasons: list[Reason] | None


def decide(bundle: Bundle, application: Application, *, explained: bool = True) -> Verdict:
    """Decide an application.

    Parameters
    ----------
    bundle : Bundle
    application : Application
    explained : bool
        Whether a refusal has reasons, which take seconds for some models.

    Returns
    -------
    Verdict
    """
    if explained:
        return decide_together(bundle, [application])[0]
    score = bundle.scorer.score(application)
    return _verdict(bundle, application, score, bundle.novelty.measure(score.row), None)


def decide_together(bundle: Bundle, applications: Sequence[Application]) -> list[Verdict]:
    """Decide a few applications that have come at the same moment.

    Their novelty is measured in one go: the training rows fill a processor's cache, from which they
    displace what the rest of a decision needs.

    Parameters
    ----------
    bundle : Bundle
    applications : sequence of Application

    Returns
    -------
    list of Verdict
        Equal to the results of `decide`.
    """
    scores = [bundle.scorer.score(application) for application in applications]
    novelty = [bundle.novelty.measure(score.row) for score in scores]
    return [
        _verdict(bundle, application, score, of_one, _reasons(bundle, application, score))
        for application, score, of_one in zip(applications, scores, novelty, strict=True)
    ]


def decide_each(bundle: Bundle, applications: Sequence[Application]) -> list[Verdict]:
    """Decide many applications.

    Parameters
    ----------
    bundle : Bundle
    applications : sequence of Application

    Returns
    -------
    list of Verdict
        Equal to the results of `decide` but for rounding errors. They can change a decision only if
        its probability is within about 1e-15 of the threshold.
    """
    if not applications:
        return []
    scores = bundle.scorer.score_each(applications)
    novelty = bundle.novelty.measure_each([score.row for score in scores])
    refused = [i for i, score in enumerate(scores) if not _grants(bundle, score)]
    reasons: list[list[Reason] | None] = [None] * len(scores)
    if refused:
        explained = bundle.explainer.reasons_each(
            [applications[i] for i in refused], [scores[i].row for i in refused], granted=False
        )
        for i, of_one in zip(refused, explained, strict=True):
            reasons[i] = of_one
    return [
        _verdict(bundle, *of_one)
        for of_one in zip(applications, scores, novelty, reasons, strict=True)
    ]


def _reasons(bundle: Bundle, application: Application, score: Score) -> list[Reason] | None:
    if _grants(bundle, score):
        return None
    return bundle.explainer.reasons(application, score.row, granted=False)


def _grants(bundle: Bundle, score: Score) -> bool:
    return score.probability >= bundle.threshold


def _verdict(
    bundle: Bundle,
    application: Application,
    score: Score,
    novelty: float,
    reasons: list[Reason] | None,
) -> Verdict:
    return Verdict(
        product=bundle.product.name,
        model=bundle.version,
        threshold=bundle.threshold,
        probability=score.probability,
        granted=_grants(bundle, score),
        amount=cast("int", application[bundle.product.amount]),
        normalised=score.normalised,
        novelty=novelty,
        reasons=reasons,
    )
