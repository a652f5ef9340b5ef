"""Time the search for changes that would reverse a refusal: python -m bench.suggestions."""

import time
from collections import Counter
from pathlib import Path

import click
import numpy as np

from ml.bundle.changes import find_changes
from ml.bundle.reader import Bundle, read_bundle
from ml.explaining.counterfactual import Changes
from ml.product.application import Application
from ml.training.dataset import as_applications, read_rows


def outcome(bundle: Bundle, application: Application, changes: Changes) -> str:
    """Return the kind of result of a search."""
    if changes.suggestions:
        return "one change" if len(changes.suggestions[0].values) == 1 else "a pair"
    rules = bundle.product.policy_rules
    missing = any(application[name] is None for rule in rules for name in rule.inputs)
    return "an answer is missing" if missing else "none"


@click.command()
@click.option(
    "--bundle",
    "folders",
    type=click.Path(path_type=Path),
    multiple=True,
    default=["models/consumer_credit", "models/mortgage"],
    show_default=True,
)
def main(folders: tuple[Path, ...]) -> None:
    """Search changes for each row of a bundle's training data that the bundle refuses."""
    for folder in folders:
        bundle = read_bundle(folder)
        fields = read_rows(bundle.product, bundle.product.data_file).fields
        probability = bundle.scorer.score_many(fields)
        refused = as_applications(fields[probability < bundle.threshold])
        outcomes, seconds = Counter[str](), []
        for application in refused:
            start = time.process_time()
            changes = find_changes(bundle, application, threshold=bundle.threshold)
            seconds.append(time.process_time() - start)
            outcomes[outcome(bundle, application, changes)] += 1
        median, high, largest = 1000 * np.quantile(seconds, [0.5, 0.95, 1])
        found = ", ".join(f"{name} {count}" for name, count in sorted(outcomes.items()))
        click.echo(f"{bundle.version}: {len(refused)} refused: {found}")
        click.echo(f"  median {median:.1f} ms, 95 % {high:.1f} ms, largest {largest:.1f} ms")


if __name__ == "__main__":
    main(prog_name="python -m bench.suggestions")
