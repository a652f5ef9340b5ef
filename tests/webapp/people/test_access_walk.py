"""Tests that walk over every route, with every role, on what is one's own and what is others'."""

import pytest
from werkzeug.routing import IntegerConverter

from tests.fixtures.databases import CLERK, PASSWORD, add_user
from tests.fixtures.desk import token
from webapp.batch.tables import BatchRow
from webapp.columns import now
from webapp.ledger.transaction import add_row, unit_of_work
from webapp.people.access import ACCESS, API, EVERYBODY, PUBLIC, ROLES, first_page, sees_all
from webapp.people.operators import Operator
from webapp.uploads.tables import RefusedFile

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SIGN_OUT = "security.logout"  # which would end the walk
# Parts of a path that are not the id of a row.
PARTS = {
    "code": "fr",
    "name": "roc",
    "language": "en",
    "theme": "light",
    "action": "refer",
    "version": "1",
}
# Who sees those of others, by the start of the route: who sees all decisions, or nobody.
READ_BY_ALL = ("/decisions/<id:number>", "/batches/<id:number>")
OWNERS_ONLY = "/uploads/<id:number>"
# They lead to another page, whatever the number is.
BLIND = {"batches.reload", "batches.discard"}
SHOWN = {"decisions.show", "batches.show", "uploads.show"}  # a page of what is one's own
# Ids of decisions, batches and files; no user has such a number.
OWN, OTHERS = 1_000_001, 1_000_002
# An empty form may be refused, and a decision may lack what the page is about.
ANSWERED = {200, 302, 303, 400, 404, 409, 422}
CACHED = {"models.plot": "private, no-cache"}  # nothing personal; any other page is not stored
ROLE_SETS = [(role,) for role in ROLES] + [("clerk", "admin"), ("clerk", "reviewer"), ROLES]


def guarded(app):
    """Yield every route that needs a person, with each of its methods."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint not in PUBLIC | {SIGN_OUT} and not rule.endpoint.startswith(API):
            for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
                yield rule, method


def send(app, browser, rule, method, number):
    """Send an empty form with a valid token, or a GET."""
    values = {
        name: number if isinstance(c, IntegerConverter) else PARTS[name]
        for name, c in rule._converters.items()
    }
    with app.test_request_context():
        path = app.url_for(rule.endpoint, _external=False, **values)
    data = {} if method == "GET" else {"csrf_token": token(browser, "/nowhere")}
    answer = browser.open(path, method=method, data=data)
    answer.close()
    return answer


@pytest.fixture
def enter(app, client, sign_in, query):
    """Sign in a new user with these roles; return the browser and the number of the operator."""

    def signed_in_as(*roles):
        name = "with " + " ".join(roles)
        with app.app_context():
            add_user(name, PASSWORD, roles)
        [(number,)] = query(f"SELECT id FROM operators WHERE name = '{name}'")
        return sign_in(app.test_client(), name), number

    return signed_in_as


@pytest.fixture
def store(app, put, granted):
    """Store a decision, a batch and a refused file of an operator, all of one number."""

    def add(number, operator_id):
        put(granted, id=number, operator_id=operator_id)
        row = {"id": number, "created_at": now(), "operator_id": operator_id}
        batch = {"product": "p", "model": "m", "rows": 1, "granted": 1, "refused": 0, "referred": 0}
        file = {"kind": "outcomes", "name": "file.csv", "wrong": '{"errors": [], "lines": []}'}
        with app.app_context(), unit_of_work() as transaction:
            add_row(transaction, BatchRow, **row, **batch)
            add_row(transaction, RefusedFile, **row, **file)

    return add


def expected_of(rule, number, roles):
    """Return the statuses that a route may answer to a person with these roles."""
    sees = sees_all(Operator("user", 1, "", frozenset(roles)))
    if not ACCESS[rule.endpoint] & set(roles):
        return {403}
    if number == OTHERS and rule.rule.startswith(OWNERS_ONLY):
        return {404}
    if number == OTHERS and rule.rule.startswith(READ_BY_ALL) and not sees:
        return {302, 303} if rule.endpoint in BLIND else {404}
    if number == OWN and rule.endpoint in SHOWN:
        return {200}
    return ANSWERED


def test_every_route_is_in_one_list(app):
    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
    by_key = {e for e in endpoints if e.startswith(API)}
    assert endpoints - by_key - PUBLIC == set(ACCESS)
    assert not PUBLIC & set(ACCESS)
    assert all(roles and roles <= EVERYBODY for roles in ACCESS.values())


@ON_ONE
@pytest.mark.parametrize("roles", ROLE_SETS, ids="+".join)
def test_walk_over_routes(app, enter, store, operator, roles):
    browser, number = enter(*roles)
    store(OWN, number)
    store(OTHERS, operator.id)
    unexpected = []
    for rule, method in guarded(app):
        for of in (OWN, OTHERS) if rule.arguments else (OWN,):
            answer = send(app, browser, rule, method, of)
            status, location = answer.status_code, answer.location or ""
            expected = expected_of(rule, of, roles)
            if status not in expected or location.startswith("/login"):
                unexpected.append((method, rule.rule, of, status, location))
            cached = CACHED.get(rule.endpoint, "no-store") if status == 200 else "no-store"
            if answer.headers["Cache-Control"] != cached:
                unexpected.append((method, rule.rule, of, answer.headers["Cache-Control"]))
    assert unexpected == []


@ON_ONE
def test_walk_without_a_session(app, client):
    unexpected = []
    for rule, method in guarded(app):
        answer = send(app, client, rule, method, OWN)
        if answer.status_code != 302 or answer.location.partition("?")[0] != "/login":
            unexpected.append((method, rule.rule, answer.status_code, answer.location))
    assert unexpected == []


@ON_ONE
def test_walk_over_the_api_with_a_session_and_no_key(app, signed_in):
    statuses = {
        (rule.rule, method): send(app, signed_in, rule, method, OWN).status_code
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.endpoint.startswith(API)
    }
    assert set(statuses.values()) == {401}


@ON_ONE
def test_new_route_is_denied_to_everybody_until_it_is_listed(app, enter, monkeypatch):
    app.add_url_rule("/new", "decisions.new_page", lambda: "<!doctype html><title>new</title>")
    browser, _ = enter(*ROLES)
    assert browser.get("/new").status_code == 403
    assert app.test_client().get("/new").status_code == 302
    monkeypatch.setitem(ACCESS, "decisions.new_page", EVERYBODY)
    assert browser.get("/new").status_code == 200


def test_clerk_does_not_see_a_decision_of_another(app, enter, put, operator, granted):
    browser, number = enter("clerk")
    put(granted, id=OWN, operator_id=number)
    put(granted, id=OTHERS, operator_id=operator.id)
    shown = browser.get("/decisions").text
    assert f"/decisions/{OWN}" in shown
    assert f"/decisions/{OTHERS}" not in shown
    assert browser.get(f"/decisions/{OWN}").status_code == 200
    hidden, missing = (browser.get(f"/decisions/{i}") for i in (OTHERS, OTHERS + 1))
    pages = [page.text.replace(page.headers["X-Request-ID"], "") for page in (hidden, missing)]
    assert hidden.status_code == missing.status_code == 404
    assert pages[0] == pages[1]


@ON_ONE
def test_navigation_has_only_what_the_roles_may_open(app, enter, read_page):
    for roles in ROLE_SETS:
        browser, _ = enter(*roles)
        home = browser.get("/", follow_redirects=True)
        _, *links = (a.get("href") for a in read_page(home.text).findall(".//header//a"))
        assert [browser.get(link).status_code for link in links] == [200] * len(links)


def test_first_page_is_what_the_role_needs_first():
    roles = ("clerk", "reviewer", "analyst")
    pages = {role: first_page(Operator("user", 1, CLERK, frozenset({role}))) for role in roles}
    assert pages == {
        "clerk": "applications.new",
        "reviewer": "reviews.index",
        "analyst": "monitoring.show",
    }
