"""Measure how much reasons depend on the background: python -m bench.stability."""

from pathlib import Path

import click
import numpy as np

from ml.bundle.reader import Bundle, read_bundle
from ml.explaining.reasons import Explainer
from ml.product.application import Application
from ml.training.dataset import as_applications, read_rows
from ml.training.reference import background


def principal_fields(explainer: Explainer, application: Application) -> list[str]:
    """Return the fields of a refusal's principal reasons, the largest share first."""
    reasons = explainer.explain(application, granted=False).reasons
    return [r.field for r in reasons if r.principal]


def change_rates(
    bundle: Bundle, count: int, *, resamples: int, applications: int
) -> tuple[float, ...]:
    """Return the rates of refusals whose first reason, and whose set of reasons, change."""
    rows = read_rows(bundle.product, bundle.product.data_file).fields
    probability = bundle.scorer.score_many(rows)
    refused = as_applications(rows[probability < bundle.threshold])[:applications]

    def explainer(sample: np.ndarray) -> Explainer:
        held = background(
            rows.iloc[sample], probability[sample], threshold=bundle.threshold, count=count
        )
        return Explainer(bundle.product, bundle.scorer, held)

    usual = [principal_fields(explainer(np.arange(len(rows))), a) for a in refused]
    rng, first_changes, set_changes = np.random.default_rng(0), [], []
    for _ in range(resamples):
        resampled = explainer(np.sort(rng.integers(0, len(rows), len(rows))))
        for before, application in zip(usual, refused, strict=True):
            after = principal_fields(resampled, application)
            first_changes.append(before[:1] != after[:1])
            set_changes.append(set(before) != set(after))
    return float(np.mean(first_changes)), float(np.mean(set_changes))


@click.command()
@click.option("--bundle", type=click.Path(path_type=Path), default="models/consumer_credit")
@click.option("--resamples", default=20, show_default=True)
@click.option("--applications", default=800, show_default=True)
def main(bundle: Path, resamples: int, applications: int) -> None:
    """Explain refused training rows against backgrounds of bootstrapped training rows."""
    model = read_bundle(bundle)
    click.echo(f"{model.version}, {resamples} resamples\n")
    click.echo("| background rows | first reason changes | principal reasons change |")
    click.echo("| ---: | ---: | ---: |")
    for count in (50, 200):
        rates = change_rates(model, count, resamples=resamples, applications=applications)
        click.echo(f"| {count} | {rates[0]:.1%} | {rates[1]:.1%} |")


if __name__ == "__main__":
    main(prog_name="python -m bench.stability")
