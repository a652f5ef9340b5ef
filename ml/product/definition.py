"""Products: a kind of loan, the fields of an application for it, and their consistency checks."""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field as Bounded, StringConstraints, model_validator

from ml.product.conditions import Condition, Notice, PolicyRule, Referral, policy_version
from ml.product.formats import plural_form
from ml.product.quantities import Direction, Finite, Name, Quantity, Ratio
from ml.product.special import refuse_special
from ml.product.texts import CASES, LANGUAGES, Stated, Text, Wording
from ml.product.tolerances import Fairness, RowFlaws

DATA = Path(__file__).parents[1] / "data"
# Changes for a refused applicant are found by scoring every pair of an amount and another value.
# This number of pairs takes about a second with the slowest SVC (docs/benchmarks.md).
MAX_PAIRS = 100_000
REFERENCE = "reference"  # what another system can send beside the fields
SCORE = "score"  # what metrics call the score, among the fields


class Group(Stated):
    """A heading of the form, with the fields under it."""

    name: Name
    label: Text


class Choice(Stated):
    """One of the values of a choice field."""

    value: Name
    label: Text


class Field(Stated):
    """A field of an application: its labels, its valid values and how the model uses it."""

    name: Name
    kind: Literal["integer", "choice", "flag"]
    label: Text
    help: Text | None = None
    group: Name | None = None
    unit: Text | None = None
    unit_one: Text | None = None  # the unit in the singular, if it is a different word
    minimum: int | None = None
    maximum: int | None = None
    at_most: Name | None = None  # another field, whose value this one must not exceed
    choices: tuple[Choice, ...] = ()
    optional: bool = False
    changeable: bool = False  # the applicant could ask for another value
    source: Literal["applicant", "credit_register"] = "applicant"  # named in letters
    step: Annotated[int, Bounded(ge=1)] = 1  # suggested values are its multiples
    protected: bool = False  # not on the form and never seen by a model
    transform: Literal["log", "sqrt"] | None = None
    monotone: Direction | None = None  # whether a larger value may only raise or only lower p(good)
    bands: tuple[int, ...] = ()  # of a protected number: the first value of its second group, ...
    reasons: Wording = Wording()

    @property
    def answers(self) -> tuple[str | bool, ...]:
        """The values that a condition can ask for: those of a choice, or yes and no of a flag."""
        return (True, False) if self.kind == "flag" else tuple(c.value for c in self.choices)

    @property
    def suggested(self) -> range:
        """The values of an integer field that may be suggested to an applicant, ascending."""
        low, high = self.minimum or 0, self.maximum or 0
        return range(-(-low // self.step) * self.step, high + 1, self.step)

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> Self:
        bounds = [bound for bound in (self.minimum, self.maximum) if bound is not None]
        if len(bounds) != (2 if self.kind == "integer" else 0):
            raise ValueError("only an integer field has a minimum and a maximum, and it needs both")
        if bounds != sorted(bounds):
            raise ValueError("the minimum is above the maximum")
        of_integers = (self.at_most, self.transform, self.monotone, self.step != 1)
        if self.kind != "integer" and any(of_integers):
            raise ValueError("only an integer field can have at_most, transform, monotone or step")
        if (self.kind == "choice") != bool(self.choices):
            raise ValueError("only a choice field has choices, and it needs them")
        _refuse_twice([c.value for c in self.choices])
        wrong = self.reasons.model_fields_set - {*CASES[self.kind], "missing"}
        if wrong:
            raise ValueError(f"the reasons of a field of kind {self.kind} have no {min(wrong)}")
        return self

    @model_validator(mode="after")
    def _use_agrees(self) -> Self:
        if not self.protected and self.group is None:
            raise ValueError("a field that is not protected needs a group")
        if self.bands and not (self.protected and self.kind == "integer"):
            raise ValueError("only a protected integer field can have bands")
        if list(self.bands) != sorted(set(self.bands)):
            raise ValueError("the bands must be in ascending order")
        if self.unit_one and not self.unit:
            raise ValueError("a field with unit_one needs a unit")
        if self.transform == "sqrt" and (self.minimum or 0) < 0:
            raise ValueError("the square root needs a minimum of 0 or more")
        if self.protected and self.monotone:
            raise ValueError("a protected field cannot have monotone: no model sees it")
        if hasattr(BaseModel, self.name) or self.name in (REFERENCE, SCORE):
            raise ValueError(f"a field cannot have the name {self.name}: it is reserved")
        return self

    def unit_of(self, number: int) -> Text | None:
        """Return the unit to show beside a number.

        Parameters
        ----------
        number : int

        Returns
        -------
        Text or None
            In the singular for languages that use it with that number; None without a unit.
        """
        if self.unit is None or self.unit_one is None:
            return self.unit
        one, other = self.unit_one, self.unit
        units = {
            code: (one if plural_form(number, code) == "one" else other).in_language(code)
            for code in LANGUAGES
        }
        return Text(**units)


class Product(Stated):
    """A kind of loan: the fields of an application, the training data and the cost of errors."""

    name: Name
    label: Text
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    data: str
    target: Name
    amount: Name
    term: Name | None = None  # the field with the duration of the loan
    target_meaning: Text | None = None  # what good and bad mean in the data
    limits: tuple[Text, ...] = ()  # what the data, and so any model of them, cannot show
    cost_ratio: Annotated[Finite, Bounded(gt=0)]  # cost of a bad loan granted / good one refused
    fairness: Fairness = Fairness()
    rows: RowFlaws = RowFlaws()
    groups: tuple[Group, ...]
    fields: tuple[Field, ...]
    ratios: tuple[Ratio, ...] = ()
    policy_rules: tuple[PolicyRule, ...] = ()
    figures: tuple[Quantity, ...] = ()  # that the form shows, beside the ratios; no model sees them
    referral: Referral = Referral()
    warnings: tuple[Notice, ...] = ()

    @cached_property
    def policy_version(self) -> str:
        """The version of the policy rules and of the referral."""
        return policy_version(self.policy_rules, self.referral)

    @cached_property
    def inputs(self) -> tuple[Field, ...]:
        """The unprotected fields, which an application has, in the order of the form."""
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
        """The unprotected fields by name."""
        return {f.name: f for f in self.inputs}

    @cached_property
    def players(self) -> dict[str, tuple[str, ...]]:
        """The players among whom Shapley values divide a decision, each with its members.

        A player is a field, or a ratio with all fields that it is computed from, because these
        fields cannot change without the ratio. Ratios with a common field are one player. A player
        is named after its first ratio, or else after its field.
        """
        blocks: dict[str, tuple[str, ...]] = {f.name: (f.name,) for f in self.inputs}
        for r in self.ratios:
            tied = {m for n in r.inputs for m in blocks[n]} | {r.name}
            order = [*self.by_name, *(x.name for x in self.ratios)]
            block = tuple(sorted(tied, key=order.index))
            blocks |= dict.fromkeys(block, block)
        ratios = {r.name for r in self.ratios}
        return {next((m for m in b if m in ratios), b[0]): b for b in blocks.values()}

    def is_money(self, field: Field) -> bool:
        """Return whether a field is an amount in the product's currency, at once or by month.

        Parameters
        ----------
        field : Field

        Returns
        -------
        bool
        """
        return field.unit is not None and field.unit.en.partition("/")[0] == self.currency

    @property
    def data_file(self) -> Path:
        """The path of the CSV file that the default model is trained on."""
        return DATA / self.data

    def fields_of(self, group: Group) -> list[Field]:
        """Return the fields of a group, in the order of the form.

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
        refuse_special((f.name, f.label) for f in self.inputs)
        _refuse_twice([g.name for g in self.groups])
        _refuse_twice([r.name for r in self.policy_rules])
        _refuse_twice([q.name for q in (*self.ratios, *self.figures)])
        _refuse_twice([w.name for w in self.warnings])
        self._refuse_unknown()
        for condition in self._conditions:
            condition.check_answers(self.by_name)
        if self.by_name[self.amount].optional:
            raise ValueError(f"{self.amount} is the amount, so it cannot be optional")
        if (self.by_name[self.amount].minimum or 0) < 1:
            raise ValueError(f"{self.amount} is the amount, so it needs a minimum of 1 or more")
        for field in self.inputs:
            if field.at_most and self.by_name[field.at_most].at_most:
                raise ValueError(
                    f"{field.name} has at_most {field.at_most}, which has an at_most itself"
                )
        return self

    @property
    def _conditions(self) -> tuple[Condition, ...]:
        return (*self.policy_rules, *self.warnings)

    @model_validator(mode="after")
    def _suggestions_are_few(self) -> Self:
        values = {
            f.name: len(f.suggested) for f in self.inputs if f.changeable and f.kind == "integer"
        }
        pairs = values.pop(self.amount, 1) * max(values.values(), default=1)
        if pairs > MAX_PAIRS:
            raise ValueError(
                f"{pairs:,} pairs of values could be suggested, at most {MAX_PAIRS:,} are allowed: "
                "set a larger step"
            )
        return self

    def _refuse_unknown(self) -> None:
        integers = {f.name for f in self.inputs if f.kind == "integer"}
        for where, name in self._references():
            if name not in integers:
                raise ValueError(
                    f"{where} refers to {name}, which is not an integer field of an application"
                )
        for name in self.rows.leave_out_empty:
            if name not in self.by_name or self.by_name[name].optional:
                raise ValueError(f"rows: {name} is not a required field of an application")
        groups = {g.name for g in self.groups}
        for field in self.inputs:
            if field.group not in groups:
                raise ValueError(f"{field.name} refers to an unknown group, {field.group}")

    def _references(self) -> list[tuple[str, str]]:
        limits = [(f.name, f.at_most) for f in self.inputs if f.at_most is not None]
        quantities = (*self.ratios, *self.figures, *self._conditions)
        terms = [(r.name, n) for r in quantities for n in r.inputs]
        term = [("term", self.term)] if self.term else []
        return [("amount", self.amount), *term, *limits, *terms]


def _refuse_twice(names: list[str]) -> None:
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise ValueError(f"defined twice: {', '.join(twice)}")
