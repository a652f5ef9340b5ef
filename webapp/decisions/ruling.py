"""What is decided: the model's word, unless a policy rule refuses or a person must decide."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple

from ml.bundle.decide import Verdict
from ml.product.application import Submission
from ml.product.conditions import Referral
from ml.product.definition import Product
from ml.product.texts import Text
from webapp.columns import Basis, DecisionValue, decision_value, now
from webapp.decisions.records import StoredCause, StoredCauses, Words
from webapp.desk.service import is_referring
from webapp.ledger.driver import Driver, Reader

UNUSUAL = Text(
    en="The application is unlike those that the model was trained on",
    fr="La demande diffère nettement des données d’apprentissage du modèle",
)
NEAR_THRESHOLD = Text(
    en="The probability is close to the threshold", fr="La probabilité est proche du seuil"
)
TRIES = Text(
    en="Several applications with this reference were decided in a short time",
    fr="Plusieurs demandes de même référence ont été traitées en peu de temps",
)
SWITCH = Text(
    en="Every application is referred to a person at present",
    fr="Toutes les demandes sont actuellement transmises à une personne",
)
REFERENCES_PER_STATEMENT = 100
# The newest decisions on a reference, up to a number, that were made since a moment.
EARLIER = (
    "SELECT ? AS reference, count(*) FROM (SELECT d.created_at FROM decision_contents c "
    "JOIN decisions d ON d.id = c.decision_id WHERE c.reference = ? "
    "ORDER BY c.decision_id DESC LIMIT ?) newest WHERE created_at >= ?"
)
# The decision that is corrected, the one that it corrects itself, and so on, up to a number.
CHAIN = (
    "WITH RECURSIVE chain(corrects, created_at, place) AS ("
    "SELECT corrects, created_at, 1 FROM decisions WHERE id = ? UNION ALL "
    "SELECT d.corrects, d.created_at, c.place + 1 FROM decisions d JOIN chain c "
    "ON d.id = c.corrects WHERE c.place < ?) SELECT count(*) FROM chain WHERE created_at >= ?"
)


def _both(text: Text) -> Words:
    return {"en": text.en, "fr": text.fr}


# What asks for a person beside the rules, in the order of their weight.
REFERRING: tuple[StoredCause, ...] = (
    {"cause": "tries", "name": "", "then": "refer", "text": _both(TRIES)},
    {"cause": "unusual", "name": "", "then": "refer", "text": _both(UNUSUAL)},
    {"cause": "near_threshold", "name": "", "then": "refer", "text": _both(NEAR_THRESHOLD)},
    {"cause": "switch", "name": "", "then": "refer", "text": _both(SWITCH)},
)


class Ruling(NamedTuple):
    """A decision, on what it is based, by which version of the rules, and its causes."""

    decision: DecisionValue
    basis: Basis
    policy: str
    causes: StoredCauses

    @property
    def by_policy(self) -> bool:
        """Whether a policy rule refuses, which is then not explained as the model's refusal."""
        return self.decision == "refused" and self.basis == "policy"


class Circumstances:
    """What decisions depend on beside the applications and the model, at one moment."""

    def __init__(
        self, *, referring: bool, tries: Counter[str] | None = None, corrected: int = 0
    ) -> None:
        self.referring = referring
        self._tries: Counter[str] = tries or Counter()
        self._corrected = corrected

    @classmethod
    def read(
        cls,
        reader: Driver | Reader,
        references: Iterable[str | None],
        referral: Referral,
        *,
        corrects: int | None = None,
    ) -> "Circumstances":
        """Read the desk's switch, and how often each reference has been decided lately.

        Of a correction, also how many decisions were corrected one after the other before it.
        """
        some = sorted({reference for reference in references if reference})
        return cls(
            referring=is_referring(reader),
            tries=_earlier(reader, some, referral),
            corrected=_corrected(reader, corrects, referral),
        )

    def count(self, reference: str | None) -> int:
        """Return how often an applicant was decided on before, and count the reference again."""
        if not reference:
            return self._corrected
        self._tries[reference] += 1
        return max(self._tries[reference] - 1, self._corrected)


def rule_each(
    product: Product,
    submissions: Sequence[Submission],
    verdicts: Sequence[Verdict],
    circumstances: Circumstances,
) -> list[Ruling]:
    """Return what is decided on each application."""
    return [
        rule(
            product,
            submission,
            verdict,
            referring=circumstances.referring,
            tries=circumstances.count(submission.reference),
        )
        for submission, verdict in zip(submissions, verdicts, strict=True)
    ]


def rule(
    product: Product, submission: Submission, verdict: Verdict, *, referring: bool, tries: int
) -> Ruling:
    """Return what is decided: a rule can refuse, and anything that asks for a person refers."""
    referral = product.referral
    causes: StoredCauses = [
        {"cause": "rule", "name": rule.name, "then": rule.then, "text": _both(rule.reason)}
        for rule in product.policy_rules
        if rule.holds(submission.application)
    ]
    refused = any(cause["then"] == "refuse" for cause in causes)
    near = referral.is_near(verdict.probability, verdict.threshold)
    asked = (tries >= referral.tries, referral.unusual and verdict.novelty > 1, near, referring)
    causes += [cause for asks, cause in zip(asked, REFERRING, strict=True) if asks]
    return _ruling(product.policy_version, verdict, causes, refused=refused, referring=referring)


def _ruling(
    policy: str, verdict: Verdict, causes: StoredCauses, *, refused: bool, referring: bool
) -> Ruling:
    if refused and not referring:  # a refusal by a rule needs no person
        return Ruling("refused", "policy", policy, causes)
    if not causes:
        return Ruling(decision_value(verdict.granted), "model", policy, causes)
    main = causes[0]["cause"]
    return Ruling("referred", "policy" if main == "rule" else main, policy, causes)


def _earlier(
    reader: Driver | Reader, references: Sequence[str], referral: Referral
) -> Counter[str]:
    """Return how often each reference has been decided lately, up to the number that matters."""
    earlier: Counter[str] = Counter()
    since = reader.moment(now() - timedelta(days=referral.tries_days))
    for start in range(0, len(references), REFERENCES_PER_STATEMENT):
        some = references[start : start + REFERENCES_PER_STATEMENT]
        statement = " UNION ALL ".join([EARLIER] * len(some))
        parameters = [value for r in some for value in (r, r, referral.tries, since)]
        earlier.update(dict(reader.fetch(statement, parameters)))
    return earlier


def _corrected(reader: Driver | Reader, corrects: int | None, referral: Referral) -> int:
    if corrects is None:
        return 0
    since = reader.moment(now() - timedelta(days=referral.tries_days))
    [(count,)] = reader.fetch(CHAIN, (corrects, referral.tries, since))
    return int(count)
