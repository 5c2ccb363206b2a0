"""The lines for the second terminal on the project's first page do what the page says."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def address(project_root: Path) -> Iterator[str]:
    """Where a headless program of its own serves."""
    program = subprocess.Popen(
        [sys.executable, project_root / "main.py", "--headless", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        line = next(line for line in program.stdout if line.startswith("Serving on "))
        yield line.removeprefix("Serving on ").strip()
        program.send_signal(signal.SIGTERM)
        assert program.wait(15) == 0
    finally:
        program.kill()
        program.communicate()


def post(command: str, address: str, **placeholders: str) -> dict:
    """Does what a ``curl -s URL -H HEADER -d BODY`` does."""
    for name, value in placeholders.items():
        command = command.replace(name, value)
    curl, silent, url, header_flag, header, body_flag, body = shlex.split(command)
    assert (curl, silent, header_flag, body_flag) == ("curl", "-s", "-H", "-d")
    url = url.replace("http://127.0.0.1:8000", address)
    request = urllib.request.Request(url, body.encode(), dict([header.split(": ")]))
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_the_curl_lines_create_a_graph_and_run_it_to_42(address, project_root):
    page = (project_root / "README.md").read_text()
    create, run = re.findall(r"```sh\n(curl .*?)```", page, re.DOTALL)
    graph_id = post(create, address)["graph_id"]
    finished = post(run, address, GRAPH_ID=graph_id)
    assert finished["status"] == "completed"
    assert "`current_state.data.value` is 42" in page
    assert finished["current_state"]["data"]["value"] == 42
