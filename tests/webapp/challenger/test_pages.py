"""Tests of the comparison of champion and challenger: the page and the metrics."""

import re
from itertools import chain

from prometheus_client.parser import text_string_to_metric_families

from ml.evaluation.intervals import wilson
from webapp.challenger.comparison import MAX_DISAGREEMENTS
from webapp.challenger.worker import Challenger
from webapp.serving.served import model

NAME = "svc_rbf"
COUNTED = (
    "SELECT d.product, d.model, s.challenger, d.model_decision, s.challenger_decision, count(*) "
    "FROM challenger_scores s JOIN decisions d ON d.id = s.decision_id GROUP BY 1, 2, 3, 4, 5"
)


def score(app):
    with app.app_context():
        return Challenger(NAME).score_pending()


def text_of(element):
    return " ".join("".join(element.itertext()).split())


def test_metrics_page_counts_scores(app, client, decide_all, applications, query, bundle):
    assert "loan_challenger_decisions_total{" not in client.get("/metrics").text
    decide_all(applications)
    score(app)
    text = client.get("/metrics").text
    counted, ratio = {}, None
    for sample in chain(*(f.samples for f in text_string_to_metric_families(text))):
        if not sample.name.startswith("loan_challenger_"):
            continue
        who = {"product": bundle.product.name, "model": bundle.version, "challenger": NAME}
        assert who.items() <= sample.labels.items()
        if sample.name == "loan_challenger_decisions_total":
            counted[sample.labels["decision"], sample.labels["challenger_decision"]] = sample.value
        else:
            assert sample.name == "loan_challenger_disagreement_ratio"
            ratio = sample.value
    table = {(g, c): n for _, _, _, g, c, n in query(COUNTED)}
    assert counted == table
    disagreements = table.get(("granted", "refused"), 0) + table.get(("refused", "granted"), 0)
    assert ratio == disagreements / len(applications)


def test_challenger_page_without_a_challenger(signed_in, client):
    answer = signed_in.get("/model/challenger")
    assert answer.status_code == 200
    assert "No challenger is running." in answer.text
    assert "LOAN_CHALLENGER" in answer.text
    assert NAME in answer.text
    assert "<table" not in answer.text
    french = signed_in.get("/model/challenger", headers={"Accept-Language": "fr"}).text
    assert "Aucun challenger n’est actif." in french
    client.delete_cookie("session")
    assert client.get("/model/challenger").status_code == 302


def test_challenger_page_before_the_first_score(app, config, signed_in):
    model.init_app(app, config.model_copy(update={"challenger": NAME}))
    answer = signed_in.get("/model/challenger")
    assert f"The challenger {NAME} has not scored any decision yet." in answer.text
    assert "LOAN_CHALLENGER" not in answer.text


def test_challenger_page_shows_the_agreement(
    app, signed_in, decide_all, applications, query, read_page, bundle
):
    numbers = decide_all(applications)
    score(app)
    query(
        "INSERT INTO challenger_scores (challenger, decision_id, probability, "
        "challenger_decision, agrees, created_at) "
        f"SELECT 'knn', id, probability, model_decision, 1 = 1, created_at FROM decisions "
        f"WHERE id <= {numbers[9]}"
    )
    text = signed_in.get("/model/challenger").text
    first, second = read_page(text).findall(".//tbody")
    by_kind = {(g, c): n for _, _, name, g, c, n in query(COUNTED) if name == NAME}
    both, neither = by_kind["granted", "granted"], by_kind["refused", "refused"]
    champion = by_kind.get(("granted", "refused"), 0)
    challenger = by_kind.get(("refused", "granted"), 0)
    low, high = wilson(champion + challenger, total=60)
    row, other = ([text_of(cell) for cell in row] for row in first.findall("tr"))
    assert row == [
        f"{bundle.version} (in use)",
        NAME,
        "60",
        *map(str, (both, neither, champion, challenger)),
        f"{(champion + challenger) / 60:.1%} ({low:.1%} – {high:.1%})",
    ]
    assert other[1:3] == ["knn", "10"]
    assert other[-1].startswith("0.0% (0.0% – ")
    disagreements = query(
        "SELECT d.id, d.model_decision, d.probability, s.probability FROM challenger_scores s "
        "JOIN decisions d ON d.id = s.decision_id WHERE NOT s.agrees ORDER BY d.id DESC"
    )
    rows = second.findall("tr")
    assert len(rows) == len(disagreements) == champion + challenger
    for cells, (number, decision, probability, another_) in zip(rows, disagreements, strict=True):
        shown = [text_of(cell) for cell in cells]
        assert cells.find(".//a").get("href") == f"/decisions/{number}"
        assert decision.capitalize() in shown[2]
        assert shown[3:] == [f"{probability:.1%}", f"{another_:.1%}", NAME]


def test_challenger_page_shows_the_latest_disagreements(
    app, signed_in, decide_all, applications, copy, query, read_page, tamper
):
    decide_all(applications)
    score(app)
    [(number,)] = query("SELECT max(decision_id) FROM challenger_scores WHERE NOT agrees")
    copy(number, "2024-01-01 00:00:00", MAX_DISAGREEMENTS + 5)
    score(app)
    page = read_page(signed_in.get("/model/challenger").text)
    links = [int(a.get("href").rpartition("/")[2]) for a in page.findall(".//tbody//a")]
    [(last,)] = query("SELECT max(id) FROM decisions")
    assert links == list(range(last, last - MAX_DISAGREEMENTS, -1))
    tamper("probability = 7", last)
    again = signed_in.get("/model/challenger")
    assert again.status_code == 200
    assert again.text.count("Damaged row") == 1
    assert "(probability)" in again.text
    french = signed_in.get("/model/challenger", headers={"Accept-Language": "fr"}).text
    assert "Derniers désaccords" in french
    assert re.search(r"\d,\d\xa0%", french)
