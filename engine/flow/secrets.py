"""References to secrets in the values set on a node: ``{{secret:NAME}}`` in any text among its parameters.

Only there: what runs bring along (state, results, expressions) names no secrets, or data from outside could ask for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

_REFERENCE: Final = re.compile(r"\{\{\s*secret:\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


def find_secrets(value: Any) -> Iterator[str]:
    """The names of the secrets that a parameter's value refers to."""
    match value:
        case str():
            if "{{" in value:
                yield from _REFERENCE.findall(value)
        case dict():
            for item in value.values():
                yield from find_secrets(item)
        case list():
            for item in value:
                yield from find_secrets(item)


def is_secret(value: Any) -> bool:
    """Whether a value is one reference and nothing else, so that any type may come of it."""
    return isinstance(value, str) and "{{" in value and _REFERENCE.fullmatch(value.strip()) is not None


def fill_secrets(value: Any, find: Callable[[str], str]) -> Any:
    """The value with every reference replaced; ``find`` gives a secret by name. Lists and objects are made anew."""
    match value:
        case str():
            return _REFERENCE.sub(lambda found: find(found[1]), value) if "{{" in value else value
        case dict():
            return {key: fill_secrets(item, find) for key, item in value.items()}
        case list():
            return [fill_secrets(item, find) for item in value]
    return value
