"""Tools that are careless with what they are given, importable from other processes."""

import logging
import sys
from urllib.parse import quote

from engine.tools.context import ToolContext

log = logging.getLogger("tests.secrets")


def use(password: str, headers: dict[str, str] | None = None, pin: int = 0) -> dict[str, object]:
    """Says only that it came."""
    return {
        "length": len(password),
        "reversed": password[::-1],
        "header": len((headers or {}).get("Authorization", "")),
        "pin": pin * 2,
    }


async def use_async(password: str) -> int:
    return len(password)


def tell(password: str, context: ToolContext) -> dict[str, object]:
    print("printed", password)
    print(f"an error about {password}", file=sys.stderr)
    log.warning("logged %s", password)
    context.progress(1, 1, f"with {password}")
    return {
        "as it is": f"<{password}>",
        password: [password],
        "in an address": f"/?key={quote(password, safe='')}",
    }


def tell_state(state: dict, password: str) -> dict:
    state["kept"] = {"deep": [password]}
    return state


def fail(password: str) -> None:
    raise ValueError(f"{password} was refused")


def take_number(amount: int) -> int:
    return amount
