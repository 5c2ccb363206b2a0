"""docs/runs.md says what the code does."""

import re
from pathlib import Path

from engine.model.status import TRANSITIONS, RunStatus

PAGE = Path(__file__).parents[2] / "docs" / "runs.md"


def test_the_table_of_statuses_is_that_of_the_code():
    rows = re.findall(r"^\| (\w+) \| ?(.*?) ?\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    told = {
        RunStatus(name): {RunStatus(word) for word in following.split(", ") if word}
        for name, following in rows
        if name != "status"
    }
    assert told == TRANSITIONS
