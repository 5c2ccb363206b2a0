"""Requests made up from the OpenAPI document, right ones and wrong ones, against the running program.

``--api-examples 2000`` makes about so many, from a new seed each time and with requests that follow from each other.
"""

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import ask

FEW = 1_000
GRAPH = {
    "name": "Sum",
    "nodes": [
        {"id": "add", "function_name": "math_operation", "parameters": {"operation": "add", "value": 5}}
    ],
}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("prefix", ["", "/api/v1"])
def test_no_made_up_request_finds_the_server_other_than_documented(prefix, request, start_headless, tmp_path):
    wanted = request.config.getoption("--api-examples")
    thorough = wanted >= FEW
    if prefix and not thorough:
        wanted //= 5  # the routes are the same ones
    _, address = start_headless()
    ask(address, "/graph/run", {"graph": GRAPH, "initial_state": {"value": 1}, "wait_s": 20})
    _, document = ask(address, f"{prefix}/openapi.json")
    operations = sum(len(item) for item in document["paths"].values())
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            *("--config-file", Path(__file__).with_name("schemathesis.toml"), "run"),
            *(f"{address}{prefix}/openapi.json", "--url", address + prefix, "--request-timeout", "30"),
            *("--max-examples", str(math.ceil(wanted / operations)), "--checks", "all", "--warnings", "off"),
            *([] if thorough else ["--phases", "examples,fuzzing", "--seed", "1", "--no-shrink"]),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    made = re.search(r"(\d+) generated", done.stdout)
    assert made, done.stdout
    assert int(made[1]) >= wanted / 2  # what takes no parameters is asked once
    assert ask(address, "/health")[0] == 200
