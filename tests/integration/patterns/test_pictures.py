"""The pictures of docs/runs.md can be drawn again."""

import subprocess
import sys
from pathlib import Path

from tests.integration.patterns.conftest import FOLDER


def test_the_script_draws_a_branch_a_join_and_a_loop_as_they_ended(tmp_path: Path):
    script = FOLDER.parents[1] / "scripts" / "pictures.py"
    subprocess.run([sys.executable, script, tmp_path], check=True, timeout=50, capture_output=True)
    for name, words in {"branch": ["Pay in cash"], "join": ["Decide"], "loop": ["Triage", ">3<"]}.items():
        text = (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
        assert all(word in text for word in words)
