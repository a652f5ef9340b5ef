"""The errors of applications and of data, and their messages."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ml.product.texts import Text

MESSAGES = {
    "required": Text(en="Enter a value.", fr="Indiquez une valeur."),
    "integer": Text(en="Enter a whole number.", fr="Indiquez un nombre entier."),
    "range": Text(
        en="Enter a whole number from {minimum} to {maximum}.",
        fr="Indiquez un nombre entier de {minimum} à {maximum}.",
    ),
    "at_most": Text(
        en="Must not be more than “{other}”.",
        fr="Ne doit pas dépasser « {other} ».",
    ),
    "choice": Text(en="Choose one of: {choices}.", fr="Choisissez parmi : {choices}."),
    "flag": Text(en="Answer 1 for yes or 0 for no.", fr="Répondez 1 pour oui ou 0 pour non."),
    "reference": Text(
        en=(
            "Enter 1 to 64 letters from A to Z, digits, spaces and . _ - / #, "
            "with a letter or a digit at both ends."
        ),
        fr=(
            "Indiquez de 1 à 64 lettres de A à Z, chiffres, espaces et . _ - / #, "
            "avec une lettre ou un chiffre aux deux bouts."
        ),
    ),
    "repeated": Text(en="This field was sent twice.", fr="Ce champ a été envoyé deux fois."),
    "unknown": Text(
        en="This field is not part of an application.",
        fr="Ce champ ne fait pas partie d’une demande.",
    ),
}


@dataclass(frozen=True, slots=True)
class FieldError:
    """An error in one field; it never contains the value that was entered."""

    field: str
    code: str
    message: Text


class InvalidApplication(Exception):
    """An application that breaks the product's rules; lists an error for each invalid field."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("; ".join(f"{e.field}: {e.message.en}" for e in errors))
        self.errors = errors


class InvalidData(Exception):
    """Rows that cannot be used; the message names the file and the reason in one line."""


class MalformedApplication(Exception):
    """A request body that is not a JSON object."""


def sent_twice(body: bytes, names: Iterable[str]) -> list[str]:
    """Return the names that a JSON object has more than once, of which pydantic takes the last.

    Parameters
    ----------
    body : bytes
        A JSON object in UTF-8.
    names : iterable of str
        The names to look for.

    Returns
    -------
    list of str
    """
    sent = Counter(name for name, _ in json.loads(body, object_pairs_hook=list))
    return [name for name in names if sent[name] > 1]


def shown_name(name: str) -> str:
    """Return an unknown field's name, shortened and with unprintable characters replaced.

    Parameters
    ----------
    name : str

    Returns
    -------
    str
    """
    return "".join(c if c.isprintable() else "?" for c in name[:64]) or "?"
