"""Finds stored values of decisions and trials that the service cannot have written."""

import json
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Dialect, Row, TypeDecorator, type_coerce
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import TypeEngine

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Damaged:
    """A row with invalid values, and the columns that hold them."""

    id: int
    columns: tuple[str, ...]


class _Readable(TypeDecorator[Any]):
    """The type of a column, with this class as the result for a value that cannot be read."""

    impl = TypeEngine
    cache_ok = True

    def __init__(self, own: TypeEngine[Any]) -> None:
        super().__init__()
        self.own = own

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return self.own.dialect_impl(dialect)

    def result_processor(self, dialect: Dialect, coltype: Any) -> Any:  # noqa: ANN401
        process = self.own.dialect_impl(dialect).result_processor(dialect, coltype)

        def process_or_mark(value: Any) -> Any:  # noqa: ANN401
            try:
                result = process(value) if process else value
                if isinstance(result, dict | list):  # of JSON, which may hold a lone surrogate
                    json.dumps(result, ensure_ascii=False).encode()
                return result
            except (ValueError, TypeError, RecursionError):
                return _Readable

        return process_or_mark


def readable(column: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """Return a column in which a damaged value does not prevent other rows from being read."""
    return type_coerce(column, _Readable(column.type)).label(column.key)


def read(record: type[T], row: Row[Any]) -> T | Damaged:
    """Return a row as a record, or its damaged columns if the record refuses their values."""
    names = [field.name for field in fields(record)]  # type: ignore[arg-type]  # a dataclass
    try:
        return record(**{name: row._mapping[name] for name in names})
    except ValidationError as error:
        damaged = dict.fromkeys(str(e["loc"][0]) for e in error.errors(include_input=False))
        return Damaged(row.id, tuple(damaged))
