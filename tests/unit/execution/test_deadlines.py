import threading
import time

import pytest

from engine.execution.attempts.deadlines import Deadlines


@pytest.fixture
def deadlines():
    deadlines = Deadlines()
    yield deadlines
    assert deadlines.close(2)


def test_calls_come_in_the_order_of_their_times(deadlines):
    done, order = threading.Event(), []
    deadlines.call_later(0.6, done.set)  # far apart: a busy machine may stop between these lines
    deadlines.call_later(0.3, lambda: order.append(2))
    deadlines.call_later(0.0, lambda: order.append(1))
    assert done.wait(5)
    assert order == [1, 2]


def test_an_earlier_one_does_not_wait_for_a_later_one(deadlines):
    done = threading.Event()
    deadlines.call_later(3_600, done.clear)
    began = time.monotonic()
    deadlines.call_later(0.01, done.set)
    assert done.wait(5)
    assert time.monotonic() - began < 1


def test_a_cancelled_one_is_not_called_and_lets_go(deadlines):
    done, order = threading.Event(), []
    deadlines.call_later(0.01, lambda: order.append(1)).cancel()
    deadlines.call_later(0.02, done.set)
    assert done.wait(5)
    assert order == []


def test_a_fault_in_one_does_not_stop_the_others(deadlines, expect_log):
    expect_log("internal error in a deadline")
    done = threading.Event()
    deadlines.call_later(0.0, lambda: 1 / 0)
    deadlines.call_later(0.01, done.set)
    assert done.wait(5)


def test_after_close_nothing_is_called():
    deadlines, order = Deadlines(), []
    deadlines.call_later(0.05, lambda: order.append(1))
    assert deadlines.close(2)
    deadlines.call_later(0.0, lambda: order.append(2))
    assert order == []
