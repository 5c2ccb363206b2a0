"""Old journals replay to what became of them then, for ever (made by scripts/record_histories.py)."""

import json
from pathlib import Path

import orjson
import pytest

from engine.flow.decide import decide
from engine.flow.plan import compile_plan
from engine.flow.run_state import RunState
from engine.model.events import INPUTS
from engine.model.graph import GraphDefinition
from engine.storage.codec import decode_event

HISTORIES = sorted((Path(__file__).parents[2] / "data" / "histories").glob("*.json"))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_p11_a_recorded_history_replays_to_the_same_events_and_the_same_state(path):
    history = json.loads(path.read_text(encoding="utf-8"))
    events = [
        decode_event(row["type"], orjson.dumps(row["data"]), None, lambda _: b"") for row in history["events"]
    ]
    run = RunState(history["run_id"], compile_plan(GraphDefinition.model_validate(history["graph"])))
    again = []
    for event in events:
        if isinstance(event, INPUTS):
            again += decide(run, event)
    assert again == events
    outcome = history["outcome"]
    assert run.status.value == outcome["status"]
    assert run.state == outcome["state"]
    assert [run.plan.topology.node_ids[node] for node in run.path] == outcome["execution_path"]
    assert (run.failure.message if run.failure else None) == outcome["error_message"]


def test_there_are_histories():
    assert len(HISTORIES) >= 5
