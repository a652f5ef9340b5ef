"""Quantities computed from the fields of an application: ratios and policy rules."""

from typing import Annotated, Literal, Self

from pydantic import Field as Bounded, StringConstraints, model_validator

from ml.product.texts import Stated, Text, Wording

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Direction = Literal["up", "down"]
Finite = Annotated[float, Bounded(allow_inf_nan=False)]


class Quantity(Stated):
    """A weighted sum of fields, multiplied by the fields ``times`` and divided by ``over``."""

    name: Name
    label: Text
    sum: Annotated[dict[Name, Finite], Bounded(min_length=1)]
    times: tuple[Name, ...] = ()
    over: tuple[Name, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the fields that it is computed from."""
        return tuple(dict.fromkeys((*self.sum, *self.times, *self.over)))


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


class PolicyRule(Quantity):
    """A rule of the bank, separate from the model; broken above ``above`` or below ``below``."""

    above: Finite | None = None
    below: Finite | None = None

    @model_validator(mode="after")
    def _can_be_broken(self) -> Self:
        if self.above is None and self.below is None:
            raise ValueError("a policy rule needs above or below")
        return self
