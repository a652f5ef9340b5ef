"""The TOML files of products: those shipped, and how one is read."""

import tomllib
from pathlib import Path

from pydantic import ValidationError

from ml.product.definition import Product

PRODUCTS = Path(__file__).parents[1] / "products"


class InvalidProduct(Exception):
    """A product file that cannot be used; the message says where and why in one line."""


def parse_product(text: str, *, source: str) -> Product:
    """Read a product from the text of its TOML file.

    Parameters
    ----------
    text : str
        The whole file.
    source : str
        What to call it in an error.

    Returns
    -------
    Product

    Raises
    ------
    InvalidProduct
        The text is no TOML, or what it says does not hold together.
    """
    try:
        return Product.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InvalidProduct(f"{source}: not TOML: {error}") from error
    except ValidationError as error:
        raise InvalidProduct(f"{source}: {first_error(error)}") from error


def first_error(error: ValidationError) -> str:
    """Return where the first error of a pydantic model is, and what it is, without its jargon.

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


def read_product(name_or_file: str | Path) -> Product:
    """Read a product by its name among those shipped, or from a TOML file of one's own.

    Parameters
    ----------
    name_or_file : str or Path
        ``consumer_credit``, say, or a path that ends in ``.toml``.

    Returns
    -------
    Product

    Raises
    ------
    InvalidProduct
        There is no such file, or it cannot be used.
    """
    path = Path(name_or_file)
    if path.suffix != ".toml":
        path = PRODUCTS / f"{name_or_file}.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        shipped = ", ".join(sorted(p.stem for p in PRODUCTS.glob("*.toml")))
        raise InvalidProduct(f"{path}: {error.strerror} (shipped: {shipped})") from error
    except UnicodeDecodeError as error:
        raise InvalidProduct(f"{path}: not UTF-8") from error
    return parse_product(text, source=str(path))
