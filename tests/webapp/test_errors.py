"""Errors, as pages and as problem+json."""

import logging

import pytest
from werkzeug.exceptions import TooManyRequests, default_exceptions

from tests.fixtures.databases import disconnect
from webapp.errors import EXPLANATIONS
from webapp.serving.served import model

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_page_says_it_in_both_languages(client):
    english = client.get("/nowhere")
    french = client.get("/nowhere", headers={"Accept-Language": "fr"})
    assert english.status_code == french.status_code == 404
    assert english.mimetype == french.mimetype == "text/html"
    assert "Page not found" in english.text
    assert '<html lang="fr">' in french.text
    assert "Page not found" not in french.text


@ON_ONE
def test_problem_says_it_in_both_languages(client):
    english = client.get("/api/nowhere").json["detail"]
    french = client.get("/api/nowhere", headers={"Accept-Language": "fr"}).json["detail"]
    assert english != french


@ON_ONE
def test_page_escapes_the_address(client):
    assert "<script>" not in client.get("/<script>alert(1)</script>").text


@ON_ONE
def test_method_not_allowed(client):
    for method, path, allowed in (
        ("DELETE", "/login", "POST"),
        ("BREW", "/login", "POST"),
        ("POST", "/model", "GET"),
    ):
        answer = client.open(path, method=method)
        assert answer.status_code == 405, method
        assert allowed in answer.headers["Allow"]


@ON_ONE
def test_every_explanation_is_a_page(app, client):
    for status in EXPLANATIONS:
        with app.test_request_context("/", method="POST"):
            answer = app.make_response(app.handle_user_exception(default_exceptions[status]()))
        assert answer.status_code == status
        for sentence in str(EXPLANATIONS[status]).removesuffix(".").split(". "):
            assert sentence in answer.get_data(as_text=True)


@ON_ONE
def test_error_page_has_its_own_title_a_way_home_and_the_number_of_the_request(client):
    answer = client.get("/nowhere")
    assert "<title>Page not found · Loan Desk</title>" in answer.text
    assert 'href="/"' in answer.text
    assert f"<code>{answer.headers['X-Request-ID']}</code>" in answer.text
    assert "Check the address or the number." in answer.text


@ON_ONE
def test_unknown_page_has_the_menu_of_whoever_has_signed_in(app, signed_in):
    entry = '<li><a href="/decisions">'
    assert entry in signed_in.get("/nowhere").text
    assert entry not in app.test_client().get("/nowhere").text


@ON_ONE
def test_page_that_failed_can_be_asked_for_again(signed_in, query):
    query("ALTER TABLE decisions RENAME TO away")
    assert '<a class="btn btn-primary" href="/decisions/1?a=b">' in (
        signed_in.get("/decisions/1?a=b").text
    )


@ON_ONE
@pytest.mark.parametrize(
    ("given", "sent", "said"),
    [(None, "5", None), (30, "30", None), (61, "61", "2 minutes"), (60 * 60, "3600", "60 minutes")],
)
def test_a_wait_is_sent_as_it_is_given_and_said_if_it_is_long(app, given, sent, said):
    error = TooManyRequests(retry_after=given)
    with app.test_request_context("/login", method="POST"):
        answer = app.make_response(app.handle_user_exception(error))
    assert answer.headers.getlist("Retry-After") == [sent]
    page = answer.get_data(as_text=True)
    assert ("Wait for" in page) == bool(said)
    assert (said or "") in page


@ON_ONE
def test_unavailable_page_of_a_get_does_not_mention_storing(signed_in, query):
    query("ALTER TABLE decisions RENAME TO away")
    for language, words in (("en", "not available right now"), ("fr", "pas disponible pour le")):
        answer = signed_in.get("/decisions/1", headers={"Accept-Language": language})
        assert answer.status_code == 503
        assert words in answer.text
        assert "stored" not in answer.text


@ON_ONE
def test_unexpected_error(app, config, post, signed_in, granted, caplog):
    model.init_app(
        app, config.model_copy(update={"bundle": None})
    )  # an error without its own handler
    with caplog.at_level(logging.DEBUG):
        answers = [signed_in.get("/decisions"), post(granted)]
    assert [a.status_code for a in answers] == [500, 500]
    assert [a.mimetype for a in answers] == ["text/html", "application/problem+json"]
    for answer in answers:
        assert "Something went wrong on our side" in answer.text
        for word in ("Traceback", "NoneType", "TypeError"):
            assert word not in answer.text
    logged = [r for r in caplog.records if r.name == "webapp.errors"]
    assert [r.exc_info[0] for r in logged] == [TypeError, TypeError]


def test_database_refuses_a_row(app, post, granted, query_at, config, caplog):
    """The log must not contain the refused values, which the database's message repeats."""
    where = config.database_url or config.instance
    if config.database_url:
        query_at(where, "ALTER TABLE decisions ADD CHECK (amount < 0)")
    else:
        trigger = "BEFORE INSERT ON decisions BEGIN SELECT RAISE(ABORT, 'no'); END"
        query_at(where, f"CREATE TRIGGER refuse {trigger}")
    application = {**granted, "purchase_price": 98_765, "loan_amount": 43_210}
    with caplog.at_level(logging.DEBUG):
        answer = post(application)
    assert answer.status_code == 500
    assert answer.mimetype == "application/problem+json"
    assert "unexpected: IntegrityError" in caplog.text
    assert "writing.py" in caplog.text
    for value in ("98765", "43210"):
        assert value not in caplog.text
        assert value not in answer.text


def test_database_unavailable(app, post, signed_in, granted, query_at, config, caplog):
    disconnect(app)
    where = config.database_url
    if where:
        name = where.partition("?")[0].rpartition("/")[2]
        other = where.replace(f"/{name}?", "/postgres?")
        query_at(other, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
    else:
        file = config.instance / "loan_desk.db"
        for part in config.instance.glob("loan_desk.db*"):
            part.unlink()
        file.mkdir()
    answers = [post(granted), signed_in.get("/decisions"), signed_in.get("/readyz")]
    assert [a.status_code for a in answers] == [503, 503, 503]
    assert answers[0].mimetype == "application/problem+json"
    assert answers[1].mimetype == "text/html"
    assert answers[2].json["database"] is False
    assert signed_in.get("/healthz").status_code == 200
    assert "loan_database_up 0.0" in signed_in.get("/metrics").text
    if where:
        query_at(other, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
    else:
        file.rmdir()
