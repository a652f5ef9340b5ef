"""What is computed from the fields of an application: ratios, and a bank's own rules."""

from typing import Annotated, Literal, Self

from pydantic import Field as Bounded, StringConstraints, model_validator

from ml.product.texts import Stated, Text, Wording

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Direction = Literal["up", "down"]
Finite = Annotated[float, Bounded(allow_inf_nan=False)]


class Quantity(Stated):
    """What is computed from fields: a weighted ``sum``, times ``times``, over ``over``."""

    name: Name
    label: Text
    sum: Annotated[dict[Name, Finite], Bounded(min_length=1)]
    times: tuple[Name, ...] = ()
    over: tuple[Name, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the fields it is computed from."""
        return tuple(dict.fromkeys((*self.sum, *self.times, *self.over)))


class Ratio(Quantity):
    """A quantity that the model sees."""

    minimum: Finite  # the value is clipped to these bounds before it is normalised
    maximum: Finite
    monotone: Direction | None = None
    reasons: Wording = Wording()

    @model_validator(mode="after")
    def _bounds_agree(self) -> Self:
        if self.minimum >= self.maximum:
            raise ValueError("the minimum is not below the maximum")
        return self


class PolicyRule(Quantity):
    """A bank's own rule beside the model: it is broken above ``above`` and below ``below``."""

    above: Finite | None = None
    below: Finite | None = None

    @model_validator(mode="after")
    def _can_be_broken(self) -> Self:
        if self.above is None and self.below is None:
            raise ValueError("a rule states above or below")
        return self
