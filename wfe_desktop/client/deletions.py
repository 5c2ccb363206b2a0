"""What the server answers when runs are deleted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunsDelete:
    """What became of each run: it is deleted (child runs as well), it has not ended or goes with its parent, or there is none."""

    message: str
    deleted: list[str]
    unfinished: list[str]
    not_found: list[str]


@dataclass(frozen=True, slots=True)
class RunsPrune:
    """How many runs are deleted."""

    message: str
    deleted: int
