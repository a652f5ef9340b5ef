"""A decision: one application judged by one bundle, with its reasons."""

from typing import NamedTuple

from ml.bundle.reader import Bundle
from ml.explaining.reasons import Reason
from ml.product.application import Application
from ml.scoring.scorer import Normalised


class Verdict(NamedTuple):
    """What a bundle makes of an application.

    Attributes
    ----------
    probability : float
        Of being good.
    granted : bool
    normalised : dict of str to float or list of int
        What the model saw of each field.
    out_of_range : bool
        Whether the application is far from all training data, as `ml.scoring.novelty` measures it.
    reasons : list of Reason or None
        Of a refusal; a grant is explained when somebody asks.
    """

    probability: float
    granted: bool
    normalised: Normalised
    out_of_range: bool
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
        probability=score.probability,
        granted=granted,
        normalised=score.normalised,
        out_of_range=bundle.novelty.is_novel(score.row),
        reasons=None if granted else bundle.explainer.explain(application, granted=False).reasons,
    )
