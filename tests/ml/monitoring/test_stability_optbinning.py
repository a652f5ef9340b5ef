"""The stability index of shipped applications equals the one that optbinning computes offline."""

import numpy as np
import pytest
from optbinning import OptimalBinning
from optbinning.binning.metrics import jeffrey

from ml.monitoring.bins import reference_of
from ml.monitoring.stability import stability
from ml.training.dataset import read_rows

SEED = 20_261_127


@pytest.fixture(scope="module")
def rows(product):
    """The shipped rows, and a sample in which larger loans are more frequent."""
    random = np.random.default_rng(SEED)
    fields = read_rows(product, product.data_file).fields
    amount = fields[product.amount].to_numpy(dtype=float)
    chosen = random.choice(len(fields), size=2 * len(fields), p=amount / amount.sum())
    return fields, fields.iloc[chosen]


def columns_of(frame):
    return {name: [None if v != v else v for v in frame[name].tolist()] for name in frame}


def optbinning_index(field, bins, training, sample):
    """Compute the index by optbinning, from the values and the limits of the bins alone."""
    kind = "numerical" if field.kind == "integer" else "categorical"
    if kind == "numerical":
        splits = np.array(bins.limits[1:-1]) + 0.5  # its bins contain their lower end, ours do not
        old, new = (frame[field.name].to_numpy(dtype=float) for frame in (training, sample))
    else:
        splits = np.array([[a] for a in bins.answers], dtype=object)
        old, new = (frame[field.name].to_numpy(dtype=object) for frame in (training, sample))
    binning = OptimalBinning(
        dtype=kind,
        monotonic_trend=None,
        min_prebin_size=1e-4,
        user_splits=splits,
        user_splits_fixed=[True] * len(splits),
    ).fit(np.repeat(old, 2), np.tile([0, 1], len(old)))  # it needs both answers in each bin
    # Without the last argument, missing answers would be counted in the first bin.
    missing = {"metric": "indices", "metric_missing": "empirical"}
    placed = [binning.transform(values, **missing) for values in (old, new)]
    count = max(int(p.max()) for p in placed) + 1
    shares = [np.bincount(p.astype(int), minlength=count) / len(p) for p in placed]
    seen = shares[0] > 0
    assert (shares[1][seen] > 0).all()  # it has no index of an empty bin
    return float(jeffrey(shares[1][seen], shares[0][seen], return_sum=True))


def test_index_of_each_field_equals_optbinning(product, rows):
    training, sample = rows
    reference = reference_of(product, columns_of(training), np.full(len(training), 0.5), unusual=0)
    moved = {}
    for field in product.inputs:
        bins = reference.fields[field.name]
        counts = np.bincount(bins.place(columns_of(sample)[field.name]), minlength=len(bins.counts))
        expected = optbinning_index(field, bins, training, sample)
        moved[field.name] = stability(bins.counts, counts.tolist()).index
        assert moved[field.name] == pytest.approx(expected, rel=0.01), field.name
    assert moved[product.amount] > 0.1  # so that more than zeros are compared
