"""A challenger scores what is decided, and nobody who decides notices."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from threading import Barrier, Event

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event

from ml.application import as_columns
from ml.bundle import load_pipeline
from ml.examples import examples
from ml.interval import wilson
from ml.manifest import TOLERANCE, challenger_files
from webapp import challenge, create_app, services
from webapp.challenge import BATCH, LATEST, Challenger
from webapp.extensions import db, model

ROOT = Path(__file__).parents[2]
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
NAME = "svc_rbf"
RUN = [sys.executable, "-m", "flask", "--app", "webapp", "challenger", "run"]
SECONDS = 60  # until something that must happen has happened
COPIED = (
    "channel, user_id, api_key_id, product, model, probability, threshold, granted, amount, "
    "inputs, normalised"
)
COUNTED = (
    "SELECT d.product, d.model, s.challenger, d.granted, s.granted, count(*) "
    "FROM challenger_scores s JOIN decisions d ON d.id = s.decision_id GROUP BY 1, 2, 3, 4, 5"
)


@pytest.fixture
def decide(app, operator):
    """Decide applications and return the decisions' numbers."""

    def store(applications):
        with app.app_context():
            return [services.decide(a, operator=operator, channel="desk").id for a in applications]

    return store


@pytest.fixture
def copy(query):
    """Copy a decision, as if it had been taken so many times at another moment."""

    def insert(number, moment, count=1):
        query(
            f"INSERT INTO decisions (created_at, {COPIED}) SELECT '{moment}', {COPIED} "
            f"FROM decisions, (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
            f"WHERE i < {count}) SELECT i FROM n) AS times WHERE id = {number}"
        )

    return insert


def score(app):
    with app.app_context():
        return Challenger(NAME).score_pending()


def same_counts(query):
    kept = query(
        "SELECT product, model, challenger, granted, challenger_granted, count "
        "FROM challenger_counts"
    )
    return {tuple(map(str, row)) for row in kept} == {tuple(map(str, r)) for r in query(COUNTED)}


def until(happened):
    """Wait until something is so, and return it."""
    deadline = time.monotonic() + SECONDS
    while not (found := happened()):
        assert time.monotonic() < deadline
        Event().wait(0.05)
    return found


def test_score_pending_equals_the_challenger_s_pipeline(app, decide, applications, query, bundle):
    numbers = decide(applications)
    assert score(app) == len(applications)
    pipeline = load_pipeline(bundle.file(challenger_files(NAME)[0]))
    expected = dict(zip(numbers, pipeline(as_columns(applications)), strict=True))
    rows = query(
        "SELECT s.decision_id, s.probability, s.granted, s.agrees, d.granted, s.challenger "
        "FROM challenger_scores s JOIN decisions d ON d.id = s.decision_id"
    )
    assert {number for number, *_ in rows} == set(numbers)
    for number, probability, granted, agrees, decided, challenger in rows:
        assert challenger == NAME
        assert abs(probability - expected[number]) <= TOLERANCE
        assert bool(granted) == (probability >= bundle.threshold)
        assert bool(agrees) == (granted == decided)
    assert len({agrees for _, _, _, agrees, _, _ in rows}) == 2
    assert same_counts(query)


def test_score_pending_only_what_lacks_a_score(app, decide, applications, query):
    decide(applications[:10])
    with app.app_context():
        challenger = Challenger(NAME)
        assert challenger.score_pending() == 10
        assert challenger.score_pending() == 0
        decide(applications[10:13])
        assert challenger.score_pending() == 3
    assert score(app) == 0  # after a start, which looks through all
    decide(applications[13:14])
    assert score(app) == 1
    assert query("SELECT count(*) FROM challenger_scores") == [(14,)]
    assert same_counts(query)


def test_score_pending_in_many_batches(app, decide, copy, applications, query):
    [number, *_] = decide(applications[:4])
    copy(number, "2024-01-01 00:00:00", 2 * BATCH)
    assert score(app) == 2 * BATCH + 4
    assert same_counts(query)


def test_score_pending_of_the_bundle_s_own_model_alone(app, decide, applications, query):
    decide(applications[:2])
    query(
        f"INSERT INTO decisions (created_at, {COPIED}) SELECT created_at, "
        f"{COPIED.replace('model', repr('another'))} FROM decisions"
    )
    assert score(app) == 2
    assert query("SELECT max(decision_id) FROM challenger_scores") == [(2,)]


def test_score_pending_two_at_once(app, config, decide, copy, applications, query):
    numbers = decide(applications)
    copy(numbers[0], "2024-01-01 00:00:00", BATCH)
    start = Barrier(2)

    def work(own):
        with own.app_context():
            challenger = Challenger(NAME)
            start.wait(SECONDS)
            return challenger.score_pending()

    with another(config) as other, ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(work, [app, other])) == len(applications) + BATCH
    assert query("SELECT count(*) FROM challenger_scores") == [(len(applications) + BATCH,)]
    assert same_counts(query)


@contextmanager
def another(config, **more):
    """The same desk in another process, as far as the database sees."""
    app = create_app(replace(config, **more))
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@ON_POSTGRESQL
def test_score_pending_of_a_decision_that_comes_to_sight_late(
    app, decide, applications, config, query
):
    [number] = decide(applications[:1])
    with app.app_context():
        challenger = Challenger(NAME)
        with psycopg.connect(config.database_url) as late:
            late.execute(
                f"INSERT INTO decisions (created_at, {COPIED}) "
                f"SELECT now(), {COPIED} FROM decisions WHERE id = {number}"
            )
            decide(applications[1:3])
            assert challenger.score_pending() == 3
            late.commit()
        assert challenger.score_pending() == 1
    assert query("SELECT count(*) FROM challenger_scores") == [(4,)]


def test_score_pending_does_not_look_at_all_history_again(app, decide, copy, applications, query):
    [number] = decide(applications[:1])
    copy(number, "2024-01-01 00:00:00", 50)
    [(last,)] = query("SELECT max(id) FROM decisions")
    looked = []

    def note(connection, cursor, statement, parameters, context, executemany):
        if "NOT (EXISTS" in statement:
            looked.append(parameters)

    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", note)
        challenger = Challenger(NAME)
        assert challenger.score_pending() == 51
        assert len(looked) == 1
        challenger.score_pending()
        assert len(looked) == 1
        decide(applications[1:2])
        assert challenger.score_pending() == 1
        assert len(looked) == 2
        values = looked[1].values() if isinstance(looked[1], dict) else looked[1]
        assert last in values


def test_score_pending_goes_on_where_it_failed(app, decide, applications, query):
    decide(applications[:2])
    with app.app_context():
        challenger = Challenger(NAME)
        assert challenger.score_pending() == 2
        decide(applications[2:4])
        query("ALTER TABLE challenger_scores RENAME TO away")
        with pytest.raises(Exception, match="challenger_scores"):
            challenger.score_pending()
        decide(applications[4:6])
        query("ALTER TABLE away RENAME TO challenger_scores")
        assert challenger.score_pending() == 4


def test_score_pending_leaves_out_what_cannot_be_scored(
    app, decide, applications, query, caplog, config
):
    decide(applications[:3])
    wrong = ["'{}'", "'[7]'"] if config.database_url else ["'{}'", "'[7]'", "'{'", "x'7b7d'"]
    for inputs in wrong:
        values = COPIED.replace("inputs", inputs)
        query(
            f"INSERT INTO decisions (created_at, {COPIED}) "
            f"SELECT created_at, {values} FROM decisions WHERE id = 1"
        )
    with app.app_context():
        challenger = Challenger(NAME)
        assert challenger.score_pending() == 3
        assert challenger.score_pending() == 0
    said = [r.message for r in caplog.records if "cannot score" in r.message]
    assert len(said) == len(wrong)  # once each
    assert query("SELECT count(*) FROM challenger_scores") == [(3,)]


def test_scores_are_never_changed(app, decide, applications, query):
    decide(applications[:1])
    score(app)
    for statement in (
        "UPDATE challenger_scores SET agrees = NOT agrees",
        "DELETE FROM challenger_scores",
    ):
        with pytest.raises(Exception, match="challenger_scores are never changed"):
            query(statement)


def test_scores_of_a_decision(app, decide, applications, bundle):
    first, second = decide(applications[:2])
    with app.app_context():
        assert challenge.scores_of(services.find_decision(first)) == []
        Challenger(NAME).score_pending()
        for number, application in ((first, applications[0]), (second, applications[1])):
            [found] = challenge.scores_of(services.find_decision(number))
            assert found.challenger == NAME
            expected = bundle.challenger(NAME).score(application).probability
            assert found.probability == pytest.approx(expected, abs=TOLERANCE)


def test_decisions_go_on_while_the_scores_table_is_away(app, post, decide, applications, query):
    query("ALTER TABLE challenger_scores RENAME TO away")
    for application in applications[:3]:
        assert post(application).status_code == 201
    with pytest.raises(Exception, match="challenger_scores"):
        score(app)
    assert post(applications[3]).status_code == 201


@ON_POSTGRESQL
def test_decisions_go_on_while_the_scores_table_is_locked(
    app, post, decide, applications, config, query
):
    decide(applications[:1])
    with psycopg.connect(config.database_url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("LOCK TABLE challenger_scores, challenger_counts IN ACCESS EXCLUSIVE MODE")
        waiting = pool.submit(score, app)
        until(lambda: query("SELECT 1 FROM pg_locks WHERE NOT granted"))
        for application in applications[:5]:
            assert post(application).status_code == 201
        other.rollback()
        assert waiting.result(SECONDS) >= 1


def test_decisions_go_on_with_a_challenger_that_cannot_be_read(
    app, config, applications, bundle, tmp_path
):
    directory = tmp_path / "bundle"
    shutil.copytree(bundle.directory, directory)
    with another(config, bundle=directory, challenger=NAME) as desk:
        with desk.app_context():
            key = services.create_api_key("core-banking")
            assert model.bundle  # read, as by a worker that serves
        (directory / challenger_files(NAME)[1]).write_bytes(b"damaged")
        done = desk.test_cli_runner().invoke(args=["challenger", "run", "--once"])
        assert (done.exit_code, done.stdout) == (1, "")
        [line] = done.stderr.splitlines()
        assert challenger_files(NAME)[1] in line
        answer = desk.test_client().post(
            "/api/v1/decisions", json=applications[1], headers={"Authorization": f"Bearer {key}"}
        )
        assert answer.status_code == 201


def test_answer_to_an_application_says_nothing_of_a_challenger(applications, post, send):
    for answer in (post(applications[0]), send(applications[1])):
        assert answer.status_code in (201, 303)
        assert "challenger" not in answer.text + str(answer.headers)
        assert NAME not in answer.text + str(answer.headers)


def test_metrics_page_counts_scores(app, client, decide, applications, query, bundle):
    assert "loan_challenger_decisions_total{" not in client.get("/metrics").text
    decide(applications)
    score(app)
    text = client.get("/metrics").text
    told, ratio = {}, None
    for sample in chain(*(f.samples for f in text_string_to_metric_families(text))):
        if not sample.name.startswith("loan_challenger_"):
            continue
        who = {"product": bundle.product.name, "model": bundle.version, "challenger": NAME}
        assert who.items() <= sample.labels.items()
        if sample.name == "loan_challenger_decisions_total":
            told[sample.labels["decision"], sample.labels["challenger_decision"]] = sample.value
        else:
            assert sample.name == "loan_challenger_disagreement_ratio"
            ratio = sample.value
    word = {True: "granted", False: "refused"}
    table = {(word[bool(g)], word[bool(c)]): n for _, _, _, g, c, n in query(COUNTED)}
    assert told == table
    apart = table.get(("granted", "refused"), 0) + table.get(("refused", "granted"), 0)
    assert ratio == apart / len(applications)


def test_run_once_says_how_many(config, app, decide, applications):
    decide(applications[:3])
    with another(config, challenger=NAME) as desk:
        for expected in ("3 decisions", "0 decisions"):
            done = desk.test_cli_runner().invoke(args=["challenger", "run", "--once"])
            assert (done.exit_code, done.stderr) == (0, "")
            assert done.stdout == f"{expected} scored by {NAME}\n"


@ON_SQLITE
@pytest.mark.parametrize("name", ["", "svc_linear", "nobody", "../svc_rbf"])
def test_run_with_a_name_that_is_none(config, app, name):
    with another(config, challenger=name) as desk:
        done = desk.test_cli_runner().invoke(args=["challenger", "run", "--once"])
    assert (done.exit_code, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: LOAN_CHALLENGER: ")
    assert line.endswith(f"There are: {NAME}.")
    assert name in line


@pytest.fixture
def environment(config):
    """The settings of a command beside the tests' own application."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("LOAN_", "PROMETHEUS_"))}
    return {
        **clean,
        "LOAN_INSTANCE": str(config.instance),
        "LOAN_BUNDLE": str(config.bundle),
        "LOAN_DATABASE_URL": config.database_url,
        "LOAN_CHALLENGER": NAME,
    }


def test_run_goes_on_through_an_outage(
    app, config, decide, applications, query, environment, tmp_path
):
    def scores():
        return query("SELECT count(*) FROM challenger_scores")[0][0]

    log = tmp_path / "log"
    query("ALTER TABLE challenger_scores RENAME TO away")
    decide(applications[:1])
    command = [*RUN, "--parent", str(os.getpid())]
    with log.open("w") as errors:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=errors)
    until(lambda: "waits for the database" in log.read_text())
    decide(applications[1:3])
    query("ALTER TABLE away RENAME TO challenger_scores")
    until(lambda: scores() == 3)
    until(lambda: "the database answers again" in log.read_text())
    if config.database_url:
        query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    decide(applications[3:5])
    until(lambda: scores() == 5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 0
    said = log.read_text().splitlines()
    assert len([line for line in said if "waits for the database" in line]) == 1
    assert len(said) <= 4, said


@ON_SQLITE
def test_run_ends_with_the_process_that_started_it(app, decide, applications, environment, query):
    decide(applications[:1])
    code = (
        "import os, subprocess, sys\n"
        f"run = [*{RUN!r}, '--parent', str(os.getpid())]\n"
        "print(subprocess.Popen(run, stdin=subprocess.DEVNULL, stdout=2).pid, flush=True)\n"
        "sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, **pipes
    ) as parent:
        number = int(parent.stdout.readline())
        until(lambda: query("SELECT count(*) FROM challenger_scores") == [(1,)])
        assert alive(number)
        parent.kill()
    until(lambda: not alive(number))


def alive(number):
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def challengers(server):
    """The processes beside a server's workers."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    commands = {int(pid): Path(f"/proc/{pid}/cmdline") for pid in children.split()}
    return [
        number
        for number, command in commands.items()
        if alive(number) and b"challenger" in command.read_bytes()
    ]


def scored(server):
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    counts = [x for x in lines if x.startswith("loan_challenger_decisions_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in counts)


@pytest.fixture
def posting(product):
    """Post new applications to a server, every one of which it must decide."""

    def post(server, key, count):
        for application in examples(product, count=count, seed=3):
            request = urllib.request.Request(
                f"{server.url}/api/v1/decisions",
                json.dumps(application).encode(),
                {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert answer.status == 201

    return post


def test_challenger_beside_a_real_server(serve, database_url, posting, tmp_path):
    folder = tmp_path / "metrics"
    settings = {"LOAN_CHALLENGER": NAME, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    with serve(database_url, **settings) as server:
        key = server.flask("api-keys", "create", "load")
        posting(server, key, 20)
        until(lambda: scored(server) == 20)
        [first] = challengers(server)
        assert not list(folder.glob(f"*_{first}.db"))

        server.process.send_signal(signal.SIGHUP)
        until(lambda: challengers(server) not in ([], [first]))
        assert not alive(first)
        [second] = challengers(server)
        posting(server, key, 5)
        until(lambda: scored(server) == 25)

    assert not alive(second)


@ON_SQLITE
def test_decisions_go_on_when_the_challenger_is_killed(serve, database_url, posting, tmp_path):
    settings = {"LOAN_CHALLENGER": NAME, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}
    with serve(database_url, **settings) as server:
        key = server.flask("api-keys", "create", "load")
        [first] = until(lambda: challengers(server))
        os.kill(first, signal.SIGKILL)
        until(lambda: not alive(first))
        posting(server, key, 5)
        server.process.send_signal(signal.SIGHUP)
        until(lambda: scored(server) == 5)
        [second] = challengers(server)
        os.kill(server.process.pid, signal.SIGKILL)  # leaves nobody behind
        until(lambda: not alive(second))


def words(element):
    return " ".join("".join(element.itertext()).split())


def test_challenger_page_without_one(signed_in, client):
    answer = signed_in.get("/model/challenger")
    assert answer.status_code == 200
    assert "No challenger scores beside the champion." in answer.text
    assert "LOAN_CHALLENGER" in answer.text
    assert NAME in answer.text
    assert "<table" not in answer.text
    french = signed_in.get("/model/challenger", headers={"Accept-Language": "fr"}).text
    assert "Aucun challenger ne note à côté du champion." in french
    client.delete_cookie("session")
    assert client.get("/model/challenger").status_code == 302


def test_challenger_page_says_how_often_they_agree(
    app, signed_in, decide, applications, query, read_page, bundle
):
    numbers = decide(applications)
    score(app)
    query(
        "INSERT INTO challenger_scores (challenger, decision_id, probability, granted, agrees, "
        f"created_at) SELECT 'knn', id, probability, granted, 1 = 1, created_at FROM decisions "
        f"WHERE id <= {numbers[9]}"
    )
    text = signed_in.get("/model/challenger").text
    first, second = read_page(text).findall(".//tbody")
    by_kind = {(bool(g), bool(c)): n for _, _, name, g, c, n in query(COUNTED) if name == NAME}
    both, neither = by_kind[True, True], by_kind[False, False]
    champion, challenger = by_kind.get((True, False), 0), by_kind.get((False, True), 0)
    low, high = wilson(champion + challenger, total=60)
    row, other = ([words(cell) for cell in row] for row in first.findall("tr"))
    assert row == [
        f"{bundle.version} (in use)",
        NAME,
        "60",
        *map(str, (both, neither, champion, challenger)),
        f"{(champion + challenger) / 60:.1%} ({low:.1%} – {high:.1%})",
    ]
    assert other[1:3] == ["knn", "10"]
    assert other[-1].startswith("0.0% (0.0% – ")
    apart = query(
        "SELECT d.id, d.granted, d.probability, s.probability FROM challenger_scores s "
        "JOIN decisions d ON d.id = s.decision_id WHERE NOT s.agrees ORDER BY d.id DESC"
    )
    rows = second.findall("tr")
    assert len(rows) == len(apart) == champion + challenger
    for cells, (number, granted, probability, another_) in zip(rows, apart, strict=True):
        shown = [words(cell) for cell in cells]
        assert cells.find(".//a").get("href") == f"/decisions/{number}"
        assert ("Granted" if granted else "Refused") in shown[2]
        assert shown[3:] == [f"{probability:.1%}", f"{another_:.1%}", NAME]


def test_challenger_page_shows_the_latest_disagreements(
    app, signed_in, decide, applications, copy, query, read_page
):
    decide(applications)
    score(app)
    [(number,)] = query("SELECT max(decision_id) FROM challenger_scores WHERE NOT agrees")
    copy(number, "2024-01-01 00:00:00", LATEST + 5)
    score(app)
    page = read_page(signed_in.get("/model/challenger").text)
    links = [int(a.get("href").rpartition("/")[2]) for a in page.findall(".//tbody//a")]
    [(last,)] = query("SELECT max(id) FROM decisions")
    assert links == list(range(last, last - LATEST, -1))
    french = signed_in.get("/model/challenger", headers={"Accept-Language": "fr"}).text
    assert "Derniers désaccords" in french
    assert re.search(r"\d,\d\xa0%", french)
