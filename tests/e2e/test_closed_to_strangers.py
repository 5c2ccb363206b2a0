"""The program as a process: its token, its secrets and its log."""

import json
import os
import subprocess
import sys

import pytest

from tests.e2e.conftest import ask

TOKEN = "a-token-of-the-users-own"
SECRET = "hunter2-hunter2-hunter2"


def read_log(user_home):
    path = user_home / ".local/state/agent-workflow-engine/log/wfe.log"
    assert path.stat().st_mode & 0o777 == 0o600
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_log_tells_the_story_of_the_program_without_its_token(start_headless, user_home, database):
    program, address = start_headless(WFE_API_TOKEN=TOKEN)
    assert ask(address, "/health")[0] == 401
    assert ask(address, "/health", headers={"Authorization": f"Bearer {TOKEN}"})[0] == 200
    assert program.stop() == 0
    messages = [line["message"] for line in read_log(user_home)]
    assert messages[0].startswith("started: version")
    assert f"serving on {address}" in messages
    assert any(message.startswith("answered 401 to") for message in messages)
    everything = [path.read_bytes() for path in user_home.rglob("*") if path.is_file()]
    everything += [path.read_bytes() for path in database.parent.glob("e2e.db*")]
    assert not any(TOKEN.encode() in content for content in everything)
    assert TOKEN not in "".join(program.out + program.err)


def test_the_log_has_as_much_as_was_asked_for(start, start_headless, user_home):
    program, _ = start_headless("--log-level", "warning")
    assert program.stop() == 0
    assert read_log(user_home) == []
    program = start("--headless", "--port", 0, WFE_LOG_LEVEL="nonsense")
    assert program.wait() == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who is on the other end")
def test_another_user_of_the_machine_gets_nowhere_without_the_token(start_headless, user_home):
    if os.geteuid() != 0:
        pytest.skip("only root can start a process of another user")
    _, address = start_headless()
    folder = user_home / ".local/share/agent-workflow-engine"
    assert folder.stat().st_mode & 0o777 == 0o700
    token = (folder / "api-token").read_text().strip()
    statuses = []
    for user, lines in ((0, []), (65_534, []), (65_534, ["-H", f"Authorization: Bearer {token}"])):
        command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *lines, f"{address}/graphs"]
        done = subprocess.run(
            command, user=user, group=user, extra_groups=[], cwd="/", capture_output=True, check=True
        )
        statuses.append(int(done.stdout))
    assert statuses == [200, 401, 200]


def test_p12_a_secret_is_used_and_is_nowhere_afterwards(start_headless, user_home, database, tmp_path):
    program, address = start_headless(WFE_SECRET_LABEL=SECRET)
    parameters = {"folder": str(tmp_path), "label": "{{secret:LABEL}}"}
    nodes = [{"id": "a", "function_name": "effect", "parameters": parameters, "save_as": "kept"}]
    body = {"graph": {"name": "Secret", "nodes": nodes}, "wait_s": 20}
    status, run = ask(address, "/graph/run", body)
    assert (status, run["status"]) == (200, "completed"), run
    assert (tmp_path / "effects.txt").read_text() == f"{SECRET}\n"
    assert run["current_state"]["data"]["kept"] == "•••"
    answers = [
        ask(address, path)[1]
        for path in (
            f"/graph/steps/{run['run_id']}",
            f"/graph/logs/{run['run_id']}",
            "/events",
            f"/graph/{run['graph_id']}",
        )
    ]
    assert SECRET not in json.dumps([run, *answers])
    assert "{{secret:LABEL}}" in json.dumps(answers)
    nodes[0]["parameters"]["label"] = "{{secret:NOPE}}"
    _, run = ask(address, "/graph/run", body)
    assert "WFE_SECRET_NOPE" in run["error_message"]
    assert program.stop() == 0
    kept = [
        path.read_bytes()
        for path in [*user_home.rglob("*"), *database.parent.glob("e2e.db*")]
        if path.is_file()
    ]
    assert not any(SECRET.encode() in content for content in kept)
    assert SECRET not in "".join(program.out + program.err)
