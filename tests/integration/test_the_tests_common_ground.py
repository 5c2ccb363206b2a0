"""tests/conftest.py holds what it promises: surprises fail a test, and async tests run on the right loop."""

import re
import shutil
import subprocess
import sys

import pytest

EXAMPLES = """
import asyncio, logging, os, threading, warnings
from pathlib import Path
import pytest

def test_passes_with_a_log_line_that_was_announced(expect_log):
    expect_log("disk .* full")
    logging.getLogger("x").warning("the disk is full")

def test_errs_with_a_log_line_that_was_not():
    logging.getLogger("x").warning("the disk is full")

def test_errs_without_the_line_that_was_announced(expect_log):
    expect_log("disk is full")

def test_errs_with_a_thread_left_behind(monkeypatch):
    threading.Thread(target=threading.Event().wait, args=(8,), daemon=True).start()

def test_fails_with_a_warning():
    warnings.warn("old")

def test_fails_with_a_message_of_qt():
    from PySide6.QtCore import qWarning
    qWarning("bad")

async def test_passes_on_the_loop_of_qt():
    assert "qasync" in type(asyncio.get_running_loop()).__module__
    await asyncio.sleep(0)

@pytest.mark.plain_loop
async def test_passes_on_a_plain_loop(loop):
    assert loop is asyncio.get_running_loop()
    assert type(loop).__module__.startswith("asyncio")

async def test_fails_in_a_coroutine():
    await asyncio.sleep(0)
    assert False

def test_passes_in_a_home_of_its_own(user_home):
    assert Path.cwd() == Path.home() == user_home
    assert list(user_home.iterdir()) == []
    assert Path(os.environ["XDG_DATA_HOME"]).is_relative_to(user_home)
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory, project_root):
    """What became of each example: passed, failed, or error (after the test itself had passed)."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "tests").mkdir()
    shutil.copy(project_root / "pyproject.toml", folder)
    shutil.copy(project_root / "tests" / "conftest.py", folder / "tests")
    (folder / "tests" / "test_examples.py").write_text(EXAMPLES)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    found: dict[str, str] = {}
    for name, outcome in re.findall(r"::(test_\w+) (PASSED|FAILED|ERROR)", done.stdout):
        if found.get(name) != "ERROR":
            found[name] = outcome
    return found


@pytest.mark.parametrize("name", re.findall(r"def (test_\w+)", EXAMPLES))
def test_the_example_ends_as_its_name_says(outcomes, name):
    expected = {"passes": "PASSED", "fails": "FAILED", "errs": "ERROR"}[name.split("_")[1]]
    assert outcomes[name] == expected
