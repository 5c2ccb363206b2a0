"""One accepted connection: what is decided before there is a request, and answers where none can be read.

This is the place for what concerns connections as such: who is on the other end of a loopback socket, how many
there may be, and how fast requests may come.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from aiohttp import web

from wfe_desktop.server import peers
from wfe_desktop.server.failures import HttpError, internal_error
from wfe_desktop.server.security import ANSWER_HEADERS

log = logging.getLogger(__name__)


class HttpConnection(web.RequestHandler):
    """aiohttp's connection, with our form of errors. ``find_owner`` is None where owners cannot be told, or do not count.

    ``is_own``: a process of the user whose program this is holds the other end. It is asked once, when the connection
    is made: the other end cannot change hands but by the will of who has it.
    """

    __slots__ = ("_find_owner", "is_own")

    def __init__(self, manager: web.Server, *, find_owner: peers.OwnerFinder | None, **settings: Any) -> None:
        super().__init__(manager, **settings)
        self._find_owner = find_owner
        self.is_own = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        if self._find_owner is not None:
            self.is_own = peers.is_own(self._find_owner, transport)
        super().connection_made(transport)

    async def drained(self) -> None:
        """Until the socket has taken what was written, as far as it has to before more is."""
        await self._drain_helper()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what could not be read as a request, or failed outside every handler."""
        del message  # it may repeat what was sent; neither the answer nor the log does
        if request.writer.output_size > 0:
            raise ConnectionError("an answer was sent already")
        if status >= 500:
            error = internal_error(exc)
        else:
            log.info("answered %d to something that is not HTTP as it should be", status)
            error = HttpError(status, "this is not a request this server understands")
        response = error.to_response()
        response.headers.update({**ANSWER_HEADERS, "Connection": "close"})
        response.force_close()
        return response


def is_own(request: web.BaseRequest) -> bool:
    """Whether the request comes from a process of the user whose program this is."""
    return isinstance(request.protocol, HttpConnection) and request.protocol.is_own


def connection_factory(
    runner: web.AppRunner, find_owner: peers.OwnerFinder | None, **settings: Any
) -> Callable[[], asyncio.Protocol]:
    """What the listening socket calls for each connection. ``settings`` are aiohttp's for a RequestHandler."""
    loop = asyncio.get_running_loop()
    server = runner.server
    assert server is not None, "the runner must be set up"

    def accept() -> asyncio.Protocol:
        return HttpConnection(server, find_owner=find_owner, loop=loop, auto_decompress=False, **settings)

    return accept
