"""The work of the ledger's writer: decides, writes and answers all that waits at a moment."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ml.bundle.decide import Verdict, decide_each, decide_together
from ml.bundle.reader import Bundle
from ml.product.application import Application, Submission
from webapp.decisions.answers import decision_json
from webapp.decisions.ruling import Circumstances, Ruling, rule_each
from webapp.decisions.writing import NewDecision, Stored, contents_of, write_decisions
from webapp.failures import UnknownKey
from webapp.ledger.audit import record_activation
from webapp.ledger.driver import Driver, Reader
from webapp.ledger.idempotency import Claim, body_digest
from webapp.metrics import metrics
from webapp.people import api_keys
from webapp.people.operators import Operator
from webapp.serving.past import Usable


class Submitted(NamedTuple):
    """An application in JSON, as another system has sent it."""

    body: bytes
    api_key: str
    key: bytes | None  # the digest of the idempotency key
    language: str


class Deciding:
    """Decides what has been submitted; a decision that was made elsewhere is only written."""

    def __init__(self, reader: Reader, usable: Callable[[], Usable]) -> None:
        self._reader, self._usable = reader, usable
        self._active = ""  # the model whose activation is known to be in the audit log

    def prepare(self, records: Sequence[Submitted | NewDecision]) -> list[NewDecision | Exception]:
        submitted = [record for record in records if isinstance(record, Submitted)]
        decided = iter(self._decide(submitted) if submitted else [])
        return [r if isinstance(r, NewDecision) else next(decided) for r in records]

    def write(self, driver: Driver, decisions: Sequence[NewDecision]) -> list[Stored]:
        model = decisions[-1].verdict.model
        if model != self._active and record_activation(driver, model):
            self._active = model
        return write_decisions(driver, decisions)

    def finish(self, stored: Stored) -> Stored:
        new, decision, _ = stored
        if not new.language:
            return stored
        return stored._replace(json=decision_json(decision, new.contents, language=new.language))

    def _decide(self, submitted: Sequence[Submitted]) -> list[NewDecision | Exception]:
        usable = self._usable()
        operators = api_keys.operators_of(self._reader, {s.api_key for s in submitted})
        read = [_read(s, operators.get(s.api_key), usable) for s in submitted]
        submissions = [r for r in read if isinstance(r, Submission)]
        decided = iter(judge(usable.bundle, submissions, reader=self._reader))
        return [
            _decision(s, operators[s.api_key], r, *next(decided))
            if isinstance(r, Submission)
            else r
            for s, r in zip(submitted, read, strict=True)
        ]


def decide_json(
    body: bytes, *, operator: Operator, claim: Claim | None, usable: Usable, reader: Reader
) -> NewDecision:
    """Decide one application in JSON; raises what `Rules.check_submission` raises."""
    submission = usable.rules.check_submission(body)
    [(verdict, ruling)] = judge(usable.bundle, [submission], reader=reader)
    contents = contents_of(submission, verdict, ruling)
    return NewDecision(operator, "api", verdict, ruling, contents, claim)


def judge(
    bundle: Bundle,
    submissions: Sequence[Submission],
    *,
    reader: Driver | Reader,
    corrects: int | None = None,
) -> list[tuple[Verdict, Ruling]]:
    """Return the model's verdict on each application, and what is decided."""
    if not submissions:
        return []
    found = verdicts(bundle, [submission.application for submission in submissions])
    ruled = rulings(bundle, submissions, found, reader=reader, corrects=corrects)
    return list(zip(found, ruled, strict=True))


def rulings(
    bundle: Bundle,
    submissions: Sequence[Submission],
    verdicts: Sequence[Verdict],
    *,
    reader: Driver | Reader,
    corrects: int | None = None,
) -> list[Ruling]:
    """Return what is decided on each application, as things are at this moment."""
    product = bundle.product
    references = (submission.reference for submission in submissions)
    circumstances = Circumstances.read(reader, references, product.referral, corrects=corrects)
    return rule_each(product, submissions, verdicts, circumstances)


def _read(
    submitted: Submitted, operator: Operator | None, usable: Usable
) -> Submission | Exception:
    """Return what is to be decided, or the reason why it is refused."""
    if operator is None:
        return UnknownKey()
    try:
        return usable.rules.check_submission(submitted.body)
    except Exception as error:
        return error


def verdicts(bundle: Bundle, applications: Sequence[Application]) -> list[Verdict]:
    """Decide applications with a bundle, and measure how long that takes."""
    with metrics.timing_each(metrics.scoring, len(applications)):
        return decide_together(bundle, applications)


def verdicts_of_many(bundle: Bundle, applications: Sequence[Application]) -> list[Verdict]:
    """Decide many applications at once, which is quicker, and measure how long that takes."""
    with metrics.timing_each(metrics.scoring, len(applications)):
        return decide_each(bundle, applications)


def _decision(
    submitted: Submitted,
    operator: Operator,
    submission: Submission,
    verdict: Verdict,
    ruling: Ruling,
) -> NewDecision:
    body, _, key, language = submitted
    claim = None if key is None else Claim(operator.id, key, body_digest(body), language)
    contents = contents_of(submission, verdict, ruling)
    return NewDecision(operator, "api", verdict, ruling, contents, claim, language)
