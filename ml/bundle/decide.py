"""A decision: one application judged by one bundle, with its reasons."""

from typing import NamedTuple, cast

from ml.bundle.reader import Bundle
from ml.explaining.reasons import Reason
from ml.product.application import Application
from ml.scoring.scorer import Normalised


class Verdict(NamedTuple):
    """What a bundle makes of an application.

    Attributes
    ----------
    product : str
        The product's name.
    model : str
        The version of the bundle.
    threshold : float
        The probability of being good from which the loan is granted.
    probability : float
        Of being good.
    granted : bool
    amount : int
        In the product's currency.
    normalised : dict of str to float or list of int
        What the model saw of each field.
    novelty : float
        How far the application is from the training data, as `ml.scoring.novelty` measures it; 1 is
        the limit.
    reasons : list of Reason or None
        Of a refusal; a grant is explained when somebody asks.
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
    granted = score.probability >= bundle.threshold
    return Verdict(
        product=bundle.product.name,
        model=bundle.version,
        threshold=bundle.threshold,
        probability=score.probability,
        granted=granted,
        amount=cast("int", application[bundle.product.amount]),
        normalised=score.normalised,
        novelty=bundle.novelty.measure(score.row),
        reasons=None if granted else bundle.explainer.explain(application, granted=False).reasons,
    )
