"""Tests of the replay command: which decisions it recomputes, and which it cannot."""

import os
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from time import sleep

import pytest

from ml.bundle.manifest import MANIFEST
from ml.product.samples import examples
from ml.training.build import assemble
from tests.fixtures.databases import disconnect
from webapp.audit import replay as replaying
from webapp.columns import MAX_ID

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def replay(app):
    """Run the replay command; return its exit code and lines."""
    return lambda *arguments: replayed(app, *arguments)


def replayed(app, *arguments):
    done = app.test_cli_runner().invoke(args=["replay", *arguments])
    assert done.stderr == ""
    return done.exit_code, done.stdout.splitlines()


@pytest.fixture
def refusal(decide_all, applications, refused):
    """The number of a refusal among other decisions."""
    *_, number = decide_all([*applications[:6], refused])
    decide_all(applications[6:12])
    return number


@pytest.mark.parametrize("processes", [1, 3])
def test_replay_of_a_thousand_decisions(
    decide_all, copy, app, tamper, product, query, monkeypatch, processes
):
    def replay():
        disconnect(app)  # as a command begins
        return replayed(app, f"--processes={processes}")

    monkeypatch.setattr(replaying, "DECISIONS_PER_QUERY", 90)
    for number in decide_all(examples(product, count=50, seed=5)):
        copy(number, "2026-01-02 03:04:05", count=19)
    numbers = [number for (number,) in query("SELECT id FROM decisions ORDER BY id")]
    [(granted,)] = query("SELECT count(*) FROM decisions WHERE model_decision = 'granted'")
    assert 50 < granted < 950
    assert replay() == (0, ["1,000 decisions: 1,000 match, 0 do not"])
    changed = [numbers[i] for i in (0, 89, 90, 499, 999)]  # some at the ends of pages
    for number in changed:
        tamper("probability = 1 - probability", number)
    tamper("model = 'svc_x-1234'", numbers[500])
    tamper("model = 'svc_x-1234'", numbers[700])
    code, lines = replay()
    assert code == 1
    *differing, counted, missing = lines
    for line, number in zip(differing, changed, strict=True):
        shown = rf"decision {number}: probability stored 0\.\d{{7}}, computed 0\.\d{{7}}"
        assert re.match(shown, line)
    assert counted == "1,000 decisions: 993 match, 5 do not, 2 not replayed"
    assert missing.startswith("svc_x-1234: 2 decisions not replayed: ")


def test_processes_share_the_work(app, decide_all, applications, monkeypatch):
    """Each process replays pages of its own, and none keeps a connection of another."""
    decide_all(applications[:8])
    monkeypatch.setattr(replaying, "DECISIONS_PER_QUERY", 1)
    seen = Path(app.instance_path) / "processes"

    def replay_page(replayer, page):
        with seen.open("a") as file:
            file.write(f"{os.getpid()}\n")
        sleep(0.1)
        return once(replayer, page)

    once = replaying._Replayer.__call__
    monkeypatch.setattr(replaying._Replayer, "__call__", replay_page)
    disconnect(app)  # as a command begins
    assert replayed(app, "--processes=2") == (0, ["8 decisions: 8 match, 0 do not"])
    counts = Counter(seen.read_text().split())
    assert len(counts) == 2
    assert str(os.getpid()) not in counts
    assert counts.total() == 8


def test_replay_says_which_model_is_missing(refusal, replay, tamper):
    tamper("model = 'svc_x-1234'", refusal)
    code, lines = replay()
    assert code == 1
    assert lines[0] == "13 decisions: 12 match, 0 do not, 1 not replayed"
    expected = "svc_x-1234: 1 decision not replayed: no bundle of version svc_x-1234 in "
    assert lines[1].startswith(expected)
    assert len(lines) == 2
    tamper("model = 'svc_\x1bx'", refusal)
    tamper("model = 'svc_y-1234'", refusal - 1)
    tamper("model = 'svc_y-1234'", refusal - 2)
    code, lines = replay()
    assert lines[0] == "13 decisions: 10 match, 0 do not, 3 not replayed"
    assert lines[1].startswith("svc_?x: 1 decision not replayed: ")
    assert lines[2].startswith("svc_y-1234: 2 decisions not replayed: ")


@ON_SQLITE
def test_replay_after_a_retraining(
    another_app,
    decide_all,
    take,
    operator,
    product,
    trained,
    origin,
    bundle,
    applications,
    tmp_path,
):
    first = decide_all(applications[:20])
    directory = tmp_path / "models" / product.name
    shutil.copytree(bundle.directory, directory)
    second = assemble(directory, product, trained, replace(origin, threshold=0.6))
    third = assemble(directory, product, replace(trained, champion="svc_rbf"), origin)
    assert len({bundle.version, second.version, third.version}) == 3
    past = directory.parent / second.version

    def again(*arguments):
        with another_app(bundle=directory) as later:
            return replayed(later, *arguments)

    for place in (past, directory):
        with another_app(bundle=place) as later, later.app_context():
            for application in applications[20:40]:
                take(application, operator=operator)
    assert again() == (0, ["60 decisions: 60 match, 0 do not"])
    (past / "scorer.npz").write_bytes(b"")
    assert again() == (
        1,
        [
            "60 decisions: 40 match, 0 do not, 20 not replayed",
            f"{second.version}: 20 decisions not replayed: {past / 'scorer.npz'}: "
            f"its hash is not the one in {MANIFEST}",
        ],
    )
    (directory / "scorer.npz").unlink()  # past bundles are still replayed
    code, lines = again()
    assert code == 1
    assert lines[0] == "60 decisions: 20 match, 0 do not, 40 not replayed"
    assert again(str(first[0])) == (0, ["1 decision: 1 matches, 0 do not"])


def test_replay_of_one(app, refusal, replay, tamper):
    tamper("amount = amount + 1", refusal)
    assert replay(str(refusal - 1)) == (0, ["1 decision: 1 matches, 0 do not"])
    assert replay(str(refusal))[0] == 1
    for number in (0, refusal + 1000, MAX_ID, MAX_ID + 1, 10**30):
        done = app.test_cli_runner().invoke(args=["replay", str(number)])
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr == f"Error: there is no decision {number}\n"


def test_replay_since_midnight_of_a_day(decide_all, applications, replay, tamper, config):
    numbers = decide_all(applications[:5])
    zone = "+00" if config.database_url else ".000000"
    for number, moment in zip(
        numbers,
        [
            "2024-03-10 22:59:59",
            "2024-03-10 23:00:00",
            "2024-03-10 12:00:00",
            "2024-03-12 00:00:00",
        ],
        strict=False,
    ):
        tamper(f"created_at = '{moment}{zone}'", number)  # Paris is an hour ahead
    assert replay("--since", "2024-03-11") == (0, ["3 decisions: 3 match, 0 do not"])
    tamper("amount = amount + 1", numbers[1])
    code, lines = replay("--since", "2024-03-11")
    assert code == 1
    assert lines[0].startswith(f"decision {numbers[1]}: amount")
    assert replay("--since", "2024-03-12") == (0, ["2 decisions: 2 match, 0 do not"])
    assert replay("--since", "2999-01-01") == (0, ["0 decisions: 0 match, 0 do not"])


@ON_SQLITE
def test_replay_invalid_arguments(app):
    for arguments in (
        ["1", "--since", "2024-01-01"],
        ["--since", "yesterday"],
        ["--since", "0001-01-01"],
        ["one"],
    ):
        done = app.test_cli_runner().invoke(args=["replay", *arguments])
        assert done.exit_code == 2
        assert done.stdout == ""
        assert done.stderr.splitlines()[-1].startswith("Error: ")


def test_replay_changes_nothing(refusal, replay, rows):
    before = rows()
    replay()
    assert rows() == before
