"""A product: what is lent and which fields an application for it has."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    Field as Bounded,
    StringConstraints,
    model_validator,
)

from ml.product.formats import plural_form
from ml.product.quantities import Direction, Finite, Name, PolicyRule, Ratio
from ml.product.texts import (
    CASES,
    LANGUAGES,
    Stated,
    Text,
    Wording,
)

DATA = Path(__file__).parents[1] / "data"
# What would change a refusal is found by scoring every value, and every pair of an amount with
# another value. So many pairs take about a second with the slowest SVC (docs/benchmarks.md).
MAX_PAIRS = 100_000


class Group(Stated):
    """Fields that a clerk asks about together."""

    name: Name
    label: Text


class Choice(Stated):
    """One of the values that a choice field may take."""

    value: Name
    label: Text


class Field(Stated):
    """One question of an application, with all that is known about its answer."""

    name: Name
    kind: Literal["integer", "choice", "flag"]
    label: Text
    help: Text | None = None
    group: Name | None = None
    unit: Text | None = None
    unit_one: Text | None = None  # the unit of a single one, where it is another word
    minimum: int | None = None
    maximum: int | None = None
    at_most: Name | None = None  # another field, whose value this one must not pass
    choices: tuple[Choice, ...] = ()
    optional: bool = False
    changeable: bool = False  # the applicant could ask for another value
    step: Annotated[int, Bounded(ge=1)] = 1  # suggested values are its multiples
    protected: bool = False  # never asked with the application, never scored
    transform: Literal["log", "sqrt"] | None = None
    monotone: Direction | None = None  # more of it makes granting more or less likely
    bands: tuple[int, ...] = ()  # of a protected number: where its second group begins, and so on
    reasons: Wording = Wording()

    @property
    def suggested(self) -> range:
        """The values of an integer field that may be suggested, in ascending order."""
        low, high = self.minimum or 0, self.maximum or 0
        return range(-(-low // self.step) * self.step, high + 1, self.step)

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> Self:
        bounds = [bound for bound in (self.minimum, self.maximum) if bound is not None]
        if len(bounds) != (2 if self.kind == "integer" else 0):
            raise ValueError("an integer field, and no other, states minimum and maximum")
        if bounds != sorted(bounds):
            raise ValueError("the minimum is above the maximum")
        of_integers = (self.at_most, self.transform, self.monotone, self.step != 1)
        if self.kind != "integer" and any(of_integers):
            raise ValueError(
                "an integer field, and no other, has at_most, a transform, monotone or a step"
            )
        if (self.kind == "choice") != bool(self.choices):
            raise ValueError("a choice field, and no other, lists its choices")
        _refuse_twice([c.value for c in self.choices])
        wrong = self.reasons.model_fields_set - {*CASES[self.kind], "missing"}
        if wrong:
            raise ValueError(f"{self.kind} fields have no wording for {min(wrong)}")
        return self

    @model_validator(mode="after")
    def _use_agrees(self) -> Self:
        if not self.protected and self.group is None:
            raise ValueError("a field that is asked names its group")
        if self.bands and not (self.protected and self.kind == "integer"):
            raise ValueError("a protected integer field, and no other, has bands")
        if list(self.bands) != sorted(set(self.bands)):
            raise ValueError("the bands do not ascend")
        if self.unit_one and not self.unit:
            raise ValueError("a field with unit_one has a unit")
        if self.transform == "sqrt" and (self.minimum or 0) < 0:
            raise ValueError("the square root needs a minimum of 0 or more")
        if self.protected and self.monotone:
            raise ValueError("no model sees a protected field, so it has no monotone")
        if hasattr(BaseModel, self.name):
            raise ValueError(f"{self.name} cannot be a field's name: the checks use it themselves")
        return self

    def unit_of(self, number: int) -> Text | None:
        """Return the unit as it stands beside a number.

        Parameters
        ----------
        number : int

        Returns
        -------
        Text or None
            In the singular where the language uses it for that number.
        """
        if self.unit is None or self.unit_one is None:
            return self.unit
        one, other = self.unit_one, self.unit
        words = {
            code: (one if plural_form(number, code) == "one" else other).in_language(code)
            for code in LANGUAGES
        }
        return Text(**words)


class Fairness(Stated):
    """From where on a difference between groups is reported: a bank's settings, not law."""

    grant_ratio: Annotated[Finite, Bounded(gt=0, le=1)] = 0.8
    difference: Annotated[Finite, Bounded(gt=0, le=1)] = 0.1
    smallest_group: Annotated[int, Bounded(ge=2)] = 30


class RowFlaws(Stated):
    """What the product's data are known to hold that an application may not."""

    leave_out_empty: tuple[Name, ...] = ()  # required fields; rows without them are left out
    repeated: Literal["refuse", "leave_out", "keep"] = "refuse"  # rows that are there already


class Product(Stated):
    """What is lent: its fields, its data and what a wrong decision costs."""

    name: Name
    label: Text
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    data: str
    target: Name
    amount: Name
    term: Name | None = None  # the field that says how long the loan runs
    target_meaning: Text | None = None  # how good and bad are to be read
    limits: tuple[Text, ...] = ()  # what the data and any model of them cannot say
    cost_ratio: Annotated[Finite, Bounded(gt=0)]  # a bad loan granted : a good one refused
    fairness: Fairness = Fairness()
    rows: RowFlaws = RowFlaws()
    groups: tuple[Group, ...]
    fields: tuple[Field, ...]
    ratios: tuple[Ratio, ...] = ()
    policy_rules: tuple[PolicyRule, ...] = ()

    @cached_property
    def inputs(self) -> tuple[Field, ...]:
        """The fields of an application, in the order they are asked; no protected one."""
        return tuple(f for f in self.fields if not f.protected)

    @cached_property
    def protected(self) -> tuple[Field, ...]:
        """The protected fields."""
        return tuple(f for f in self.fields if f.protected)

    @cached_property
    def numbers(self) -> tuple[Field | Ratio, ...]:
        """The integer fields and the ratios, in the order of a model's columns."""
        return (*(f for f in self.inputs if f.kind == "integer"), *self.ratios)

    @cached_property
    def by_name(self) -> dict[str, Field]:
        """Every field of an application by its name."""
        return {f.name: f for f in self.inputs}

    @cached_property
    def players(self) -> dict[str, tuple[str, ...]]:
        """What shares a decision, by name: the fields and ratios that it is made of.

        A field stands alone, but the fields that a ratio is computed from cannot change without
        it: they and the ratio are one player, named after the ratio. Ratios that have a field in
        common are one player too, named after the first.
        """
        blocks: dict[str, tuple[str, ...]] = {f.name: (f.name,) for f in self.inputs}
        for r in self.ratios:
            tied = {m for n in r.inputs for m in blocks[n]} | {r.name}
            order = [*self.by_name, *(x.name for x in self.ratios)]
            block = tuple(sorted(tied, key=order.index))
            blocks |= dict.fromkeys(block, block)
        ratios = {r.name for r in self.ratios}
        return {next((m for m in b if m in ratios), b[0]): b for b in blocks.values()}

    @property
    def data_file(self) -> Path:
        """Where the rows lie from which the product's default model is trained."""
        return DATA / self.data

    def fields_of(self, group: Group) -> list[Field]:
        """Return the fields that are asked together under a group.

        Parameters
        ----------
        group : Group

        Returns
        -------
        list of Field
        """
        return [f for f in self.inputs if f.group == group.name]

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        _refuse_twice([self.target, *(f.name for f in self.fields), *(r.name for r in self.ratios)])
        _refuse_twice([g.name for g in self.groups])
        _refuse_twice([r.name for r in self.policy_rules])
        self._refuse_unknown()
        if self.by_name[self.amount].optional:
            raise ValueError(f"the amount, {self.amount}, cannot be optional")
        if (self.by_name[self.amount].minimum or 0) < 1:
            raise ValueError(f"the amount, {self.amount}, needs a minimum of 1 or more")
        for field in self.inputs:
            if field.at_most and self.by_name[field.at_most].at_most:
                raise ValueError(f"{field.name} is limited by {field.at_most}, itself limited")
        return self

    @model_validator(mode="after")
    def _suggestions_are_few(self) -> Self:
        values = {
            f.name: len(f.suggested) for f in self.inputs if f.changeable and f.kind == "integer"
        }
        pairs = values.pop(self.amount, 1) * max(values.values(), default=1)
        if pairs > MAX_PAIRS:
            raise ValueError(
                f"{pairs:,} pairs of values could be suggested: state a step that leaves "
                f"{MAX_PAIRS:,} at most"
            )
        return self

    def _refuse_unknown(self) -> None:
        integers = {f.name for f in self.inputs if f.kind == "integer"}
        for where, name in self._references():
            if name not in integers:
                raise ValueError(
                    f"{where} names {name}, which is no integer field of an application"
                )
        for name in self.rows.leave_out_empty:
            if name not in self.by_name or self.by_name[name].optional:
                raise ValueError(f"rows: {name} is no required field of an application")
        groups = {g.name for g in self.groups}
        for field in self.inputs:
            if field.group not in groups:
                raise ValueError(f"{field.name} names an unknown group, {field.group}")

    def _references(self) -> list[tuple[str, str]]:
        limits = [(f.name, f.at_most) for f in self.inputs if f.at_most is not None]
        terms = [(r.name, n) for r in (*self.ratios, *self.policy_rules) for n in r.inputs]
        term = [("term", self.term)] if self.term else []
        return [("amount", self.amount), *term, *limits, *terms]


def _refuse_twice(names: list[str]) -> None:
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise ValueError(f"said twice: {', '.join(twice)}")
