"""What docs/http-api.md shows works when it is pasted."""

import os
import re
import shutil
import subprocess
import sys

import pytest


@pytest.fixture
def page(project_root):
    return (project_root / "docs" / "http-api.md").read_text()


def test_the_examples_of_the_http_api_work_as_they_stand(page, start_headless, tmp_path):
    if shutil.which("curl") is None:
        pytest.fail("curl is missing; install it (apt-get install curl)", pytrace=False)
    _, address = start_headless()
    shell = "\n".join(re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    assert "WFE=http://127.0.0.1:8000" in shell
    script = "set -e -o pipefail\n" + shell.replace("curl -s", "curl -sS").replace(
        "http://127.0.0.1:8000", address
    )
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert '"detail"' not in done.stdout
    for expected in (
        '"status":"healthy"',
        '"current_state":{"data":{"value":42},"execution_path":["add","triple"]}',
        '"event_type":"workflow_started"',
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

    [python] = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", python],
        env={**os.environ, "WFE": address},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "workflow_completed" in done.stdout
