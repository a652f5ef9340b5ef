"""Decides an application with a bundle, and explains a refusal."""

from typing import NamedTuple, cast

from ml.bundle.reader import Bundle
from ml.explaining.reasons import Reason
from ml.product.application import Application
from ml.scoring.scorer import Normalised


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
        The reasons of a refusal; None for a grant, which is explained only on request.
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


def decide(bundle: Bundle, application: Application) -> Verdict:
    """Decide an application.

    Parameters
    ----------
    bundle : Bundle
    application : Application

    Returns
    -------
    Verdict
    """
    score = bundle.scorer.score(application)
    granted, reasons = score.probability >= bundle.threshold, None
    if not granted:
        reasons = bundle.explainer.reasons(application, score.row, granted=False)
    return Verdict(
        product=bundle.product.name,
        model=bundle.version,
        threshold=bundle.threshold,
        probability=score.probability,
        granted=granted,
        amount=cast("int", application[bundle.product.amount]),
        normalised=score.normalised,
        novelty=bundle.novelty.measure(score.row),
        reasons=reasons,
    )
