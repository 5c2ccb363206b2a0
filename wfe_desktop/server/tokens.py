"""Bearer tokens: the one in the user's data folder, and what a request brings along.

A program sends ``Authorization: Bearer <token>``. A WebSocket of a browser can set no header, so it offers two
subprotocols instead, ``wfe`` and ``bearer.<token, base64url without padding>``; the server answers with ``wfe``.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
import stat
import tempfile
from pathlib import Path
from typing import Final

import platformdirs
from aiohttp import hdrs, web

from wfe_desktop.options import APP_DIR_NAME

TOKEN_FILE: Final = "api-token"  # noqa: S105 - the name of a file
SUBPROTOCOL: Final = "wfe"
BEARER_SUBPROTOCOL: Final = "bearer."
_MADE_BY_US: Final = re.compile(r"[A-Za-z0-9_-]{43}")


def user_token_file() -> Path:
    """Where the token is that opens the servers of this user which were given none of their own."""
    return platformdirs.user_data_path(APP_DIR_NAME, appauthor=False) / TOKEN_FILE


def find_user_token(path: Path) -> str | None:
    """The token in the file; None where there is none, or where others could have read or written it."""
    try:
        with path.open(encoding="ascii") as file:
            if os.name == "posix":
                found = os.fstat(file.fileno())
                if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
                    return None
            text = file.read(200).strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return text if _MADE_BY_US.fullmatch(text) else None


def load_user_token(path: Path) -> str:
    """The token in the file, which is made where there is none that only its user could know.

    Raises:
        OSError: it can be neither read nor made.
    """
    if found := find_user_token(path):
        return found
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # for this user's eyes only
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        try:
            os.link(name, path)
        except FileExistsError:
            if not find_user_token(path):  # else another program of this user was quicker
                Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
    if found := find_user_token(path):
        return found
    raise PermissionError(f"{path} cannot be kept from other users")


def tokens_of(request: web.BaseRequest) -> list[bytes]:
    """Every token the request brings along, as it is and also where it is given wrongly."""
    found = [_of_header(value) for value in request.headers.getall(hdrs.AUTHORIZATION, [])]
    return found + [
        _of_subprotocol(name) for name in subprotocols(request) if name.startswith(BEARER_SUBPROTOCOL)
    ]


def subprotocols(request: web.BaseRequest) -> list[str]:
    """What a WebSocket client offers to speak."""
    offers = request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, [])
    return [name.strip() for offer in offers for name in offer.split(",")]


def _of_header(value: str) -> bytes:
    scheme, _, token = value.partition(" ")
    return token.encode("utf-8", "surrogateescape") if scheme.lower() == "bearer" else b""


def _of_subprotocol(name: str) -> bytes:
    encoded = name.removeprefix(BEARER_SUBPROTOCOL).encode("utf-8", "surrogateescape")
    try:
        return base64.b64decode(encoded + b"=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return b""
