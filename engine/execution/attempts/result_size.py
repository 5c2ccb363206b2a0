"""How much a step may give: beyond ``max_result_bytes`` it fails, before anything of it is kept.

Measured on the worker, as the JSON that would be stored. That takes a fifth of a microsecond for a short text.
"""

from __future__ import annotations

from typing import Any

import orjson

from engine.errors import ResultError
from engine.model.events import ChildWanted, StepCompleted, StepParked

MOST_ERROR_TEXT = 64 * 1024
"""So many characters of an error's message are kept."""
_MORE_THAN_VALUES = 1024 * 1024
"""Room in a frame for names, numbers and the words of an error."""


def check_size(
    tool: str, outcome: StepCompleted | StepParked | ChildWanted, limit: int, *, is_state_tool: bool
) -> None:
    """See to it that all a step has given is no more than ``limit`` bytes of JSON; what it gave twice counts once.

    Raises:
        ResultError: it is more.
    """
    if not isinstance(outcome, StepCompleted):
        given: Any = [getattr(outcome, name, None) for name in _OF_OTHERS]
    elif is_state_tool:
        given = outcome.changes
    else:
        given = outcome.result
    if type(given) in _SMALL:
        return
    if type(given) is str and len(given) > limit:  # not even encoded: there may be no memory left for that
        raise too_large(tool, f"at least {len(given):,}", limit)
    size = len(orjson.dumps(given))
    if size > limit:
        raise too_large(tool, f"{size:,}", limit)


_SMALL = (int, float, bool, type(None))
_OF_OTHERS = ("result", "changes", "initial_state", "schema", "message")


def too_large(tool: str, size: str, limit: int) -> ResultError:
    """The error of a step that gave too much."""
    return ResultError(
        f'the tool "{tool}" gave {size} bytes of JSON, and {limit:,} are the most that a step may (max_result_bytes): '
        "write big data to a file and return its path"
    )


def frame_limit(limit: int) -> int:
    """The most bytes that a process's report on a step has: a state tool's result comes as its changes too."""
    return 2 * limit + _MORE_THAN_VALUES


def shorten_error(text: str) -> str:
    """The beginning of a message that no one could read to its end."""
    more = len(text) - MOST_ERROR_TEXT
    return text if more <= 0 else f"{text[:MOST_ERROR_TEXT]}... ({more:,} characters more)"
