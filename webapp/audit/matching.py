"""Finds, many at once, the stored decisions that match the same decisions computed again."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from ml.bundle.decide import decide_each
from ml.bundle.manifest import KNOWN_ANSWER_TOLERANCE
from ml.bundle.reader import Bundle
from ml.product.application import Application, Rules
from webapp.audit.differences import (
    IN_JSON,
    Computed,
    UnusableInputs,
    as_columns,
    stored_application,
)
from webapp.decisions.records import STRICT, Decision

_TYPES = get_type_hints(Decision, include_extras=True)
# The facts that no verdict determines; a match only requires valid ones.
_GIVEN = [field.name for field in fields(Decision) if field.name not in Computed.__annotations__]
_Given: Any = tuple[tuple(_TYPES[name] for name in _GIVEN)]  # type: ignore[misc]
_ALL_GIVEN: TypeAdapter[Any] = TypeAdapter(list[_Given], config=STRICT)


def find_matching(rows: Sequence[Any], bundle: Bundle, rules: Rules) -> set[int]:
    """Decide the inputs of rows of replay's query again; return the ids of those that match.

    Only deciding a row alone can tell that it differs, because many decisions computed at once have
    other rounding errors than one.
    """
    names = rows[0]._fields
    some = [dict(zip(names, row, strict=True)) for row in rows]
    usable: list[dict[str, Any]] = []
    applications: list[Application] = []
    for row in _with_valid_facts(some):
        try:
            applications.append(stored_application(row["inputs"], rules))
        except UnusableInputs:
            continue
        usable.append(row)
    verdicts = decide_each(bundle, applications)
    return {
        row["id"]
        for row, application, verdict in zip(usable, applications, verdicts, strict=True)
        if _matches(row, as_columns(bundle, application, verdict, stored_causes=row["causes"]))
    }


def _with_valid_facts(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    try:
        _ALL_GIVEN.validate_python([tuple(row[name] for name in _GIVEN) for row in rows])
    except ValidationError as error:
        invalid = {e["loc"][0] for e in error.errors(include_input=False, include_url=False)}
        return [row for place, row in enumerate(rows) if place not in invalid]
    return rows


def _matches(row: dict[str, Any], computed: Computed) -> bool:
    if row["threshold"] != computed["threshold"]:  # the only float that must be equal
        return False
    return all(
        (_same_json if column in IN_JSON else _same)(row[column], value)
        for column, value in computed.items()
    )


def _same_json(stored: str | None, computed: Any) -> bool:  # noqa: ANN401 - parsed JSON
    """Do as `_same` for stored JSON, which nearly always is the text that would be stored again."""
    if stored is None or computed is None:
        return stored is computed
    if stored == to_json(computed).decode():
        return True
    try:
        return _same(from_json(stored), computed)
    except ValueError:
        return False


def _same(stored: Any, computed: Any) -> bool:  # noqa: ANN401 - parsed JSON
    """Return whether two values have no difference that replay would name."""
    kind = type(computed)
    if type(stored) is not kind:
        return False
    if kind is float:
        return bool(abs(stored - computed) <= KNOWN_ANSWER_TOLERANCE)
    if kind is dict:
        keys = stored.keys() == computed.keys()
        return keys and all(map(_same, map(stored.__getitem__, computed), computed.values()))
    if kind is list:
        return len(stored) == len(computed) and all(map(_same, stored, computed))
    return bool(stored == computed)
