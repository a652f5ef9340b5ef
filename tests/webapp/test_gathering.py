"""Tests of webapp/gathering.py: several calls that one thread makes together."""

from contextvars import ContextVar
from functools import partial
from threading import Thread

import pytest

from webapp.gathering import gather, in_group, run_together, step_aside


@pytest.fixture
def steps():
    """What the calls have done, in its order."""
    return []


def test_calls_wait_for_one_another(steps):
    def call(name):
        steps.append(f"{name} begins")
        assert gather()
        steps.append(f"{name} goes on")

    run_together(partial(call, name) for name in "ab")
    assert steps == ["a begins", "b begins", "a goes on", "b goes on"]


def test_call_that_gathers_again_waits_for_the_others(steps):
    def twice():
        gather()
        gather()
        steps.append("twice")

    def once():
        gather()
        steps.append("once")

    run_together([twice, once, lambda: steps.append("never")])
    assert steps == ["never", "once", "twice"]


def test_call_that_steps_aside_ends_last(steps):
    def aside(name):
        step_aside()
        assert gather()  # resumed before the next one that has stepped aside
        steps.append(name)

    def gathering():
        gather()
        gather()
        steps.append("gathering")

    run_together([partial(aside, "a"), partial(aside, "b"), gathering])
    assert steps == ["gathering", "a", "b"]


def test_without_a_group_nothing_waits():
    assert not in_group()
    assert not gather()
    step_aside()


def test_group_is_of_its_thread_and_ends(steps):
    def call():
        other = Thread(target=lambda: steps.append(in_group()))
        other.start()
        other.join()
        steps.append(in_group())

    run_together([call])
    assert steps == [False, True]
    assert not in_group()


def test_calls_have_their_own_context(steps):
    variable = ContextVar("variable", default="")

    def call(name):
        variable.set(name)
        gather()
        steps.append(variable.get())

    run_together(partial(call, name) for name in "ab")
    assert steps == ["a", "b"]
    assert variable.get() == ""
