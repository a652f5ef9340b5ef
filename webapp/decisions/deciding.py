"""The work of the ledger's writer: decides, writes and answers all that waits at a moment."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

from ml.bundle.decide import Verdict, decide_each, decide_together
from ml.bundle.reader import Bundle
from ml.product.application import Application, Submission
from webapp.decisions.answers import decision_json
from webapp.decisions.circumstances import (
    Applicant,
    Circumstances,
    hold,
    read_circumstances,
)
from webapp.decisions.records import Channel
from webapp.decisions.ruling import rule
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


class Judged(NamedTuple):
    """An application with the model's verdict; what is decided follows when it is written."""

    operator: Operator
    channel: Channel
    bundle: Bundle
    submission: Submission
    verdict: Verdict
    claim: Claim | None = None
    language: str = ""  # of an answer in JSON; empty if there is to be none
    corrects: int | None = None  # the decision that it corrects

    @property
    def applicant(self) -> Applicant:
        return Applicant(self.submission.reference, self.corrects)


class Deciding:
    """Judges what has been submitted; what was judged elsewhere is only decided and written."""

    def __init__(self, reader: Reader, usable: Callable[[], Usable]) -> None:
        self._reader, self._usable = reader, usable
        self._active = ""  # the digest of the bundle that the audit log names as active

    def prepare(self, records: Sequence[Submitted | Judged]) -> list[Judged | Exception]:
        submitted = [record for record in records if isinstance(record, Submitted)]
        judged = iter(self._judge(submitted) if submitted else [])
        return [r if isinstance(r, Judged) else next(judged) for r in records]

    def write(self, driver: Driver, judged: Sequence[Judged]) -> list[Stored]:
        hold_for(driver, judged)
        bundle = judged[-1].bundle
        if bundle.digest != self._active and record_activation(
            driver, bundle.version, digest=bundle.digest
        ):
            self._active = bundle.digest
        return write_judged(driver, judged)

    def finish(self, stored: Stored) -> Stored:
        new, decision, _ = stored
        if not new.language:
            return stored
        return stored._replace(json=decision_json(decision, new.contents, language=new.language))

    def _judge(self, submitted: Sequence[Submitted]) -> list[Judged | Exception]:
        usable = self._usable()
        operators = api_keys.operators_of(self._reader, {s.api_key for s in submitted})
        read = [_read(s, operators.get(s.api_key), usable) for s in submitted]
        applications = [r.application for r in read if isinstance(r, Submission)]
        found = iter(verdicts(usable.bundle, applications) if applications else [])
        return [
            _judged(s, operators[s.api_key], usable.bundle, r, next(found))
            if isinstance(r, Submission)
            else r
            for s, r in zip(submitted, read, strict=True)
        ]


def hold_for(driver: Driver, judged: Sequence[Judged]) -> None:
    """Begin a transaction that decides: nothing that decisions depend on changes until it ends."""
    hold(driver, [one.applicant for one in judged])


def write_judged(driver: Driver, judged: Sequence[Judged]) -> list[Stored]:
    """Decide and write applications, in a transaction that holds what their decisions depend on."""
    return [
        stored
        for _, of_model in groupby(judged, key=lambda one: one.bundle.digest)
        for stored in write_decisions(driver, _decide(driver, list(of_model)))
    ]


def judge_json(body: bytes, *, operator: Operator, claim: Claim | None, usable: Usable) -> Judged:
    """Judge one application in JSON; raises what `Rules.check_submission` raises."""
    submission = usable.rules.check_submission(body)
    [verdict] = verdicts(usable.bundle, [submission.application])
    return Judged(operator, "api", usable.bundle, submission, verdict, claim)


def _decide(driver: Driver, judged: Sequence[Judged]) -> list[NewDecision]:
    """Return what is decided on applications that one model has judged, as things are now."""
    product = judged[0].bundle.product
    applicants = [one.applicant for one in judged]
    circumstances = read_circumstances(driver, applicants, product.referral)
    return [_decision(one, of_one) for one, of_one in zip(judged, circumstances, strict=True)]


def _decision(judged: Judged, circumstances: Circumstances) -> NewDecision:
    operator, channel, bundle, submission, verdict, claim, language, corrects = judged
    ruling = rule(bundle.product, submission, verdict, circumstances)
    contents = contents_of(submission, verdict, ruling)
    return NewDecision(operator, channel, verdict, ruling, contents, claim, language, corrects)


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
    """Let a bundle judge applications, and measure how long that takes."""
    with metrics.timing_each(metrics.scoring, len(applications)):
        return decide_together(bundle, applications)


def verdicts_of_many(bundle: Bundle, applications: Sequence[Application]) -> list[Verdict]:
    """Let a bundle judge many applications, quicker, and measure how long that takes."""
    with metrics.timing_each(metrics.scoring, len(applications)):
        return decide_each(bundle, applications)


def _judged(
    submitted: Submitted,
    operator: Operator,
    bundle: Bundle,
    submission: Submission,
    verdict: Verdict,
) -> Judged:
    body, _, key, language = submitted
    claim = None if key is None else Claim(operator.id, key, body_digest(body), language)
    return Judged(operator, "api", bundle, submission, verdict, claim, language)
