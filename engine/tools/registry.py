"""The registered tools, by name."""

from __future__ import annotations

import difflib
import logging
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from engine.errors import ToolAlreadyRegistered, ToolDefinitionError, ToolNotFound
from engine.model.tool import Effects, Tool
from engine.tools.decorator import ToolDeclaration
from engine.tools.signature import build_tool, default_name
from engine.tools.version import NoVersion, find_version

_log = logging.getLogger(__name__)

_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")
_LONGEST_NAME = 200


class ToolRegistry:
    """Python functions that graphs can name. A new one is empty. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tools: dict[str, Tool] = {}
        self._subscribers: list[Callable[[], None]] = []

    def register_tool(
        self,
        name: str,
        func: Callable[..., Any],
        description: str = "",
        *,
        category: str | None = None,
        label: str | None = None,
        state_reads: Sequence[str] = (),
        state_writes: Sequence[str] = (),
        effects: Effects | None = None,
    ) -> Tool:
        """Register a function under a name that graphs use.

        What is left out is taken from the function's ``@tool`` mark, its docstring and its name. Raises
        ``ToolAlreadyRegistered`` where the name is taken, and ``ToolDefinitionError`` where the function cannot be
        a tool; both say why.
        """
        _check_name(name)
        declared = ToolDeclaration(
            None, description, category, label, tuple(state_reads), tuple(state_writes), effects
        )
        made = _with_version(build_tool(name, func, declared))
        with self._lock:
            taken = self._tools.get(name)
            if taken is not None:
                raise ToolAlreadyRegistered(
                    f'A tool named "{name}" is already registered (from {taken.source}). '
                    "Unregister it first, or choose another name.",
                    {"name": name},
                )
            self._tools[name] = made
        self._notify()
        return made

    def register(self, func: Callable[..., Any]) -> Tool:
        """Register a function under the name that its ``@tool`` mark gives, or else its own."""
        return self.register_tool(default_name(func), func)

    def unregister_tool(self, name: str) -> None:
        """Take a tool out. Raises ``ToolNotFound``. Steps that are running go on."""
        with self._lock:
            if name not in self._tools:
                raise self._not_found(name)
            del self._tools[name]
        self._notify()

    def get_tool(self, name: str) -> Tool:
        """The tool of this name; raises ``ToolNotFound`` that names the closest ones."""
        found = self._tools.get(name)
        if found is None:
            raise self._not_found(name)
        return found

    def find_tool(self, name: str) -> Tool | None:
        """The tool of this name, or None."""
        return self._tools.get(name)

    def list_tools(self) -> dict[str, Tool]:
        """All tools by name, in the order in which they were registered. A copy."""
        with self._lock:
            return dict(self._tools)

    def closest(self, name: str) -> list[str]:
        """Registered names that somebody who wrote ``name`` may have meant: at most three, best first."""
        names = list(self._tools.copy())
        lower = {known.lower(): known for known in names}
        found = [lower[key] for key in difflib.get_close_matches(name.lower(), lower, 3, 0.6)]
        last = name.rsplit(".", 1)[-1].lower()
        found += [known for known in names if known.rsplit(".", 1)[-1].lower() == last and known not in found]
        return found[:3]

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have ``callback()`` called after every change, in the thread that made it. Returns how to stop that."""
        with self._lock:
            self._subscribers.append(callback)

        def unsubscribe() -> None:
            with self._lock:
                if callback in self._subscribers:
                    self._subscribers.remove(callback)

        return unsubscribe

    def _notify(self) -> None:
        with self._lock:
            subscribers = list(self._subscribers)
        for callback in subscribers:
            try:
                callback()
            except Exception:  # noqa: BLE001 - the tool is registered whatever a listener does
                _log.exception("A subscriber to the tools failed")

    def _not_found(self, name: str) -> ToolNotFound:
        near = self.closest(name)
        quoted = " or ".join(f'"{known}"' for known in near)
        meant = f" Did you mean {quoted}?" if near else ""
        return ToolNotFound(
            f'No tool is registered under the name "{name}".{meant}', {"name": name, "closest": near}
        )


def _with_version(tool: Tool) -> Tool:
    try:
        return replace(tool, version=find_version(tool.function), unversioned="")
    except NoVersion as reason:
        return replace(tool, unversioned=str(reason))


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not name.strip():
        raise ToolDefinitionError("A tool needs a name: a text that is not empty.")
    if len(name) > _LONGEST_NAME or _CONTROL_CHARACTERS.search(name):
        raise ToolDefinitionError(
            f"A tool's name has at most {_LONGEST_NAME} characters and no control characters; this one does: {name[:60]!r}"
        )
