"""Who may do what: the roles of each endpoint, and whose decisions an operator sees."""

from typing import get_args

from flask import g

from webapp.people.operators import Operator
from webapp.people.tables import Role

ROLES: tuple[Role, ...] = get_args(Role)
EVERYBODY = frozenset(ROLES)  # who has signed in, whatever the role
CLERK: frozenset[Role] = frozenset({"clerk"})
REVIEWER: frozenset[Role] = frozenset({"reviewer"})
ANALYST: frozenset[Role] = frozenset({"analyst"})
ADMIN: frozenset[Role] = frozenset({"admin"})
READERS = CLERK | REVIEWER | ANALYST  # of decisions; a clerk only of his or her own

# Endpoints that need nobody.
PUBLIC = frozenset(
    {
        "static",
        "security.login",
        "language.choose",
        "health.healthz",
        "health.readyz",
        "health.metrics_page",
    }
)
API = "api."  # the start of endpoints that need an API key
# The roles that may use each other endpoint. One that is not listed is denied to everybody.
ACCESS: dict[str, frozenset[Role]] = {
    "security.logout": EVERYBODY,
    "account.show": EVERYBODY,
    "account.password": EVERYBODY,
    "account.enrol": EVERYBODY,
    "account.second_factor_off": EVERYBODY,
    "account.recovery_codes": EVERYBODY,
    "account.code": EVERYBODY,
    "people.index": ADMIN,
    "people.new": ADMIN,
    "people.show": ADMIN,
    "keys.index": ADMIN,
    "applications.home": EVERYBODY,
    "applications.new": CLERK,
    "decisions.index": READERS,
    "decisions.export": ANALYST,
    "decisions.show": READERS,
    "decisions.trial": READERS,
    "decisions.trials": READERS,
    "letters.make": CLERK | REVIEWER,
    "letters.index": READERS,
    "letters.show": READERS,
    "letters.sheet": READERS,
    "reviews.index": REVIEWER,
    "reviews.take_next": REVIEWER,
    "reviews.claim": REVIEWER,
    "reviews.release": REVIEWER,
    "reviews.wake": REVIEWER,
    "reviews.assign": REVIEWER,
    "reviews.snooze": REVIEWER,
    "reviews.due": REVIEWER,
    "reviews.close": REVIEWER,
    "reviews.open_one": READERS,
    "reviews.note": READERS,
    "protected.answer": CLERK,
    "outcomes.record": ANALYST,
    "outcomes.show": READERS,
    "outcomes.index": ANALYST,
    "outcomes.template": ANALYST,
    "batches.index": READERS,
    "batches.upload": CLERK,
    "batches.template": CLERK,
    "batches.show": READERS,
    "batches.decide": CLERK,
    "batches.reload": CLERK,
    "batches.discard": CLERK,
    "batches.result": READERS,
    "uploads.show": CLERK | ANALYST,
    "uploads.errors": CLERK | ANALYST,
    "monitoring.show": ANALYST,
    "monitoring.show_overrides": REVIEWER | ANALYST,
    "models.show": ANALYST,
    "models.plot": ANALYST,
    "models.download": ANALYST,
    "challenger.show": ANALYST,
    "desk.show": ADMIN,
    "desk.switch": ADMIN,
    "retention.show": ADMIN,
}
# What is opened after a sign-in: the first page here that the role may open.
FIRST_PAGES = (
    *("applications.new", "reviews.index", "monitoring.show"),
    *("decisions.index", "people.index"),
)


def is_allowed(operator: Operator, endpoint: str) -> bool:
    """Return whether a person may use an endpoint that is not public."""
    return bool(operator.roles & ACCESS.get(endpoint, frozenset()))


def may(endpoint: str) -> bool:
    """Return whether the operator of this request may use an endpoint; for templates."""
    return "operator" in g and is_allowed(g.operator, endpoint)


def first_page(operator: Operator) -> str:
    """Return the endpoint that an operator's roles need first."""
    return next(page for page in FIRST_PAGES if is_allowed(operator, page))


def sees_all(operator: Operator) -> bool:
    """Return whether an operator sees every decision, or only the ones that he or she entered."""
    return operator.kind != "user" or bool(operator.roles & (REVIEWER | ANALYST))
