"""Pages for browsers. They are given without a token, for a browser can send none before it has a page that asks for it.

So a page is static: the same for everybody, without a word of data. Its script gets what it shows from the documented
routes, and only through ``call`` and ``openSocket`` of resources/page/access.js: these send the token as a header (or
WebSocket subprotocol), ask for it in a dialog when the server wants one, and keep it in the tab's sessionStorage, never
in an address or a cookie. A page links ``page/access.css`` for that dialog.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from aiohttp import ETag, hdrs, web

from wfe_desktop.server.context import ServerContext
from wfe_desktop.server.routing import Handler


@dataclass(frozen=True, slots=True)
class Page:
    """A page, or the files of one: what anybody may have who gets past the checks of Host and Origin."""

    path: str
    handler: Handler


def serve_files(folder: str, types: Mapping[str, str]) -> Handler:
    """The handler of a path that ends in ``{name}``: files of resources/``folder``, with their types by name.

    No other name is looked for. A browser keeps them and asks each time whether they are still the same (304).
    """

    @functools.cache
    def read(name: str) -> tuple[bytes, str]:
        content = (resources.files("resources") / folder / name).read_bytes()
        return content, hashlib.sha256(content).hexdigest()[:32]

    async def handler(server: ServerContext, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in types:
            raise web.HTTPNotFound
        content, tag = await server.database.run(read, name)
        if any(known.value == tag for known in request.if_none_match or ()):
            response = web.Response(status=304)
        else:
            response = web.Response(body=content, content_type=types[name], charset="utf-8")
        response.etag = ETag(tag)
        response.headers[hdrs.CACHE_CONTROL] = "no-cache"
        return response

    return handler
