"""A swap file after every command: a crash while editing costs at most the last one.

Each running program has a folder of its own under the recovery folder, with a lock that dies with it. What lies in
a folder whose lock is free was left by a crash. Files are written on one worker thread; while it writes, newer
graphs replace waiting ones.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from engine.errors import ValidationError
from engine.flow.strict_json import parse_json
from engine.model.graph import GraphDefinition
from wfe_desktop.document.document import WorkflowDocument
from wfe_desktop.document.files import WorkflowFileError, decode_graph, encode_graph, write_atomically

log = logging.getLogger(__name__)

_LOCK = "lock"


@dataclass(frozen=True, slots=True)
class Recovered:
    """An edited workflow that a crash left behind. ``saved_at`` is when its last command was kept (UTC)."""

    graph: GraphDefinition
    graph_id: str | None
    version: int | None
    file_path: Path | None
    saved_at: datetime
    swap_file: Path

    def discard(self) -> None:
        """Take it off the disk: it was opened and kept elsewhere, or is not wanted."""
        self.swap_file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # other workflows may still lie beside it
            (self.swap_file.parent / _LOCK).unlink(missing_ok=True)
            self.swap_file.parent.rmdir()


@dataclass(frozen=True, slots=True)
class _Swap:
    graph: GraphDefinition
    graph_id: str | None
    version: int | None
    file_path: Path | None


class Autosave:
    """Keeps a swap file for each watched document while it has unsaved changes. Use it on the GUI thread.

    ``failed(message)`` is called on the worker thread when a file could not be written, once until it works again.
    """

    def __init__(self, folder: Path, failed: Callable[[str], None] | None = None) -> None:
        self._folder = folder / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{os.getpid()}-{secrets.token_hex(3)}"
        self._folder.mkdir(parents=True, mode=0o700)
        self._lock: BinaryIO = (self._folder / _LOCK).open("wb")
        if not _try_lock(self._lock):
            raise OSError(f"{self._folder} is in use")
        self._failed = failed
        self._is_failing = False
        self._waiting: dict[str, _Swap | None] = {}
        self._busy = False
        self._closing = False
        self._wake = threading.Condition()
        self._watched: dict[str, Callable[[], None]] = {}
        self._worker = threading.Thread(target=self._work, name="autosave", daemon=True)
        self._worker.start()

    def watch(self, document: WorkflowDocument) -> None:
        """From now on, keep what is not saved of this document."""
        if document.key in self._watched:
            return

        def keep(*_: object) -> None:
            # After undo and redo the stack says only later whether it is clean: then the file goes again.
            self._put(
                document.key, _Swap(document.graph, document.graph_id, document.version, document.file_path)
            )

        def follow(clean: object) -> None:
            if clean:
                self._put(document.key, None)
            else:
                keep()

        document.changed.connect(keep)
        document.clean_changed.connect(follow)
        if not document.is_clean:
            keep()

        def unwatch() -> None:
            document.changed.disconnect(keep)
            document.clean_changed.disconnect(follow)

        self._watched[document.key] = unwatch

    def forget(self, document: WorkflowDocument) -> None:
        """The document was closed on purpose: its swap file goes."""
        unwatch = self._watched.pop(document.key, None)
        if unwatch is not None:
            unwatch()
            self._put(document.key, None)

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until all that was asked for is on disk; False where that took too long."""
        with self._wake:
            return self._wake.wait_for(lambda: not self._waiting and not self._busy, timeout_s)

    def close(self, timeout_s: float = 5.0, *, keep: bool = False) -> None:
        """End the worker; from any thread.

        Documents that are still watched were let go on purpose, and nothing stays behind; with ``keep`` nobody was
        asked, and what is not saved is offered at the next start.
        """
        with self._wake:
            self._closing = True
            if not keep:
                self._waiting.clear()
            self._wake.notify_all()
        self._worker.join(timeout_s)
        self._lock.close()
        if not keep or not any(self._folder.glob("*.json")):
            shutil.rmtree(self._folder, ignore_errors=True)

    def _put(self, key: str, swap: _Swap | None) -> None:
        with self._wake:
            if not self._closing:
                self._waiting[key] = swap
                self._wake.notify_all()

    def _work(self) -> None:
        while True:
            with self._wake:
                self._busy = False
                self._wake.notify_all()
                self._wake.wait_for(lambda: self._closing or bool(self._waiting))
                if not self._waiting:
                    return
                key = next(iter(self._waiting))
                swap = self._waiting.pop(key)
                self._busy = True
            self._write(self._folder / f"{key}.json", swap)

    def _write(self, path: Path, swap: _Swap | None) -> None:
        try:
            if swap is None:
                path.unlink(missing_ok=True)
            else:
                write_atomically(path, _encode(swap))
        except (OSError, WorkflowFileError) as error:
            if not self._is_failing:
                self._is_failing = True
                log.info("no swap file: %s", error)
                if self._failed is not None:
                    self._failed(f"Unsaved changes cannot be kept safe: {error}")
        else:
            self._is_failing = False


def _encode(swap: _Swap) -> bytes:
    head: dict[str, Any] = {
        "format": "workflow-swap",
        "graph_id": swap.graph_id,
        "version": swap.version,
        "file_path": None if swap.file_path is None else str(swap.file_path.absolute()),
        "saved_at": datetime.now(UTC).isoformat(),
    }
    # The head is one line of its own, so that it can be read whatever happened to the graph.
    return orjson.dumps(head) + b"\n" + encode_graph(swap.graph)


def find_recovery(folder: Path) -> list[Recovered]:
    """What crashed programs left in the recovery folder, the latest first. Unreadable files are logged and left."""
    found: list[Recovered] = []
    for session in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not session.is_dir() or not _is_abandoned(session):
            continue
        swaps = [swap for path in session.glob("*.json") if (swap := _read(path)) is not None]
        found += swaps
        if not any(session.glob("*.json")):  # it ended before anything was edited
            shutil.rmtree(session, ignore_errors=True)
    return sorted(found, key=lambda swap: swap.saved_at, reverse=True)


def _read(path: Path) -> Recovered | None:
    try:
        head_line, _, content = path.read_bytes().partition(b"\n")
        head = parse_json(head_line)
        return Recovered(
            graph=decode_graph(content, path.name),
            graph_id=_text(head, "graph_id"),
            version=head["version"] if isinstance(head.get("version"), int) else None,
            file_path=Path(name) if (name := _text(head, "file_path")) else None,
            saved_at=datetime.fromisoformat(str(head["saved_at"])).astimezone(UTC),
            swap_file=path,
        )
    except (OSError, WorkflowFileError, ValidationError, ValueError, KeyError, AttributeError) as error:
        log.info("%s cannot be recovered: %s", path, error)
        return None


def _text(head: dict[str, Any], name: str) -> str | None:
    value = head.get(name)
    return value if isinstance(value, str) else None


def _is_abandoned(session: Path) -> bool:
    try:
        with (session / _LOCK).open("r+b") as lock:
            return _try_lock(lock)
    except FileNotFoundError:  # just being made, or its lock was deleted by hand
        return any(session.glob("*.json"))
    except OSError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: BinaryIO) -> bool:
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: BinaryIO) -> bool:
        """Takes the lock until the file is closed or the process is gone, kill -9 included."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
