"""Puts changed policy rules, referral and texts of a product into a bundle of the same model."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ml.bundle.facts import Facts, RulesChange
from ml.bundle.manifest import PRODUCT
from ml.bundle.reader import Bundle, read_bundle
from ml.bundle.verify import verify_bundle
from ml.bundle.writer import write_bundle
from ml.product.definition import Product
from ml.product.files import InvalidProduct, parse_product

# What neither a model nor the figures on its card depend on: the keys of a product, and those of
# the parts of its lists.
FREE = ("label", "limits", "target_meaning", "policy_rules", "referral", "warnings", "figures")
FREE_IN: dict[str, tuple[str, ...]] = {
    "groups": ("label",),
    "fields": ("help", "reasons"),
    "ratios": ("reasons",),
}


def change_rules(bundle: Bundle, directory: Path, *, definition: bytes, source: str) -> Bundle:
    """Write a bundle with the same model, and the rules and texts of another product file.

    Parameters
    ----------
    bundle : Bundle
    directory : Path
        The folder to write; an older bundle in it is kept, as in a training.
    definition : bytes
        The content of the product's TOML file.
    source : str
        The name of that file.

    Returns
    -------
    Bundle

    Raises
    ------
    InvalidProduct
        The file is not valid, nothing in it differs, or something differs that the model depends
        on.
    InvalidBundle
        The bundle cannot be read or written, or does not give its known answers.
    """
    try:
        product = parse_product(definition.decode(), source=source)
    except UnicodeDecodeError as error:
        raise InvalidProduct(f"{source}: not UTF-8") from error
    changed = _changes(bundle.product, product, source=source)
    files = {name: bundle.file(name) for name in bundle.manifest.files} | {PRODUCT: definition}
    facts = {name: getattr(bundle.manifest, name) for name in Facts.model_fields}
    change = RulesChange(
        before=bundle.version,
        policy=product.policy_version,
        changed=changed,
        changed_at=datetime.now(UTC),
    )
    write_bundle(directory, files, Facts(**{**facts, "rules_change": change}))
    written = read_bundle(directory)
    verify_bundle(written)
    return written


def _changes(old: Product, new: Product, *, source: str) -> tuple[str, ...]:
    """Return the keys of a product that differ; raises InvalidProduct."""
    before, after = old.model_dump(), new.model_dump()
    for name in _fixed_differences(before, after):
        raise InvalidProduct(
            f"{source}: {name} is not that of the model; only rules, referral and texts can be "
            "changed without training again"
        )
    changed = tuple(name for name in before if before[name] != after[name])
    if not changed:
        raise InvalidProduct(f"{source}: nothing differs from the bundle")
    return changed


def _fixed_differences(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """Yield the place of each difference that the model depends on."""
    for name in before:
        if name not in (*FREE, *FREE_IN) and before[name] != after[name]:
            yield name
    for name, free in FREE_IN.items():
        if len(before[name]) != len(after[name]):
            yield name
        for old, new in zip(before[name], after[name], strict=False):
            for key in old:
                if key not in free and old[key] != new[key]:
                    yield f"{name}.{old['name']}.{key}"
