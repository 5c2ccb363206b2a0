"""Where secrets come from, and what keeps their values out of everything that is kept or shown.

A secret is the environment variable ``WFE_SECRET_<NAME>``; where that is not set and the package keyring is installed,
the password of that name under "agent-workflow-engine" in the user's keyring. It is looked up on the worker, right
before the call. From then on this process knows its value and hides it: in results, errors, output and logs. What is
known is a global as the standard streams are: the process prints and logs for every engine in it.
"""

from __future__ import annotations

import os
import re
import threading
from typing import Any, Final
from urllib.parse import quote

from engine.errors import SecretNotFound
from engine.flow.secrets import find_secrets
from engine.model.graph import GraphDefinition
from engine.model.problem import Problem, Severity

PREFIX: Final = "WFE_SECRET_"
KEYRING_SERVICE: Final = "agent-workflow-engine"
HIDDEN: Final = "•••"
LEAST_LENGTH: Final = 6
"""Shorter ones would be found, and hidden, in texts that have nothing to do with them."""

_lock = threading.Lock()
_known: set[str] = set()
_pattern: re.Pattern[str] | None = None


def reveal_secret(name: str) -> str:
    """The value of a secret, which is hidden from now on. It may ask the keyring, which takes some milliseconds.

    Raises:
        SecretNotFound: there is none of this name, or it is too short to be hidden.
    """
    value = _look_up(name)
    if value is None:
        raise SecretNotFound(_explain_missing(name), {"secret": name})
    if len(value) < LEAST_LENGTH:
        raise SecretNotFound(
            f'the secret "{name}" has fewer than {LEAST_LENGTH} characters, too few to be kept out of results and logs',
            {"secret": name},
        )
    keep_secret(value)
    return value


def keep_secret(value: str) -> None:
    """Hide this value from now on, its lines where it has several, and as it stands in an address."""
    global _pattern  # noqa: PLW0603 - see the module's docstring
    forms = {form for line in (value, *value.splitlines()) for form in (line, quote(line, safe=""))}
    with _lock:
        new = {form for form in forms if len(form) >= LEAST_LENGTH} - _known
        if new:
            _known.update(new)
            longest_first = sorted(_known, key=len, reverse=True)
            _pattern = re.compile("|".join(re.escape(form) for form in longest_first))


def were_revealed() -> bool:
    """Whether there is anything to hide."""
    return _pattern is not None


def hide(text: str) -> str:
    """The text without the value of any secret. Costs nothing until one was revealed."""
    return text if _pattern is None or not _pattern.search(text) else _pattern.sub(HIDDEN, text)


def hide_json(value: Any) -> Any:
    """A JSON value without the value of any secret; the very same object where there was none in it."""
    if _pattern is None:
        return value
    match value:
        case str():
            return hide(value)
        case dict():
            made = {hide(key): hide_json(item) for key, item in value.items()}
            same = all(
                old is new
                for old, new in zip((*value, *value.values()), (*made, *made.values()), strict=False)
            )
            return value if same and len(made) == len(value) else made
        case list():
            items = [hide_json(item) for item in value]
            return value if all(old is new for old, new in zip(value, items, strict=True)) else items
        case int() | float() if str(value) in _known:
            return HIDDEN
    return value


def find_missing_secret(graph: GraphDefinition) -> Problem | None:
    """The first secret that a graph refers to and that is not there."""
    for node in graph.nodes:
        for parameter, value in node.parameters.items():
            for name in find_secrets(value):
                if _look_up(name) is None:
                    message = f'"{node.id}": {_explain_missing(name)}'
                    field = f"parameters.{parameter}"
                    return Problem(Severity.ERROR, "unknown-secret", message, node_id=node.id, field=field)
    return None


def _explain_missing(name: str) -> str:
    return (
        f'there is no secret "{name}": set {PREFIX}{name} in the environment before the program starts, '
        f'or put it into the keyring under "{KEYRING_SERVICE}" (with the package keyring installed)'
    )


def _look_up(name: str) -> str | None:
    return os.environ.get(PREFIX + name) or _ask_keyring(name)


def _ask_keyring(name: str) -> str | None:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:  # an extra
        return None
    try:
        found: str | None = keyring.get_password(KEYRING_SERVICE, name)
    except KeyringError:  # no desktop, or locked
        return None
    return found
