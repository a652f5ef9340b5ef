"""Tests of the metrics files of workers that have ended, with a real master that replaces them."""

import fcntl
import os
import signal
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from threading import Event

from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.parser import text_string_to_metric_families

from tests.fixtures.machine import disk_in_memory
from webapp.metrics_files import Files, fold_ended

ENDED = 1_000
REPLACED = 12
FILES_EACH = 5  # of a worker: counters, histograms, and three kinds of gauges
MAX_PID = int(Path("/proc/sys/kernel/pid_max").read_text())
NOT_FOUND = {"method": "GET", "status": "404"}
KEY = '["asked_total", "asked_total", {}, "How often."]'


def ask_nowhere(server):
    with suppress(urllib.error.HTTPError):
        urllib.request.urlopen(f"{server.url}/nowhere", timeout=30)


def scrape(server):
    """Return the series of a scrape with their values."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    samples = [s for f in text_string_to_metric_families(text) for s in f.samples]
    return {(s.name, *sorted(s.labels.items())): s.value for s in samples}


NOT_FOUND_SERIES = ("flask_http_request_total", *sorted(NOT_FOUND.items()))


def counted(server):
    return scrape(server).get(NOT_FOUND_SERIES, 0)


def never_falls(server, ended):
    """Scrape until the event; return the number of scrapes."""
    before = scrapes = 0
    while not ended.is_set():
        try:
            now = counted(server)
        except (OSError, HTTPException):  # its worker was killed
            continue
        assert now >= before
        before, scrapes = now, scrapes + 1
    return scrapes


def files_of(folder):
    return sorted(f.name for f in folder.iterdir())


def test_scrape_does_not_grow_with_workers_that_have_ended(serve, tmp_path, until):
    folder = tmp_path / "metrics"
    with (
        serve(workers=2, PROMETHEUS_MULTIPROC_DIR=str(folder)) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        for _ in range(10):
            ask_nowhere(server)
        first = scrape(server)
        assert first[NOT_FOUND_SERIES] == 10
        of_one = [f for f in folder.glob("*.db") if f.stem.endswith(f"_{server.process.pid}")]
        parts = {f: f.read_bytes() for f in folder.glob("*_*.db") if f not in of_one}
        for file, content in parts.items():
            kind, _, pid = file.stem.rpartition("_")
            if not kind.startswith("gauge"):
                for i in range(ENDED):
                    (folder / f"{kind}_{MAX_PID + 1 + int(pid) * ENDED + i}.db").write_bytes(
                        content
                    )
        many = scrape(server)
        assert many[("loan_metrics_files",)] > 2 * ENDED
        assert many[NOT_FOUND_SERIES] == 10 + 10 * ENDED  # as if each had counted the same

        ended = Event()
        watching = pool.submit(never_falls, server, ended)
        for _ in range(REPLACED):
            [old, _] = server.process.children()
            os.kill(old, signal.SIGKILL)
            until(lambda old=old: old not in server.process.children())
            until(lambda: len(server.process.children()) == 2)
            ask_nowhere(server)
        ended.set()
        assert watching.result() > REPLACED // 3
        # While a scrape was reading, nothing was added up: with the next worker that ends.
        os.kill(server.process.children()[0], signal.SIGKILL)
        until(lambda: len(files_of(folder)) <= 3 * FILES_EACH + 2)
        last = scrape(server)
        assert last[NOT_FOUND_SERIES] == many[NOT_FOUND_SERIES] + REPLACED
        assert last.keys() == many.keys()
        assert last[("loan_metrics_files",)] <= 3 * FILES_EACH + 2
        assert last[("loan_metrics_files_unreadable",)] == 0


def written(folder, number, value, kind="counter"):
    file = MmapedDict(str(folder / f"{kind}_{number}.db"))
    file.write_value(KEY, value, 0.0)
    file.close()


def total(folder):
    samples = [s for metric in Files(str(folder)).collect() for s in metric.samples]
    return sum(s.value for s in samples if s.name == "asked_total")


def test_files_of_running_processes_and_damaged_ones_stay(tmp_path):
    written(tmp_path, os.getpid(), 1)
    for i in range(3):
        written(tmp_path, MAX_PID + i + 1, 10)
    damaged = tmp_path / f"counter_{MAX_PID + 9}.db"
    damaged.write_bytes(b"\xff" * 500)
    other = tmp_path / "loan_desk.db"
    other.write_bytes(b"precious")
    fold_ended(tmp_path)
    names = {f"counter_{os.getpid()}.db", "counter_0.db", damaged.name, other.name}
    assert set(files_of(tmp_path)) == names
    other.unlink()
    assert total(tmp_path) == 31
    written(tmp_path, MAX_PID + 1, 100)
    fold_ended(tmp_path)
    assert total(tmp_path) == 131
    (tmp_path / "counter_0.db").write_bytes(b"")  # then nothing more is added to it
    written(tmp_path, MAX_PID + 1, 100)
    fold_ended(tmp_path)
    assert total(tmp_path) == 101


def test_nothing_is_added_up_while_a_scrape_reads(tmp_path):
    for number in (os.getpid(), MAX_PID + 1):
        written(tmp_path, number, 1, kind="gauge_livesum")
        written(tmp_path, number, 10)
    before = files_of(tmp_path)
    reading = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(reading, fcntl.LOCK_SH)
    fold_ended(tmp_path)
    assert files_of(tmp_path) == before
    assert total(tmp_path) == 21  # without the gauge of the process that has ended
    os.close(reading)
    fold_ended(tmp_path)
    assert len(files_of(tmp_path)) == 3
    assert total(tmp_path) == 21


def test_files_stay_while_there_is_no_room(tmp_path):
    with disk_in_memory(tmp_path / "small", mebibytes=1) as folder:
        for i in range(2):
            written(folder, MAX_PID + i + 1, 10)
        filler = folder / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as full:
            while True:
                full.write(b"x" * 4096)
        before = files_of(folder)
        fold_ended(folder)
        assert files_of(folder) == before
        filler.unlink()
        assert total(folder) == 20
        fold_ended(folder)
        assert files_of(folder) == ["counter_0.db"]
        assert total(folder) == 20
