"""Chooses the applications that the benchmark sends: shipped rows, of which some are refused."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ml.bundle.reader import Bundle
from ml.training.dataset import as_applications, read_rows

APPLICATIONS = 300
REFUSED_SHARE = 0.3
SEED = 20261126


@dataclass(frozen=True)
class Sample:
    """A request body, and the decision that the bundle makes on it."""

    body: bytes
    decision: str


def choose(bundle: Bundle) -> list[Sample]:
    """Return different applications in a fixed order that mixes granted and refused ones."""
    fields = read_rows(bundle.product, bundle.product.data_file).fields
    good = bundle.scorer.score_many(fields) >= bundle.threshold
    rng = random.Random(SEED)
    refused_count = round(APPLICATIONS * REFUSED_SHARE)
    samples: dict[bytes, Sample] = {}
    for granted, count in ((False, refused_count), (True, APPLICATIONS - refused_count)):
        rows = np.flatnonzero(good == granted).tolist()
        rng.shuffle(rows)
        wanted = len(samples) + count
        for application in as_applications(fields.iloc[rows]):
            if len(samples) == wanted:
                break
            body = json.dumps(application).encode()
            samples[body] = Sample(body, "granted" if granted else "refused")
    chosen = list(samples.values())
    rng.shuffle(chosen)
    return chosen


def write_bodies(samples: list[Sample], file: Path) -> None:
    """Write one request body a line."""
    file.write_bytes(b"\n".join(sample.body for sample in samples) + b"\n")
