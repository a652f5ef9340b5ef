"""What a bank tolerates: limits of the fairness report, and flaws of the rows of training."""

from typing import Annotated, Literal

from pydantic import Field as Bounded

from ml.product.quantities import Finite, Name
from ml.product.texts import Stated


class Fairness(Stated):
    """The limits of the fairness report: settings of the bank, not legal limits.

    The grant ratio is the four-fifths rule of 29 CFR 1607.4(D); the others are our own choice
    (docs/fairness.md).
    """

    grant_ratio: Annotated[Finite, Bounded(gt=0, le=1)] = 0.8
    difference: Annotated[Finite, Bounded(gt=0, le=1)] = 0.1
    smallest_group: Annotated[int, Bounded(ge=2)] = 30


class RowFlaws(Stated):
    """Flaws of the product's CSV rows that training tolerates."""

    leave_out_empty: tuple[Name, ...] = ()  # required fields; a row without one is left out
    repeated: Literal["refuse", "leave_out", "keep"] = "refuse"  # a row equal to an earlier one
