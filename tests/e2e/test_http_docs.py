"""What docs/http-api.md, docs/client.md and docs/command-line.md show works when it is pasted: every block of it."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.e2e.chromium import Browser, open_tab
from tests.e2e.conftest import ask

ADDRESS = "http://127.0.0.1:8000"
TESTED = {"", "sh", "python", "js", "json"}


def blocks(page, language):
    found = re.findall(r"^```(.*?)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [text for kind, text in found if kind == language]


@pytest.fixture
def page(project_root):
    return (project_root / "docs" / "http-api.md").read_text()


def run_python(code, address, tmp_path):
    return subprocess.run(
        [sys.executable, "-c", code.replace(ADDRESS, address)],
        cwd=tmp_path,
        env={**os.environ, "WFE": address},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_no_block_is_of_a_kind_that_is_not_tested(page, project_root):
    client = (project_root / "docs" / "client.md").read_text()
    opened = re.findall(r"^```(.*)$", page + client, re.MULTILINE)[::2]
    assert set(opened) <= TESTED
    assert blocks(page, "") == ["python main.py --headless\n"]  # what every test here starts


def test_the_examples_of_the_http_api_work_as_they_stand(page, start_headless, tmp_path):
    if shutil.which("curl") is None:
        pytest.fail("curl is missing; install it (apt-get install curl)", pytrace=False)
    _, address = start_headless()
    shell = "\n".join(blocks(page, "sh"))
    assert f"WFE={ADDRESS}" in shell
    script = "set -e -o pipefail\n" + shell.replace("curl -s", "curl -sS").replace(ADDRESS, address)
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert '"detail"' not in done.stdout
    for expected in (
        '"status":"healthy"',
        '"current_state":{"data":{"value":42},"execution_path":["add","triple"]}',
        '"current_state":{"data":{"value":18},"execution_path":["add","triple"]}',
        '"event_type":"workflow_started"',
        '"event_type":"workflow_completed"',
        '"total_count":',
        '"is_valid":true',
        '"version":2',
        '"cancelled":false',
        '"execution_path":["add","triple"]},"accepted_at"',
        '"to_version":2',
        '"p95_s":',
        '"paused":false',
        '"not_found":[]',
        '"name":"math_operation"',
        '"memory_rss_bytes":',
    ):
        assert expected in done.stdout
    assert "\n204\n" in done.stdout

    client, socket = blocks(page, "python")
    done = run_python(client, address, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "{'value': 42}"
    done = run_python(socket, address, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "workflow_completed" in done.stdout


def test_an_error_looks_as_it_is_shown(page, start_headless):
    _, address = start_headless()
    [shown] = blocks(page, "json")
    assert ask(address, "/graph/x") == (404, json.loads(shown))


@pytest.mark.plain_loop
async def test_the_scripts_for_a_page_run_on_a_page(page, start_headless):
    _, address = start_headless()
    graph = {
        "name": "One",
        "nodes": [{"id": "a", "function_name": "pass_through", "parameters": {"value": 1}}],
    }
    ask(address, "/graph/run", {"graph": graph, "wait_s": 20})
    console, module = blocks(page, "js")
    browser = Browser()
    try:
        async with open_tab(browser) as tab:
            await tab.open(address)
            heard = console.replace("console.log(", "(window.heard ??= []).push(")
            await tab.look(heard)
            await tab.until("window.heard?.some((event) => event.event_type === 'workflow_completed')")
            # Where it stands in a module's file, the console has a function.
            body = re.sub(r'import (\{.*?\}) from ("[^"]*");', r"const \1 = await import(\2);", module)
            opened = "await new Promise((resolve) => { socket.onopen = resolve; })"
            look = f"(async () => {{ {body}; {opened}; socket.close(); return graphs.length; }})()"
            assert await tab.look(look) == 1
            assert tab.complaints == []
    finally:
        browser.close()


def test_the_examples_of_the_client_work_as_they_stand(project_root, start_headless, tmp_path):
    _, address = start_headless()
    blocking, asynchronous = blocks((project_root / "docs" / "client.md").read_text(), "python")
    done = run_python(blocking, address, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "completed {'value': 42}"
    assert len(done.stdout.splitlines()) == len(ask(address, "/events")[1]) + 1
    done = run_python(asynchronous, address, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].endswith(" Run completed")
