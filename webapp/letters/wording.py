"""Renders a letter from a template of ours or of the bank, in a sandbox."""

import html
from hashlib import sha256
from pathlib import Path

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from webapp.config import ROOT
from webapp.failures import LetterBroken
from webapp.letters.records import Draft, Rendered

OURS = ROOT / "templates" / "letters" / "wording"
MAX_CHARACTERS = 60_000  # of a letter; one page has about 6,000


def folder_of(chosen: str) -> Path:
    """Return the folder of the templates: the bank's own, or ours if it has none."""
    return Path(chosen) if chosen else OURS


def render(draft: Draft, *, folder: Path) -> Rendered:
    """Return the letter that the template of a draft's regime and language makes of it.

    A template is one file. It cannot load another one. Raises LetterBroken.
    """
    name = f"{draft.regime}/{draft.language}.html"
    try:
        source = (folder / name).read_bytes()
        template = _sandbox().from_string(source.decode())
        text = template.render(letter=draft)
    except OSError as error:
        raise LetterBroken(name, error.strerror or "it cannot be read") from None
    except UnicodeDecodeError:
        raise LetterBroken(name, "it is not in UTF-8") from None
    except TemplateSyntaxError as error:
        raise LetterBroken(name, f"line {error.lineno}: {error.message}") from None
    except TemplateError as error:  # a variable that does not exist, or what the sandbox refuses
        raise LetterBroken(name, f"line {_line(error)}: {error.message}") from None
    except Exception as error:  # whatever an expression of the template raises
        raise LetterBroken(name, f"line {_line(error)}: {type(error).__name__}") from error
    if not html.unescape(text).strip() or len(text) > MAX_CHARACTERS:
        raise LetterBroken(name, f"the letter has {len(text):,} characters")
    return Rendered(text, name, sha256(source).hexdigest())


def _sandbox() -> ImmutableSandboxedEnvironment:
    """Return an environment without a loader, and without functions: only the draft is there."""
    sandbox = ImmutableSandboxedEnvironment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    sandbox.globals.clear()
    return sandbox


def _line(error: BaseException) -> int:
    """Return the line of the template at which an expression failed."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
