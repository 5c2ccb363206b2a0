"""The page a browser gets at the server's address: runs and graphs, live. Its files are in resources/page."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources
from typing import Final

from aiohttp import hdrs, web

from wfe_desktop.server.context import ServerContext
from wfe_desktop.server.pages import Page, serve_files

FILES: Final[Mapping[str, str]] = {
    "access.css": "text/css",
    "access.js": "text/javascript",
    "api.js": "text/javascript",
    "elements.js": "text/javascript",
    "forms.js": "text/javascript",
    "graph.js": "text/javascript",
    "json.js": "text/javascript",
    "lists.js": "text/javascript",
    "log.js": "text/javascript",
    "page.css": "text/css",
    "page.js": "text/javascript",
    "run.js": "text/javascript",
    "ways.js": "text/javascript",
}
"""What the page is made of, by name in resources/page, with its type. The two of access are for every page."""


def page_policy(authority: str) -> str:
    """The page's Content-Security-Policy: its own files, its own server (``authority``: host and port), nothing else.

    Nothing that is written into the page is ever read as HTML or as a script: the browser refuses (Trusted Types).
    """
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
        f"connect-src 'self' ws://{authority} wss://{authority}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


async def front_page(server: ServerContext, request: web.Request) -> web.Response:
    """The page at ``/``."""
    return web.Response(
        body=await server.database.run(_shell),
        content_type="text/html",
        charset="utf-8",
        headers={"Content-Security-Policy": page_policy(request.headers[hdrs.HOST]), "Vary": "Accept"},
    )


@functools.cache
def _shell() -> bytes:
    return (resources.files("resources") / "page" / "index.html").read_bytes()


pages = (Page("/page/{name}", serve_files("page", FILES)),)
