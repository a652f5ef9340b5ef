"""Tests of the print sheet of a decision."""

from tests.webapp.letters.conftest import ON_SQLITE, article

FRENCH = {"Accept-Language": "fr"}


@ON_SQLITE
def test_protected_attributes_are_neither_in_letters_nor_on_the_sheet(
    refusal, write, signed_in, query, product
):
    query(f"INSERT INTO protected_attributes VALUES ({refusal}, 'protected_age', '87654')")
    for number, language in enumerate(("en", "fr"), start=1):
        write(refusal, number=number, language=language)
        letter = article(signed_in.get(f"/decisions/{refusal}/letters/{number}").text)
        sheet = signed_in.get(f"/decisions/{refusal}/sheet", headers={"Accept-Language": language})
        for shown in (letter, article(sheet.text)):
            assert "87654" not in shown
            for field in product.protected:
                assert f">{field.label.in_language(language)}<" not in shown


def test_sheet_shows_the_decision_and_the_digest_of_its_entry(refusal, write, signed_in, query):
    write(refusal)
    [(digest,)] = query("SELECT facts FROM audit_log WHERE event = 'decision.made'")
    sheet = signed_in.get(f"/decisions/{refusal}/sheet").text
    assert digest.hex() in sheet
    assert "Reasons of the model" in sheet
    assert "Printed by clerk" in sheet
    assert "Letter 1: Refused by the model" in sheet
    french = signed_in.get(f"/decisions/{refusal}/sheet", headers=FRENCH).text
    assert "Motifs du modèle" in french


@ON_SQLITE
def test_sheet_of_an_erased_decision(refusal, signed_in, run):
    run("erase", "--decision", refusal)
    sheet = signed_in.get(f"/decisions/{refusal}/sheet")
    assert sheet.status_code == 200
    assert "have been erased" in sheet.text
