"""Tests of the metrics of trouble: what was missing for a request, and how much room is left."""

import os
import re
import resource
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.fixtures.machine import disk_in_memory
from webapp import slots
from webapp.database import sqlite_module
from webapp.monitoring.disk import disk_spaces
from webapp.serving.served import model

ON_ONE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
MEBIBYTE = 1 << 20


@pytest.fixture
def unavailable(client):
    """Return how many requests of each reason the metrics count, without those that are 0."""

    def read():
        lines = re.findall(
            r'^loan_unavailable_total{reason="(\w+)"} (\S+)$', client.get("/metrics").text, re.M
        )
        assert len(lines) == 5
        return {reason: float(count) for reason, count in lines if float(count)}

    return read


@contextmanager
def locked(config):
    file = config.instance / "loan_desk.db"
    with closing(sqlite_module().connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def full(config):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (config.instance / "loan_desk.db-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@ON_ONE
@pytest.mark.parametrize(("fault", "reason"), [(locked, "database"), (full, "outcome")])
def test_requests_that_the_database_refuses_are_counted(
    fault, reason, config, post, granted, unavailable
):
    assert post(granted).status_code == 201
    assert unavailable() == {}
    with fault(config):
        assert post(granted).status_code == 503
    assert unavailable() == {reason: 1}
    assert post(granted).status_code == 201
    assert unavailable() == {reason: 1}


@ON_ONE
def test_requests_without_a_slot_or_a_model_are_counted(
    app, client, config, tmp_path, post, granted, unavailable, monkeypatch
):
    monkeypatch.setattr(slots, "PATIENCE", 0.1)
    free = app.extensions["slots"]
    count = free._free.qsize()
    for _ in range(count):
        free.take()
    assert post(granted).status_code == 503
    assert unavailable() == {"slot": 1}
    for _ in range(count):
        free.give_back()
    model.init_app(app, config.model_copy(update={"bundle": tmp_path / "nowhere"}))
    assert post(granted).status_code == 503
    assert unavailable() == {"slot": 1, "model": 1}


@ON_ONE
def test_metrics_tell_the_room_of_the_instance(client, config):
    text = client.get("/metrics").text
    found = {
        name: float(value)
        for name, value in re.findall(
            r'^loan_disk_(free|size)_bytes{place="instance"} (.*)$', text, flags=re.M
        )
    }
    there = os.statvfs(config.instance)
    assert found["size"] == there.f_blocks * there.f_frsize
    assert abs(found["free"] - there.f_bavail * there.f_frsize) < 1000 * MEBIBYTE  # others write
    assert 'place="database"' not in text  # the same file system


def test_a_database_on_another_disk_has_a_place_of_its_own(config, tmp_path, caplog):
    config.folder()
    with disk_in_memory(tmp_path / "other", mebibytes=8) as disk:
        (disk / "loan_desk.db").touch()
        (config.instance / "loan_desk.db").symlink_to(disk / "loan_desk.db")
        on_a_file = config.model_copy(update={"database_url": ""})
        spaces = {s.place: s for s in disk_spaces(on_a_file)}
        assert spaces["database"].size == 8 * MEBIBYTE
        assert spaces["database"].free <= 8 * MEBIBYTE
        (disk / "more").write_bytes(b"x" * MEBIBYTE)
        after = {s.place: s for s in disk_spaces(on_a_file)}
        assert spaces["database"].free - after["database"].free == MEBIBYTE
    nowhere = config.model_copy(update={"instance": Path(tmp_path / "gone")})
    assert [s.place for s in disk_spaces(nowhere)] == []
    assert "is not known: No such file" in caplog.text
