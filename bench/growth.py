"""Measures how much the memory of a server's workers grows while it answers many requests."""

from dataclasses import dataclass

from bench.compared import LABELS
from bench.machine import pss_mib
from bench.measure import Plan, load, warm_up
from bench.servers import Server, started

FIRST_SHARE = 0.1  # of the requests, after which memory is measured for the first time
REQUIRED_PERCENT = 5
HEAD = """\
| server | requests | workers' memory after a tenth | at the end | growth | required |
| --- | ---: | ---: | ---: | ---: | ---: |"""


@dataclass(frozen=True)
class Growth:
    """The memory of the workers after a tenth of the requests, and at the end."""

    server: str
    requests: int
    first_mib: float
    last_mib: float

    @property
    def percent(self) -> float:
        return (self.last_mib / self.first_mib - 1) * 100

    def row(self) -> str:
        memory = f"{self.first_mib:.1f} MiB | {self.last_mib:.1f} MiB"
        growth = f"{self.percent:.1f} % | ≤ {REQUIRED_PERCENT} %"
        return f"| {LABELS[self.server]} | {self.requests:,} | {memory} | {growth} |"


def measure_growth(server: Server, plan: Plan, requests: int) -> Growth:
    """Send at least so many requests to a server, and measure its workers' memory."""
    with started(server, plan.log(server)) as running:
        warm_up(running, plan)
        sent, first = 0, 0.0
        while sent < requests:
            sent += load(running, plan, plan.connections).load.requests
            memory = pss_mib(running.workers())
            first = first or (memory if sent >= requests * FIRST_SHARE else 0.0)
            print(f"{server.name}: {sent:,} requests, {memory:.1f} MiB", flush=True)
        return Growth(server.name, sent, first, memory)
