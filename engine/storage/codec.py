"""Events as rows, and back. Rows are JSON; what they mean never changes once released.

The type name is the version: an event whose fields change their meaning gets a new name, and the old one keeps being
read. Fields may be added with a default. ``tests/data/histories`` holds old journals that must replay for ever.

A value over ``LARGE_BYTES`` is stored once, by content hash; the row then says in ``stored`` where in the event it
belongs: ``[[path], hash]``, with a path such as ``["changes", "text"]``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeAlias, get_args

import orjson

from engine.errors import DatabaseError
from engine.model.events import RunEvent

LARGE_BYTES = 256 * 1024

_CLASSES: dict[str, type[RunEvent]] = {kind.__name__: kind for kind in get_args(RunEvent)}
_TUPLES = {name: [f.name for f in fields(kind) if "tuple" in str(f.type)] for name, kind in _CLASSES.items()}


EventRow: TypeAlias = tuple[str, bytes, bytes | None, dict[str, bytes] | None]
"""The columns ``type``, ``data`` and ``stored`` of an event, and the large values to store beside it, where it has any."""


def encode_event(event: RunEvent) -> EventRow:
    """The event as a row."""
    name = type(event).__name__
    data = orjson.dumps(event)
    if len(data) <= LARGE_BYTES:
        return name, data, None, None
    return _encode_large(name, event)


def _encode_large(name: str, event: RunEvent) -> EventRow:
    plain = {field.name: getattr(event, field.name) for field in fields(event)}
    values: dict[str, bytes] = {}
    places: list[tuple[list[str], str]] = []

    def move_out(holder: dict[str, Any], key: str, path: list[str]) -> None:
        data = orjson.dumps(holder[key])
        if len(data) > LARGE_BYTES:
            digest = hashlib.sha256(data).hexdigest()
            values[digest] = data
            places.append((path, digest))
            holder[key] = None

    for part in ("changes", "initial_state"):
        if part in plain:
            plain[part] = dict(plain[part])
            for key in plain[part]:
                move_out(plain[part], key, [part, key])
    for part in ("result", "changes", "initial_state", "error", "trace"):
        if part in plain:
            move_out(plain, part, [part])
    return name, orjson.dumps(plain), orjson.dumps(places) if places else None, values


def decode_event(name: str, data: bytes, stored: bytes | None, load: Callable[[str], bytes]) -> RunEvent:
    """The event of a row; ``load`` gives a stored value by its hash.

    Raises:
        DatabaseError: the row was written by a newer program.
    """
    kind = _CLASSES.get(name)
    if kind is None:
        raise DatabaseError(
            f'the journal has an event of type "{name}", which this version does not know: update it'
        )
    plain = orjson.loads(data)
    for path, digest in orjson.loads(stored) if stored else ():
        holder = plain
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = orjson.loads(load(digest))
    for field in _TUPLES[name]:
        if field in plain:
            plain[field] = tuple(plain[field])
    return kind(**plain)
