"""Decides the applications of other systems, all that wait at a moment at once."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ml.bundle.decide import decide
from webapp.decisions.writing import NewDecision, contents_of
from webapp.failures import UnknownKey
from webapp.ledger.driver import Reader
from webapp.ledger.idempotency import Claim, fingerprint
from webapp.metrics import metrics
from webapp.people import api_keys
from webapp.people.operators import Operator
from webapp.serving.past import Usable


class Submitted(NamedTuple):
    """An application in JSON, as another system has sent it."""

    body: bytes
    api_key: str  # its digest
    key: bytes | None  # the digest of the idempotency key
    language: str


class Deciding:
    """Decides what has been submitted; a decision that was made elsewhere stays as it is."""

    def __init__(self, reader: Reader, usable: Callable[[], Usable]) -> None:
        self._reader, self._usable = reader, usable

    def __call__(self, records: Sequence[Submitted | NewDecision]) -> list[NewDecision | Exception]:
        submitted = [record for record in records if isinstance(record, Submitted)]
        keys = {record.api_key for record in submitted}
        operators = api_keys.operators_of(self._reader, keys) if keys else {}
        decided: list[NewDecision | Exception] = []
        for record in records:
            if isinstance(record, NewDecision):
                decided.append(record)
                continue
            try:
                decided.append(self._decide(record, operators.get(record.api_key)))
            except Exception as error:
                decided.append(error)
        return decided

    def _decide(self, submitted: Submitted, operator: Operator | None) -> NewDecision:
        if operator is None:
            raise UnknownKey
        body, _, key, language = submitted
        claim = None if key is None else Claim(operator.id, key, fingerprint(body), language)
        return decide_json(body, operator=operator, claim=claim, usable=self._usable())


def decide_json(
    body: bytes, *, operator: Operator, claim: Claim | None, usable: Usable
) -> NewDecision:
    """Decide an application in JSON; raises what `Rules.check_json` raises."""
    application = usable.rules.check_json(body)
    with metrics.scoring.time():
        verdict = decide(usable.bundle, application)
    return NewDecision(operator, "api", verdict, contents_of(application, verdict), claim)
