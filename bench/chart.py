"""Draws the rates of all servers as one SVG picture."""

from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt

from bench.compared import LABELS
from bench.figures import Round

# Read well on white and on black: contrast above 4 to both.
TEXT = "#767676"
DESK = "#2f81f7"
PEER = "#8a8f98"


def draw_rates(rounds: list[Round], file: Path) -> None:
    """Draw a bar for the median rate of each server, with the range over the rounds."""
    rates = {
        label: [by_name[name].many.load.rate for by_name in rounds if name in by_name]
        for name, label in LABELS.items()
    }
    rates = {label: values for label, values in rates.items() if values}
    middles = [median(values) for values in rates.values()]
    ranges = [
        [middle - min(values) for middle, values in zip(middles, rates.values(), strict=True)],
        [max(values) - middle for middle, values in zip(middles, rates.values(), strict=True)],
    ]
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "loan-desk", "text.color": TEXT}
    with mpl.rc_context(settings):
        figure, axes = plt.subplots(figsize=(8, 0.45 * len(rates) + 0.9), layout="constrained")
        colours = [DESK if label.startswith("Loan Desk") else PEER for label in rates]
        axes.barh(list(rates), middles, xerr=ranges, color=colours, ecolor=TEXT)
        for row, (middle, values) in enumerate(zip(middles, rates.values(), strict=True)):
            axes.annotate(
                *(f" {middle:,.0f}", (max(values), row)), color=TEXT, va="center", size="small"
            )
        axes.invert_yaxis()
        axes.set_xlabel("requests a second", color=TEXT)
        axes.tick_params(colors=TEXT, length=0)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.margins(x=0.1)
        for side in axes.spines.values():
            side.set_visible(False)
        figure.savefig(file, transparent=True, metadata={"Date": None})
        plt.close(figure)
