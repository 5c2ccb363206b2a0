"""Engine and server without a window: no display, no widgets, no Qt event loop.

The loop is asyncio's own. The engine's pool threads report to the engine, never to a Qt loop, so none is needed;
docs/decisions/07-headless-loop.md has more.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from engine.execution.services import Services, open_services
from wfe_desktop.options import StartOptions, with_own_workspace
from wfe_desktop.server.app import start_server
from wfe_desktop.terminal import leave, notice, say

CLOSE_TIMEOUT_S: Final = 3.0

log = logging.getLogger(__name__)
EXIT_INTERRUPTED: Final = 130


def serve(options: StartOptions) -> int:
    """Serves until SIGINT or SIGTERM; returns the exit status.

    Raises:
        WorkflowError: the database or the address cannot be used; the message says what to do.
    """
    services = open_services(with_own_workspace(options.to_config()))
    gc.collect()  # loading leaves some megabytes of it
    gc.freeze()  # what is loaded stays, and need not be looked through for garbage
    gc.enable()
    for failure in services.load_failures:
        notice(str(failure))
    ended = False
    try:
        with asyncio.Runner() as runner:
            ended = runner.run(_serve(services, options))
    finally:
        if not ended:
            ended = services.close(0)
    if not ended:
        leave(0)
    return 0


async def _serve(services: Services, options: StartOptions) -> bool:
    """Until a signal; whether every thread of the engine has ended."""
    stop = asyncio.Event()
    remove_handlers = on_stop_signals(stop.set)
    ended = False
    try:
        config = services.config
        server = await start_server(services, config.host, config.port, explicit_port=options.explicit_port)
        if server.port != config.port != 0:
            notice(f"Port {config.port} is taken.")
        say(f"Serving on {server.address}")
        log.info("serving on %s", server.address)
        try:
            await stop.wait()
        finally:
            await server.close()
            # The loop stays while the engine ends, so that a second Ctrl-C is heard.
            ended = await asyncio.get_running_loop().run_in_executor(None, services.close, CLOSE_TIMEOUT_S)
    finally:
        remove_handlers()
    return ended


def on_stop_signals(stop: Callable[[], None]) -> Callable[[], None]:
    """Calls ``stop`` on the running loop at the first SIGINT or SIGTERM; the second SIGINT ends the process at once.

    What is recorded is on disk by then, so nothing of it is lost. Returns what takes the handlers away again.
    """
    loop = asyncio.get_running_loop()
    asked = False

    def handle(number: int) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            os._exit(EXIT_INTERRUPTED)
        asked = True
        stop()

    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.getsignal(number) for number in numbers}

    def remove() -> None:
        for number in numbers:
            with suppress(NotImplementedError):
                loop.remove_signal_handler(number)
            signal.signal(number, previous[number])

    for number in numbers:
        try:
            loop.add_signal_handler(number, handle, number)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda number, _frame: loop.call_soon_threadsafe(handle, number))
    return remove
