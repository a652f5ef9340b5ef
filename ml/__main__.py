"""The command line: python -m ml train | evaluate | fairness | card | verify."""

import argparse
import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ml.bundle.manifest import InvalidBundle
from ml.bundle.reader import Bundle, read_bundle
from ml.bundle.verify import verify_bundle
from ml.bundle.writer import refuse_foreign
from ml.card.card import card_content, model_card
from ml.card.fairness_table import as_text
from ml.card.markdown import as_markdown
from ml.evaluation.fairness import assess
from ml.evaluation.performance import METRICS, compare, threshold_for
from ml.evaluation.reports import FairnessReport
from ml.product.definition import (
    PRODUCTS,
    Fairness,
    InvalidProduct,
    read_product,
)
from ml.product.texts import LANGUAGES
from ml.training.build import Origin, assemble
from ml.training.dataset import InvalidData, read_protected, read_rows
from ml.training.train import (
    DEFAULT,
    FOLDS,
    SEED,
    THOROUGH,
    train,
)

console = Console(stderr=True)
SEEDS = 2**32  # what NumPy takes: 32 bits


def main() -> int:
    """Run one command.

    Returns
    -------
    int
        The exit code: 2, with one line on the error stream, for what cannot be done.
    """
    parser = argparse.ArgumentParser(prog="python -m ml", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _train_options(commands.add_parser("train", help="compare the candidates and write a bundle"))
    judge = commands.add_parser(
        "evaluate", help="decide the rows of a CSV file, print figures as JSON"
    )
    judge.add_argument("--bundle", type=Path, required=True, metavar="DIR")
    judge.add_argument("--data", type=Path, required=True, metavar="CSV")
    judge.set_defaults(run=_evaluate)
    _fairness_options(
        commands.add_parser("fairness", help="compare decisions between protected groups")
    )
    card = commands.add_parser("card", help="print a bundle's model card as Markdown")
    card.add_argument("--bundle", type=Path, required=True, metavar="DIR")
    card.add_argument("--language", choices=LANGUAGES, default=LANGUAGES[0])
    card.add_argument("--json", action="store_true", help="in every language, as one JSON object")
    card.set_defaults(run=_card)
    verify = commands.add_parser(
        "verify", help="check a bundle's hashes, versions and known answers"
    )
    verify.add_argument("--bundle", type=Path, required=True, metavar="DIR")
    verify.set_defaults(run=_verify)
    options = parser.parse_args()
    try:
        options.run(options)
    except (InvalidBundle, InvalidData, InvalidProduct) as error:
        print(f"python -m ml: {error}", file=sys.stderr)  # noqa: T201 - a command's own words
        return 2
    return 0


def _train_options(parser: argparse.ArgumentParser) -> None:
    shipped = ", ".join(sorted(p.stem for p in PRODUCTS.glob("*.toml")))
    parser.add_argument(
        "--product", default="consumer_credit", help=f"a shipped one ({shipped}) or a TOML file"
    )
    parser.add_argument("--data", type=Path, metavar="CSV", help="default: the product's own rows")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: models/PRODUCT")
    parser.add_argument(
        "--cost-ratio",
        type=_positive,
        metavar="R",
        help="what a bad loan costs, over a good one lost; default: the product's",
    )
    parser.add_argument(
        "--threshold", type=_share, metavar="P", help="grant from here; default: by the cost ratio"
    )
    parser.add_argument("--seed", type=_seed, default=SEED, help=f"default: {SEED}")
    parser.add_argument(
        "--thorough", action="store_true", help="more repeats and finer grids; takes long"
    )
    parser.set_defaults(run=_train)


def _fairness_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--data",
        type=Path,
        metavar="CSV",
        help="whose rows to decide; default: the report made at training, on rows left out of it",
    )
    parser.add_argument("--json", action="store_true", help="all figures, as one JSON object")
    for name, metavar, meaning in (
        ("grant_ratio", "R", "least ratio of two groups' grant rates"),
        ("difference", "D", "largest difference in equal opportunity"),
        ("smallest_group", "N", "rows, and good rows, from which a group is assessed"),
    ):
        option = f"--{name.replace('_', '-')}"
        help_line = f"{meaning}; default: the product's"
        parser.add_argument(option, type=_limit(name), metavar=metavar, help=help_line)
    parser.set_defaults(run=_fairness)


def _limit(name: str) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            limit: float = getattr(Fairness.model_validate({name: text}), name)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise argparse.ArgumentTypeError(f"{text!r}: {reason}") from error
        return limit

    return read


def _positive(text: str) -> float:
    number = _number(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def _share(text: str) -> float:
    number = _number(text)
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1")
    return number


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan  # fails every comparison


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) >= SEEDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {SEEDS - 1}")
    return int(text)


def _train(options: argparse.Namespace) -> None:
    product = read_product(options.product)
    file = options.data or product.data_file
    data, protected = read_rows(product, file), read_protected(product, file)
    out = options.out or Path("models") / product.name
    refuse_foreign(out)  # now, and not after minutes of training
    ratio = options.cost_ratio or product.cost_ratio
    threshold = options.threshold or threshold_for(ratio)
    effort = THOROUGH if options.thorough else DEFAULT
    console.print(f"{product.label.en}: {len(data[1]):,} rows, {data[1].mean():.1%} of them good")
    trained = train(
        product, data, threshold=threshold, effort=effort, seed=options.seed, progress=_progress
    )
    source = Path(options.product)
    definition = source if source.suffix == ".toml" else PRODUCTS / f"{product.name}.toml"
    origin = Origin(
        definition=definition.read_bytes(),
        data_file=file,
        data=data,
        protected=protected,
        seed=options.seed,
        effort=effort,
        cost_ratio=ratio,
        threshold=threshold,
        by_hand=options.threshold is not None,
    )
    bundle = assemble(out, product, trained, origin)
    _report(bundle, folds=FOLDS * effort.repeats)


def _progress(tasks: Iterable[Any], total: int) -> Iterator[Any]:
    columns = (TextColumn("comparing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        yield from bar.track(tasks, total=total)


def _report(bundle: Bundle, *, folds: int) -> None:
    manifest = bundle.manifest
    table = Table(title=f"Nested cross-validation, {folds} outer folds: mean ± standard deviation")
    table.add_column("candidate")
    for metric in METRICS:
        table.add_column(metric.replace("_", " "), justify="right")
    for row in manifest.table:
        style = "bold" if row.name == manifest.champion else ""
        spreads = [getattr(row, metric) for metric in METRICS]
        cells = [f"{spread.mean:.4f} ± {spread.sd:.4f}" for spread in spreads]
        table.add_row(row.label, *cells, style=style)
    console.print(table)
    console.print(manifest.rule.en)
    console.print(manifest.reason.en)
    if manifest.scorer == "pipeline":
        console.print(
            "This champion has no array form: the service will run its scikit-learn pipeline."
        )
    console.print(f"Threshold {manifest.threshold:.4g} ({manifest.threshold_from}).")
    console.print(f"Written to {bundle.directory}, version {bundle.version}.")


def _evaluate(options: argparse.Namespace) -> None:
    bundle = read_bundle(options.bundle)
    fields, good = read_rows(bundle.product, options.data)
    compared = compare(good, bundle.scorer.score_many(fields), threshold=bundle.threshold)
    _print_json(compared)


def _fairness(options: argparse.Namespace) -> None:
    bundle = read_bundle(options.bundle)
    given = {name: getattr(options, name) for name in Fairness.model_fields}
    limits = {name: limit for name, limit in given.items() if limit is not None}
    if options.data is None and limits:
        raise InvalidData("other limits need --data: the report made at training is as it is")
    if options.data is None:
        report = card_content(bundle).fairness
    else:
        report = _judged(bundle, options, limits)
    if options.json:
        _print_json(report)
    else:
        print(as_text(report))  # noqa: T201 - the command's answer


def _judged(
    bundle: Bundle, options: argparse.Namespace, limits: dict[str, float]
) -> FairnessReport:
    fields, good = read_rows(bundle.product, options.data)
    protected = read_protected(bundle.product, options.data)
    granted = bundle.scorer.score_many(fields) >= bundle.threshold
    digest = hashlib.sha256(options.data.read_bytes()).hexdigest()
    if digest == bundle.manifest.data.sha256:
        console.print("These rows trained the model: what is found on them flatters it.")
    set_by_hand = bundle.product.fairness.model_copy(update=limits)
    return assess(bundle.product, protected, good=good, granted=granted, limits=set_by_hand)


def _card(options: argparse.Namespace) -> None:
    card = model_card(read_bundle(options.bundle))
    if options.json:
        _print_json(card)
    else:
        print(as_markdown(card, options.language))  # noqa: T201 - the command's answer


def _print_json(answer: BaseModel) -> None:
    print(json.dumps(answer.model_dump(mode="json")))  # noqa: T201 - the command's answer


def _verify(options: argparse.Namespace) -> None:
    bundle = read_bundle(options.bundle)
    verify_bundle(bundle)
    print(f"{bundle.directory}: {bundle.version} is whole and gives its known answers")  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
