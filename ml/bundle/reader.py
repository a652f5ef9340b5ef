"""A bundle: a trained model on disk with all that is needed to check it and to use it."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from ml.bundle.manifest import (
    ARRAYS,
    BACKGROUND,
    CHAMPION,
    MANIFEST,
    NOVELTY,
    PRODUCT,
    BundleTampered,
    Manifest,
    challenger_files,
    read_manifest,
    refuse_other_versions,
    understood,
    verified,
)
from ml.bundle.version import version_of
from ml.explaining.reasons import Explainer
from ml.product.application import Application
from ml.product.definition import Product
from ml.product.files import parse_product
from ml.scoring.novelty import Novelty
from ml.scoring.scorer import Frame, Scorer, scorer_kind

_APPLICATIONS = TypeAdapter(list[Application])


@dataclass(frozen=True)
class Bundle:
    """A verified bundle.

    Attributes
    ----------
    directory : Path
    manifest : Manifest
    digest : str
        SHA-256 of ``manifest.json``; it stands for the whole bundle, whose hashes that file holds.
    product : Product
    scorer : Scorer
    explainer : Explainer
    novelty : Novelty
    """

    directory: Path
    manifest: Manifest
    digest: str
    product: Product
    scorer: Scorer
    explainer: Explainer
    novelty: Novelty

    @property
    def version(self) -> str:
        """The model's version: its kind and the beginning of its hash."""
        return self.manifest.version

    @property
    def threshold(self) -> float:
        """The probability of being good from which a loan is granted."""
        return self.manifest.threshold

    @property
    def ranges(self) -> dict[str, tuple[int, int]]:
        """Between which values each integer field lies in the training data."""
        return self.manifest.ranges

    @property
    def challengers(self) -> list[str]:
        """The names of the candidates that do not decide."""
        return self.manifest.challengers

    def challenger(self, name: str) -> Scorer:
        """Return the Scorer of a candidate that does not decide.

        Parameters
        ----------
        name : str
            One of `challengers`.

        Returns
        -------
        Scorer

        Raises
        ------
        BundleMissing
            There is none of that name.
        BundleTampered
            Its files are not those that were written.
        BundleForeign
            It has no array form, and was trained under other versions.
        """
        model, arrays = challenger_files(name)
        content = self.file(arrays)

        def pickled() -> bytes:
            refuse_other_versions(self.directory, self.manifest)  # it may be read for the past
            return self.file(model)

        with understood(self.directory / model):
            return _scorer(content, pickled)

    def file(self, name: str) -> bytes:
        """Read a file of the bundle.

        Parameters
        ----------
        name : str
            As the manifest has it.

        Returns
        -------
        bytes

        Raises
        ------
        BundleMissing, BundleTampered
            It is not there any more, or not the one that was written.
        """
        return verified(self.directory, self.manifest, name)


def read_bundle(directory: Path, *, past: bool = False, digest: str | None = None) -> Bundle:
    """Verify a bundle and read what is needed to decide and explain with it.

    Every file's hash is compared before anything in it is looked at. Only a champion without an
    array form is unpickled, and only after that.

    Parameters
    ----------
    directory : Path
    past : bool
        Whether it is read to compute past decisions again. Then one that holds its model as
        arrays, which no version changes, may have been trained under other versions.
    digest : str, optional
        Of the only bundle that is wanted: another one is refused before its files are read.

    Returns
    -------
    Bundle

    Raises
    ------
    BundleMissing
        A file is not there or cannot be read.
    BundleTampered
        A file is not the one that was written, or does not hold what it must; the stated version is
        not that of the content; or the bundle is not the one that is wanted.
    BundleForeign
        It was trained under other versions, or has another format.
    """
    manifest, found = read_manifest(directory)
    if digest not in (None, found):
        raise BundleTampered(f"{directory}: not the bundle with the digest {digest[:8]}")
    if not (past and manifest.scorer != "pipeline"):
        refuse_other_versions(directory, manifest)
    files = {name: verified(directory, manifest, name) for name in manifest.files}
    with understood(directory / PRODUCT):
        product = parse_product(files[PRODUCT].decode(), source=PRODUCT)
    with understood(directory / ARRAYS):
        kind = scorer_kind(files[ARRAYS])
        if kind != manifest.scorer:
            raise ValueError(f"a scorer of the kind {kind}, not {manifest.scorer}")
        scorer = _scorer(files[ARRAYS], lambda: files[CHAMPION])
    with understood(directory / BACKGROUND):
        background = _APPLICATIONS.validate_json(files[BACKGROUND], strict=True)
        explainer = Explainer(product, scorer, background)
    with understood(directory / NOVELTY):
        novelty = Novelty(files[NOVELTY])
        novelty.measure([0.0] * len(scorer.columns))  # so it knows rows of that many
    with understood(directory):
        version = version_of(manifest, files)
    if version != manifest.version:
        raise BundleTampered(
            f"{directory / MANIFEST}: states version {manifest.version}, but that of its content "
            f"is {version}"
        )
    return Bundle(directory, manifest, found, product, scorer, explainer, novelty)


def _scorer(arrays: bytes, pipeline: Callable[[], bytes]) -> Scorer:
    """Return a Scorer; the pipeline is unpickled only for a model without an array form."""
    if scorer_kind(arrays) == "pipeline":
        return Scorer(arrays, pipeline=load_pipeline(pipeline()))
    return Scorer(arrays)


def load_pipeline(content: bytes) -> Callable[[Frame], np.ndarray]:
    """Unpickle a model whose hash has been verified.

    Parameters
    ----------
    content : bytes
        Of a ``.joblib`` file.

    Returns
    -------
    callable
        From raw fields to the probabilities of being good, an ndarray of shape (n_samples,).
    """
    # Imported here: these cost a web worker more memory than all the rest, and most need none.
    import joblib  # noqa: PLC0415 - see above
    import pandas as pd  # noqa: PLC0415 - see above

    model = joblib.load(io.BytesIO(content))

    def probabilities(frame: Any) -> np.ndarray:  # noqa: ANN401 - whatever pandas makes a frame of
        good: np.ndarray = model.predict_proba(pd.DataFrame(frame))[:, 1]
        return good

    return probabilities
