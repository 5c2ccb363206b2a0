from engine.flow.step_records import list_steps
from engine.model.events import (
    STOPPED,
    ChildEnded,
    ChildStarted,
    RunAccepted,
    StepCancelled,
    StepCompleted,
    StepDue,
    StepFailed,
    StepRetrying,
    StepSkipped,
    StepStarted,
)
from engine.model.run import to_datetime


def told(events):
    return [
        (step.node_id, step.visit, step.attempt, step.item, step.status.value) for step in list_steps(events)
    ]


def test_each_attempt_visit_and_item_is_a_step_of_its_own():
    events = [
        RunAccepted(0, "g", 1, "G", {}),
        StepStarted(1, "a", 1, 1),
        StepFailed(2, "a", 1, 1, "no luck", "ValueError", duration_us=1_000_000),
        StepRetrying(2, "a", 1, 2, due=9),
        StepSkipped(3, "b"),
    ]
    assert told(events) == [
        ("a", 1, 1, None, "failed"),
        ("a", 1, 2, None, "waiting"),
        ("b", 0, 0, None, "skipped"),
    ]
    events += [StepDue(9, "a", 1, 2), StepStarted(10, "a", 1, 2), StepCompleted(12, "a", 1, 2, {"x": 1}, {})]
    events += [StepStarted(13, "a", 2, 1, item=0), StepStarted(13, "a", 2, 1, item=1)]
    events += [StepCancelled(14, "a", 2, 1, item=0), StepFailed(15, "a", 2, 1, "stopped", STOPPED, item=1)]
    assert told(events) == [
        ("a", 1, 1, None, "failed"),
        ("a", 1, 2, None, "completed"),
        ("b", 0, 0, None, "skipped"),
        ("a", 2, 1, 0, "cancelled"),
        ("a", 2, 1, 1, "cancelled"),
    ]
    failed, completed, *_ = list_steps(events)
    assert (failed.error, failed.error_type, failed.duration_s) == ("no luck", "ValueError", 1.0)
    assert completed.result == {"x": 1}
    assert (completed.started_at, completed.completed_at) == (to_datetime(10), to_datetime(12))


def test_an_attempt_that_began_again_after_a_crash_is_one_step():
    [step] = list_steps([StepStarted(1, "a", 1, 1), StepStarted(5, "a", 1, 1)])
    assert step.started_at == to_datetime(5)


def test_a_step_that_ran_another_graph_names_that_run():
    events = [
        StepStarted(1, "a", 1, 1),
        ChildStarted(2, "a", 1, 1, "child", "g", "G", due=3_000_000),
    ]
    [step] = list_steps(events)
    assert (step.status.value, step.child_run_id, step.due_at) == ("waiting", "child", to_datetime(3_000_000))
    events += [
        ChildEnded(5, "a", 1, 1, "child", "completed", {"x": 1}),
        StepCompleted(5, "a", 1, 1, {"x": 1}, {}),
    ]
    [step] = list_steps(events)
    assert (step.status.value, step.child_run_id, step.result) == ("completed", "child", {"x": 1})
