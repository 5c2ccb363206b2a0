"""The tools of runs that are killed. Each call leaves a line in the file WFE_CRASH_EFFECTS, which no crash takes back."""

import asyncio
import os
import time

from engine.tools.context import ToolContext

EFFECTS = "WFE_CRASH_EFFECTS"


def _do(context: ToolContext, value: int, index: int) -> int:
    line = f"{context.run_id} {context.node_id} {context.visit} {index} {context.attempt}\n"
    descriptor = os.open(os.environ[EFFECTS], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, line.encode())
    os.close(descriptor)
    return (value * 7 + context.visit) % 1_000


def step(context: ToolContext, value: int = 0, index: int = -1, pause_s: float = 0.0) -> int:
    time.sleep(pause_s)
    return _do(context, value, index)


async def async_step(context: ToolContext, value: int = 0, index: int = -1, pause_s: float = 0.0) -> int:
    await asyncio.sleep(pause_s)
    return _do(context, value, index)


ALL = {"step": step, "async_step": async_step}
