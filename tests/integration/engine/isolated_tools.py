"""Tools that other processes can import, well-behaved and not."""

import asyncio
import contextlib
import ctypes
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from engine.execution.attempts import attempt
from engine.model.outcome import EndRun, WaitForSignal, WaitUntil

log = logging.getLogger("tests.tool")


class Point(NamedTuple):
    x: int
    y: float


def make_point(x: int, y: float = 0.5) -> Point:
    return Point(x, y)


def change_state(state: dict, context) -> dict:
    del state["old"]
    state["items"].append("new")
    state["seen"] = [
        context.run_id,
        context.node_id,
        context.visit,
        context.attempt,
        str(context.workspace),
        context.cancelled,
    ]
    return state


def look_up(key: str) -> int:
    return {"a": 1}[key]


def give_a_type() -> object:
    return {"it": [int]}


def leave() -> None:
    sys.exit("enough")


def speak(lines: int = 0) -> None:
    print("from \x1b[31mprint\x1b[0m")
    print("an error", file=sys.stderr)
    log.warning("from %s", "logging")
    log.error("two\nlines")
    for number in range(lines):
        print("line", number)
    print("\u2713 the last one, without an end", end="")


def count(context, upto: int) -> int:
    for number in range(upto):
        context.progress(number, upto, "counting")
    context.progress(upto, upto)
    return upto


def park(state: dict) -> object:
    state["parked"] = True
    return WaitUntil(timedelta(milliseconds=1), "later")


async def park_async(state: dict) -> object:
    return park(state)


def end_run() -> object:
    return EndRun("cancelled", "enough")


async def end_run_async() -> object:
    return end_run()


async def count_async(context, upto: int) -> int:
    return count(context, upto)


async def make_point_async(x: int, y: float = 0.5) -> Point:
    return make_point(x, y)


async def change_state_async(state: dict, context) -> dict:
    return change_state(state, context)


async def look_up_async(key: str) -> int:
    await asyncio.sleep(0)
    return look_up(key)


async def give_a_type_async() -> object:
    return give_a_type()


def give_text(size: int) -> str:
    return "x" * size


async def give_text_async(size: int) -> str:
    return give_text(size)


def fill_state(state: dict, size: int, count: int = 1) -> dict:
    return {f"key{number}": "x" * size for number in range(count)}


async def fill_state_async(state: dict, size: int, count: int = 1) -> dict:
    return fill_state(state, size, count)


def ask_at_length(size: int) -> object:
    return WaitForSignal("go", message="x" * size)


async def ask_at_length_async(size: int) -> object:
    return ask_at_length(size)


def complain_at_length(size: int) -> None:
    raise ValueError("x" * size)


async def complain_at_length_async(size: int) -> None:
    complain_at_length(size)


def give_text_unmeasured(size: int) -> str:
    """For its own process only: what it does to the module stays."""
    attempt.check_size = lambda *_, **__: None
    return give_text(size)


async def leave_async() -> None:
    leave()


async def speak_async(lines: int = 0) -> None:
    await asyncio.sleep(0)
    speak(lines)


def get_pid(context) -> int:
    return os.getpid()


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


async def nap_async(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


async def never_mind_async(seconds: float) -> float:
    """Takes no notice of being cancelled."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(max(0.0, end - time.monotonic()))
    return seconds


def hang_in_c(folder: str) -> None:
    """Starts two children, one in a session of its own, and then never lets go of the interpreter."""
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    children = [subprocess.Popen(sleep), subprocess.Popen(sleep, start_new_session=True)]
    pids = " ".join(str(pid) for pid in (os.getpid(), *(child.pid for child in children)))
    (Path(folder) / "new").write_text(pids)
    (Path(folder) / "new").rename(Path(folder) / "pids")
    ctypes.PyDLL(None).sleep(60)


def segfault() -> None:
    print("about to fall")
    ctypes.string_at(0)


def exit_at_once() -> None:
    os._exit(3)


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def take_too_much_memory() -> int:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    return len(b"x" * (1 << 31))


def close_everything() -> None:
    os.closerange(0, 256)
    time.sleep(60)


def burn(seconds: float) -> int:
    end = time.thread_time() + seconds
    count = 0
    while time.thread_time() < end:
        count += 1
    return os.getpid()


def double(number: int) -> int:
    return number * 2


def doze(pause_s: float) -> str:
    time.sleep(pause_s)
    return "awake"


def die_afterwards() -> int:
    """Its process ends a little after the tool has."""
    threading.Timer(0.05, os._exit, (3,)).start()
    return os.getpid()
