"""Values kept within reach for as long as there is room: ended runs, versions of graphs and their plans."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Shelf(Generic[K, V]):
    """What was put there last, by key. The oldest go where it gets too narrow; the newest stays however large it is.

    ``get`` is for any thread, the rest for one at a time.
    """

    def __init__(self, room: int) -> None:
        """``room`` is for the sizes of all values together, in whatever unit they are told in."""
        self._room = room
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def put(self, key: K, value: V, size: int) -> None:
        """Keep the value as the newest one."""
        self.drop(key)
        self._values[key] = value, size
        self._room -= size
        while self._room < 0 and len(self._values) > 1:
            self._room += self._values.popitem(last=False)[1][1]

    def get(self, key: K) -> V | None:
        """The value, where it is kept."""
        kept = self._values.get(key)
        return None if kept is None else kept[0]

    def drop(self, key: K) -> None:
        """Let go of the value."""
        kept = self._values.pop(key, None)
        if kept is not None:
            self._room += kept[1]
