"""Text for a terminal. What comes from graphs, tools and requests is shown as plain text, never obeyed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn


def plain(text: str) -> str:
    """``text`` on one line, with control characters (and with them escape codes) made visible."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def describe_amount(done: float, total: float | None, message: str) -> str:
    """How far something is: ``3 of 10 counting``."""
    amount = f"{done:g}" if total is None else f"{done:g} of {total:g}"
    return " ".join(part for part in (amount if done or total else "", message) if part)


def notice(text: str) -> None:
    """A line on stderr, at once."""
    print(plain(text), file=sys.stderr, flush=True)  # noqa: T201 - this is the terminal


def complain(text: str) -> None:
    """A line on stderr that says what is wrong."""
    notice(f"wfe: {text}")


def say(text: str) -> None:
    """A line on stdout, at once."""
    print(plain(text), flush=True)  # noqa: T201


def print_json(value: Any) -> None:
    """A value on stdout as JSON for people and programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str), flush=True)  # noqa: T201


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], empty: str) -> None:
    """Columns on stdout; ``empty`` on stderr where there are no rows."""
    if not rows:
        notice(empty)
        return
    shown = [[plain(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [head, *shown]) for column in range(len(head))]
    for row in [head, *shown]:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def leave(status: int) -> NoReturn:
    """Ends the process although a tool's thread does not stop: Python would wait for it for ever.

    Everything that was recorded is on disk; the step runs again at the next start.
    """
    notice("A tool did not stop in time; its step runs again at the next start.")
    sys.stdout.flush()
    os._exit(status)
