"""The table of actions: no key twice, every action does something, and the page in docs/ says the same."""

from collections import Counter
from pathlib import Path

from wfe_desktop.actions import ACTIONS, Actions, plain_text
from wfe_desktop.dialogs.commands import match_score
from wfe_desktop.dialogs.shortcuts import GESTURES


def test_no_key_means_two_things():
    keys = Counter(key for spec in ACTIONS for key in spec.keys)
    assert [key for key, count in keys.items() if count > 1] == []


def test_every_key_is_one_that_qt_understands(qapp):
    actions = Actions(qapp)
    for spec in ACTIONS:
        assert [s.toString() for s in actions[spec.name].shortcuts()] == list(spec.keys), spec.name


def test_the_keyboard_page_lists_every_shortcut_and_nothing_else(project_root: Path):
    page = (project_root / "docs" / "keyboard.md").read_text(encoding="utf-8")
    keyboard, canvas = page.split("## On the canvas")
    rows = {
        tuple(cell.strip() for cell in line.split("|")[1:3])
        for line in keyboard.splitlines()
        if line.startswith("| ")
    }
    rows.discard(("Keys", "What they do"))
    assert [
        tuple(cell.strip() for cell in line.split("|")[1:3]) for line in canvas.splitlines()[4:] if line
    ] == list(GESTURES)
    assert rows == {(", ".join(spec.keys), plain_text(spec.text)) for spec in ACTIONS if spec.keys}


def test_commands_are_found_by_words_parts_and_letters():
    assert match_score("run", "Run with input") == 0
    assert match_score("input", "Run with input") < match_score("put", "Run with input")
    assert match_score("rwi", "Run with input") is not None
    assert match_score("xyz", "Run with input") is None
