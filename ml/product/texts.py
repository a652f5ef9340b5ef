"""Texts in English and French, and the sentences that name the reasons of a decision."""

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator

Case = Literal["high", "low", "yes", "no", "value", "missing"]
BREAKABLE = re.compile(r" (?=[:;!?»%])|(?<=«) ")  # the spaces that French does not break a line at


class Stated(BaseModel):
    """A part of a product's file; it is frozen and refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(Stated):
    """A text in English and French."""

    en: str
    fr: str

    @field_validator("fr")
    @classmethod
    def _keep_signs_on_their_line(cls, text: str) -> str:
        """Put a no-break space before a French double sign and within quotation marks."""
        return BREAKABLE.sub("\u00a0", text)

    def in_language(self, language: str) -> str:
        """Return the text in one language.

        Parameters
        ----------
        language : str
            Its two-letter code.

        Returns
        -------
        str
            English for a language that is none of `LANGUAGES`.
        """
        return self.fr if language == "fr" else self.en


LANGUAGES = tuple(Text.model_fields)


class Wording(Stated):
    """The sentences that name a field or a ratio as a reason, one for each case of its value.

    A case without a sentence of its own uses the pattern in `PLAIN`. ``{label}`` in a sentence is
    replaced by the label of the field or ratio.
    """

    high: Text | None = None  # of a number or a ratio
    low: Text | None = None
    yes: Text | None = None  # of a flag
    no: Text | None = None
    value: Text | None = None  # of a choice; {choice} is replaced by the label of the answer
    missing: Text | None = None

    def say(self, case: Case, *, label: Text, choice: Text | None = None) -> Text:
        """Return the sentence that names a field or a ratio as a reason.

        Parameters
        ----------
        case : {"high", "low", "yes", "no", "value", "missing"}
        label : Text
            The label of the field or ratio.
        choice : Text, optional
            The label of the answer, for a choice field.

        Returns
        -------
        Text
        """
        pattern = getattr(self, case) or PLAIN[case]

        def fill(language: str) -> str:
            text = pattern.in_language(language).replace("{label}", label.in_language(language))
            return text.replace("{choice}", choice.in_language(language) if choice else "")

        return Text(**{language: fill(language) for language in LANGUAGES})


PLAIN: dict[str, Text] = {
    "high": Text(en="{label} is high", fr="{label} : valeur élevée"),
    "low": Text(en="{label} is low", fr="{label} : valeur basse"),
    "yes": Text(en="{label}: yes", fr="{label} : oui"),
    "no": Text(en="{label}: no", fr="{label} : non"),
    "value": Text(en="{label}: {choice}", fr="{label} : {choice}"),
    "missing": Text(en="{label} is missing", fr="{label} : valeur manquante"),
}
# The sentence of a missing answer that counts in favour of granting: without the value that the
# model used instead, a reader could not see why a missing answer helps.
COUNTED = Text(en="{text} (counted as {value})", fr="{text} (valeur retenue : {value})")
CASES: dict[str, tuple[Case, ...]] = {  # of each kind of field, beside "missing"
    "integer": ("high", "low"),
    "flag": ("yes", "no"),
    "choice": ("value",),
}
