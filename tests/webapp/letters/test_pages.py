"""Tests of letters: made once, shown again as they were sent, and by whom."""

import hashlib
import html
import json
import re

import pytest

from tests.fixtures.databases import PASSWORD, add_user
from tests.fixtures.desk import token
from tests.webapp.audit.conftest import unprotected
from tests.webapp.letters.conftest import ON_SQLITE, article
from webapp.audit.contents import compare
from webapp.config import Config
from webapp.ledger.chain import commitment_to
from webapp.letters.drafting import regime_of

FRENCH = {"Accept-Language": "fr"}


def stored(query):
    return query(
        "SELECT decision_id, number, kind, language, regime, template FROM letters ORDER BY id"
    )


def test_letter_is_stored_and_shown_again_as_it_was_sent(refusal, write, signed_in, query):
    made = write(refusal, language="fr", recipient="A. Martin\n\n 75000 Paris ")
    assert (made.status_code, made.location) == (303, f"/decisions/{refusal}/letters/1")
    assert stored(query) == [(refusal, 1, "refused", "fr", "eu", "eu/fr.html")]
    original, again = (signed_in.get(made.location).text for _ in range(2))
    [(text,)] = query("SELECT CAST(text AS TEXT) FROM letter_contents")
    assert "A. Martin<br>75000 Paris" in article(original)
    assert article(original) == article(again)
    assert json.loads(text) in original
    assert 'class="stamp"' not in original
    assert "Copie du " in again


def test_entry_of_the_audit_log_holds_the_letter_s_digests(refusal, write, query, run):
    write(refusal)
    [(facts, commitment)] = query(
        "SELECT facts, commitment FROM audit_log WHERE event = 'letter.made'"
    )
    [(text, salt)] = query("SELECT CAST(text AS TEXT), salt FROM letter_contents")
    assert len(facts) == 32
    assert commitment_to([text], salt) == commitment
    code, [_, line] = run("audit", "verify", "--contents")
    assert (code, line) == (0, "1 decision, 0 trials and 0 outcomes match, 1 letter too, 0 do not")


def test_principal_reasons_are_those_that_were_stored(refusal, write, signed_in, query, bundle):
    [(reasons,)] = query("SELECT CAST(reasons AS TEXT) FROM decision_contents")

    principal = [r["text"]["fr"] for r in json.loads(reasons) if r["principal"]]
    others = [r["text"]["fr"] for r in json.loads(reasons) if not r["principal"]]
    write(refusal, language="fr")
    letter = html.unescape(article(signed_in.get(f"/decisions/{refusal}/letters/1").text))
    assert re.findall(r"<li>([^<]*)</li>", letter.partition("</ol>")[0]) == principal
    assert 0 < len(principal) <= 4
    assert not [text for text in others if text in letter]
    assert "Ce fichier indique «\u00a0Incident de crédit enregistré\u00a0: " in letter


def test_granted_letter_has_no_reasons(decide_all, granted, write, signed_in, query):
    [number] = decide_all([granted])
    write(number, kind="granted")
    letter = article(signed_in.get(f"/decisions/{number}/letters/1").text)
    assert "your application is accepted" in letter
    assert "<ol" not in letter
    assert stored(query)[0][2] == "granted"


def test_form_that_is_sent_twice_makes_one_letter(refusal, write, query):
    answers = [write(refusal) for _ in range(2)]
    assert [a.location for a in answers] == [f"/decisions/{refusal}/letters/1"] * 2
    assert len(stored(query)) == 1


def test_letter_that_another_clerk_made_meanwhile_is_said(
    app, refusal, write, sign_in, signed_in, query
):
    with app.app_context():
        add_user("anna", PASSWORD)
    anna = sign_in(app.test_client(), "anna")
    form = {
        "csrf_token": token(anna, f"/decisions/{refusal}"),
        "kind": "refused",
        "number": "1",
        "language": "fr",
        "recipient": "B. Durand",
    }
    write(refusal, language="en")
    answer = anna.post(f"/decisions/{refusal}/letters", data=form)
    assert answer.status_code == 409
    assert re.search(r"autofocus>Another letter on this decision was made", answer.text)
    assert "made by clerk" in answer.text
    assert "B. Durand" in answer.text
    assert len(stored(query)) == 1
    form["number"] = re.search(r'name="number"[^>]*value="(\d+)"', answer.text)[1]
    assert anna.post(f"/decisions/{refusal}/letters", data=form).status_code == 303
    assert [row[1:4] for row in stored(query)] == [(1, "refused", "en"), (2, "refused", "fr")]


@pytest.mark.parametrize("change", [{"language": "fr"}, {"recipient": "B. Durand"}])
def test_same_clerk_with_another_letter_is_told_too(refusal, write, signed_in, query, change):
    """For example after Back, to correct a wrong address."""
    first = {"language": "en", "recipient": "A. Martin"}
    write(refusal, **first)
    assert write(refusal, **{**first, **change}).status_code == 409
    made = write(refusal, **{**first, **change}, number=2)
    assert made.status_code == 303
    assert len(stored(query)) == 2
    letter = article(signed_in.get(made.location).text)
    assert ("A. Martin" in letter) == ("recipient" not in change)


@ON_SQLITE
def test_preview_stores_nothing(refusal, write, signed_in, query):
    answer = write(refusal, language="fr", preview="yes", recipient='<b>"A"</b>')
    assert answer.status_code == 200
    assert "Aperçu : ce courrier n’a pas été envoyé." in answer.text.replace("\u00a0", " ")
    assert "&lt;b&gt;" in article(answer.text)
    assert "LOAN_BANK_NAME" in answer.text
    assert "Do not send it yet." in answer.text
    assert stored(query) == []


def test_recipient_may_have_any_characters(refusal, write, signed_in):
    made = write(refusal, recipient="A\0\u202e\u00a0Ω 王 😀")
    assert made.status_code == 303
    assert "A\u00a0Ω 王 😀" in article(signed_in.get(made.location).text)


@ON_SQLITE
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"recipient": "x" * 301}, "Enter at most 300 characters."),
        ({"recipient": "x\n" * 7}, "Enter at most six lines."),
        ({"language": "de"}, "Not a valid choice."),
    ],
)
def test_wrong_values_are_said(refusal, write, query, values, message):
    answer = write(refusal, **values)
    assert answer.status_code == 422
    assert message in answer.text
    assert bool(re.search("<textarea[^>]* autofocus", answer.text)) == ("recipient" in values)
    assert stored(query) == []


@ON_SQLITE
def test_letters_and_decisions_that_are_not_there(refusal, write, signed_in, query):
    assert write(refusal, number=3).status_code == 404
    for number in ("", "one", "-1", "9" * 10):
        assert write(refusal, number=number).status_code == 400
    assert signed_in.get(f"/decisions/{refusal}/letters/1").status_code == 404
    assert signed_in.get("/decisions/999/sheet").status_code == 404
    data = {"csrf_token": token(signed_in, "/decisions"), "number": "1", "language": "en"}
    assert signed_in.post("/decisions/999/letters", data=data).status_code == 404
    assert signed_in.post(f"/decisions/{refusal}/letters", data={}).status_code == 400
    assert signed_in.get(f"/decisions/{refusal}/letters").location.endswith("#letters")
    assert stored(query) == []


def test_erased_letter_keeps_its_facts(refusal, write, signed_in, run, query):
    write(refusal, language="fr", recipient="A. Martin")
    assert run("erase", "--decision", refusal)[0] == 0
    assert query("SELECT count(*) FROM letter_contents") == [(0,)]
    page = signed_in.get(f"/decisions/{refusal}/letters/1")
    assert page.status_code == 200
    assert "The text of this letter has been erased." in page.text
    assert "A. Martin" not in page.text
    assert "Letter 1: Refused by the model" in signed_in.get(f"/decisions/{refusal}").text
    assert write(refusal, number=2).status_code == 404
    code, [_, line] = run("audit", "verify", "--contents")
    assert code == 0
    assert line.endswith("match, 1 letter too, 0 do not, the contents of 2 are erased")


@ON_SQLITE
def test_nothing_of_an_erased_letter_remains_in_the_files(refusal, write, run, config):
    write(refusal, recipient="Amandine Canari")
    files = [config.instance / f"loan_desk.db{end}" for end in ("", "-wal")]
    assert any(b"Amandine Canari" in file.read_bytes() for file in files if file.exists())
    assert run("erase", "--decision", refusal)[0] == 0
    assert not any(b"Amandine Canari" in file.read_bytes() for file in files if file.exists())


def test_changed_letter_is_found(refusal, write, signed_in, run, tamper):
    write(refusal)
    tamper("kind = 'granted'", 1, table="letters")
    assert run("audit", "verify", "--contents")[1][0] == (
        "letter 1: its facts are not those of its entry"
    )
    tamper("language = 'de'", 1, table="letters")
    assert "Damaged row (language)" in re.sub(
        "<[^>]*>", "", signed_in.get(f"/decisions/{refusal}").text
    )
    assert signed_in.get(f"/decisions/{refusal}/letters/1").status_code == 409


def test_changed_texts_and_missing_rows_are_found(app, refusal, write):
    write(refusal)
    found = {
        "UPDATE letter_contents SET text = '\"x\"'": "its contents are not those of its entry",
        "DELETE FROM letter_contents": "its contents are missing, and no entry says that they were",
        "UPDATE letters SET id = 9": "there is no such letter",
    }
    for statement, problem in found.items():
        lines = []
        with unprotected(app) as connection:
            connection.exec_driver_sql(statement)
            compare(connection, lines.append)
        assert problem in lines[0]


@ON_SQLITE
def test_history_tells_of_letters(refusal, write, signed_in):
    write(refusal, language="fr")
    assert "Letter made" in signed_in.get(f"/decisions/{refusal}").text


@ON_SQLITE
def test_refusal_without_stored_reasons_has_no_letter(put, refused, write, query):
    number = put(refused)
    answer = write(number)
    assert answer.status_code == 409
    assert "no reason for this refusal is stored" in answer.text
    assert stored(query) == []


@ON_SQLITE
def test_bank_s_own_template_is_used_and_a_later_change_leaves_old_letters(
    app, another_app, sign_in, refusal, tmp_path, query
):
    template = tmp_path / "bank" / "us" / "fr.html"
    template.parent.mkdir(parents=True)
    template.write_text("<article>{{ letter.bank.name }} : {{ letter.reasons|length }}</article>")
    settings = {"letter_templates": str(tmp_path / "bank"), "letter_regime": "us"}
    with another_app(**settings, bank_name="Banque & Fils") as other:
        other.test_client_class = type(app.test_client())
        browser = sign_in(other.test_client())
        form = {
            "csrf_token": token(browser, f"/decisions/{refusal}"),
            "kind": "refused",
            "number": "1",
            "language": "fr",
        }
        made = browser.post(f"/decisions/{refusal}/letters", data=form)
        digest = hashlib.sha256(template.read_bytes()).hexdigest()
        template.write_text("<article>Autre</article>")
        letter = article(browser.get(made.location).text)
    assert re.fullmatch("<article>Banque &amp; Fils : [1-4]</article>", letter)
    assert query("SELECT regime, template, digest FROM letters") == [("us", "us/fr.html", digest)]


@pytest.mark.parametrize(
    ("currency", "setting", "regime"),
    [("EUR", "", "eu"), ("USD", "", "us"), ("GBP", "", "eu"), ("USD", "eu", "eu")],
)
def test_regime_is_that_of_the_setting_or_of_the_currency(product, currency, setting, regime):
    config = Config(letter_regime=setting) if setting else Config()
    assert regime_of(product.model_copy(update={"currency": currency}), config) == regime


@ON_SQLITE
def test_broken_template_is_named_to_staff(
    app, another_app, sign_in, refusal, tmp_path, query, caplog
):
    (tmp_path / "bank" / "eu").mkdir(parents=True)
    (tmp_path / "bank" / "eu" / "en.html").write_text("<p>Hello</p>\n{{ letter.bank_name }}")
    with another_app(letter_templates=str(tmp_path / "bank")) as other:
        other.test_client_class = type(app.test_client())
        browser = sign_in(other.test_client())
        form = {
            "csrf_token": token(browser, f"/decisions/{refusal}"),
            "kind": "refused",
            "number": "1",
            "language": "en",
        }
        answer = browser.post(f"/decisions/{refusal}/letters", data=form)
    assert answer.status_code == 409
    assert "Its template eu/en.html cannot be used: line 2:" in answer.text
    assert "bank_name" in caplog.text
    assert stored(query) == []
