"""Words for people, in every language the desk speaks, and how a product words its reasons."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Case = Literal["high", "low", "yes", "no", "value", "missing"]


class Stated(BaseModel):
    """A part of a product's file: it holds what it names and nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(Stated):
    """Words for people, in every language the desk speaks."""

    en: str
    fr: str

    def in_language(self, language: str) -> str:
        """Return the words in a language.

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
    """How a field's part in a decision is said, for each thing that may be so of its value.

    A field without a wording of its own is said by the plain patterns below.
    """

    high: Text | None = None  # of a number, or of a ratio
    low: Text | None = None
    yes: Text | None = None  # of a flag
    no: Text | None = None
    value: Text | None = None  # of a choice; {choice} stands for the answer's label
    missing: Text | None = None

    def say(self, case: Case, *, label: Text, choice: Text | None = None) -> Text:
        """Say what is so of a field's value.

        Parameters
        ----------
        case : {"high", "low", "yes", "no", "value", "missing"}
        label : Text
            The field's.
        choice : Text, optional
            The answer's label, of a choice.

        Returns
        -------
        Text
            Never the field's bare name.
        """
        pattern = getattr(self, case) or PLAIN[case]

        def said(language: str) -> str:
            words = pattern.in_language(language).replace("{label}", label.in_language(language))
            return words.replace("{choice}", choice.in_language(language) if choice else "")

        return Text(**{language: said(language) for language in LANGUAGES})


PLAIN: dict[str, Text] = {
    "high": Text(en="{label} is high", fr="{label} : valeur élevée"),
    "low": Text(en="{label} is low", fr="{label} : valeur basse"),
    "yes": Text(en="{label}: yes", fr="{label} : oui"),
    "no": Text(en="{label}: no", fr="{label} : non"),
    "value": Text(en="{label}: {choice}", fr="{label} : {choice}"),
    "missing": Text(en="{label} is missing", fr="{label} : valeur manquante"),
}
# What is put behind the words for a missing answer that speaks for granting: what the model does
# not know is then named with what the model takes it for.
COUNTED = Text(en="{text} (counted as {value})", fr="{text} (valeur retenue : {value})")
CASES: dict[str, tuple[Case, ...]] = {  # of each kind of field
    "integer": ("high", "low"),
    "flag": ("yes", "no"),
    "choice": ("value",),
}
