"""The tools of runs that are killed. Each call leaves a line in a file (``Effect``), which no crash takes back."""

from __future__ import annotations

import asyncio
import fcntl
import itertools
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from engine.tools.context import ToolContext

FOLDER, LIFE = "WFE_CRASH_FOLDER", "WFE_CRASH_LIFE"
EFFECTS, OVERLAPS = "effects", "overlaps"


class Step(NamedTuple):
    """``item`` is -1 where the step is none of many."""

    run_id: str
    node: str
    visit: int
    item: int


class Effect(NamedTuple):
    """What a call of a tool leaves behind: for which attempt, in which life, when in it (``Clock``), and what it returned."""

    step: Step
    attempt: int
    life: int
    at: int
    result: int

    def line(self) -> str:
        return " ".join(str(part) for part in (*self.step, *self[1:])) + "\n"

    @classmethod
    def read(cls, line: str) -> Effect:
        run_id, node, *numbers = line.split()
        visit, item, *more = map(int, numbers)
        return cls(Step(run_id, node, visit, item), *more)


class Clock:
    """Tells in a file how old a life is, or has become, in ticks of ``TICK_S``, about. A life that the system holds up does not age."""

    TICK_S = 0.01

    def __init__(self, folder: Path, life: int) -> None:
        self._path = folder / f"clock.{life}"

    def start(self) -> None:
        """Let it run while this process does."""
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT)

        def tick() -> None:
            for age in itertools.count():
                os.pwrite(descriptor, age.to_bytes(8), 0)
                time.sleep(self.TICK_S)

        threading.Thread(target=tick, daemon=True).start()

    def read(self) -> int:
        return int.from_bytes(self._path.read_bytes())


def write_line(name: str, line: str) -> None:
    """Add a line to a file of the life's folder at once."""
    descriptor = os.open(Path(os.environ[FOLDER]) / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)


def _do(context: ToolContext, value: int, index: int, visit: int) -> int:
    result = (value * 7 + visit) % 1_000
    step = Step(context.run_id, context.node_id, context.visit, index)
    life = int(os.environ[LIFE])
    at = Clock(Path(os.environ[FOLDER]), life).read()
    effect = Effect(step, context.attempt, life, at, result)
    write_line(EFFECTS, effect.line())
    return result


@contextmanager
def _alone(context: ToolContext) -> Iterator[None]:
    """Tells on two calls that are inside at the same time. Each life has a lock of its own, which dies with its holder."""
    with (Path(os.environ[FOLDER]) / f"alone.{os.environ[LIFE]}").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            write_line(OVERLAPS, f"{context.run_id} {context.node_id}\n")
        try:
            yield
        finally:  # a process that starts just now has a copy of the file, whose closing is not enough then
            fcntl.flock(lock, fcntl.LOCK_UN)


def step(context: ToolContext, value: int = 0, index: int = -1, pause_s: float = 0.0) -> int:
    time.sleep(pause_s)
    return _do(context, value, index, context.visit)


async def async_step(context: ToolContext, value: int = 0, index: int = -1, pause_s: float = 0.0) -> int:
    await asyncio.sleep(pause_s)
    return _do(context, value, index, context.visit)


def alone_step(context: ToolContext, value: int = 0, index: int = -1, pause_s: float = 0.0) -> int:
    with _alone(context):
        return step(context, value, index, pause_s)


async def async_alone_step(
    context: ToolContext, value: int = 0, index: int = -1, pause_s: float = 0.0
) -> int:
    with _alone(context):
        await asyncio.sleep(pause_s)
        return step(context, value, index)


def kept_step(
    context: ToolContext, value: int = 0, salt: str = "", index: int = -1, pause_s: float = 0.0
) -> dict[str, Any]:
    time.sleep(pause_s)
    return _do_kept(context, value, salt, index, pause_s)


async def async_kept_step(
    context: ToolContext, value: int = 0, salt: str = "", index: int = -1, pause_s: float = 0.0
) -> dict[str, Any]:
    await asyncio.sleep(pause_s)
    return _do_kept(context, value, salt, index, pause_s)


def _do_kept(context: ToolContext, value: int, salt: str, index: int, pause_s: float) -> dict[str, Any]:
    """What it gives names what it was given: that is what its result is kept for. So it is the same at any visit."""
    given = [value, salt, index, pause_s]
    return {"given": given, "value": _do(context, value, index, 1)}


ALL = {
    function.__name__: function
    for function in (step, async_step, alone_step, async_alone_step, kept_step, async_kept_step)
}
ONCE = {"once_step": step, "async_once_step": async_step}
"""Those whose effects must not be doubled."""


def read_lines(path: Path) -> list[str]:
    """The whole lines of a file; the last one may be cut off."""
    text = ""
    with suppress(FileNotFoundError):
        text = path.read_text()
    return text[: text.rfind("\n") + 1].splitlines()


def read_effects(folder: Path) -> list[Effect]:
    return [Effect.read(line) for line in read_lines(folder / EFFECTS)]
