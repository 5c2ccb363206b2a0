"""The composition root of the window: everything is built here, in order, and closed in reverse, each with a deadline."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
import PySide6
from pydantic import ValidationError
from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtWidgets import QApplication

from engine.config import AppConfig
from engine.errors import DatabaseError
from engine.execution.services import Services, open_services
from wfe_desktop.background import Background
from wfe_desktop.bridge import EngineBridge
from wfe_desktop.dialogs.question import DISCARD, NO, YES, ask
from wfe_desktop.document.autosave import Autosave, Recovered, find_recovery
from wfe_desktop.editors import Sample
from wfe_desktop.handlers import Handlers
from wfe_desktop.messages import Messages
from wfe_desktop.options import APP_DIR_NAME, StartOptions, with_own_workspace
from wfe_desktop.samples import SAMPLES, install_samples, load_sample
from wfe_desktop.settings import Settings
from wfe_desktop.terminal import leave
from wfe_desktop.theme import THEMES, apply_theme, forget_pictures
from wfe_desktop.workbench import Workbench

SIGNALS = (signal.SIGINT, signal.SIGTERM)
CLOSE_ENGINE_S = 3.0
CLOSE_SERVER_S = 6.0
COLLECT_EVERY_MS = 2_000
MOST_YOUNG = 700
FULL_COLLECTION_EVERY = 10

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the program keeps what is the user's."""

    config: Path
    data: Path

    @classmethod
    def of_user(cls) -> Folders:
        """The folders the system has for this."""
        return cls(
            platformdirs.user_config_path(APP_DIR_NAME, appauthor=False),
            platformdirs.user_data_path(APP_DIR_NAME, appauthor=False),
        )


def check_versions() -> None:
    """Refuse a combination that is known to abort.

    Raises:
        SystemExit: PySide6 6.12 and later lose a reference to None with each call on Python before 3.12.
    """
    if sys.version_info < (3, 12) and PySide6.__version_info__ >= (6, 12):
        raise SystemExit(
            f"PySide6 {PySide6.__version__} does not work with Python {sys.version.split()[0]}: "
            "it aborts after some thousand calls. Use Python 3.12 or later, or install PySide6_Essentials==6.11.3."
        )


class IdleCollector(QObject):
    """Runs Python's cycle collector on the GUI thread, in pauses.

    Left to itself it runs on whichever thread trips it, and would destroy graphics items on a worker's.
    """

    def __init__(self) -> None:
        super().__init__()
        gc.disable()
        gc.collect()
        gc.freeze()
        self._timer = QTimer(self)
        self._timer.setInterval(COLLECT_EVERY_MS)
        self._timer.timeout.connect(self._collect)
        self._timer.start()

    def close(self) -> None:
        """Collect all that is left of the window. The collector stays off: other threads may still be running."""
        self._timer.stop()
        gc.unfreeze()
        gc.collect()

    @staticmethod
    def _collect() -> None:
        if QApplication.mouseButtons() != Qt.MouseButton.NoButton:
            return  # something is being dragged
        young, _, old = gc.get_count()
        if old >= FULL_COLLECTION_EVERY:
            gc.collect()
        elif young > MOST_YOUNG:
            gc.collect(1)


def run_window(options: StartOptions) -> int:
    """Open the window and the server beside it; returns the exit status when both have closed."""
    check_versions()
    os.environ.setdefault("QT_API", "pyside6")
    os.environ.setdefault("QT_PREFERRED_BINDING", "PySide6")
    import qasync

    app = QApplication([APP_DIR_NAME])
    app.setApplicationName(APP_DIR_NAME)
    app.setApplicationDisplayName("Agent Workflow Engine")
    app.setQuitOnLastWindowClosed(False)  # closing the last window would end the loop before all is closed
    program = Program(app, options, Folders.of_user())
    with asyncio.Runner(loop_factory=lambda: qasync.QEventLoop(app)) as runner:
        try:
            status = runner.run(program.run())
        finally:
            program.take_apart()
    if not program.engine_has_ended:
        leave(status)
    forget_pictures()
    # Here and now, on this thread and with nothing of ours left: at the interpreter's own end Qt objects would be
    # destroyed in no order, and pictures after the application that they need.
    app.shutdown()
    return status


Closer = tuple[str, Callable[[], Awaitable[Any] | None], float]
"""What is closed, how, and the seconds it may take."""


class Program:
    """One start of the program with its window, from the first widget to the last thread."""

    def __init__(self, app: QApplication, options: StartOptions, folders: Folders) -> None:
        self._app, self._options, self._folders = app, options, folders
        self._stop = asyncio.Event()
        self._was_signalled = False
        self._status = 0
        self._closers: list[Closer] = []
        self._bench: Workbench | None = None
        self._collector: IdleCollector | None = None
        self.engine_has_ended = True

    async def run(self) -> int:
        """Build, serve until the user leaves or a signal comes, close."""
        try:
            config = with_own_workspace(self._options.to_config(), self._folders.data)
        except ValidationError as error:
            print(f"The configuration is wrong: {describe_settings_error(error)}", file=sys.stderr)  # noqa: T201
            return 2
        self._collector = IdleCollector()
        bench, found = self._build()
        self._bench = bench
        loop = asyncio.get_running_loop()
        self._handle_signals(loop)
        try:
            if bench.settings.geometry is None:
                bench.window.fit(bench.window.screen().availableSize())
            bench.window.show()
            await self._open(bench, config, found)
            await self._stop.wait()
        finally:
            bench.window.setEnabled(False)
            await self._close()
            for number in SIGNALS:
                with suppress(NotImplementedError, ValueError):
                    loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)  # all is closed; what is left takes a moment
            bench.window.let_go()
        return self._status

    def take_apart(self) -> None:
        """Destroy the window and all that belongs to it, when no loop runs any more.

        Not in ``run``: a signal is handled wherever events are, also in the loop inside a drag from the palette, and
        the widgets under that one must outlive it.
        """
        if self._bench is not None and self._collector is not None:
            self._bench.window.deleteLater()
            self._bench.deleteLater()
            self._bench = None
            QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
            self._collector.close()

    def _build(self) -> tuple[Workbench, list[Recovered]]:
        messages = Messages()
        settings = Settings(self._folders.config / "settings.ini")
        apply_theme(self._app, THEMES[settings.theme])
        background = Background(messages.report)
        recovery = self._folders.data / "recovery"
        found = find_recovery(recovery)
        autosave = Autosave(recovery, lambda text: log.warning("autosave: %s", text))
        bench = Workbench(settings, messages, background, autosave)
        Handlers(bench)
        bench.leave_allowed.connect(self._stop.set)

        self._closers += [
            ("the threads of the window", background.end, 3.0),
            ("the swap files", lambda: asyncio.to_thread(autosave.close, 5.0, keep=self._was_signalled), 6.0),
            ("the settings", bench.save_settings, 1.0),
        ]
        return bench, found

    async def _open(self, bench: Workbench, config: AppConfig, found: list[Recovered]) -> None:
        """Everything that may take a moment, with the window on the screen already."""
        try:
            services = await asyncio.to_thread(open_services, config)
        except DatabaseError as error:
            await self._refuse(bench, "The database cannot be opened", str(error))
            return
        self.engine_has_ended = False

        def close_engine() -> None:
            self.engine_has_ended = services.close(CLOSE_ENGINE_S)

        # Beside its deadline it gives threads that do not stop some seconds of grace.
        self._closers.append(("the engine", lambda: asyncio.to_thread(close_engine), CLOSE_ENGINE_S + 5))
        self._closers.append(("what the window reads", bench.background.end, 3.0))
        bridge = EngineBridge()
        bench.attach(services, bridge)
        self._closers += [("the bridge", bridge.close, 1.0), ("the engine's news", bench.detach, 1.0)]
        try:
            await asyncio.to_thread(install_samples, config.workspace)
        except OSError as error:
            bench.messages.report(error)
        bench.set_samples([Sample(name, load_sample(name)) for name in SAMPLES])
        self._open_documents(bench, found)
        await self._open_server(bench, services)

    async def _open_server(self, bench: Workbench, services: Services) -> None:
        from wfe_desktop.server.app import start_server
        from wfe_desktop.server.security import StartRefused

        config, explicit = services.config, self._options.explicit_port
        try:
            server = await start_server(services, config.host, config.port, explicit_port=explicit)
        except StartRefused as error:
            if explicit:
                print(f"Error: {error}", file=sys.stderr, flush=True)  # noqa: T201
                self._status = 1
                self._stop.set()
                return
            bench.set_address("", str(error))
            bench.messages.warning(f"The server did not start: {error}.", "The window works without it.")
            return
        self._closers.append(("the server", server.close, CLOSE_SERVER_S))
        print(f"Serving on {server.address}", flush=True)  # noqa: T201
        log.info("serving on %s", server.address)
        tip = "The server answers here; click to open its page"
        if config.port not in {0, server.port}:
            tip = f"Port {config.port} is taken by another program, so the server answers here"
            bench.messages.info(f"Port {config.port} is taken; the server is at {server.address}.")
        bench.set_address(server.address, tip, server.token)

    def _open_documents(self, bench: Workbench, found: list[Recovered]) -> None:
        filing, settings = bench.filing, bench.settings
        if self._options.open_file is not None:
            filing.open_file(self._options.open_file)
        elif settings.session:
            for entry in settings.session:
                bench.open_entry(entry)
        elif not settings.was_started_before:
            bench.open_sample(SAMPLES[0])
        else:
            filing.new()
        settings.remember_start()
        if found:
            self._offer_recovery(bench, found)

    @staticmethod
    def _offer_recovery(bench: Workbench, found: list[Recovered]) -> None:
        names = ", ".join(f"“{one.graph.name}”" for one in found[:4])

        def restore() -> None:
            for one in found:
                bench.filing.open_recovered(one)

        def throw_away() -> None:
            for one in found:
                bench.background.run(one.discard)

        ask(
            bench.window,
            "recovery_box",
            "Unsaved work was found",
            f"The program ended before {names} could be saved.",
            "Restore it as it was at the last change?",
            (("Restore", YES, restore), ("Throw away", DISCARD, throw_away), ("Later", NO, None)),
        )

    async def _refuse(self, bench: Workbench, what: str, why: str) -> None:
        """Say why the program cannot go on, and leave when that was read."""
        print(f"{what}: {why}", file=sys.stderr, flush=True)  # noqa: T201
        self._status = 1
        ask(bench.window, "refusal_box", what, f"{what}.", why, (("Close", NO, self._stop.set),))

    # ----------------------------------------------------------------------------------------------- the end

    def _handle_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        def leave() -> None:
            if self._was_signalled:
                os._exit(130)  # the second time: at once; what is committed is safe
            self._was_signalled = True
            self._stop.set()

        for number in SIGNALS:
            with suppress(NotImplementedError):  # not on Windows
                loop.add_signal_handler(number, leave)

    async def _close(self) -> None:
        while self._closers:
            name, close, timeout_s = self._closers.pop()
            try:
                closing = close()
                if closing is not None:
                    await asyncio.wait_for(closing, timeout_s)
            except TimeoutError:
                log.error("%s did not close within %g s", name, timeout_s)  # noqa: TRY400 - where it hangs is not here
            except Exception:
                log.exception("closing %s failed", name)


def describe_settings_error(error: ValidationError) -> str:
    """The first fault of the configuration, with its name."""
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
