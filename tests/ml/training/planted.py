"""Fits models quickly, for tests on data with a planted effect."""

from dataclasses import replace

from ml.training.candidates import candidates
from ml.training.train import DEFAULT, SEED, fit


def quick(product, data, *, name="logistic", unbound=False, effort=DEFAULT):
    """Fit a candidate with one setting."""
    candidate = next(c for c in candidates(product, seed=SEED) if c.name == name)
    if unbound:
        candidate = candidate.without_directions()
    grid = {key: values[-1:] for key, values in candidate.grid.items()}
    return fit(replace(candidate, grid=grid), product, data, effort=effort, seed=SEED)[0]
