"""Writes a model card as Markdown, by the template ``card.md.jinja``."""

import math
import re
from datetime import UTC
from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ml.card.card import FIGURES, ModelCard
from ml.card.checks import checks
from ml.card.fairness_table import as_text
from ml.card.pictures import describe, picture_file
from ml.evaluation.performance import threshold_for
from ml.product.formats import decimal, format_integer, moment, percent, short
from ml.product.texts import Text

SPECIAL = re.compile(r"[\\`*\[\]<|]|(?<!\w)_|_(?!\w)")  # not an underscore within a word


def as_markdown(card: ModelCard, language: str) -> str:
    """Write a model card as Markdown.

    Parameters
    ----------
    card : ModelCard
    language : str
        Its two-letter code.

    Returns
    -------
    str
        The links to plots are their paths in the bundle.
    """
    environment = Environment(  # noqa: S701 - Markdown is not escaped as HTML is: see `escaped`
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "words": lambda text: escaped(text.in_language(language)),
        "escaped": escaped,
        "integer": partial(format_integer, language=language),
        "share": partial(percent, language=language),
        "decimal": partial(decimal, language=language),
        "short": partial(short, language=language),
        "moment": partial(moment, language=language, zone=UTC),
    }
    return environment.get_template("card.md.jinja").render(
        card=card,
        language=language,
        say=lambda en, fr: Text(en=en, fr=fr).in_language(language),
        figures=FIGURES,
        threshold_by_cost=math.isclose(card.threshold, threshold_for(card.cost_ratio)),
        descriptions=describe(card.evidence, card.importance, language),
        picture_file=picture_file,
        checks=checks(card, language),
        fairness=as_text(card.fairness, language=language),
    )


def escaped(text: str) -> str:
    """Escape the special characters of Markdown, and join lines.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    return SPECIAL.sub(r"\\\g<0>", re.sub(r"\s*\n\s*", " ", text))
