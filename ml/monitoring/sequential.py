"""Tests that may be looked at after every decision, without more false alarms for that.

Each test is a test martingale: a bet against "nothing has changed" that starts with 1 and, if
nothing has changed, does not grow on average. By Ville's inequality (Ville 1939, "Étude critique de
la notion de collectif"), it then ever reaches 1/alpha with a probability of alpha at most.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ml.monitoring.logistic import log_odds

# A false alarm in at most one of 400 periods. A period is a quarter of a year, so that is at most
# one in a hundred quiet years. Our own choice.
FALSE_ALARMS_PER_PERIOD = 1 / 400
LOG_ALARM = -math.log(FALSE_ALARMS_PER_PERIOD)

# How much is bet on each side, from a small change to a large one: our own choice, as is the share
# that is bet anew after each decision (Vovk et al. 2021, "Retrain or not retrain: conformal test
# martingales for change-point detection", section 4, the Simple Jumper).
SLOPES = np.array([-1.0, -0.3, -0.1, 0.0, 0.1, 0.3, 1.0])
JUMPS = np.array([1e-4, 1e-3, 1e-2])


@dataclass
class Martingale:
    """A mixture of bets; each of them alone is a test martingale.

    Attributes
    ----------
    logs : ndarray of shape (n_bets,)
        The natural logarithm of what each bet has become.
    highest : float
        The highest evidence so far.
    seen : int
        The number of observations so far.
    """

    logs: np.ndarray
    highest: float = 0.0
    seen: int = 0

    @property
    def evidence(self) -> float:
        """The natural logarithm of the mixture: the evidence for a change so far."""
        top = float(self.logs.max())
        return top + math.log(np.exp(self.logs - top).mean())

    @property
    def alarm(self) -> bool:
        """Whether the evidence has ever been high enough for an alarm."""
        return self.highest >= LOG_ALARM


@dataclass
class ScoreTest(Martingale):
    """A test of whether scores come from the same distribution as those of the training rows.

    It is a conformal test martingale: each score is ranked among the training scores and all
    earlier ones. If nothing has changed, the ranks are independent and uniform, whatever the
    distribution is; so the training scores need not be numerous (Vovk et al. 2021).

    Attributes
    ----------
    counts : ndarray of shape (n_bins,)
        The number of scores in each bin, those of the training rows included.
    shares : ndarray of shape (n_jumps, 2 * n_slopes)
        How each bet is divided.
    """

    counts: np.ndarray = field(default_factory=lambda: np.zeros(0))
    shares: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    @classmethod
    def against(cls, training: Sequence[int]) -> "ScoreTest":
        """Begin a test.

        Parameters
        ----------
        training : sequence of int of length n_bins
            The number of training rows in each bin.

        Returns
        -------
        ScoreTest
        """
        sides = 2 * len(SLOPES)
        return cls(
            logs=np.zeros(len(JUMPS)),
            counts=np.array(training, dtype=float),
            shares=np.full((len(JUMPS), sides), 1 / sides),
        )

    @property
    def state(self) -> dict[str, Any]:
        """What `resumed` continues from, in types that JSON knows."""
        return {
            "logs": self.logs.tolist(),
            "highest": self.highest,
            "seen": self.seen,
            "counts": self.counts.tolist(),
            "shares": self.shares.tolist(),
        }

    @classmethod
    def resumed(cls, state: dict[str, Any]) -> "ScoreTest":
        """Return a test in a state that another had.

        Parameters
        ----------
        state : dict
            As `state`.

        Returns
        -------
        ScoreTest
        """
        arrays = {name: np.array(state[name]) for name in ("logs", "counts", "shares")}
        return cls(highest=state["highest"], seen=state["seen"], **arrays)

    def add(self, counts: Sequence[int], *, seed: int) -> None:
        """Add scores, in a random order that only the seed decides.

        Parameters
        ----------
        counts : sequence of int of length n_bins
            The number of new scores in each bin.
        seed : int
        """
        random = np.random.default_rng(seed)
        bins = random.permutation(np.repeat(np.arange(len(counts)), counts))
        chances = random.random(len(bins))
        above = np.cumsum(self.counts[::-1])[::-1] - self.counts  # in higher bins
        total = self.counts.sum()
        for place, chance in zip(bins.tolist(), chances.tolist(), strict=True):
            self._bet((above[place] + chance * (self.counts[place] + 1)) / (total + 1))
            self.counts[place] += 1
            above[:place] += 1
            total += 1
        self.seen += len(bins)

    def _bet(self, rank: float) -> None:
        """Bet on ranks that are too low or too high, and on too many at the ends or between."""
        low, ends = rank - 0.5, abs(2 * rank - 1) - 0.5
        shares = self.shares
        shares *= 1 - JUMPS[:, None]
        shares += JUMPS[:, None] / shares.shape[1]
        shares *= np.concatenate([1 + SLOPES * low, 1 + SLOPES * ends])
        grown = shares.sum(axis=1)
        shares /= grown[:, None]
        self.logs += np.log(grown)
        self.highest = max(self.highest, self.evidence)


# Alternatives to a calibrated probability p: the log-odds of p plus a shift, or times a slope. They
# cover changes from small to large; our own choice.
SHIFTS = np.array([-1.0, -0.5, -0.25, -0.1, 0.1, 0.25, 0.5, 1.0])
TILTS = np.array([0.5, 0.75, 1.5, 2.0])


@dataclass
class CalibrationTest(Martingale):
    """A test of whether loans are good as often as their probabilities say.

    Each bet is the likelihood ratio of an alternative. It is a test martingale only if the order of
    the loans does not depend on their outcomes: bad ones are often known earlier, so the loans come
    in the order of the decisions, when the outcomes of all should be known.
    """

    logs: np.ndarray = field(default_factory=lambda: np.zeros(len(SHIFTS) + len(TILTS)))

    def add(self, probability: np.ndarray, good: np.ndarray) -> None:
        """Add loans that were decided at the same time, such as on a day, in any order.

        Parameters
        ----------
        probability : ndarray of shape (n_samples,)
            The probabilities of being good when the loans were granted.
        good : ndarray of shape (n_samples,)
            Of bool.
        """
        if not len(probability):
            return
        odds = log_odds(probability)[:, None]
        sign = np.where(good, 1.0, -1.0)[:, None]
        others = np.concatenate([odds + SHIFTS, odds * TILTS], axis=1)
        ratios = np.logaddexp(0, -sign * odds) - np.logaddexp(0, -sign * others)
        self.logs = self.logs + ratios.sum(axis=0)
        self.highest = max(self.highest, self.evidence)
        self.seen += len(probability)
