"""Tests of /metrics: with two workers, after a worker was killed, and with damaged files."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from pathlib import Path

import psycopg
import pytest
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.parser import text_string_to_metric_families

from ml.product.samples import examples
from tests.fixtures.desk import config_from
from tests.fixtures.machine import disk_in_memory
from webapp import create_app
from webapp.database import sqlite_module

ROOT = Path(__file__).parents[3]
REQUESTS = "flask_http_request_total"
MAX_INVENTED_SERIES = 10  # added by requests that no route accepts
# After requests to every route by every method, without a sign-in.
MAX_SERIES_PER_ROUTE = 20
COUNTED = (
    "SELECT product, decision, model_decision, basis, channel, model, count(*) FROM decisions "
    "GROUP BY 1, 2, 3, 4, 5, 6"
)


def send(server, path, *, method="GET", key=None, body=None):
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(server.url + path, data, headers, method=method)
    opener = urllib.request.build_opener(NotFollowing)
    try:
        with opener.open(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


class NotFollowing(urllib.request.HTTPRedirectHandler):
    """Returns a redirect instead of following it."""

    def redirect_request(self, *_):
        return None


def scrape(server):
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as answer:
        assert answer.status == 200
        text = answer.read().decode()
    return list(chain.from_iterable(f.samples for f in text_string_to_metric_families(text)))


def decisions(samples):
    names = ("product", "decision", "model_decision", "basis", "channel", "model")
    return {
        tuple(s.labels[name] for name in names): s.value
        for s in samples
        if s.name == "loan_decisions_total"
    }


def in_the_table(server):
    url = server.environment["LOAN_DATABASE_URL"]
    if url:
        with psycopg.connect(url) as connection:
            rows = connection.execute(COUNTED).fetchall()
    else:
        file = os.path.join(server.environment["LOAN_INSTANCE"], "loan_desk.db")
        connection = sqlite_module().connect(file)
        rows = connection.execute(COUNTED).fetchall()
        connection.close()
    return {tuple(kind): n for *kind, n in rows}


def mixed(product, count):
    """Yield requests of several kinds, each with the status that it must get."""
    good = examples(product, count=count, seed=7)
    for i, application in enumerate(good):
        kind = i % 5
        if kind in (0, 1):
            yield 201, "/api/v1/decisions", "POST", True, application
        elif kind == 2:
            yield 422, "/api/v1/decisions", "POST", True, {**application, "loan_amount": -1}
        elif kind == 3:
            yield 401, "/api/v1/decisions", "POST", False, application
        else:
            yield 404, f"/nowhere/{i}", "GET", False, None


def test_metrics_agree_with_the_client_and_the_table(serve, database_url, product):
    with serve(database_url) as server:
        key = server.flask("api-keys", "create", "load")

        def one(request):
            expected, path, method, with_key, body = request
            status = send(server, path, method=method, key=key if with_key else None, body=body)
            return expected, status, method

        with ThreadPoolExecutor(8) as pool:
            done = list(pool.map(one, mixed(product, 200)))
        samples = scrape(server)
        table = in_the_table(server)
    assert [expected for expected, _, _ in done] == [status for _, status, _ in done]
    sent = Counter((method, str(status)) for _, status, method in done)
    counted = {
        (s.labels["method"], s.labels["status"]): s.value for s in samples if s.name == REQUESTS
    }
    assert {kind: counted[kind] for kind in sent} == sent
    assert sum(table.values()) == 80
    assert decisions(samples) == table
    value = {s.name: s.value for s in samples}
    assert value["loan_scoring_seconds_count"] == 80
    assert value["loan_decision_write_seconds_count"] == 80
    probabilities = [s for s in samples if s.name == "loan_decision_probability_bucket"]
    assert [s.value for s in probabilities if s.labels["le"] == "+Inf"] == [80]
    assert value["loan_database_up"] == 1


def test_metrics_equal_the_table_at_every_scrape_while_workers_are_killed(
    serve, database_url, product
):
    def attempt(application):
        try:
            return send(server, "/api/v1/decisions", method="POST", key=key, body=application)
        except OSError:  # its worker was killed
            return None

    with serve(database_url) as server, ThreadPoolExecutor(6) as pool:
        key = server.flask("api-keys", "create", "load")
        acknowledged = scrapes = 0
        for round_ in range(4):
            load = [pool.submit(attempt, a) for a in examples(product, count=150, seed=round_)]
            load[5].result()
            os.kill(server.process.children()[0], signal.SIGKILL)
            while not all(f.done() for f in load):
                scrapes += check_scrape(server)
            acknowledged += sum(f.result() == 201 for f in load)
            assert decisions(scrape(server)) == in_the_table(server)
        assert scrapes > 8  # during the load
        assert acknowledged <= sum(in_the_table(server).values())
        assert acknowledged > 80


def check_scrape(server):
    """Check that every count of a scrape lies between the counts before and after it."""
    before = in_the_table(server)
    try:
        scraped = decisions(scrape(server))
    except OSError:  # its worker was killed
        return False
    after = in_the_table(server)
    assert all(before.get(kind, 0) <= count <= after[kind] for kind, count in scraped.items())
    assert set(before) <= set(scraped)
    return True


def series(server):
    return {(s.name, *sorted(s.labels.items())) for s in scrape(server)}


@pytest.fixture(scope="module")
def shared(start_server, tmp_path_factory):
    """A service with one worker for the tests that need no service of their own."""
    folder = tmp_path_factory.mktemp("shared")
    with start_server(
        folder, workers=1, PROMETHEUS_MULTIPROC_DIR=str(folder / "metrics")
    ) as server:
        yield server


def test_metrics_do_not_grow_with_invented_paths_and_methods(shared):
    """Of the requests that no route accepts, only the first of each kind adds a series."""
    scrape(shared)
    before = series(shared)
    with ThreadPoolExecutor(4) as pool:
        for method in ("GET", "POST", "PUT", "HEAD", "OPTIONS"):
            list(pool.map(lambda i, m=method: send(shared, f"/p{i}?q={i}", method=m), range(20)))
        list(pool.map(lambda i: send(shared, f"/p{i}", method=f"M{i}"), range(100)))
    grown = series(shared) - before
    names = {value for s in grown for _, value in s[1:]}
    assert not [n for n in names if re.search(r"/p\d|^M\d", n)]
    assert 0 < len(grown) <= MAX_INVENTED_SERIES


def test_metrics_of_every_route_and_method_are_few(shared):
    app = create_app(config_from(shared.environment))
    paths = {re.sub("<[^>]*>", "1", rule.rule) for rule in app.url_map.iter_rules()}
    methods = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "INVENTED")
    assert len(paths) >= 20
    for path in paths:
        for method in methods:
            send(shared, path, method=method)
    assert len(series(shared)) <= MAX_SERIES_PER_ROUTE * len(paths)


def test_metrics_with_a_damaged_file(shared):
    file = Path(shared.environment["PROMETHEUS_MULTIPROC_DIR"]) / "counter_999999.db"
    for content in (b"", b"\x10\x00", b"\xff" * 5000):  # empty, cut short, rubbish
        file.write_bytes(content)
        samples = {s.name: s.value for s in scrape(shared) if not s.labels}
        assert samples["loan_metrics_files_unreadable"] == 1
        assert samples["loan_database_up"] == 1
    file.unlink()
    again = {s.name: s.value for s in scrape(shared) if not s.labels}
    assert again["loan_metrics_files_unreadable"] == 0


@pytest.fixture
def small_disk(tmp_path):
    with disk_in_memory(tmp_path / "small", mebibytes=2) as disk:
        yield disk


def test_full_metrics_folder_ends_no_worker(serve, small_disk, tmp_path, until):
    settings = {"PROMETHEUS_MULTIPROC_DIR": str(small_disk), "workers": 1}
    sent = 0

    def count():
        kinds = [s for s in scrape(server) if s.name == REQUESTS and s.labels["status"] == "404"]
        return sum(s.value for s in kinds)

    def told():
        return re.findall("metrics are not written: .*", (tmp_path / "gunicorn.log").read_text())

    def ask():
        nonlocal sent
        assert send(server, "/nothing") == 404
        sent += 1
        return sent

    with serve(**settings) as server:
        filler = small_disk / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as full:
            while True:
                full.write(b"x" * 4096)
        [first] = server.process.children()
        ask()
        assert send(server, "/login") == 200
        ask()
        assert count() == sent
        server.process.send_signal(signal.SIGTTIN)  # another worker, for whose files is no room
        until(lambda: len(server.process.children()) == 2 and told())
        both = server.process.children()
        for _ in range(20):
            ask()
        assert count() <= sent
        assert server.process.children() == both
        filler.unlink()
        until(lambda: ask() == count())  # the new worker has kept what it could not write
        assert server.process.children() == both
        assert first in both
    assert len(told()) == len(set(told()))  # a file is named once, and not at every request


def test_metrics_file_that_cannot_grow_keeps_what_it_has(tmp_path):
    """A limit on the size of files simulates a full disk."""
    file = tmp_path / "counter_1.db"
    done = subprocess.run([sys.executable, "-c", GROWING, str(file)], cwd=ROOT, check=False)
    assert done.returncode == 0
    values = {k: v for k, v, _, _ in MmapedDict.read_all_values_from_file(str(file))}
    assert 1500 < len(values) < 2500
    assert values["key 0"] == 7.0


GROWING = """
import resource, signal, sys
from webapp.metrics_files import FIRST_BYTES, AllocatedFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (FIRST_BYTES, FIRST_BYTES))
file = AllocatedFile(sys.argv[1])
for i in range(3000):
    file.write_value(f"key {i}", 1.0, 0.0)
file.write_value("key 0", 7.0, 0.0)
assert file.read_value("key 0") == (7.0, 0.0)
assert file.read_value("key 2999") == (0.0, 0.0)
"""
