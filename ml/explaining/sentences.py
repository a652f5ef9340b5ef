"""The sentences that describe a field or a ratio of an application as a reason."""

from collections.abc import Callable

from ml.product.application import Application, Value
from ml.product.definition import Field
from ml.product.formats import decimal, format_integer
from ml.product.quantities import Ratio
from ml.product.texts import COUNTED, LANGUAGES, Case, Text


class Sentences:
    """The sentences about one field or ratio.

    Parameters
    ----------
    member : Field or Ratio
    counted_as : callable
        Takes the name of a field or ratio; returns the value that the model uses for a missing one.
    """

    def __init__(self, member: Field | Ratio, *, counted_as: Callable[[str], float | str]) -> None:
        self._member, self._name, self._counted_as = member, member.name, counted_as
        self._kind = member.kind if isinstance(member, Field) else "ratio"
        choices = member.choices if isinstance(member, Field) else ()
        self._labels: dict[Value, Text] = {c.value: c.label for c in choices}
        self._required = member.inputs if isinstance(member, Ratio) else (self._name,)
        self._divisors = member.over if isinstance(member, Ratio) else ()
        # A product has a few dozen, and each is slow to build.
        self._texts: dict[tuple[Case, Value, bool], Text] = {}

    def describe(self, application: Application, *, high: bool, favours: bool) -> Text:
        """Return the sentence that describes the value in an application.

        Parameters
        ----------
        application : Application
        high : bool
            Whether to call a number high and not low.
        favours : bool
            Whether the reason counts for granting. The value that the model uses for a missing one
            is then added.

        Returns
        -------
        Text
        """
        case, choice = self._case(application, high=high), None
        if case == "value":
            choice = application[self._name]
        substituted = favours and case == "missing" and application.get(self._name) is None
        key = (case, choice, substituted)
        if key not in self._texts:
            self._texts[key] = self._say(case, choice, substituted=substituted)
        return self._texts[key]

    def _case(self, application: Application, *, high: bool) -> Case:
        for name in self._required:
            if application[name] is None:
                return "missing"
        for name in self._divisors:
            if application[name] == 0:
                return "missing"
        if self._kind == "flag":
            return "yes" if application[self._name] else "no"
        if self._kind == "choice":
            return "value" if application[self._name] in self._labels else "missing"
        return "high" if high else "low"

    def _say(self, case: Case, choice: Value, *, substituted: bool) -> Text:
        label = None if choice is None else self._labels[choice]
        text = self._member.reasons.say(case, label=self._member.label, choice=label)
        if not substituted:
            return text
        value = self._in_words(self._counted_as(self._name))
        return Text(
            **{
                language: COUNTED.in_language(language).format(
                    text=text.in_language(language), value=value.in_language(language)
                )
                for language in LANGUAGES
            }
        )

    def _in_words(self, value: float | str) -> Text:
        if isinstance(value, str):
            return self._labels[value]
        if self._kind == "flag":
            return Text(en="yes", fr="oui") if value >= 0.5 else Text(en="no", fr="non")
        return Text(**{language: self._number(value, language) for language in LANGUAGES})

    def _number(self, value: float, language: str) -> str:
        if isinstance(self._member, Ratio):
            return decimal(value, language, places=2)
        unit = self._member.unit_of(round(value))
        suffix = f"\u00a0{unit.in_language(language)}" if unit else ""
        return format_integer(round(value), language) + suffix
