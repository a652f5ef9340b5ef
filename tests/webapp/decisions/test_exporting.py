"""Tests of the export of the list."""

import csv
import io
from datetime import UTC, datetime

import pytest

from tests.fixtures.databases import PASSWORD, add_user
from tests.fixtures.desk import token
from webapp.decisions import exporting
from webapp.ledger.chain import facts_digest

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ENTRIES = "SELECT event, subject FROM audit_log WHERE event LIKE 'export.%' ORDER BY number"


@pytest.fixture
def export(signed_in):
    """Export what a filter finds; return the answer."""

    def send(language="en", *, buffered=True, **given):
        personal = {"personal": given.pop("personal")} if "personal" in given else {}
        return signed_in.post(
            "/decisions/export",
            query_string=given,
            data={"csrf_token": token(signed_in, "/decisions"), **personal},
            headers={"Accept-Language": language},
            buffered=buffered,
        )

    return send


def rows_of(answer, delimiter=","):
    text = answer.data.decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def test_export_has_every_row_of_the_list(export, put, granted, query, monkeypatch):
    monkeypatch.setattr(exporting, "ROWS_PER_CHUNK", 7)
    moment = datetime(2026, 3, 1, 11, 30, 5, tzinfo=UTC)
    numbers = [
        put(granted, amount=1_000 + i % 5, created_at=moment, probability=0.125, reference="LN")
        for i in range(30)
    ]
    answer = export(sort="amount_high", amount_from="1,001")
    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.data.startswith(b"\xef\xbb\xbf")
    head, *rows = rows_of(answer)
    names = ("Decision number", "Decided", "Decision", "Final word", "Model’s decision", "Product")
    assert head[:7] == [*names, "Amount"]
    assert [int(row[0]) for row in rows] == sorted(
        (n for i, n in enumerate(numbers) if i % 5), key=lambda n: (-((n - numbers[0]) % 5), -n)
    )
    assert {row[1] for row in rows} == {"2026-03-01 12:30:05"}  # in Paris
    assert {row[7] for row in rows} == {"0.125"}
    assert "LN" not in answer.text
    [(event, subject), (ended, end)] = query(ENTRIES)
    name = answer.headers["Content-Disposition"].removesuffix(".csv").rpartition("-")[2]
    assert (event, subject) == ("export.started", f"export:{name}:facts")
    assert (ended, end) == ("export.ended", f"export:{name}:24:complete")
    [(facts, who)] = query(
        "SELECT facts, o.name FROM audit_log JOIN operators o ON o.id = operator_id "
        "WHERE event = 'export.started'"
    )
    given = ["facts", "amount_from=1,001", "sort=amount_high"]
    assert (bytes(facts), who) == (facts_digest(given), "clerk")


@ON_ONE
def test_export_in_french_with_personal_data(export, put, granted, product, query):
    put(granted, probability=0.5, reference="LN/1")
    put(granted, product="another", reference="LN/2")
    head, other, first = rows_of(export("fr", personal="yes"), delimiter=";")
    assert head[13:] == ["Référence", *(f.label.fr for f in product.inputs)]
    assert first[7] == "0,5"
    assert first[13] == "LN/1"
    texts = ["" if granted[f.name] is None else str(granted[f.name]) for f in product.inputs]
    assert first[14:] == texts
    assert (other[13], set(other[14:])) == ("LN/2", {""})
    assert query(ENTRIES)[0][1].endswith(":personal")


def test_export_has_the_final_word(export, put, granted, query):
    def close(number, final):
        result, word = ("'upheld'", f"'{final}'") if final else ("'lapsed'", "NULL")
        query(
            "INSERT INTO reviews (decision_id, opened_at, opened_by, cause, closed_at, closed_by, "
            "result, final, code) SELECT id, created_at, operator_id, 'staff', created_at, "
            f"operator_id, {result}, {word}, 'other' FROM decisions WHERE id = {number}"
        )

    referred = {"decision": "referred", "basis": "unusual"}
    columns = ({"probability": 0.9}, {}, referred, referred)
    numbers = [put(granted, **some) for some in columns]
    for place, final in ((1, "granted"), (1, "refused"), (1, None), (2, "refused"), (3, None)):
        close(numbers[place], final)
    rows = rows_of(export(sort="oldest"))[1:]
    assert [row[2:4] for row in rows] == [
        ["Granted", "Granted"],
        ["Refused", "Refused"],
        ["Referred", "Refused"],
        ["Referred", ""],
    ]


@ON_ONE
def test_no_cell_is_a_formula(app, export, put, granted, operator, tamper, query):
    names = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1")
    number = put(granted, reference="LN")
    for name in names:
        query(f"UPDATE operators SET name = '{name}' WHERE id = {operator.id}")
        tamper(f"reference = '{name}'", number)
        [_, row] = rows_of(export(personal="yes"))
        assert row[11] == f"'{name}"
        assert row[13] == f"'{name}"
    tamper("novelty = -1", number)
    [_, row] = rows_of(export())
    assert row[:3] == [str(number), "Damaged row", "novelty"]


@ON_ONE
def test_export_whose_client_goes_away(export, put, granted, query, monkeypatch):
    monkeypatch.setattr(exporting, "ROWS_PER_CHUNK", 1)
    for _ in range(3):
        put(granted)
    answer = export(buffered=False)
    parts = answer.iter_encoded()
    next(parts), next(parts), next(parts)
    answer.close()
    assert query(ENTRIES)[-1][1].endswith(":1:interrupted")
    assert export().status_code == 200  # another can begin


@ON_ONE
def test_export_without_a_slot(app, export, put, granted, query, monkeypatch):
    put(granted)
    monkeypatch.setattr("webapp.slots.PATIENCE", 0.01)
    answer = export(buffered=False)
    slots = app.extensions["slots"]
    parts = answer.iter_encoded()
    next(parts)
    taken = 0
    while slots.take():
        taken += 1
    with pytest.raises(Exception, match="503"):
        next(parts)
    for _ in range(taken):
        slots.give_back()
    answer.close()


@ON_ONE
def test_export_whose_end_cannot_be_noted_leaves_its_place(
    app, export, put, granted, query, monkeypatch, caplog
):
    monkeypatch.setattr(exporting, "ROWS_PER_CHUNK", 1)
    for _ in range(2):
        put(granted)
    for _ in range(app.extensions["settings"].threads):  # more than can run at once
        answer = export(buffered=False)
        parts = answer.iter_encoded()
        next(parts), next(parts)
        query("ALTER TABLE audit_log RENAME TO gone")
        answer.close()
        query("ALTER TABLE gone RENAME TO audit_log")
    assert export().status_code == 200
    assert "without an entry in the audit log: OperationalError" in caplog.text


@ON_ONE
def test_exports_at_once_are_limited(app, export, put, granted):
    put(granted)
    running = app.extensions["exports"]
    while running.acquire(blocking=False):
        pass
    assert export().status_code == 503
    running.release()
    answer = export()
    assert (answer.status_code, len(rows_of(answer))) == (200, 2)


@ON_ONE
def test_export_of_a_wrong_filter(export, query):
    assert export(amount_from="x").status_code == 400
    assert query(ENTRIES) == []


@ON_ONE
def test_only_analysts_export(app, client, sign_in):
    with app.app_context():
        add_user("anna", PASSWORD, ["clerk", "reviewer"])
    anna = sign_in(client, "anna")
    form = {"csrf_token": token(anna, "/decisions")}
    assert anna.post("/decisions/export", data=form).status_code == 403
