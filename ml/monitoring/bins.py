"""The bins in which the values of each field and the score are counted, and their training rows."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field as Bounded, model_validator

from ml.bundle.facts import Fact
from ml.bundle.manifest import REFERENCE, understood
from ml.bundle.reader import Bundle
from ml.evaluation.intervals import wilson
from ml.product.application import Value
from ml.product.definition import Field, Product
from ml.product.quantities import Name

# Bins of equal width: bin i counts probabilities above i / SCORE_BINS, up to (i + 1) / SCORE_BINS.
SCORE_BINS = 20
# The quantiles that divide the training values of a number. Ten groups are customary for the
# population stability index (Siddiqi 2006, "Credit Risk Scorecards").
QUANTILES = np.arange(1, 10) / 10

# People look if the share of unusual applications is certainly more than this multiple of that of
# the training rows. Our own choice.
MANY_UNUSUAL = 2

Count = Annotated[int, Bounded(ge=0)]


class FieldBins(Fact):
    """The bins of a field, and the number of training rows in each.

    Attributes
    ----------
    limits : tuple of int
        Of a number: the highest value of each bin but the last, ascending. The first bin is below
        the training data and the last one above it.
    answers : tuple of str or int
        Of a choice or a flag: the answer of each bin.
    counts : tuple of int
        The number of training rows in each bin; the last one counts missing answers.
    """

    limits: tuple[int, ...] = ()
    answers: tuple[str | int, ...] = ()
    counts: tuple[Count, ...]

    @model_validator(mode="after")
    def _agree(self) -> Self:
        bins = len(self.answers) if self.answers else len(self.limits) + 1
        if bool(self.answers) == bool(self.limits) or len(self.counts) != bins + 1:
            raise ValueError("the counts are not those of the bins")
        return self

    @property
    def missing(self) -> int:
        """The bin of missing answers."""
        return len(self.counts) - 1

    @property
    def unusual(self) -> tuple[int, ...]:
        """The bins of values outside the training data, or of answers that no row of it has."""
        if self.limits:
            return (0, self.missing - 1)
        return tuple(i for i in range(self.missing) if self.counts[i] == 0)

    def place(self, values: Sequence[Value]) -> np.ndarray:
        """Return the bin of each value.

        Parameters
        ----------
        values : sequence of int, str or None, of length n_samples
            Values that the product's rules accept.

        Returns
        -------
        ndarray of shape (n_samples,)
            Of int.
        """
        if self.answers:
            bins: dict[Value, int] = {answer: i for i, answer in enumerate(self.answers)}
            return np.array([bins.get(value, self.missing) for value in values], dtype=int)
        given = np.array([value is not None for value in values], dtype=bool)
        numbers = np.array([0 if value is None else value for value in values], dtype=np.int64)
        placed = np.searchsorted(np.array(self.limits), numbers, side="left")
        return np.where(given, placed, self.missing)


class Reference(Fact):
    """What the training rows of a model are like.

    Attributes
    ----------
    fields : dict of str to FieldBins
        By the name of the field, in the product's order.
    scores : tuple of int of length SCORE_BINS
        The number of training rows by their probability of being good. Each row's probability comes
        from a model that was not fitted on it.
    unusual : float
        The share of the training rows that are unusual by the measure of `ml.scoring.novelty`.
    """

    fields: dict[Name, FieldBins]
    scores: Annotated[tuple[Count, ...], Bounded(min_length=SCORE_BINS, max_length=SCORE_BINS)]
    unusual: Annotated[float, Bounded(ge=0, le=1)]

    def exceeded(self, unusual: int, *, total: int) -> bool:
        """Return whether applications are certainly more unusual than the training rows.

        Parameters
        ----------
        unusual : int
            The number of unusual applications.
        total : int
            The number of all applications.

        Returns
        -------
        bool
            Whether Wilson's interval of their share lies above `MANY_UNUSUAL` times that of the
            training rows.
        """
        many = MANY_UNUSUAL * self.unusual
        return total > 0 and wilson(unusual, total=total)[0] > many


def reference_of(
    product: Product,
    columns: Mapping[str, Sequence[Value]],
    probability: np.ndarray,
    *,
    unusual: float,
) -> Reference:
    """Choose the bins for a product, and count the training rows in them.

    Parameters
    ----------
    product : Product
    columns : mapping of str to sequence of length n_samples
        The training values of each field; None for a missing answer.
    probability : ndarray of shape (n_samples,)
        Of being good, out of fold.
    unusual : float
        The share of the training rows that are unusual.

    Returns
    -------
    Reference
    """
    fields = {f.name: _field_bins(f, columns[f.name]) for f in product.inputs}
    scores = _counted(score_bins(probability), SCORE_BINS)
    return Reference(fields=fields, scores=scores, unusual=unusual)


def score_bins(probability: np.ndarray) -> np.ndarray:
    """Return the bin of each probability; each bin includes its upper limit.

    Parameters
    ----------
    probability : ndarray of shape (n_samples,)

    Returns
    -------
    ndarray of shape (n_samples,)
        Of int.
    """
    bins: np.ndarray = np.maximum(np.ceil(probability * SCORE_BINS).astype(int) - 1, 0)
    return bins


def read_reference(bundle: Bundle) -> Reference:
    """Read the reference of a bundle.

    Parameters
    ----------
    bundle : Bundle

    Returns
    -------
    Reference

    Raises
    ------
    InvalidBundle
        The file is missing, or is not the one that was written.
    """
    with understood(bundle.directory / REFERENCE):
        return Reference.model_validate_json(bundle.file(REFERENCE))


def _field_bins(field: Field, values: Sequence[Value]) -> FieldBins:
    bins: dict[str, Any]
    if field.kind == "integer":
        numbers = np.array([v for v in values if v is not None], dtype=np.int64)
        low, high = int(numbers.min()), int(numbers.max())
        inner = np.quantile(numbers, QUANTILES, method="lower").astype(int).tolist()
        bins = {"limits": tuple(sorted({low - 1, high, *inner}))}
        count = len(bins["limits"]) + 2
    else:
        answers = (0, 1) if field.kind == "flag" else tuple(c.value for c in field.choices)
        bins, count = {"answers": answers}, len(answers) + 1
    empty = FieldBins(counts=(0,) * count, **bins)
    return FieldBins(counts=_counted(empty.place(values), count), **bins)


def _counted(places: np.ndarray, count: int) -> tuple[int, ...]:
    return tuple(np.bincount(places, minlength=count).tolist())
