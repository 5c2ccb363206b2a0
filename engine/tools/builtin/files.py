"""Files inside the workspace. No path leads out of it: not by "..", not by a link, not by an absolute path.

Paths are resolved first and compared then, so this guards against what a graph or a request may name, not against
another program of the same user that exchanges folders for links meanwhile.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from engine.tools.context import ToolContext
from engine.tools.decorator import tool

_CATEGORY = "Files"
_MEGABYTE = 1_000_000
_MOST_FILES = 10_000


class FileEntry(NamedTuple):
    """A file of a folder.

    Attributes:
        path: Relative to the workspace, with "/" between folders.
        size_bytes: Its size.
        modified: When it was last changed.
    """

    path: str
    size_bytes: int
    modified: datetime


class WrittenFile(NamedTuple):
    """What was written.

    Attributes:
        path: Relative to the workspace, with "/" between folders.
        size_bytes: The size of the file now.
    """

    path: str
    size_bytes: int


def resolve_in_workspace(workspace: Path, path: str) -> Path:
    """The real place of a path of the workspace; raises ``PermissionError`` for one that leads out of it."""
    if "\x00" in path:
        raise ValueError("The path contains a NUL character.")
    root = workspace.resolve()
    try:
        target = (root / path).resolve()
    except RuntimeError:  # up to Python 3.12, links that lead in a circle
        target = root / path
    if not target.is_relative_to(root):
        raise PermissionError(f'"{path}" is outside the workspace; give a path inside {root}.')
    inside = target.relative_to(root)
    if any((root / part).is_symlink() for part in (inside, *inside.parents[:-1])):
        raise PermissionError(f'"{path}" cannot be followed: its links lead in a circle.')
    return target


@tool(name="files.read", category=_CATEGORY, label="Read file")
def read_text_file(
    path: Annotated[str, Field(min_length=1)],
    context: ToolContext,
    max_bytes: Annotated[int, Field(ge=1, le=100 * _MEGABYTE)] = 10 * _MEGABYTE,
    encoding: Literal["utf-8", "utf-16", "latin-1", "cp1252"] = "utf-8",
) -> str:
    """Read a text file of the workspace.

    Args:
        path: Relative to the workspace.
        context: The step.
        max_bytes: Refuse larger files.
        encoding: How the text is written; utf-8 with or without a byte order mark.
    """
    target = resolve_in_workspace(context.workspace, path)
    _check_is_file(target, path)
    with target.open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ValueError(f'"{path}" has more than {max_bytes:,} bytes; raise max_bytes to read it.')
    try:
        return data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        raise ValueError(
            f'"{path}" is not {encoding} text (byte {error.start}); try another encoding.'
        ) from error


def _check_is_file(target: Path, path: str) -> None:
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        raise FileNotFoundError(f'There is no file "{path}" in the workspace.{_near(target)}') from None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f'"{path}" is a folder, not a file.')
    if not stat.S_ISREG(mode):
        raise PermissionError(f'"{path}" is a device or a pipe, not a file.')


def _near(target: Path) -> str:
    with suppress(OSError):
        names = sorted(entry.name for entry in target.parent.iterdir())[:8]
        if names:
            return f" The folder has: {', '.join(names)}."
    return ""


@tool(name="files.write", category=_CATEGORY, label="Write file")
def write_text_file(
    path: Annotated[str, Field(min_length=1)],
    text: str,
    context: ToolContext,
    mode: Literal["replace", "create", "append"] = "replace",
    max_bytes: Annotated[int, Field(ge=1, le=100 * _MEGABYTE)] = 10 * _MEGABYTE,
) -> WrittenFile:
    """Write a UTF-8 text file in the workspace, whole or not at all. Missing folders are made.

    Args:
        path: Relative to the workspace.
        text: What to write.
        context: The step.
        mode: replace an existing file, create only a new one, or append to what is there.
        max_bytes: Refuse to make the file larger.
    """
    target = resolve_in_workspace(context.workspace, path)
    old = b""
    if target.exists():
        _check_is_file(target, path)
        if mode == "create":
            raise FileExistsError(f'"{path}" exists already; use mode "replace" to write over it.')
        if mode == "append":
            old = target.read_bytes() if target.stat().st_size <= max_bytes else bytes(max_bytes)
    data = old + text.encode()
    if len(data) > max_bytes:
        raise ValueError(
            f'"{path}" would have {len(data):,} bytes; at most {max_bytes:,} are allowed (max_bytes).'
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise NotADirectoryError(f'"{path}" cannot be written: one of its folders is a file.') from None
    _write_atomically(target, data)
    return WrittenFile(target.relative_to(context.workspace.resolve()).as_posix(), len(data))


def _write_atomically(target: Path, data: bytes) -> None:
    """Either the old file or the new one is there, whatever happens meanwhile."""
    permissions = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o666 & ~_umask()
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:50]}.", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(permissions)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The user's file mask. It can only be read by setting it, which other threads would notice: Linux tells it."""
    with suppress(OSError, StopIteration, ValueError, IndexError), Path("/proc/self/status").open() as status:
        return int(next(line for line in status if line.startswith("Umask:")).split()[1], 8)
    return 0o022


@tool(name="files.list", category=_CATEGORY, label="List files")
def list_files(
    context: ToolContext,
    folder: str = ".",
    pattern: str = "*",
    recursive: bool = False,
) -> list[FileEntry]:
    """List the files of a workspace folder by name, in alphabetical order; at most 10,000.

    Args:
        context: The step.
        folder: Relative to the workspace.
        pattern: Which names: * is any text, ? any character.
        recursive: Also in the folders inside.
    """
    root = context.workspace.resolve()
    start = resolve_in_workspace(root, folder)
    if not start.is_dir():
        raise NotADirectoryError(f'There is no folder "{folder}" in the workspace.')
    if "/" in pattern or "\\" in pattern:
        raise ValueError("The pattern is for names, not paths; give the folder as folder.")
    entries: list[FileEntry] = []
    for path in _walk(start, pattern, recursive=recursive):
        context.check_cancelled()
        with suppress(OSError):  # gone meanwhile
            facts = path.stat()
            modified = datetime.fromtimestamp(facts.st_mtime, UTC)
            entries.append(FileEntry(path.relative_to(root).as_posix(), facts.st_size, modified))
        if len(entries) > _MOST_FILES:
            raise ValueError(f"There are more than {_MOST_FILES:,} files; narrow the pattern or the folder.")
    return sorted(entries)


def _walk(start: Path, pattern: str, *, recursive: bool) -> Iterator[Path]:
    """Regular files only; links are not followed, since they may lead out of the workspace."""
    for path in start.rglob(pattern) if recursive else start.glob(pattern):
        if path.is_file() and path.resolve().is_relative_to(start):
            yield path


@tool(name="files.exists", category=_CATEGORY, label="File exists")
def file_exists(path: Annotated[str, Field(min_length=1)], context: ToolContext) -> bool:
    """Whether there is a file of this name in the workspace.

    Args:
        path: Relative to the workspace.
        context: The step.
    """
    return resolve_in_workspace(context.workspace, path).is_file()


TOOLS: tuple[Callable[..., Any], ...] = (read_text_file, write_text_file, list_files, file_exists)
