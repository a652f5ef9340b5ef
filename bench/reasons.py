"""Time reasons in closed form and by the sum over all coalitions: python -m bench.reasons."""

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
COALITION_APPLICATIONS = 4  # also explained by all coalitions, which takes seconds each
ROUNDS = 7
COALITION_ROUNDS = 2
CHALLENGER = "svc_rbf"

Shares = dict[str, float]


class PipelineMargins:
    """Computes margins by a scikit-learn pipeline, with the same method as a Scorer."""

    def __init__(self, model: Any) -> None:
        self._columns = model.named_steps["columns"]
        self._margin = model.named_steps["calibrated"].calibrated_classifiers_[0].estimator

    def margins(self, frame: Any) -> np.ndarray:
        return self._margin.decision_function(self._columns.transform(pd.DataFrame(frame)))


def by_coalitions(
    product: Product, scorer: Any, background: list[Application]
) -> Callable[[Application], Shares]:
    """Return a function that explains an application by all coalitions of the players."""
    members = [name for player in product.players.values() for name in player]
    players = [[members.index(name) for name in player] for player in product.players.values()]
    exact = CoalitionShares(scorer, background, members=members, players=players)

    def explain(application: Application) -> Shares:
        shares = exact.shares(application, np.empty(0)).mean(axis=0)
        return dict(zip(product.players, shares.tolist(), strict=True))

    return explain


def in_closed_form(explainer: Explainer) -> Callable[[Application], Shares]:
    """Return a function that explains an application in closed form."""

    def explain(application: Application) -> Shares:
        reasons = explainer.explain(application, granted=False).reasons
        return {reason.field: reason.share for reason in reasons}

    return explain


def compare(
    label: str, bundle: Bundle, scorer: Scorer, model: str, applications: list[Application]
) -> str:
    background = json.loads(bundle.file(BACKGROUND))
    explain = in_closed_form(Explainer(bundle.product, scorer, background))
    fitted = PipelineMargins(joblib.load(io.BytesIO(bundle.file(model))))
    by_pipeline = by_coalitions(bundle.product, fitted, background)
    by_arrays = by_coalitions(bundle.product, scorer, background)
    sample = applications[:: max(1, len(applications) // COALITION_APPLICATIONS)]
    difference = max(
        abs(share - expected[player])
        for application, expected in ((a, by_pipeline(a)) for a in sample)
        for player, share in explain(application).items()
    )
    times = [race(lambda a=a: explain(a), lambda: None, rounds=ROUNDS)[0] for a in applications]
    fastest = [time.fastest for time in times]
    races = [
        race(lambda a=a: by_pipeline(a), lambda a=a: by_arrays(a), rounds=COALITION_ROUNDS)
        for a in sample
    ]
    pipeline, arrays = (float(np.median([t[side].fastest for t in races])) for side in (0, 1))
    median = float(np.median(fastest))
    return (
        f"| {label} ({scorer.kind}) | {median * 1e3:.2f} ms | {max(fastest) * 1e3:.2f} ms "
        f"| {pipeline * 1e3:,.0f} ms | {pipeline / median:,.0f} × "
        f"| {arrays * 1e3:,.0f} ms | {arrays / median:,.0f} × | {difference:.1e} |"
    )


def refused(bundle: Bundle, count: int) -> list[Application]:
    """Return at most `count` rows of the product's data that the champion refuses."""
    fields = read_rows(bundle.product, bundle.product.data_file).fields
    rows = np.flatnonzero(bundle.scorer.score_many(fields) < bundle.threshold)
    return as_applications(fields.iloc[rows[:: max(1, len(rows) // count)][:count]])


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
    print("rows, the fastest round of each, one thread")
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
