"""Finds the changes with which a bundle would grant an application, and would not refer it."""

import math

from ml.bundle.reader import Bundle
from ml.explaining.counterfactual import Changes, nearest_granted
from ml.product.application import Application


def find_changes(bundle: Bundle, application: Application, *, threshold: float) -> Changes:
    """Find the nearest changes after which nothing in an application stands against a grant.

    Parameters
    ----------
    bundle : Bundle
    application : Application
    threshold : float
        The lowest probability of being good at which the loan is granted.

    Returns
    -------
    Changes
        With these values the probability is outside the product's band around the threshold, no
        policy rule is broken, and the application is usual, if the product refers unusual ones.
    """
    referral = bundle.product.referral

    def usual(row: list[float]) -> bool:
        return not referral.unusual or bundle.novelty.measure(row) <= 1

    above = math.nextafter(threshold + referral.band, 1) if referral.band else threshold
    return nearest_granted(
        bundle.product,
        bundle.scorer,
        application,
        threshold=above,
        ranges=bundle.ranges,
        usual=usual,
    )
