"""The examples on the project's first page do what the page says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def readme(project_root: Path) -> str:
    return (project_root / "README.md").read_text()


def test_the_python_example_prints_what_the_page_says(readme, project_root, user_home):
    example = re.search(r"```python\n(.*?)```", readme, re.DOTALL).group(1)
    promised = re.search(r"It prints\n`(.*?)`\.", readme, re.DOTALL).group(1)
    script = user_home / "example.py"
    script.write_text(example)
    done = subprocess.run(
        [sys.executable, script],
        env={"PYTHONPATH": str(project_root), "HOME": str(user_home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == promised
    assert done.stderr == ""
