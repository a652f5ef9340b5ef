"""Time the Scorer and the pipeline that it was exported from: python -m bench.scorer."""

import io
from pathlib import Path
from typing import Any

import click
import joblib
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from bench.race import race
from ml.bundle.manifest import CHAMPION
from ml.bundle.reader import read_bundle
from ml.product.samples import examples
from ml.scoring.scorer import Scorer
from ml.training.export import export_scorer, kind_of

SINGLE_SCORES = 200  # in a round; the pipeline, which is slower, computes a tenth of them
ROWS = 100_000
PIPELINE_CHUNK_ROWS = 10_000  # a typical chunk of a nightly job
ROUNDS = 5  # the fastest counts, because other processes delay the others
CHALLENGER = "challengers/svc_rbf.joblib"


def compare(label: str, model: Any, applications: list[dict[str, Any]], rounds: int) -> list[str]:
    def pipeline(frame: Any) -> np.ndarray:
        return model.predict_proba(pd.DataFrame(frame))[:, 1]

    scorer = Scorer(export_scorer(model), pipeline=pipeline)
    frame = pd.DataFrame(applications)
    for_scorer, for_pipeline = applications[:SINGLE_SCORES], applications[: SINGLE_SCORES // 10]

    def in_chunks() -> np.ndarray:
        starts = range(0, len(frame), PIPELINE_CHUNK_ROWS)
        chunks = [pipeline(frame[start : start + PIPELINE_CHUNK_ROWS]) for start in starts]
        return np.concatenate(chunks)

    difference = np.abs(scorer.score_many(frame) - in_chunks()).max()
    scorer_times, pipeline_times = race(
        lambda: [scorer.score(a) for a in for_scorer],
        lambda: [pipeline([a]) for a in for_pipeline],
        rounds=rounds,
    )
    one = scorer_times.fastest / len(for_scorer)
    one_by_pipeline = pipeline_times.fastest / len(for_pipeline)
    batch, chunks = race(lambda: scorer.score_many(frame), in_chunks, rounds=rounds)
    name = f"{label} ({kind_of(model)})"
    return [
        f"| {name} | one application | {one * 1e6:,.0f} µs | {one_by_pipeline * 1e6:,.0f} µs "
        f"| {one_by_pipeline / one:,.0f} × | {difference:.1e} |",
        f"| {name} | {len(frame):,} rows | {batch.fastest:.3f} s | {chunks.fastest:.3f} s "
        f"| {chunks.fastest / batch.fastest:.1f} × | {difference:.1e} |",
    ]


@click.command(help=__doc__)
@click.option(
    "--bundle", "folder", type=click.Path(path_type=Path), default="models/consumer_credit"
)
@click.option("--rows", default=ROWS, show_default=True)
@click.option("--rounds", default=ROUNDS, show_default=True)
def main(folder: Path, rows: int, rounds: int) -> None:
    bundle = read_bundle(folder)  # verifies every hash before a model is unpickled
    applications = examples(bundle.product, count=rows, seed=0, unseen=True)
    models = {
        CHAMPION: f"champion, {bundle.manifest.champion}",
        CHALLENGER: "challenger, svc_rbf",
    }
    print(f"{bundle.version}, fastest of {rounds} alternating rounds, one thread each")
    print()
    print("| model | work | Scorer | pipeline | ratio | largest difference |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for file, label in models.items():
        if file in bundle.manifest.files:
            model = joblib.load(io.BytesIO((bundle.directory / file).read_bytes()))
            # One thread, as in a service with a process for each core.
            with threadpool_limits(limits=1):
                lines = compare(label, model, applications, rounds)
            print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main(prog_name="python -m bench.scorer")
