"""What is counted from committed events."""

from engine.model.events import (
    STOPPED,
    JournalEntry,
    RunCompleted,
    RunFailed,
    RunRetried,
    RunStarted,
    StepCompleted,
    StepFailed,
    StepTakenOver,
)
from wfe_desktop.server import measures as measures_module
from wfe_desktop.server.measures import Histogram, Measures


def take(measures, *events, run_id="r"):
    measures.take([JournalEntry(seq, run_id, event) for seq, event in enumerate(events, 1)])


def test_a_duration_at_a_bound_counts_below_it_and_a_longer_one_than_all_is_not_lost():
    histogram = Histogram((1, 2))
    for seconds in (0.5, 1, 1.5, 2, 9):
        histogram.observe(seconds)
    assert (histogram.counts, histogram.count, histogram.sum_s) == ([2, 2, 1], 5, 14)


def test_a_retried_run_ends_twice_and_is_timed_from_its_retry():
    measures = Measures()
    take(measures, RunStarted(0), RunFailed(2_000_000, "x"), RunRetried(50_000_000), RunCompleted(51_000_000))
    assert measures.runs_ended == {"completed": 1, "failed": 1, "cancelled": 0}
    assert (measures.run_durations.count, measures.run_durations.sum_s) == (2, 3)


def test_a_step_that_was_stopped_was_cancelled_and_one_taken_over_was_counted_before():
    measures = Measures()
    failed = StepFailed(0, "a", 1, 1, "x", STOPPED, duration_us=10)
    taken = StepTakenOver(0, "a", 1, 1, None, {}, origin="o")
    take(measures, failed, taken, StepCompleted(0, "a", 1, 1, None, {}, duration_us=1_000_000))
    assert measures.steps_ended == {"completed": 1, "failed": 0, "skipped": 0, "cancelled": 1, "retried": 0}
    assert measures.step_durations.count == 2


def test_runs_that_never_end_do_not_gather_without_bound(monkeypatch):
    monkeypatch.setattr(measures_module, "MAX_RUNS_TIMED", 3)
    measures = Measures()
    for number in range(10):
        take(measures, RunStarted(number), run_id=str(number))
    for number in range(10):
        take(measures, RunCompleted(20), run_id=str(number))
    assert (measures.runs_ended["completed"], measures.run_durations.count) == (10, 3)
