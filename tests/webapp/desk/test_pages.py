"""Tests the page and the commands of the desk's switch."""

import pytest

from tests.fixtures.desk import token

PAGE = "/desk"
ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ADMIN = "INSERT INTO user_roles (user_id, role) SELECT id, 'admin' FROM operators WHERE name = '{}'"


@pytest.fixture
def admin(signed_in, query):
    """The clerk, who is also an administrator."""
    query(ADMIN.format("clerk"))
    return signed_in


@pytest.fixture
def turn(admin):
    def send(action, reason="The model is doubted"):
        form = {"csrf_token": token(admin, PAGE), "reason": reason}
        return admin.post(f"{PAGE}/{action}", data=form)

    return send


def test_switch_there_and_back(admin, turn, query):
    assert turn("refer").status_code == 303
    shown = admin.get(PAGE).text
    assert "Every application is referred to a person." in shown
    assert "The model is doubted" in shown
    assert turn("decide", "It was trained again").status_code == 303
    assert "The model and the policy rules decide." in admin.get(PAGE).text
    rows = "SELECT referring, reason FROM desk_switches ORDER BY id"
    assert [(bool(on), why) for on, why in query(rows)] == [
        (True, "The model is doubted"),
        (False, "It was trained again"),
    ]
    events = "SELECT event FROM audit_log WHERE event LIKE 'desk.%' ORDER BY number"
    assert query(events) == [("desk.referring",), ("desk.deciding",)]


@ON_ONE
@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
def test_switch_without_a_usable_reason_changes_nothing(turn, query, reason):
    assert turn("refer", reason).status_code == 422
    assert query("SELECT count(*) FROM desk_switches") == [(0,)]


@ON_ONE
@pytest.mark.parametrize("language", ["en", "fr"])
def test_switch_says_what_is_wrong_in_the_reader_s_language(admin, turn, language):
    admin.set_cookie("language", language)
    expected = {"en": "State the reason.", "fr": "Indiquez le motif."}
    assert expected[language] in turn("refer", "").text


def test_reason_is_kept_without_invisible_characters(turn, query):
    assert turn("refer", "pasted\u200b text\n\0and a line").status_code == 303
    assert query("SELECT reason FROM desk_switches") == [("pasted text and a line",)]


def test_switch_that_somebody_else_has_made_is_refused(turn, query):
    assert turn("refer").status_code == 303
    answer = turn("refer")
    assert answer.status_code == 409
    assert "The desk had been switched already" in answer.text
    assert answer.text.count("The model is doubted") == 1  # in the list, not in the form
    assert query("SELECT count(*) FROM desk_switches") == [(1,)]


@ON_ONE
def test_switch_knows_two_actions_only(turn):
    assert turn("close").status_code == 404


@ON_ONE
def test_page_is_for_administrators(signed_in):
    assert signed_in.get(PAGE).status_code == 403


def test_changes_stay(turn, query):
    assert turn("refer").status_code == 303
    for statement in ("UPDATE desk_switches SET referring = false", "DELETE FROM desk_switches"):
        with pytest.raises(Exception, match="desk_switches are never changed"):
            query(statement)


def test_commands(app, query):
    def run(*arguments):
        done = app.test_cli_runner().invoke(args=["desk", *arguments])
        return done.exit_code, done.output

    assert run("status") == (0, "the desk decides\n")
    assert run("decide", "--reason", "why") == (1, "Error: the desk decides already\n")
    assert run("refer", "--reason", "an alert") == (0, "")
    code, output = run("status")
    assert code == 0
    assert output.startswith("every application is referred\n")
    assert output.endswith("refer  system  an alert\n")
    assert run("decide", "--reason", " ")[0] == 1
    assert query("SELECT count(*) FROM desk_switches") == [(1,)]


@ON_ONE
def test_every_page_says_that_the_desk_refers(signed_in, turn):
    banner = '<p class="banner" role="note">Every application is referred to a person.</p>'
    assert "banner" not in signed_in.get("/applications/new").text
    turn("refer", "The scores look wrong")
    assert banner in signed_in.get("/applications/new").text
    assert banner in signed_in.get("/decisions").text
