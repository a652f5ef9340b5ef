"""Tests of webapp/serving/past.py."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import pytest

from ml.bundle.manifest import ARRAYS, BundleTampered, VersionMissing
from ml.bundle.store import find_bundle
from webapp.serving.past import FAILURE_SECONDS, MAX_BUNDLES, MAX_FAILURES, PastBundles


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def place(bundle, tmp_path):
    return shutil.copytree(bundle.directory, tmp_path / "models" / "current")


@pytest.fixture
def asked():
    """The versions that were searched for on disk."""
    return []


@pytest.fixture
def past(place, asked, clock):
    """The cache of a folder's bundles, which records its searches in `asked`."""
    find = partial(find_bundle, place)

    def look(version):
        asked.append(version)
        return find(version)

    return PastBundles(look, clock=clock)


def test_get_reads_once(past, bundle, asked):
    first = past.get(bundle.version)
    assert first.bundle.digest == bundle.digest
    assert past.get(bundle.version) is first
    assert asked == [bundle.version]


def test_get_reads_once_for_many_threads(past, bundle, asked):
    together = Barrier(8)

    def get(_):
        together.wait(30)
        return past.get(bundle.version)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(get, range(8)))
    assert len({id(usable) for usable in results}) == 1
    assert asked == [bundle.version]


def test_get_remembers_for_a_while_what_is_missing(past, bundle, place, asked, clock, tmp_path):
    away = place.rename(tmp_path / "away")
    messages = set()
    for moment in (0, 1, FAILURE_SECONDS - 1):
        clock.now = 1000 + moment
        with pytest.raises(VersionMissing) as raised:
            past.get(bundle.version)
        messages.add(str(raised.value))
    assert len(messages) == len(asked) == 1
    away.rename(place)
    clock.now = 1000 + FAILURE_SECONDS
    assert past.get(bundle.version).bundle.digest == bundle.digest
    assert len(asked) == 2


def test_get_remembers_what_cannot_be_used(past, bundle, place, asked):
    (place / ARRAYS).write_bytes(b"other")
    for _ in range(3):
        with pytest.raises(BundleTampered, match=str(place / ARRAYS)):
            past.get(bundle.version)
    assert len(asked) == 1


def test_get_remembers_a_limited_number_of_failures(past, asked):
    for number in (*range(MAX_FAILURES + 1), MAX_FAILURES, 0):
        with pytest.raises(VersionMissing):
            past.get(str(number))
    assert len(asked) == MAX_FAILURES + 2  # the first was forgotten


def test_get_keeps_the_bundles_that_were_used_last(bundle, asked):
    def find(version):
        asked.append(version)
        return bundle

    past = PastBundles(find)
    versions = [str(number) for number in range(MAX_BUNDLES + 1)]
    for version in versions[:-1]:
        past.get(version)
    past.get(versions[0])
    past.get(versions[-1])  # so the second goes
    assert asked == versions
    for version in (versions[0], *versions[2:]):
        past.get(version)
    assert asked == versions
    past.get(versions[1])
    assert asked == [*versions, versions[1]]
