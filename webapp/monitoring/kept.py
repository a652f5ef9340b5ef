"""What bundles keep of their training rows, for the models that are kept."""

from functools import lru_cache

from ml.bundle.manifest import InvalidBundle
from ml.monitoring.bins import Reference, read_reference
from ml.monitoring.rows import TrainingRows, read_training_rows
from webapp.serving.served import model


def reference_of(version: str) -> Reference | None:
    """Return what the training rows of a model were like; None if the model is not kept."""
    try:
        return _reference(str(model.find(version).directory), version)
    except InvalidBundle:
        return None


def training_rows_of(version: str) -> TrainingRows | None:
    """Return the training rows of a model; None if the model is not kept."""
    try:
        return _rows(str(model.find(version).directory), version)
    except InvalidBundle:
        return None


@lru_cache(maxsize=8)
def _reference(_directory: str, version: str) -> Reference:
    return read_reference(model.find(version))


@lru_cache(maxsize=2)  # each has a megabyte or less
def _rows(_directory: str, version: str) -> TrainingRows:
    return read_training_rows(model.find(version))
