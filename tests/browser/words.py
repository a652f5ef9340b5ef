"""The visible words of the desk in one language, as the page objects look for them."""

import gettext
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ml.product.definition import Product

CATALOGUES = Path(__file__).parents[2] / "webapp" / "translations"


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    file = CATALOGUES / language / "LC_MESSAGES" / "messages.mo"
    if not file.exists():
        return gettext.NullTranslations()  # English, which the templates hold
    with file.open("rb") as compiled:
        return gettext.GNUTranslations(compiled)


@cache
def _foreign(language: str) -> frozenset[str]:
    entries = getattr(_catalogue(language), "_catalog", {}).items()
    return frozenset(key for key, text in entries if isinstance(key, str) and key not in ("", text))


@dataclass(frozen=True)
class Words:
    """Texts as they stand on the pages in one language."""

    language: str
    product: Product

    def __call__(self, text: str, **values: object) -> str:
        """Return an English text of a template in this language."""
        said = _catalogue(self.language).gettext(text)
        return said % values if values else said

    def foreign(self) -> frozenset[str]:
        """Return the English texts that are written differently in this language."""
        return _foreign(self.language)

    def starting_with(self, text: str) -> re.Pattern[str]:
        """Match what begins with a text, such as a label before the word "optional"."""
        return re.compile(f"^{re.escape(self(text))}")

    def label(self, field: str) -> str:
        """Return the label of a field of the product."""
        return self.product.by_name[field].label.in_language(self.language)

    def choice(self, field: str, value: str) -> str:
        """Return the label of one of a field's choices."""
        [chosen] = [c for c in self.product.by_name[field].choices if c.value == value]
        return chosen.label.in_language(self.language)
