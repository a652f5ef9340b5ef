"""Quantities computed from the fields of an application, such as ratios."""

import math
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field as Bounded, StringConstraints, model_validator

from ml.product.texts import Stated, Text, Wording

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Direction = Literal["up", "down"]
Finite = Annotated[float, Bounded(allow_inf_nan=False)]
Answers = Mapping[str, int | str | None]


class Formula(Stated):
    """A weighted sum of fields, multiplied by the fields ``times`` and divided by ``over``."""

    name: Name
    sum: dict[Name, Finite]
    times: tuple[Name, ...] = ()
    over: tuple[Name, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the fields that it is computed from."""
        return tuple(dict.fromkeys((*self.sum, *self.times, *self.over)))

    def value(self, application: Answers) -> float:
        """Compute the quantity for one application.

        Parameters
        ----------
        application : mapping of str to int, str or None

        Returns
        -------
        float
            NaN where an input is missing or a divisor is 0.
        """
        total = 0.0
        for name, weight in self.sum.items():
            total += weight * _number(application[name])
        for name in self.times:
            total *= _number(application[name])
        for name in self.over:
            total = self._divided(total, _number(application[name]))
        return total

    def _divided(self, number: float, divisor: float) -> float:
        return number / (divisor or math.nan)


class Quantity(Formula):
    """A formula with a name on pages."""

    label: Text
    sum: Annotated[dict[Name, Finite], Bounded(min_length=1)]


class Ratio(Quantity):
    """A quantity that is an input of the model."""

    minimum: Finite  # the value is clipped to these bounds before it is normalised
    maximum: Finite
    monotone: Direction | None = None
    reasons: Wording = Wording()

    @model_validator(mode="after")
    def _bounds_agree(self) -> Self:
        if self.minimum >= self.maximum:
            raise ValueError("the minimum must be below the maximum")
        return self


def _number(value: int | str | None) -> float:
    return value if isinstance(value, int) else math.nan
