"""The tools that come with the program, a module a family."""

from __future__ import annotations

import contextlib
from pathlib import Path

from engine.tools.registry import ToolRegistry


def register_builtin_tools(registry: ToolRegistry, workspace: Path) -> None:
    """Register every built-in tool, and make the workspace folder if it is missing.

    The file tools work in the workspace that their step's context names.
    """
    from engine.tools.builtin import code_review, control, data, files, numbers, text, web

    with contextlib.suppress(OSError):  # a folder that cannot be made is the file tools' to complain about
        workspace.mkdir(parents=True, exist_ok=True)
    for family in (numbers, text, data, files, web, code_review, control):
        for function in family.TOOLS:
            registry.register(function)
