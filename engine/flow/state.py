"""What a step sees of the run's state, and what it did to it.

A state tool is given a ``StateView``: a dict that copies a value only when it is looked at, so that a step costs in
proportion to the keys it touches and nothing it does reaches the run but through what it returns. Reducers combine
what parallel steps give for one key.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any, NamedTuple

from engine.errors import ResultError
from engine.flow.values import copy_json, same_json, to_json
from engine.model.graph import Reducer


class _Delete:
    def __repr__(self) -> str:
        return "DELETE"

    def __reduce__(self) -> str:
        return "DELETE"


DELETE = _Delete()
"""Return ``{key: DELETE}`` from a state tool to remove a key from the state."""

_MISSING = object()


class StateView(dict[str, Any]):
    """A private copy of the state, made key by key as it is read. Behaves as a plain dict in every way.

    The values of keys that nobody looked at are shared with the run; every way of reading one (also through C
    code that goes by ``items()`` or ``__iter__``) copies it first.
    """

    __slots__ = ("_given",)

    def __init__(self, state: dict[str, Any]) -> None:
        super().__init__(state)
        self._given = state

    def _own(self, key: str) -> None:
        value = super().get(key)
        kind = type(value)
        # Only a value that still is the run's own is copied; what the tool put there itself is the tool's.
        if (kind is dict or kind is list) and value is self._given.get(key):
            super().__setitem__(key, copy_json(value))

    def _own_all(self) -> None:
        for key in super().keys():  # noqa: SIM118 - dict's own, not __iter__ of this class
            self._own(key)

    def __getitem__(self, key: str) -> Any:
        self._own(key)
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[str]:  # its being defined sends dict(view) and {**view} through keys()
        return super().__iter__()

    def get(self, key: str, default: Any = None) -> Any:
        self._own(key)
        return super().get(key, default)

    def setdefault(self, key: str, default: Any = None) -> Any:
        self._own(key)
        return super().setdefault(key, default)

    def pop(self, key: str, *default: Any) -> Any:
        self._own(key)
        return super().pop(key, *default)

    def popitem(self) -> tuple[str, Any]:
        self._own_all()
        return super().popitem()

    def keys(self) -> KeysView[str]:  # type: ignore[override]
        return super().keys()

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        self._own_all()
        return super().values()

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        self._own_all()
        return super().items()

    def copy(self) -> dict[str, Any]:
        self._own_all()
        return dict(super().items())

    def __or__(self, other: Any) -> Any:
        return self.copy() | other

    def __ror__(self, other: Any) -> Any:
        return other | self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return (dict, (self.copy(),))

    def __deepcopy__(self, memo: Any) -> dict[str, Any]:
        return self.copy()


class Changes(NamedTuple):
    """What a step did to the state, and its result."""

    result: Any
    changes: dict[str, Any]
    removed: tuple[str, ...]


def find_changes(before: Mapping[str, Any], view: StateView, returned: Any) -> Changes:
    """The difference between the state a state tool was given and what it returned.

    Returned the same dict or None: keys it set, changed or removed in place. Returned another dict that has all
    keys: those whose value differs. Returned a dict of some keys: all of these. ``DELETE`` as value removes.

    Raises:
        ResultError: it returned something else, or a value that cannot be kept.
    """
    if returned is not None and not isinstance(returned, Mapping):
        raise ResultError(
            f"a tool with a parameter named state must return a dict (the keys it changed) or None, "
            f"not {type(returned).__name__}"
        )
    after: Mapping[str, Any] = view if returned is None else returned
    in_place = after is view
    whole = in_place or all(key in after for key in before)
    changes: dict[str, Any] = {}
    removed: list[str] = []
    kept = 0
    # A view's values as they lie: those that nobody looked at still are the run's own, and stay uncopied.
    for key, value in dict.items(view) if after is view else after.items():
        old = before.get(key, _MISSING)
        kept += old is not _MISSING
        if whole and value is old:
            continue
        if value is DELETE:
            if old is not _MISSING:
                removed.append(key)
            continue
        if not isinstance(key, str):
            raise ResultError(
                f"the returned state has the key {key!r} ({type(key).__name__}); keys must be text"
            )
        new = to_json(value, f"state[{key!r}]")
        if not whole or old is _MISSING or not same_json(old, new):
            changes[key] = new
    if in_place and kept < len(before):
        removed.extend(key for key in before if key not in after)
    return Changes(dict(changes), changes, tuple(removed))


def combine_value(reducer: Reducer, key: str, state: Mapping[str, Any], new: Any) -> Any:
    """The state's value for a key after a step gave ``new``; the first one for ``append`` begins the list.

    Raises:
        ResultError: the two cannot be combined so.
    """
    if key in state:
        return reduce_value(reducer, key, state[key], new)
    return [new] if reducer == "append" else new


def reduce_value(reducer: Reducer, key: str, old: Any, new: Any) -> Any:
    """The state's value for a key after a step gave ``new``, where the key held ``old``.

    Raises:
        ResultError: the two cannot be combined so.
    """
    try:
        match reducer:
            case "replace":
                return new
            case "append":
                return [*_as_list(old), new]
            case "extend":
                return [*_as_list(old), *_as_list(new)]
            case "add":
                return old + new
            case "merge":
                return {**old, **new}
            case "min":
                return min(old, new)
            case "max":
                return max(old, new)
    except TypeError:
        raise ResultError(
            f'the reducer "{reducer}" of state key "{key}" cannot combine {_name(old)} with {_name(new)}'
        ) from None


def _as_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError
    return value


def _name(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
