"""Messages over the pipes between the engine and a process that runs tools: a kind, a length, and JSON."""

from __future__ import annotations

import os
import struct
from typing import IO, Any, Literal, TypeAlias, cast

import orjson

Kind: TypeAlias = Literal[b"H", b"R", b"S", b"L", b"P", b"E"]
"""Hello, ready (from the process); start (to it); log line, progress, end of the attempt (from it)."""

_HEAD = struct.Struct("!cQ")


def write_frame(pipe: int, kind: Kind, content: Any) -> None:
    """Write one message to a file descriptor.

    Raises:
        OSError: nobody reads any more.
    """
    body = orjson.dumps(content)
    data = memoryview(_HEAD.pack(kind, len(body)) + body)
    while data:
        data = data[os.write(pipe, data) :]


class FrameTooLarge(Exception):
    """A message has more bytes than may be read; it was left where it is, so nothing after it can be read."""

    def __init__(self, size: int) -> None:
        super().__init__(f"a message of {size} bytes")
        self.size = size


def read_frame(pipe: IO[bytes], limit: int | None = None) -> tuple[Kind, Any] | None:
    """The next message; None where the other side has ended, be it in the middle of one.

    Raises:
        FrameTooLarge: it has more than ``limit`` bytes.
    """
    head = pipe.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    kind, size = _HEAD.unpack(head)
    if limit is not None and size > limit:
        raise FrameTooLarge(size)
    body = pipe.read(size)
    return (cast("Kind", kind), orjson.loads(body)) if len(body) == size else None
