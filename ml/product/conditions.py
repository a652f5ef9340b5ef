"""Conditions on an application: the policy rules of a bank, warnings, and when a person decides."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal, Protocol, Self

from pydantic import ConfigDict, Field as Bounded, model_validator

from ml.product.quantities import Answers, Finite, Formula, Name
from ml.product.texts import Stated, Text

MAX_TRIES = 100  # so many earlier decisions on a reference are looked at, at most


class Answerable(Protocol):
    """What a condition needs to know of a field."""

    optional: bool

    @property
    def answers(self) -> tuple[str | bool, ...]:
        """The values that a condition can ask for."""


class Condition(Formula):
    """A condition on an application; it holds if everything that it states is true.

    It can state that a quantity is above or below a bound, that fields have certain answers, and
    that fields have no answer. A quantity with a missing input is neither above nor below. A
    positive number divided by 0 is above every bound, a negative one below, and 0 neither.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    sum: Annotated[dict[Name, Finite], Bounded(default_factory=dict)]
    above: Finite | None = None
    below: Finite | None = None
    answers: Annotated[dict[Name, str | bool], Bounded(alias="is", default_factory=dict)]
    missing: tuple[Name, ...] = ()

    @property
    def fields(self) -> tuple[str, ...]:
        """The names of all fields that it is about."""
        return tuple(dict.fromkeys((*self.inputs, *self.answers, *self.missing)))

    def holds(self, application: Answers) -> bool:
        """Return whether the condition holds for an application.

        Parameters
        ----------
        application : mapping of str to int, str or None

        Returns
        -------
        bool
        """
        return self.may_hold(application) and (
            not self.sum or self.outside(self.value(application))
        )

    def may_hold(self, application: Answers) -> bool:
        """Return whether all that the condition states is true, whatever its quantity is.

        Parameters
        ----------
        application : mapping of str to int, str or None

        Returns
        -------
        bool
        """
        for name, answer in self.answers.items():
            if application[name] != answer:
                return False
        for name in self.missing:  # noqa: SIM110 - every decision pays for a generator
            if application[name] is not None:
                return False
        return True

    def outside(self, value: float) -> bool:
        """Return whether a value of the quantity is above or below the bounds.

        Parameters
        ----------
        value : float

        Returns
        -------
        bool
            False for NaN.
        """
        above = self.above is not None and value > self.above
        return above or (self.below is not None and value < self.below)

    def check_answers(self, fields: Mapping[str, Answerable]) -> None:
        """Check that the fields can have the answers, or have none.

        Parameters
        ----------
        fields : mapping of str to Field
            The fields of an application by name.

        Raises
        ------
        ValueError
        """
        for name, answer in self.answers.items():
            if name not in fields or answer not in fields[name].answers:
                raise ValueError(f"{self.name}: {name} cannot have the answer {answer}")
        for name in self.missing:
            if name not in fields or not fields[name].optional:
                raise ValueError(f"{self.name}: {name} is not an optional field")

    def _divided(self, number: float, divisor: float) -> float:
        if divisor or not number or math.isnan(number):
            return super()._divided(number, divisor)
        return math.copysign(math.inf, number)

    @model_validator(mode="after")
    def _states_something(self) -> Self:
        bounded = self.above is not None or self.below is not None
        if bool(self.sum) != bounded:
            raise ValueError("a condition with a sum needs above or below, and they need a sum")
        if (self.times or self.over) and not self.sum:
            raise ValueError("a condition with times or over needs a sum")
        if not (self.sum or self.answers or self.missing):
            raise ValueError("a condition needs a sum with above or below, or is, or missing")
        return self


class PolicyRule(Condition):
    """A rule of the bank, separate from the model; it is broken if its condition holds."""

    label: Text  # what is true while the rule is kept, as a clause
    reason: Text  # what is true when it is broken, as a sentence without its full stop
    then: Literal["refuse", "refer"]


class Notice(Condition):
    """A warning to the person who enters an application; it does not block anything."""

    text: Text


class Referral(Stated):
    """When a person must decide, beside the policy rules.

    ``band`` is a distance of the probability from the threshold, ``tries`` a number of earlier
    decisions on the same reference within ``tries_days`` days. The defaults are our own choice.
    """

    band: Annotated[Finite, Bounded(ge=0, le=0.5)] = 0.0
    unusual: bool = True  # refer applications that are unlike the training rows
    tries: Annotated[int, Bounded(ge=1, le=MAX_TRIES)] = 3
    tries_days: Annotated[int, Bounded(ge=1, le=365)] = 7

    def is_near(self, probability: float, threshold: float) -> bool:
        """Return whether a probability is too near to the threshold for the model alone.

        Parameters
        ----------
        probability, threshold : float

        Returns
        -------
        bool
            False for every probability if the band is 0.
        """
        return self.band > 0 and abs(probability - threshold) <= self.band


def passing_unanswered(
    rules: Sequence[PolicyRule], fields: Mapping[str, Answerable]
) -> Iterator[tuple[str, str]]:
    """Yield the rules that leaving out an answer keeps, if no rule breaks without the answer.

    Parameters
    ----------
    rules : sequence of PolicyRule
    fields : mapping of str to Field
        The fields of an application by name.

    Yields
    ------
    (str, str)
        The names of the rule and of the field.
    """
    asked = {
        rule.missing[0]
        for rule in rules
        if len(rule.missing) == 1 and not rule.sum and not rule.answers
    }
    for rule in rules:
        for name in rule.inputs:
            if fields[name].optional and name not in asked:
                yield rule.name, name


def policy_version(rules: Sequence[PolicyRule], referral: Referral) -> str:
    """Return a name for policy rules and referral, which changes whenever one of them does.

    Parameters
    ----------
    rules : sequence of PolicyRule
    referral : Referral

    Returns
    -------
    str
    """
    stated = [*(rule.model_dump(mode="json") for rule in rules), referral.model_dump(mode="json")]
    digest = hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()
    return f"policy-{digest[:8]}"
