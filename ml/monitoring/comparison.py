"""A test of whether a challenger's probabilities are better than the champion's, at every look."""

from dataclasses import dataclass, field

import numpy as np

from ml.monitoring.sequential import Martingale

# What is bet on each loan, as a share of the stake, from a large difference to a small one: our own
# choice. A value is never below -1, so a share under 1 can never lose the whole stake.
BETS = np.array([0.1, 0.3, 0.9])


@dataclass
class GainTest(Martingale):
    """A test of whether a value between -1 and 1 is above 0 on average.

    Each bet multiplies the stake by ``1 + share * value``. If no value is expected to be above 0,
    given all earlier ones, no bet grows on average (Waudby-Smith and Ramdas 2024, "Estimating means
    of bounded random variables by betting", section 4). The shares are fixed in advance, so the
    values may come from any distribution, and may change it.
    """

    logs: np.ndarray = field(default_factory=lambda: np.zeros(len(BETS)))

    def add(self, values: np.ndarray) -> None:
        """Add values that become known at the same time, in any order.

        Parameters
        ----------
        values : ndarray of shape (n_samples,)
            Between -1 and 1.
        """
        self.logs = self.logs + np.log1p(np.outer(values, BETS)).sum(axis=0)
        self.highest = max(self.highest, self.evidence)
        self.seen += len(values)


@dataclass
class PairTest:
    """Two tests of a pair of models, on loans with a known outcome.

    Attributes
    ----------
    better, worse : GainTest
        Tests of "the challenger's probabilities are no better than the champion's", and of "they
        are no worse", by the Brier score.
    champion, challenger : float
        The sums of the squared differences between the probability and the outcome.
    """

    better: GainTest = field(default_factory=GainTest)
    worse: GainTest = field(default_factory=GainTest)
    champion: float = 0.0
    challenger: float = 0.0

    def add(self, champion: np.ndarray, challenger: np.ndarray, good: np.ndarray) -> None:
        """Add loans that were decided at the same time, such as on a day, in any order.

        Parameters
        ----------
        champion, challenger : ndarray of shape (n_samples,)
            The probabilities of being good, computed without knowledge of the outcomes.
        good : ndarray of shape (n_samples,)
            Of bool.
        """
        ours, theirs = (champion - good) ** 2, (challenger - good) ** 2
        self.better.add(ours - theirs)
        self.worse.add(theirs - ours)
        self.champion += float(ours.sum())
        self.challenger += float(theirs.sum())
