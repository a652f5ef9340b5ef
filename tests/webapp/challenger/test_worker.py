"""Tests of the challenger's worker, which scores every decision and delays none."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg
import pytest
from sqlalchemy import event

from ml.bundle.manifest import KNOWN_ANSWER_TOLERANCE, challenger_files
from ml.bundle.reader import load_pipeline
from ml.product.application import as_columns
from webapp.challenger.worker import DECISIONS_PER_BATCH, Challenger
from webapp.columns import decision_value
from webapp.extensions import db
from webapp.serving.served import model

ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
NAME = "svc_rbf"
FACTS = (
    "channel, operator_id, product, model, probability, threshold, model_decision, decision, "
    "basis, policy, amount, novelty"
)
CONTENTS = "inputs, normalised, reasons, causes, salt"
COUNTED = (
    "SELECT d.product, d.model, s.challenger, d.model_decision, s.challenger_decision, count(*) "
    "FROM challenger_scores s JOIN decisions d ON d.id = s.decision_id GROUP BY 1, 2, 3, 4, 5"
)


def score(app):
    with app.app_context():
        return Challenger(NAME).score_pending()


def same_counts(query):
    stored = query(
        "SELECT product, model, challenger, model_decision, challenger_decision, sum(count) "
        "FROM challenger_counts GROUP BY 1, 2, 3, 4, 5"
    )
    return {tuple(map(str, row)) for row in stored} == {tuple(map(str, r)) for r in query(COUNTED)}


def test_score_pending_equals_the_challenger_s_pipeline(
    app, decide_all, applications, query, bundle
):
    numbers = decide_all(applications)
    assert score(app) == len(applications)
    pipeline = load_pipeline(bundle.file(challenger_files(NAME)[0]))
    expected = dict(zip(numbers, pipeline(as_columns(applications)), strict=True))
    rows = query(
        "SELECT s.decision_id, s.probability, s.challenger_decision, s.agrees, "
        "d.model_decision, s.challenger "
        "FROM challenger_scores s JOIN decisions d ON d.id = s.decision_id"
    )
    assert {number for number, *_ in rows} == set(numbers)
    for number, probability, decision, agrees, decided, challenger in rows:
        assert challenger == NAME
        assert abs(probability - expected[number]) <= KNOWN_ANSWER_TOLERANCE
        assert decision == decision_value(probability >= bundle.threshold)
        assert bool(agrees) == (decision == decided)
    assert len({agrees for _, _, _, agrees, _, _ in rows}) == 2
    assert same_counts(query)


def test_score_pending_only_what_lacks_a_score(app, decide_all, applications, query):
    decide_all(applications[:10])
    with app.app_context():
        challenger = Challenger(NAME)
        assert challenger.score_pending() == 10
        assert challenger.score_pending() == 0
        decide_all(applications[10:13])
        assert challenger.score_pending() == 3
    assert score(app) == 0  # a new challenger searches all decisions
    decide_all(applications[13:14])
    assert score(app) == 1
    assert query("SELECT count(*) FROM challenger_scores") == [(14,)]
    assert same_counts(query)


def test_score_pending_in_many_batches(app, decide_all, copy, applications, query):
    [number, *_] = decide_all(applications[:4])
    copy(number, "2024-01-01 00:00:00", 2 * DECISIONS_PER_BATCH)
    assert score(app) == 2 * DECISIONS_PER_BATCH + 4
    assert same_counts(query)


def test_score_pending_of_the_bundle_s_own_model_alone(app, decide_all, applications, query, copy):
    for number in decide_all(applications[:2]):
        copy(number, "2024-01-01 00:00:00", model="'another'")
    assert score(app) == 2
    assert query("SELECT max(decision_id) FROM challenger_scores") == [(2,)]


def test_score_pending_two_at_once(app, decide_all, copy, applications, query, another_app):
    numbers = decide_all(applications)
    copy(numbers[0], "2024-01-01 00:00:00", DECISIONS_PER_BATCH)
    start = Barrier(2)

    def work(own):
        with own.app_context():
            challenger = Challenger(NAME)
            start.wait(60)
            return challenger.score_pending()

    with another_app() as other, ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(work, [app, other])) == len(applications) + DECISIONS_PER_BATCH
    assert query("SELECT count(*) FROM challenger_scores") == [
        (len(applications) + DECISIONS_PER_BATCH,)
    ]
    assert same_counts(query)


@ON_POSTGRESQL
def test_score_pending_of_a_decision_that_is_committed_late(
    app, decide_all, applications, config, query
):
    [number] = decide_all(applications[:1])
    with app.app_context():
        challenger = Challenger(NAME)
        with psycopg.connect(config.database_url) as late:
            [(another,)] = late.execute(
                f"INSERT INTO decisions (created_at, {FACTS}) "
                f"SELECT now(), {FACTS} FROM decisions WHERE id = {number} RETURNING id"
            )
            late.execute(
                f"INSERT INTO decision_contents (decision_id, {CONTENTS}) SELECT {another}, "
                f"{CONTENTS} FROM decision_contents WHERE decision_id = {number}"
            )
            decide_all(applications[1:3])
            assert challenger.score_pending() == 3
            late.commit()
        assert challenger.score_pending() == 1
    assert query("SELECT count(*) FROM challenger_scores") == [(4,)]


def test_score_pending_does_not_search_all_decisions_again(
    app, decide_all, copy, applications, query
):
    [number] = decide_all(applications[:1])
    copy(number, "2024-01-01 00:00:00", 50)
    [(last,)] = query("SELECT max(id) FROM decisions")
    searches = []

    def note(connection, cursor, statement, parameters, context, executemany):
        if "NOT (EXISTS" in statement:
            searches.append(parameters)

    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", note)
        challenger = Challenger(NAME)
        assert challenger.score_pending() == 51
        assert len(searches) == 1
        challenger.score_pending()
        assert len(searches) == 1
        decide_all(applications[1:2])
        assert challenger.score_pending() == 1
        assert len(searches) == 2
        values = searches[1].values() if isinstance(searches[1], dict) else searches[1]
        assert last in values


def test_score_pending_continues_where_it_failed(app, decide_all, applications, query):
    decide_all(applications[:2])
    with app.app_context():
        challenger = Challenger(NAME)
        assert challenger.score_pending() == 2
        decide_all(applications[2:4])
        query("ALTER TABLE challenger_scores RENAME TO away")
        with pytest.raises(Exception, match="challenger_scores"):
            challenger.score_pending()
        decide_all(applications[4:6])
        query("ALTER TABLE away RENAME TO challenger_scores")
        assert challenger.score_pending() == 4


def test_score_pending_leaves_out_what_cannot_be_scored(
    app, decide_all, applications, query, caplog, config, tamper
):
    wrong = ["'{}'", "'[7]'"] if config.database_url else ["'{}'", "'[7]'", "'{'", "x'7b7d'"]
    numbers = decide_all(applications[: len(wrong) + 3])
    for number, inputs in zip(numbers, wrong, strict=False):
        tamper(f"inputs = {inputs}", number)
    with app.app_context():
        challenger = Challenger(NAME)
        assert challenger.score_pending() == 3
        assert challenger.score_pending() == 0
    messages = [r.message for r in caplog.records if "cannot score" in r.message]
    assert len(messages) == len(wrong)  # each is logged once
    assert query("SELECT count(*) FROM challenger_scores") == [(3,)]


def test_scores_are_never_changed(app, decide_all, applications, query):
    decide_all(applications[:1])
    score(app)
    for statement in (
        "UPDATE challenger_scores SET agrees = NOT agrees",
        "DELETE FROM challenger_scores",
    ):
        with pytest.raises(Exception, match="challenger_scores are never changed"):
            query(statement)


def test_decisions_go_on_while_the_scores_table_is_missing(app, post, applications, query):
    query("ALTER TABLE challenger_scores RENAME TO away")
    for application in applications[:3]:
        assert post(application).status_code == 201
    with pytest.raises(Exception, match="challenger_scores"):
        score(app)
    assert post(applications[3]).status_code == 201


@ON_POSTGRESQL
def test_decisions_go_on_while_the_scores_table_is_locked(
    app, post, decide_all, applications, config, query, until
):
    decide_all(applications[:1])
    with psycopg.connect(config.database_url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("LOCK TABLE challenger_scores, challenger_counts IN ACCESS EXCLUSIVE MODE")
        waiting = pool.submit(score, app)
        until(lambda: query("SELECT 1 FROM pg_locks WHERE NOT granted"))
        for application in applications[:5]:
            assert post(application).status_code == 201
        other.rollback()
        assert waiting.result(60) >= 1


def test_decisions_go_on_with_a_challenger_that_cannot_be_read(
    another_app, api_key, applications, bundle, tmp_path
):
    directory = tmp_path / "bundle"
    shutil.copytree(bundle.directory, directory)
    with another_app(bundle=directory, challenger=NAME) as desk:
        with desk.app_context():
            assert model.bundle  # reads the bundle, as a worker does
        (directory / challenger_files(NAME)[1]).write_bytes(b"damaged")
        done = desk.test_cli_runner().invoke(args=["challenger", "run", "--once"])
        assert (done.exit_code, done.stdout) == (1, "")
        [line] = done.stderr.splitlines()
        assert challenger_files(NAME)[1] in line
        headers = {"Authorization": f"Bearer {api_key}"}
        answer = desk.test_client().post("/api/v1/decisions", json=applications[1], headers=headers)
        assert answer.status_code == 201


def test_answer_to_an_application_does_not_mention_a_challenger(applications, post, send):
    for answer in (post(applications[0]), send(applications[1])):
        assert answer.status_code in (201, 303)
        assert "challenger" not in answer.text + str(answer.headers)
        assert NAME not in answer.text + str(answer.headers)
