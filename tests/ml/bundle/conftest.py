"""Fixtures of the bundle tests: copies to damage, with models of each kind."""

import dataclasses
import shutil
from pathlib import Path

import pandas as pd
import pytest

from ml.bundle.manifest import ARRAYS, CHAMPION, challenger_files
from ml.training.candidates import candidates
from ml.training.export import export_scorer
from ml.training.train import DEFAULT, SEED, fit
from tests.ml.bundle.damage import dumped, put, state, state_version, stated


@pytest.fixture
def copy(bundle, tmp_path):
    """A copy of the bundle's directory, for a test to damage."""
    return Path(shutil.copytree(bundle.directory, tmp_path / "copy"))


@pytest.fixture(scope="session")
def boosting(product, origin):
    """A small model without an array form."""
    candidate = next(c for c in candidates(product, seed=SEED) if c.name == "boosting")
    grid = {"classify__max_iter": [10]}
    fields, good = origin.rows.data
    return fit(
        dataclasses.replace(candidate, grid=grid),
        product,
        (fields.iloc[:300], good[:300]),
        effort=DEFAULT,
        seed=SEED,
    )[0]


@pytest.fixture
def run_by_pipeline(copy, boosting):
    """The copy with a champion that has no array form."""
    put(copy, CHAMPION, dumped(boosting))
    put(copy, ARRAYS, export_scorer(boosting))
    state(copy, scorer="pipeline")
    state_version(copy)
    return copy


@pytest.fixture
def challenged(copy, boosting):
    """The copy with one more challenger, which has no array form."""
    pickle_file, arrays = challenger_files("boosting")
    put(copy, pickle_file, dumped(boosting))
    put(copy, arrays, export_scorer(boosting))
    manifest = stated(copy)
    known = manifest["known_answers"]
    frame = pd.DataFrame([one["application"] for one in known])
    for one, answer in zip(known, boosting.predict_proba(frame)[:, 1].tolist(), strict=True):
        one["challengers"]["boosting"] = answer
    row = manifest["table"][0] | {"name": "boosting"}
    state(copy, table=[row, *manifest["table"]], known_answers=known)
    state_version(copy)
    return copy
