"""Parts that every test may ask for: the products and one small bundle, trained once a session."""

from dataclasses import replace
from pathlib import Path

import pytest

from ml.application import Rules
from ml.assemble import Origin, assemble
from ml.bundle import Bundle
from ml.candidates import SVC_KERNELS, candidates
from ml.product import PRODUCTS, Product, read_product
from ml.train import DEFAULT, METRICS, SEED, Trained, fit, read_rows, threshold_for

ROWS = 800


@pytest.fixture(scope="session")
def product() -> Product:
    return read_product("consumer_credit")


@pytest.fixture(scope="session")
def rules(product: Product) -> Rules:
    return Rules(product)


@pytest.fixture(scope="session")
def trained(product: Product) -> Trained:
    """Both SVCs, fitted on the first rows with one setting each; the linear one decides."""
    fields, good = read_rows(product, product.data_file)
    some = (fields.iloc[:ROWS], good[:ROWS])
    models, settings, table = {}, {}, []
    for candidate in candidates(product, seed=SEED):
        if candidate.name not in SVC_KERNELS:
            continue
        one_setting = {key: values[:1] for key, values in candidate.grid.items()}
        models[candidate.name], settings[candidate.name] = fit(
            replace(candidate, grid=one_setting), product, some, effort=DEFAULT, seed=SEED
        )
        figures = {metric: {"mean": 0.5, "sd": 0.0} for metric in METRICS}
        table.append({"name": candidate.name, "label": candidate.label, **figures})
    return Trained(table, "svc_linear", "svc_linear decides: it was told to.", models, settings)


@pytest.fixture(scope="session")
def origin(product: Product) -> Origin:
    return Origin(
        definition=(PRODUCTS / f"{product.name}.toml").read_bytes(),
        data_file=product.data_file,
        rows=ROWS,
        good=ROWS // 2,
        seed=SEED,
        effort=DEFAULT,
        cost_ratio=product.cost_ratio,
        threshold=threshold_for(product.cost_ratio),
    )


@pytest.fixture(scope="session")
def bundle(
    tmp_path_factory: pytest.TempPathFactory, product: Product, trained: Trained, origin: Origin
) -> Bundle:
    """A real small bundle; tests that change its files work on a copy."""
    directory: Path = tmp_path_factory.mktemp("models") / product.name
    return assemble(directory, product, trained, origin)
