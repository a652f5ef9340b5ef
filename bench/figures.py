"""The figures with a target: how each follows from the measurements, and whether it is reached."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from bench.compared import DESK_POSTGRESQL, DESK_SQLITE, ECHO, ECHO_SQLITE, FASTAPI
from bench.measure import Measurement, Observed

Round = dict[str, Measurement]  # by the server's name
Quantity = Callable[[Measurement], float]


def rate(measured: Measurement) -> float:
    return measured.many.load.rate


def p99(measured: Measurement) -> float:
    return measured.many.load.p99_ms


def p50_of_one(measured: Measurement) -> float:
    return measured.one.load.p50_ms


def cpu(measured: Measurement) -> float:
    return measured.many.cpu_ms


def memory(measured: Measurement) -> float:
    return measured.alone.memory_mib


def start(measured: Measurement) -> float:
    return measured.alone.start.seconds


@dataclass(frozen=True)
class Figure:
    """A quantity of one server, or its ratio to that of another in the same round."""

    text: str
    quantity: Quantity
    server: str
    required: float
    goal: float
    over: str = ""
    unit: str = "×"
    decimals: int = 2
    more_is_better: bool = False

    def values(self, rounds: list[Round]) -> tuple[list[float], bool]:
        """Return the value in each round, and whether others disturbed them.

        If some rounds were not disturbed, only those count.
        """
        names = {self.server, self.over} - {""}
        complete = [measured for measured in rounds if names <= measured.keys()]
        quiet = [r for r in complete if all(is_quiet(self.quantity, r[n]) for n in names)]
        return [self._value(measured) for measured in quiet or complete], not quiet

    def _value(self, measured: Round) -> float:
        value = self.quantity(measured[self.server])
        return value / self.quantity(measured[self.over]) if self.over else value

    def target(self, value: float) -> str:
        return f"{'≥' if self.more_is_better else '≤'} {value:g} {self.unit}"

    def reached(self, value: float) -> str:
        """Return which of the two targets a value reaches."""
        sign = 1 if self.more_is_better else -1
        if sign * value >= sign * self.goal:
            return "goal"
        return "required" if sign * value >= sign * self.required else "no"

    def row(self, rounds: list[Round]) -> str:
        """Return the row of the table, or nothing if the figure was not measured."""
        values, disturbed = self.values(rounds)
        if not values:
            return ""
        shown = f"{with_range(values, self.decimals)} {self.unit}"
        targets = f"{self.target(self.required)} | {self.target(self.goal)}"
        reached = "disturbed" if disturbed else self.reached(median(values))
        return f"| {self.text} | {targets} | {shown} | {reached} |"


def is_quiet(quantity: Quantity, measured: Measurement) -> bool:
    """Return whether others left the CPUs alone while a quantity was measured."""
    if quantity is memory:
        return True
    observed: dict[Quantity, Observed] = {start: measured.alone.start, p50_of_one: measured.one}
    return observed.get(quantity, measured.many).quiet


def with_range(values: list[float], decimals: int) -> str:
    """Return the median, and the range if there are different values."""
    middle = f"{median(values):,.{decimals}f}"
    if min(values) == max(values):
        return middle
    return f"{middle} ({min(values):,.{decimals}f} to {max(values):,.{decimals}f})"


def figures() -> list[Figure]:
    """Return the figures in the order of the table."""
    return [
        _rate("SQLite: requests/s over the Flask echo", DESK_SQLITE, ECHO, 0.6, 1),
        _rate("PostgreSQL: requests/s over the Flask echo", DESK_POSTGRESQL, ECHO, 0.5, 0.8),
        _rate("SQLite: requests/s over FastAPI + scikit-learn", DESK_SQLITE, FASTAPI, 10, 20),
        _rate(
            "SQLite: requests/s over the echo with one durable insert",
            *(DESK_SQLITE, ECHO_SQLITE, 1, 1.5),
        ),
        Figure("SQLite: p99 over the echo's", p99, DESK_SQLITE, 3, 2, over=ECHO),
        Figure("PostgreSQL: p99 over the echo's", p99, DESK_POSTGRESQL, 3, 2, over=ECHO),
        Figure(
            "SQLite, one connection: p50 over the echo's with one durable insert",
            *(p50_of_one, DESK_SQLITE, 1.5, 1.2, ECHO_SQLITE),
        ),
        *_sizes("SQLite", DESK_SQLITE),
        *_sizes("PostgreSQL", DESK_POSTGRESQL),
    ]


def _rate(text: str, server: str, over: str, required: float, goal: float) -> Figure:
    return Figure(text, rate, server, required, goal, over=over, more_is_better=True)


def _sizes(text: str, server: str) -> list[Figure]:
    memory_text = f"{text}: memory of the master and two workers"
    start_text = f"{text}: start to ready, with a verified bundle"
    return [
        Figure(memory_text, memory, server, 160, 120, unit="MiB", decimals=0),
        Figure(start_text, start, server, 1.5, 0.8, unit="s"),
    ]
