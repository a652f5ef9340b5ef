"""Reasons in closed form against the sum over all coalitions: python -m bench.reasons."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import joblib
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from bench.race import race
from ml.bundle.manifest import BACKGROUND, CHAMPION, challenger_files
from ml.bundle.reader import Bundle, read_bundle
from ml.explaining.coalitions import CoalitionShares
from ml.explaining.reasons import Explainer
from ml.product.application import Application
from ml.product.definition import Product
from ml.scoring.scorer import Scorer
from ml.training.dataset import as_applications, read_rows

APPLICATIONS = 40
FEW = 4  # of them explained by all coalitions too, which takes long for each
ROUNDS = 7
SLOW_ROUNDS = 2  # of what takes seconds
CHALLENGER = "svc_rbf"

Shares = dict[str, float]


class Fitted:
    """A fitted scikit-learn pipeline, asked for its margins as a Scorer is."""

    def __init__(self, model: Any) -> None:
        self._columns = model.named_steps["columns"]
        self._margin = model.named_steps["calibrated"].calibrated_classifiers_[0].estimator

    def margins(self, frame: Any) -> np.ndarray:
        return self._margin.decision_function(self._columns.transform(pd.DataFrame(frame)))


def by_coalitions(
    product: Product, scorer: Any, background: list[Application]
) -> Callable[[Application], Shares]:
    """Return what explains an application by every coalition of the same players."""
    members = [name for player in product.players.values() for name in player]
    players = [[members.index(name) for name in player] for player in product.players.values()]
    exact = CoalitionShares(scorer, background, members=members, players=players)

    def explain(application: Application) -> Shares:
        shares = exact.shares(application, np.empty(0)).mean(axis=0)
        return dict(zip(product.players, shares.tolist(), strict=True))

    return explain


def by_quadrature(explainer: Explainer) -> Callable[[Application], Shares]:
    def explain(application: Application) -> Shares:
        reasons = explainer.explain(application, granted=False).reasons
        return {reason.field: reason.share for reason in reasons}

    return explain


def compare(
    label: str, bundle: Bundle, scorer: Scorer, model: str, applications: list[Application]
) -> str:
    background = json.loads(bundle.file(BACKGROUND))
    mine = by_quadrature(Explainer(bundle.product, scorer, background))
    fitted = Fitted(joblib.load(io.BytesIO(bundle.file(model))))
    by_pipeline = by_coalitions(bundle.product, fitted, background)
    by_arrays = by_coalitions(bundle.product, scorer, background)
    few = applications[:: max(1, len(applications) // FEW)]
    difference = max(
        abs(share - other[player])
        for application, other in ((a, by_pipeline(a)) for a in few)
        for player, share in mine(application).items()
    )
    own = [race(lambda a=a: mine(a), lambda: None, rounds=ROUNDS)[0] for a in applications]
    fastest = [time.fastest for time in own]
    races = [
        race(lambda a=a: by_pipeline(a), lambda a=a: by_arrays(a), rounds=SLOW_ROUNDS) for a in few
    ]
    theirs, arrays = (float(np.median([t[side].fastest for t in races])) for side in (0, 1))
    middle = float(np.median(fastest))
    return (
        f"| {label} ({scorer.kind}) | {middle * 1e3:.2f} ms | {max(fastest) * 1e3:.2f} ms "
        f"| {theirs * 1e3:,.0f} ms | {theirs / middle:,.0f} × "
        f"| {arrays * 1e3:,.0f} ms | {arrays / middle:,.0f} × | {difference:.1e} |"
    )


def refused(bundle: Bundle, count: int) -> list[Application]:
    """Return rows of the product's own data that the champion refuses."""
    fields = read_rows(bundle.product, bundle.product.data_file).fields
    below = np.flatnonzero(bundle.scorer.score_many(fields) < bundle.threshold)
    return as_applications(fields.iloc[below[:: max(1, len(below) // count)][:count]])


@click.command(help=__doc__)
@click.option(
    "--bundle", "folder", type=click.Path(path_type=Path), default="models/consumer_credit"
)
@click.option("--applications", "count", default=APPLICATIONS, show_default=True)
def main(folder: Path, count: int) -> None:
    bundle = read_bundle(folder)
    applications = refused(bundle, count)
    models = {f"champion, {bundle.manifest.champion}": (bundle.scorer, CHAMPION)}
    if CHALLENGER in bundle.challengers:
        model, _ = challenger_files(CHALLENGER)
        models[f"challenger, {CHALLENGER}"] = (bundle.challenger(CHALLENGER), model)
    print(f"{bundle.version}, {len(bundle.product.players)} players, ", end="")
    print(
        f"{len(json.loads(bundle.file(BACKGROUND)))} background rows, {len(applications)} refused"
    )
    print("rows, each at its fastest of the rounds, one thread")
    print()
    print(
        "| model | reasons, median | slowest | coalitions on the pipeline | ratio "
        "| coalitions on our arrays | ratio | difference |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for label, (scorer, model) in models.items():
        with threadpool_limits(limits=1):
            print(compare(label, bundle, scorer, model, applications), flush=True)


if __name__ == "__main__":
    main(prog_name="python -m bench.reasons")
