"""Built-in tools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TOOLS: tuple[Callable[..., Any], ...] = ()
