"""Exact reasons against the exact explainer of the package shap: python -m bench.reasons."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from bench.race import race
from ml.application import Application
from ml.bundle import Bundle, read_bundle
from ml.examples import examples
from ml.manifest import BACKGROUND
from ml.product import Product
from ml.reasons import Explainer
from ml.scorer import Scorer
from ml.shapley import PipelineShares

APPLICATIONS = 10  # each explained once a round by either
ROUNDS = 5
CHALLENGER = "svc_rbf"

Shares = dict[str, float]


def by_shap(
    product: Product, scorer: Scorer, background: list[Application]
) -> Callable[[Application], Shares]:
    """Return what explains an application by every coalition of the same players."""
    members = [name for player in product.players.values() for name in player]
    players = [[members.index(name) for name in player] for player in product.players.values()]
    exact = PipelineShares(scorer, background, members=members, players=players)

    def explain(application: Application) -> Shares:
        shares = exact.shares(application, np.empty(0))[0]  # alike in every row
        return dict(zip(product.players, shares.tolist(), strict=True))

    return explain


def by_quadrature(explainer: Explainer) -> Callable[[Application], Shares]:
    def explain(application: Application) -> Shares:
        reasons = explainer.explain(application, granted=False).reasons
        return {reason.field: reason.share for reason in reasons}

    return explain


def compare(label: str, bundle: Bundle, scorer: Scorer, applications: list[Application]) -> str:
    background = json.loads(bundle.file(BACKGROUND))
    mine = by_quadrature(Explainer(bundle.product, scorer, background))
    theirs = by_shap(bundle.product, scorer, background)
    difference = max(
        abs(share - other[player])
        for application, other in ((a, theirs(a)) for a in applications)
        for player, share in mine(application).items()
    )
    races = [race(lambda a=a: mine(a), lambda a=a: theirs(a), rounds=ROUNDS) for a in applications]
    fastest = [float(np.median([times[side].fastest for times in races])) for side in (0, 1)]
    typical = [float(np.median([times[side].median for times in races])) for side in (0, 1)]
    return (
        f"| {label} ({scorer.kind}) | {fastest[0] * 1e3:.2f} ms | {typical[0] * 1e3:.2f} ms "
        f"| {fastest[1] * 1e3:,.0f} ms | {typical[1] * 1e3:,.0f} ms "
        f"| {fastest[1] / fastest[0]:,.0f} × | {difference:.1e} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.reasons", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=Path("models/consumer_credit"))
    parser.add_argument(
        "--applications", type=int, default=APPLICATIONS, help=f"default: {APPLICATIONS}"
    )
    options = parser.parse_args()
    bundle = read_bundle(options.bundle)
    applications = examples(bundle.product, count=options.applications, seed=0, unseen=True)
    models = {f"champion, {bundle.manifest['champion']}": bundle.scorer}
    if CHALLENGER in bundle.challengers:
        models[f"challenger, {CHALLENGER}"] = bundle.challenger(CHALLENGER)
    print(f"{bundle.version}, {len(bundle.product.players)} players, ", end="")
    print(f"{len(json.loads(bundle.file(BACKGROUND)))} background rows, one thread")
    print()
    print("| model | reasons, fastest | median | shap, fastest | median | ratio | difference |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for label, scorer in models.items():
        with threadpool_limits(limits=1):  # as in a service with a process for each core
            print(compare(label, bundle, scorer, applications), flush=True)


if __name__ == "__main__":
    main()
