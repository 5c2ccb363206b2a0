"""What tells one version of a tool from the next, so that kept results are used only for the code that made them.

What counts is the file of the function, whole (so its helpers and constants count), the function's own code as it was loaded, its
defaults, and what it closes over. What does not count are other modules that it imports, and the world outside. A docs page
says so to users: docs/tools.md, "Kept results".
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_PLAIN = (type(None), bool, int, float, complex, str, bytes)


class NoVersion(Exception):
    """It cannot be told; ``str`` says why, after "since"."""


def find_version(function: Callable[..., Any]) -> str:
    """A hash of what the function is made of. Reads its file, where that has changed since the last time.

    Raises:
        NoVersion: part of what it does is in an object whose state nobody can compare.
    """
    digest = hashlib.sha256()
    for part in _describe(function, set()):
        digest.update(part.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return digest.hexdigest()


def _describe(function: Any, seen: set[int]) -> Iterator[str]:
    if not isinstance(function, types.FunctionType):
        raise NoVersion(f"it is no plain function but an object ({type(function).__name__})")
    if id(function) in seen:
        return
    seen.add(id(function))
    yield function.__qualname__
    yield _file_digest(function)
    yield from _describe_code(function.__code__)
    yield from map(_show, function.__defaults__ or ())
    for name, value in sorted((function.__kwdefaults__ or {}).items()):
        yield f"{name}={_show(value)}"
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:
            continue
        if isinstance(value, types.FunctionType):
            yield from _describe(value, seen)
        elif (shown := _show(value)) != _OTHER:
            yield f"{name}={shown}"
        else:
            raise NoVersion(f'it uses "{name}" of the function around it, an object ({type(value).__name__})')


def _describe_code(code: types.CodeType) -> Iterator[str]:
    """The code without its place: neither file name nor line numbers."""
    yield code.co_code.hex()
    yield repr((code.co_names, code.co_varnames, code.co_freevars, code.co_flags))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _describe_code(constant)
        else:
            yield _show(constant)


_OTHER = "?"


def _show(value: Any) -> str:
    """A value that compares by what it is; the same in every process. ``_OTHER`` for all others."""
    if isinstance(value, _PLAIN):
        return f"{type(value).__name__}:{value!r}"
    if type(value) in (tuple, list, frozenset, set):
        shown = [_show(item) for item in value]
        if _OTHER not in shown:
            if not isinstance(value, tuple | list):
                shown.sort()
            return f"{type(value).__name__}({','.join(shown)})"
    return _OTHER


def _file_digest(function: types.FunctionType) -> str:
    """Of the file that the function is from; nothing for one that was typed in."""
    try:
        name = inspect.getsourcefile(function)
        if name is None:
            return ""
        path = Path(name)
        status = path.stat()
    except (OSError, TypeError):
        return ""
    return _digest(path, status.st_mtime_ns, status.st_size)


@functools.lru_cache(256)
def _digest(path: Path, _mtime_ns: int, _size: int) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
