"""JSON for clients."""

from __future__ import annotations

import json
from typing import Any

import orjson


def encode_json(value: Any) -> bytes:
    """``value`` as JSON. Integers beyond 64 bits and half surrogate pairs, which tools may produce, are kept."""
    try:
        return orjson.dumps(value, option=orjson.OPT_UTC_Z)
    except TypeError:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
