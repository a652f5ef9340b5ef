"""Who or what asked."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Operator:
    """Who or what asked."""

    kind: Literal["user", "api_key"]
    id: int
    name: str
