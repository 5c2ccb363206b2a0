"""Named places at which the program can be made to fail."""

import re
import subprocess
import sys

import pytest

from engine.failpoints import POINTS, FailpointReached, failpoint, is_set


def test_a_point_that_is_not_named_does_nothing(monkeypatch):
    monkeypatch.setenv("WFE_FAILPOINT", "before-commit:1:raise")
    point = failpoint("after-commit")
    assert not is_set(point)
    point()


def test_a_point_fails_at_its_nth_time_only(monkeypatch):
    monkeypatch.setenv("WFE_FAILPOINT", "before-tool:2:raise, after-tool:1:raise")
    before, after = failpoint("before-tool"), failpoint("after-tool")
    before()
    with pytest.raises(FailpointReached, match="says to fail at before-tool: a worker has"):
        before()
    before()
    with pytest.raises(FailpointReached):
        after()


def test_kill_ends_the_process_as_kill_9_does(project_root):
    code = "from engine.failpoints import failpoint; reach = failpoint('prune'); print('there', flush=True); reach(); reach(); print('no')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"WFE_FAILPOINT": "prune:2:kill", "PYTHONPATH": str(project_root)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (-9, b"there\n")


@pytest.mark.parametrize(
    "text", ["before-comit:1:kill", "before-commit", "before-commit:0:kill", "before-commit:1:x", ","]
)
def test_what_is_not_understood_is_refused_with_the_names_there_are(monkeypatch, text):
    monkeypatch.setenv("WFE_FAILPOINT", text)
    with pytest.raises(
        ValueError, match=r"is not NAME:NTH:kill or NAME:NTH:raise; names: accept, before-commit"
    ):
        failpoint("before-commit")


def test_every_point_is_at_one_place_of_the_program(project_root):
    places = [
        name
        for folder in ("engine", "wfe_desktop")
        for path in (project_root / folder).rglob("*.py")
        for name in re.findall(r'= failpoint\("([a-z-]+)"\)', path.read_text(encoding="utf-8"))
    ]
    assert sorted(places) == sorted(POINTS)
