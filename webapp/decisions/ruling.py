"""What is decided: the model's word, unless a policy rule refuses or a person must decide."""

from typing import NamedTuple

from ml.bundle.decide import Verdict
from ml.product.application import Submission
from ml.product.conditions import Referral
from ml.product.definition import Product
from ml.product.texts import Text
from webapp.columns import Basis, DecisionValue, decision_value
from webapp.decisions.circumstances import Circumstances
from webapp.decisions.records import StoredCause, StoredCauses, Words

UNUSUAL = Text(
    en="The application is unlike those that the model was trained on",
    fr="La demande diffère nettement des données d’apprentissage du modèle",
)
NEAR_THRESHOLD = Text(
    en="The probability is close to the threshold", fr="La probabilité est proche du seuil"
)
TRIES = Text(
    en="Several applications of this customer were decided in a short time",
    fr="Plusieurs demandes de ce client ont été traitées en peu de temps",
)
SWITCH = Text(
    en="Every application is referred to a person at present",
    fr="Toutes les demandes sont actuellement transmises à une personne",
)


def _both(text: Text) -> Words:
    return {"en": text.en, "fr": text.fr}


# What asks for a person beside the rules, in the order of its weight.
REFERRING: dict[str, StoredCause] = {
    "tries": {"cause": "tries", "name": "", "then": "refer", "text": _both(TRIES)},
    "unusual": {"cause": "unusual", "name": "", "then": "refer", "text": _both(UNUSUAL)},
    "near": {"cause": "near_threshold", "name": "", "then": "refer", "text": _both(NEAR_THRESHOLD)},
    "switch": {"cause": "switch", "name": "", "then": "refer", "text": _both(SWITCH)},
}


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


def circumstantial(circumstances: Circumstances, referral: Referral) -> StoredCauses:
    """Return the causes for which a person decides, whatever the application is."""
    asks = {"tries": circumstances.tries >= referral.tries, "switch": circumstances.referring}
    return [REFERRING[name] for name, holds in asks.items() if holds]


def rule(
    product: Product, submission: Submission, verdict: Verdict, circumstances: Circumstances
) -> Ruling:
    """Return what is decided: a rule can refuse, and anything that asks for a person refers."""
    referral = product.referral
    causes: StoredCauses = [
        {"cause": "rule", "name": rule.name, "then": rule.then, "text": _both(rule.reason)}
        for rule in product.policy_rules
        if rule.holds(submission.application)
    ]
    refused = any(cause["then"] == "refuse" for cause in causes)
    asks = {
        "tries": circumstances.tries >= referral.tries,
        "unusual": referral.unusual and verdict.novelty > 1,
        "near": referral.is_near(verdict.probability, verdict.threshold),
        "switch": circumstances.referring,
    }
    causes += [REFERRING[name] for name, holds in asks.items() if holds]
    if refused and not circumstances.referring:  # a refusal by a rule needs no person
        return Ruling("refused", "policy", product.policy_version, causes)
    if not causes:
        decided = decision_value(verdict.granted)
        return Ruling(decided, "model", product.policy_version, causes)
    main = causes[0]["cause"]
    basis = "policy" if main == "rule" else main
    return Ruling("referred", basis, product.policy_version, causes)
