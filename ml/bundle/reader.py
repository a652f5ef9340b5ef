"""Reads a bundle: a trained model on disk with everything needed to verify and use it."""

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
from ml.scoring.columns import Frame
from ml.scoring.novelty import Novelty
from ml.scoring.scorer import Scorer, scorer_kind

_APPLICATIONS = TypeAdapter(list[Application])


@dataclass(frozen=True)
class Bundle:
    """A verified bundle.

    Attributes
    ----------
    directory : Path
    manifest : Manifest
    digest : str
        The SHA-256 of ``manifest.json``. It identifies the whole bundle, because that file
        contains the hashes of all others.
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
        """The version of the model: the champion's name and the beginning of a hash."""
        return self.manifest.version

    @property
    def threshold(self) -> float:
        """The lowest probability of being good at which a loan is granted."""
        return self.manifest.threshold

    @property
    def ranges(self) -> dict[str, tuple[int, int]]:
        """The smallest and the largest training value of each integer field."""
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
            No challenger has that name, or one of its files does not exist.
        BundleTampered
            Its files are not those that were written.
        BundleForeign
            It has no array form, and was trained with other versions than those installed.
        """
        model, arrays = challenger_files(name)
        content = self.file(arrays)

        def pickled() -> bytes:
            # A bundle that was read with `past` may have been trained with other versions.
            refuse_other_versions(self.directory, self.manifest)
            return self.file(model)

        with understood(self.directory / model):
            return _scorer(content, pickled)

    def file(self, name: str) -> bytes:
        """Read a file of the bundle.

        Parameters
        ----------
        name : str
            The path of the file in the manifest.

        Returns
        -------
        bytes
            The content of the file.

        Raises
        ------
        BundleMissing
            The manifest does not list the file, or the file no longer exists.
        BundleTampered
            The file is not the one that was written.
        """
        return verified(self.directory, self.manifest, name)


def read_bundle(directory: Path, *, past: bool = False, digest: str | None = None) -> Bundle:
    """Read a bundle, after comparing the hashes of all its files.

    Only a champion without an array form is unpickled, and only after its hash has been compared.

    Parameters
    ----------
    directory : Path
        The folder of the bundle.
    past : bool
        Whether the bundle is read to compute past decisions again. If its champion has an array
        form, which does not depend on library versions, it may then have been trained with other
        versions than those installed.
    digest : str, optional
        The digest that the bundle must have. Any other bundle is refused before its files are read.

    Returns
    -------
    Bundle

    Raises
    ------
    BundleMissing
        A file does not exist or cannot be read.
    BundleTampered
        A file is not the one that was written, or its content is invalid; the version that the
        manifest states is not that of the content; or the bundle does not have the given digest.
    BundleForeign
        The bundle was trained with other versions, or has another format.
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
            raise ValueError(
                f"the scorer is of kind {kind}, but the manifest says {manifest.scorer}"
            )
        scorer = _scorer(files[ARRAYS], lambda: files[CHAMPION])
    with understood(directory / BACKGROUND):
        background = _APPLICATIONS.validate_json(files[BACKGROUND], strict=True)
        explainer = Explainer(product, scorer, background)
    with understood(directory / NOVELTY):
        novelty = Novelty(files[NOVELTY])
        novelty.measure([0.0] * len(scorer.columns.names))  # fails if the number of columns differs
    with understood(directory):
        version = version_of(manifest, files)
    if version != manifest.version:
        raise BundleTampered(
            f"{directory / MANIFEST}: states version {manifest.version}, but its content has "
            f"version {version}"
        )
    return Bundle(directory, manifest, found, product, scorer, explainer, novelty)


def _scorer(arrays: bytes, pipeline: Callable[[], bytes]) -> Scorer:
    """Return a Scorer; the pipeline is unpickled only for a model without an array form."""
    if scorer_kind(arrays) == "pipeline":
        return Scorer(arrays, pipeline=load_pipeline(pipeline()))
    return Scorer(arrays)


def load_pipeline(content: bytes) -> Callable[[Frame], np.ndarray]:
    """Unpickle a model; the caller must have verified its hash.

    Parameters
    ----------
    content : bytes
        The content of a ``.joblib`` file.

    Returns
    -------
    callable
        Takes a frame of raw fields; returns the probabilities of being good, an ndarray of shape
        (n_samples,).
    """
    # Imported here because they need more memory than the rest of a web worker, and most workers
    # never unpickle a model.
    import joblib  # noqa: PLC0415 - see above
    import pandas as pd  # noqa: PLC0415 - see above

    model = joblib.load(io.BytesIO(content))

    def probabilities(frame: Any) -> np.ndarray:  # noqa: ANN401 - whatever pandas makes a frame of
        good: np.ndarray = model.predict_proba(pd.DataFrame(frame))[:, 1]
        return good

    return probabilities
