"""workflow_example.py, run as users run it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def run_python(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment | {"TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.fixture(scope="module")
def done(
    tmp_path_factory: pytest.TempPathFactory, project_root: Path
) -> tuple[subprocess.CompletedProcess[str], Path]:
    folder = tmp_path_factory.mktemp("example")
    script = (
        "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__');"
        "print('LOADED', sorted(name for name in sys.modules if name.startswith('PySide6.')))"
    )
    return run_python("-c", script, str(project_root / "workflow_example.py"), folder=folder), folder


def test_the_example_ends_well_without_a_display(done: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    ended, _ = done
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    "line",
    [
        "path:   add -> multiply -> large",
        "verdict: 60 is large",
        "path:   add -> multiply -> small",
        "path:   double -> double -> double -> double -> double -> double -> double -> double -> double -> minus_one",
        "value: 1535",
        "summary: 7 words, 26 letters, the longest is small (said by summary)",
        "path:   price -> apologize",
        "status: failed",
        "**Approved after 2 rounds of fixes**",
        "6 runs were completed; the last one logged:",
    ],
)
def test_the_example_prints_results_and_execution_paths(
    done: tuple[subprocess.CompletedProcess[str], Path], line: str
) -> None:
    assert line in [printed.strip() for printed in done[0].stdout.splitlines()]


def test_the_example_loads_no_widgets(done: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    [loaded] = [line for line in done[0].stdout.splitlines() if line.startswith("LOADED")]
    assert "PySide6.QtCore" in loaded
    assert "QtWidgets" not in loaded
    assert "QtGui" not in loaded


def test_the_example_leaves_nothing_behind(done: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    assert list(done[1].iterdir()) == []
