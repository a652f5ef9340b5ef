"""Reads products from TOML files, shipped ones or others."""

import tomllib
from pathlib import Path

from pydantic import ValidationError

from ml.product.definition import Product

PRODUCTS = Path(__file__).parents[1] / "products"


class InvalidProduct(Exception):
    """A product file that cannot be used; the message names the place and the reason."""


def parse_product(text: str, *, source: str) -> Product:
    """Read a product from the text of its TOML file.

    Parameters
    ----------
    text : str
        The whole file.
    source : str
        The name of the file in error messages.

    Returns
    -------
    Product

    Raises
    ------
    InvalidProduct
        The text is not TOML, or does not define a valid product.
    """
    try:
        return Product.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InvalidProduct(f"{source}: not TOML: {error}") from error
    except ValidationError as error:
        raise InvalidProduct(f"{source}: {first_error(error)}") from error


def first_error(error: ValidationError) -> str:
    """Return the place and the message of the first error that pydantic found.

    Parameters
    ----------
    error : ValidationError

    Returns
    -------
    str
    """
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where + ': ' if where else ''}{first['msg'].removeprefix('Value error, ')}"


def file_of(name_or_file: str | Path) -> Path:
    """Return the TOML file of a shipped product, by its name, or that of any other.

    Parameters
    ----------
    name_or_file : str or Path
        The name, such as ``consumer_credit``, or a path that ends in ``.toml``.

    Returns
    -------
    Path
    """
    path = Path(name_or_file)
    return path if path.suffix == ".toml" else PRODUCTS / f"{name_or_file}.toml"


def read_product(name_or_file: str | Path) -> Product:
    """Read a shipped product by its name, or any product from a TOML file.

    Parameters
    ----------
    name_or_file : str or Path
        The name, such as ``consumer_credit``, or a path that ends in ``.toml``.

    Returns
    -------
    Product

    Raises
    ------
    InvalidProduct
        The file does not exist or cannot be used.
    """
    path = file_of(name_or_file)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        shipped = ", ".join(sorted(p.stem for p in PRODUCTS.glob("*.toml")))
        raise InvalidProduct(f"{path}: {error.strerror} (shipped: {shipped})") from error
    except UnicodeDecodeError as error:
        raise InvalidProduct(f"{path}: not UTF-8") from error
    return parse_product(text, source=str(path))
