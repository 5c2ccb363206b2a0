"""Pages for browsers. They are given without a token, for a browser can send none before it has a page that asks for it.

So a page is static: the same for everybody, without a word of data. Its script gets what it shows from the documented
routes, and only through ``call`` and ``openSocket`` of resources/page/access.js: these send the token as a header (or
WebSocket subprotocol), ask for it in a dialog when the server wants one, and keep it in the tab's sessionStorage, never
in an address or a cookie. A page links ``page/access.css`` for that dialog.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from aiohttp import web

from wfe_desktop.server.context import ServerContext
from wfe_desktop.server.routing import Handler


@dataclass(frozen=True, slots=True)
class Page:
    """A page, or the files of one: what anybody may have who gets past the checks of Host and Origin."""

    path: str
    handler: Handler


def serve_files(folder: str, types: Mapping[str, str]) -> Handler:
    """The handler of a path that ends in ``{name}``: files of resources/``folder``, with their types by name.

    No other name is looked for.
    """

    @functools.cache
    def read(name: str) -> bytes:
        return (resources.files("resources") / folder / name).read_bytes()

    async def handler(server: ServerContext, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in types:
            raise web.HTTPNotFound
        content = await server.database.run(read, name)
        return web.Response(body=content, content_type=types[name], charset="utf-8")

    return handler


pages = (
    Page("/page/{name}", serve_files("page", {"access.js": "text/javascript", "access.css": "text/css"})),
)
