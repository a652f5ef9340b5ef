"""Show how often the watch raises a false alarm, and how soon it finds a change:
python -m bench.monitoring [--years 200]."""

import math
from pathlib import Path

import click
import numpy as np

from ml.bundle.reader import read_bundle
from ml.monitoring.bins import SCORE_BINS, read_reference, score_bins
from ml.monitoring.comparison import PairTest
from ml.monitoring.sequential import FALSE_ALARMS_PER_PERIOD, CalibrationTest, ScoreTest
from ml.monitoring.stability import stability
from ml.training.dataset import read_rows

PERIODS, WEEKS = 4, 52  # in a year
LEAD = 1_000  # decisions or outcomes without a change, before one
STEP = 20  # decisions or outcomes between two looks
MOST = 50_000  # after which a change counts as not found
SHIFTS = {"small": -0.25, "medium": -0.5, "large": -1.0}  # of the log-odds
ERRORS = {"small": 0.5, "medium": 1.0, "large": 1.5}  # standard deviation, of the log-odds


def log_odds(p):
    return np.log(p / (1 - p))


def chance(odds):
    return 1 / (1 + np.exp(-odds))


def counted(probability):
    return np.bincount(score_bins(probability), minlength=SCORE_BINS)


def score_year(random, training, shares, decisions):
    """Whether the sequential test, and a monthly index, raise an alarm in a quiet year."""
    tests = [ScoreTest.against(training) for _ in range(PERIODS)]
    for test in tests:
        test.add(random.multinomial(decisions // PERIODS, shares), seed=int(random.integers(2**32)))
    months = [stability(training, random.multinomial(decisions // 12, shares)) for _ in range(12)]
    return any(t.alarm for t in tests), any(m.index > m.bound for m in months)


def outcome_year(random, probability, outcomes):
    for _ in range(PERIODS):
        test = CalibrationTest()
        for _ in range(outcomes // PERIODS // STEP):
            p = random.choice(probability, STEP)
            test.add(p, random.random(STEP) < p)
        if test.alarm:
            return True
    return False


def scored(random, probability, error):
    """The probabilities of a model that errs, where the right ones are known."""
    return chance(log_odds(probability) + random.normal(0, error, len(probability)))


def pair_year(random, probability, outcomes):
    """Whether a challenger that errs as much as the champion is called better in a year."""
    for _ in range(PERIODS):
        test = PairTest()
        for _ in range(outcomes // PERIODS // STEP):
            p = random.choice(probability, STEP)
            pair = [scored(random, p, ERRORS["medium"]) for _ in range(2)]
            test.add(*pair, random.random(STEP) < p)
        if test.better.alarm:
            return True
    return False


def delay_of_pairs(random, probability, error):
    """Outcomes until a challenger with the right probabilities is found, and the Brier scores."""
    test = PairTest()
    while not test.better.alarm and test.better.seen < MOST:
        p = random.choice(probability, STEP)
        test.add(scored(random, p, error), p, random.random(STEP) < p)
    return test.better.seen if test.better.alarm else math.inf


def brier_difference(random, probability, error):
    p = random.choice(probability, MOST)
    return float(np.mean((scored(random, p, error) - p) ** 2))


def field_year(random, reference, decisions):
    """Whether a weekly index of any field is called large in a quiet year."""
    for _ in range(WEEKS):
        for bins in reference.fields.values():
            shares = np.array(bins.counts) / sum(bins.counts)
            week = stability(bins.counts, random.multinomial(decisions // WEEKS, shares).tolist())
            if week and week.size == "large":
                return True
    return False


def delay_of_scores(random, training, probability, shift):
    """Decisions until an alarm, from the moment at which the log-odds of all scores move."""
    test = ScoreTest.against(training)
    test.add(counted(random.choice(probability, LEAD)), seed=int(random.integers(2**32)))
    while not test.alarm and test.seen < LEAD + MOST:
        p = chance(log_odds(random.choice(probability, STEP)) + shift)
        test.add(counted(p), seed=int(random.integers(2**32)))
    return test.seen - LEAD if test.alarm else math.inf


def delay_of_outcomes(random, probability, shift):
    """Outcomes until an alarm, from the moment at which good loans become rarer than stated."""
    test = CalibrationTest()
    while test.seen < LEAD:
        p = random.choice(probability, STEP)
        test.add(p, random.random(STEP) < p)
    while not test.alarm and test.seen < LEAD + MOST:
        p = random.choice(probability, STEP)
        test.add(p, random.random(STEP) < chance(log_odds(p) + shift))
    return test.seen - LEAD if test.alarm else math.inf


def summary(delays):
    return " | ".join(f"{np.quantile(delays, q, method='higher'):,.0f}" for q in (0.5, 0.9))


def compare_pairs(random, granted, years, runs, outcomes):
    pairs = sum(pair_year(random, granted, outcomes) for _ in range(years))
    stated = PERIODS * FALSE_ALARMS_PER_PERIOD
    click.echo("\n| champion's error | Brier difference | outcomes: median | 9 of 10 |")
    click.echo("| --- | ---: | ---: | ---: |")
    for size, error in ERRORS.items():
        delays = [delay_of_pairs(random, granted, error) for _ in range(runs)]
        worse = brier_difference(random, granted, error)
        click.echo(f"| {size} ({error}) | {worse:.3f} | {summary(delays)} |")
    click.echo(f"\nEqual models: an alarm in {pairs} of {years} years; at most {stated:.0%}")


@click.command(help=__doc__)
@click.option("--bundle", type=click.Path(path_type=Path), default=Path("models/consumer_credit"))
@click.option("--years", default=200, show_default=True)
@click.option("--runs", default=40, show_default=True, help="For each size of a change.")
@click.option("--decisions", default=10_000, show_default=True, help="In a year.")
def main(bundle: Path, years: int, runs: int, decisions: int) -> None:
    served = read_bundle(bundle)
    reference = read_reference(served)
    random = np.random.default_rng(20_261_126)
    rows = read_rows(served.product, served.product.data_file)
    probability = np.clip(served.scorer.score_many(rows.fields), 1e-6, 1 - 1e-6)
    granted = probability[probability >= served.threshold]
    training, shares = reference.scores, np.array(reference.scores) / sum(reference.scores)
    quiet = [score_year(random, training, shares, decisions) for _ in range(years)]
    calibrated = [outcome_year(random, granted, decisions // 5) for _ in range(years)]
    stated = PERIODS * FALSE_ALARMS_PER_PERIOD
    click.echo(f"{served.version}, {sum(reference.scores):,} training rows\n")
    click.echo(f"| test | looks | quiet years with an alarm, of {years} | at most |")
    click.echo("| --- | --- | ---: | ---: |")
    alarms, crying = (sum(column) for column in zip(*quiet, strict=True))
    click.echo(f"| score, sequential | after each decision | {alarms} | {stated:.0%} |")
    looks = f"after each {STEP} outcomes"
    click.echo(f"| calibration, sequential | {looks} | {sum(calibrated)} | {stated:.0%} |")
    large = sum(field_year(random, reference, decisions) for _ in range(years))
    few = sum(field_year(random, reference, WEEKS * 35) for _ in range(years))
    click.echo(f"| fields, stability index called large | weekly | {large} | – |")
    click.echo(f"| the same with 35 decisions a week | weekly | {few} | – |")
    click.echo(f"| score, stability index beyond its 95 % bound | monthly | {crying} | – |\n")
    click.echo(
        "| change of the log-odds | decisions until the alarm: median | 9 of 10 "
        "| outcomes: median | 9 of 10 |"
    )
    click.echo("| --- | ---: | ---: | ---: | ---: |")
    for size, shift in SHIFTS.items():
        scores = [delay_of_scores(random, training, probability, shift) for _ in range(runs)]
        outcomes = [delay_of_outcomes(random, granted, shift) for _ in range(runs)]
        click.echo(f"| {size} ({shift:+}) | {summary(scores)} | {summary(outcomes)} |")
    compare_pairs(np.random.default_rng(20_261_127), granted, years, runs, decisions // 5)


if __name__ == "__main__":
    main()
