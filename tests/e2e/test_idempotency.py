"""Requests that are sent again after kill -9: whatever the moment, one key is one run, and an answered run is there."""

import json
import threading
import urllib.error
import urllib.request

import pytest

# A file of tools is loaded as the program starts, before anything is accepted: the place to lay a mine.
MINE = '''
import os
import signal
from pathlib import Path

from engine import tool
from engine.model.events import RunAccepted
from engine.storage.journal import StateManager

FOLDER = Path(__file__).parent
append = StateManager.append


def fire(place):
    mine = FOLDER / place
    if mine.exists():
        mine.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def mined(self, batch):
    accepts = any(isinstance(entry.event, RunAccepted) for entry in batch.entries)
    if accepts:
        fire("before")
    append(self, batch)
    if accepts:
        fire("after")


StateManager.append = mined


@tool(name="leave_line")
def leave_line(folder: str, label: str) -> str:
    """Leaves a line behind."""
    with open(Path(folder) / "effects.txt", "a") as file:
        file.write(label + "\\n")
    return label
'''


def post(address, body):
    data = json.dumps(body).encode()
    request = urllib.request.Request(
        f"{address}/graph/run", data, {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.status, json.load(answer)


def request_of(key, tmp_path):
    node = {"function_name": "leave_line", "parameters": {"folder": str(tmp_path)}}
    graph = {"name": "Leave", "nodes": [{"id": "a", **node, "bindings": {"label": "state.key"}}]}
    return {"graph": graph, "initial_state": {"key": key}, "idempotency_key": key}


@pytest.mark.parametrize("place", ["before", "after"])
def test_p6_a_request_sent_again_after_kill_9_at_its_commit_makes_one_run(
    start_headless, tools_dir, tmp_path, place
):
    (tools_dir / "mine.py").write_text(MINE)
    program, address = start_headless()
    (tools_dir / place).touch()
    body = request_of("k", tmp_path)
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        post(address, body)
    program.wait()
    assert not (tools_dir / place).exists(), "the program was killed at this place"

    program, address = start_headless()
    _, run = post(address, {**body, "wait_s": 20})
    assert run["status"] == "completed"
    assert (tmp_path / "effects.txt").read_text().split() == ["k"]
    program.kill()
    _, address = start_headless()
    assert post(address, body)[1]["run_id"] == run["run_id"]
    history = urllib.request.Request(
        f"{address}/history/executions", b"{}", {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(history, timeout=20) as answer:
        assert [line["run_id"] for line in json.load(answer)["executions"]] == [run["run_id"]]


def test_p6_accepted_runs_survive_kill_9_under_load_and_no_key_makes_two(start_headless, tmp_path):
    acknowledged = {}
    for number in range(3):
        program, address = start_headless()
        enough = threading.Event()

        def send(worker, number=number, address=address, enough=enough):
            for count in range(1_000):
                key = f"{number}-{worker}-{count}"
                try:
                    status, answer = post(address, request_of(key, tmp_path))
                except (OSError, urllib.error.URLError):
                    return  # it was killed
                assert status == 202
                acknowledged[key] = answer["run_id"]
                if len(acknowledged) >= 30 * (number + 1):
                    enough.set()

        workers = [threading.Thread(target=send, args=(worker,)) for worker in range(4)]
        for worker in workers:
            worker.start()
        assert enough.wait(30)
        program.kill()
        for worker in workers:
            worker.join()
    _, address = start_headless()
    for key, run_id in acknowledged.items():
        assert post(address, request_of(key, tmp_path))[1]["run_id"] == run_id
