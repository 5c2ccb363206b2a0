"""The control tools."""

import asyncio
import logging
import time
from pathlib import Path

import pytest

from engine.tools.builtin import control
from engine.tools.context import StepWasCancelled, ToolContext

CONTEXT = ToolContext("run1", "node1", 1, 1, Path())


def test_a_gate_passes_or_says_what_is_amiss() -> None:
    report = {"score": 70, "too_complex": ["a", "b"], "lines": 9}
    assert control.quality_gate(report, 70) == (True, 70, [], report)
    verdict = control.quality_gate(report, 71, limits={"too_complex": 1, "lines": 9})
    assert not verdict.passed
    assert verdict.reasons == ["The score is 70; 71 is required.", "too_complex is 2; at most 1 is allowed."]
    with pytest.raises(LookupError, match='no number "other"; it has: score, too_complex, lines'):
        control.quality_gate(report, 70, "other")


def test_values_are_merged_set_and_handed_on() -> None:
    assert control.merge([{"a": 1, "b": 1}, {"b": 2}], c=3) == {"a": 1, "b": 2, "c": 3}
    with pytest.raises(TypeError, match="Item 1 of values is not an object"):
        control.merge([{}, 5])
    assert control.set_state({"x": 1}, {"a": 1, "b": 1}, b=2) == {"a": 1, "b": 2}
    assert control.pass_through([1]) == [1]


def test_fail_fails_with_its_message() -> None:
    with pytest.raises(control.FailedOnPurpose, match="No stock"):
        control.fail("No stock")


def test_a_delay_hands_its_value_on() -> None:
    assert asyncio.run(control.delay(0.01, value=5)) == 5


def test_a_cancelled_delay_ends_early() -> None:
    context = ToolContext("run1", "node1", 1, 1, Path())
    assert not context.cancelled
    context.cancel()
    assert context.cancelled
    start = time.monotonic()
    with pytest.raises(StepWasCancelled, match='"node1" was cancelled'):
        asyncio.run(control.delay(60, context))
    assert time.monotonic() - start < 5


def test_a_log_line_cannot_be_forged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "engine.tools.log"):
        assert (
            control.log_message("done\nERROR all lost\x1b[31m", context=CONTEXT)
            == "done\nERROR all lost\x1b[31m"
        )
    assert caplog.messages == ["run run1, node node1: done ERROR all lost [31m"]
