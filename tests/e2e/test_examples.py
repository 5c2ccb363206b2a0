"""The examples in docs/examples, each run as a reader would, against the program."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.e2e.chromium import Browser, open_tab
from tests.e2e.conftest import ask

EXPECTED = ["workflow_started", "add started", "rest completed", "triple completed", "workflow_completed"]


@pytest.fixture
def examples(project_root):
    return project_root / "docs" / "examples"


def run(command, environment, tmp_path):
    if shutil.which(command[0]) is None:
        pytest.fail(f"{command[0]} is missing; `make setup` installs it", pytrace=False)
    return subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def commands(examples, address):
    return {
        "run.sh": (["sh", examples / "run.sh"], '{"value":42}'),
        "run.py": ([sys.executable, examples / "run.py", address], "{'value': 42}"),
        "run_plain.py": ([sys.executable, examples / "run_plain.py", address], "{'value': 42}"),
        "run.js": (["node", examples / "run.js", address], 'completed {"value":42}'),
    }


@pytest.mark.parametrize("name", ["run.sh", "run.py", "run_plain.py", "run.js"])
@pytest.mark.parametrize("token", ["", "s3cret-s3cret"])
def test_the_examples_watch_a_run_to_its_end(examples, start_headless, tmp_path, name, token):
    program, address = start_headless(WFE_API_TOKEN=token)
    command, result = commands(examples, address)[name]
    environment = {**os.environ, "WFE": address, "WFE_API_TOKEN": token}
    done = run(command, environment, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    first, *events, last = done.stdout.splitlines()
    assert first.startswith("run ")
    assert last == result
    told = iter(events)
    assert all(any(part in line for line in told) for part in EXPECTED), events
    if name != "run.sh":  # every event once, as the journal has them
        seqs = [int(line.split()[0]) for line in events]
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        assert seqs == [event["seq"] for event in ask(address, "/events", headers=headers)[1]]
    assert program.err == []


def test_the_examples_say_what_went_wrong(examples, start_headless, tmp_path):
    _, address = start_headless(WFE_API_TOKEN="s3cret-s3cret")
    for command, _ in commands(examples, address).values():
        done = run(command, {**os.environ, "WFE": address}, tmp_path)
        assert done.returncode != 0
        assert "Unauthorized" in done.stdout + done.stderr


@pytest.fixture
def browser():
    browser = Browser()
    yield browser
    browser.close()


@pytest.mark.plain_loop
@pytest.mark.parametrize("page", ["/", "/docs"])
async def test_the_example_for_browsers_runs_on_the_programs_pages(browser, examples, start_headless, page):
    _, address = start_headless()
    async with open_tab(browser) as tab:
        await tab.open(address + page)
        result = await tab.look((examples / "run.js").read_text())
        assert result == {"status": "completed", "data": {"value": 42}}
        assert any(asked.startswith(address.replace("http", "ws")) for asked in tab.requests)
        assert tab.complaints == []


@pytest.mark.plain_loop
async def test_a_page_of_another_origin_gets_nowhere(browser, examples, start_headless, tmp_path):
    _, address = start_headless()
    (tmp_path / "page.html").write_text("<!doctype html><title>Elsewhere</title>")
    source = (examples / "run.js").read_text().replace("location.origin", json.dumps(address))
    async with open_tab(browser) as tab:
        await tab.open((tmp_path / "page.html").as_uri())
        with pytest.raises(RuntimeError, match="Failed to fetch"):
            await tab.look(source)
    assert ask(address, "/graphs")[1] == []
