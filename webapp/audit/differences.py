"""Names the differences between a stored decision and the same decision computed again."""

import json
import reprlib
from collections.abc import Iterator
from typing import Any, TypedDict

from ml.bundle.decide import Verdict, decide
from ml.bundle.manifest import KNOWN_ANSWER_TOLERANCE
from ml.bundle.reader import Bundle
from ml.product.application import Application, Rules, Submission
from ml.product.errors import InvalidApplication, MalformedApplication
from ml.scoring.columns import Normalised
from webapp.columns import Basis, DecisionValue, ModelDecision, decision_value
from webapp.decisions.circumstances import Circumstances
from webapp.decisions.damage import Damaged, read
from webapp.decisions.records import Decision, StoredCauses, StoredReasons
from webapp.decisions.ruling import rule
from webapp.decisions.writing import stored_reasons

IN_JSON = ("normalised", "reasons", "causes")
MAX_DIFFERENCES_PER_COLUMN = 5  # listed in one line
SHORT_REPR = reprlib.Repr()  # a row that was changed by hand may hold values of any size and depth
SHORT_REPR.maxstring = SHORT_REPR.maxother = 80


class UnusableInputs(Exception):
    """The stored inputs cannot be scored; the message says why without repeating them."""


class Computed(TypedDict):
    """The columns of a decision that a verdict determines; contents as parsed JSON."""

    product: str
    probability: float
    threshold: float
    model_decision: ModelDecision
    decision: DecisionValue
    basis: Basis
    policy: str
    amount: int
    novelty: float
    normalised: Normalised
    reasons: StoredReasons | None
    causes: StoredCauses


class _Missing:
    """Placeholder for a part that only the other one of two values has."""

    def __repr__(self) -> str:
        return "nothing"


MISSING = _Missing()


def name_differences(row: Any, bundle: Bundle, rules: Rules) -> list[str]:  # noqa: ANN401
    """Decide the inputs of a row of replay's query again, and name each difference."""
    try:
        application = stored_application(row.inputs, rules)
    except UnusableInputs as error:
        return [f"its inputs cannot be scored: {error}"]
    verdict = decide(bundle, application)
    computed_columns = as_columns(bundle, application, verdict, stored_causes=row.causes)
    facts = read(Decision, row)
    damaged = facts.columns if isinstance(facts, Damaged) else ()
    differences = [f"{name} cannot be read" for name in damaged if name not in computed_columns]
    for column, computed in computed_columns.items():
        stored = getattr(row, column)
        if column in IN_JSON:
            stored = _parsed(stored)
        of_column = list(_differences(column, stored, computed))
        differences += of_column[:MAX_DIFFERENCES_PER_COLUMN]
        if (more := len(of_column) - MAX_DIFFERENCES_PER_COLUMN) > 0:
            differences.append(f"{column} in {more} more")
    return differences


def stored_application(text: str, rules: Rules) -> Application:
    """Return stored inputs as an application; raises UnusableInputs."""
    try:
        application = rules.check_json(text.encode())
    except MalformedApplication:
        raise UnusableInputs("not a JSON object") from None
    except InvalidApplication as error:
        raise UnusableInputs(str(error)) from None
    # The rules fill in optional fields, but stored inputs always hold every field. A colon follows
    # each name, and no valid name or value holds one.
    if text.count(":") != len(application):
        missing = application.keys() - json.loads(text).keys()
        raise UnusableInputs(f"{', '.join(sorted(missing))}: missing")
    return application


def as_columns(
    bundle: Bundle, application: Application, verdict: Verdict, *, stored_causes: str | None
) -> Computed:
    """Return what should be stored; the circumstances of the decision are those of its causes."""
    causes, product = _causes_in(stored_causes), bundle.product
    tries = product.referral.tries if "tries" in causes else 0
    circumstances = Circumstances(referring="switch" in causes, tries=tries)
    ruling = rule(product, Submission(application), verdict, circumstances)
    return {
        "product": verdict.product,
        "probability": verdict.probability,
        "threshold": verdict.threshold,
        "model_decision": decision_value(verdict.granted),
        "decision": ruling.decision,
        "basis": ruling.basis,
        "policy": ruling.policy,
        "amount": verdict.amount,
        "novelty": verdict.novelty,
        "normalised": verdict.normalised,
        "reasons": stored_reasons(verdict, ruling),
        "causes": ruling.causes,
    }


def _causes_in(stored: str | None) -> set[str]:
    """Return the kinds of the stored causes; a row that was changed by hand may hold anything."""
    causes = _parsed(stored)
    if not isinstance(causes, list):
        return set()
    return {str(cause.get("cause")) for cause in causes if isinstance(cause, dict)}


def _parsed(text: str | None) -> object:
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return text


def _differences(path: str, stored: object, computed: object) -> Iterator[str]:
    """Yield each path below which two values differ; the stored one may have any structure."""
    if isinstance(computed, dict) and isinstance(stored, dict):
        for key in {**computed, **stored}:
            key_path = f"{path}.{key if key in computed else SHORT_REPR.repr(key)}"
            stored_part, computed_part = stored.get(key, MISSING), computed.get(key, MISSING)
            yield from _differences(key_path, stored_part, computed_part)
    elif isinstance(computed, list) and isinstance(stored, list) and len(stored) == len(computed):
        for place, parts in enumerate(zip(stored, computed, strict=True), 1):
            yield from _differences(f"{path}.{place}", *parts)
    elif not _equal(stored, computed, exact=path == "threshold"):
        yield f"{path} stored {_format(stored, computed)}, computed {_format(computed, stored)}"


def _equal(stored: object, computed: object, *, exact: bool) -> bool:
    if isinstance(computed, float) and isinstance(stored, float) and not exact:
        return abs(stored - computed) <= KNOWN_ANSWER_TOLERANCE
    return type(stored) is type(computed) and stored == computed


def _format(value: object, other: object) -> str:
    """Format a value briefly, but with enough digits to tell it from the other one."""
    if not isinstance(value, float):
        return SHORT_REPR.repr(value)
    short = f"{value:.7f}"
    ambiguous = isinstance(other, float) and short == f"{other:.7f}"
    return repr(value) if ambiguous or len(short) > 20 else short
