"""One accepted connection: what is decided before there is a request, and answers where none can be read."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Any, Final, cast

from aiohttp import web

from wfe_desktop.server import peers
from wfe_desktop.server.failures import HttpError, internal_error
from wfe_desktop.server.limits import Limits, Place
from wfe_desktop.server.security import ANSWER_HEADERS

UNREAD_S: Final = 30.0
"""How long an answer may lie unread before the connection is cut off."""

log = logging.getLogger(__name__)


class HttpConnection(web.RequestHandler):
    """aiohttp's connection, with our form of errors, counted, and with a known owner where that can be told.

    The owner is asked for once, when the connection is made: the other end cannot change hands but by the will of
    who has it.
    """

    __slots__ = ("_cut_off", "_find_owner", "_place", "is_own", "limits", "peer")

    def __init__(
        self, manager: web.Server, limits: Limits, find_owner: peers.OwnerFinder | None, **settings: Any
    ) -> None:
        super().__init__(manager, **settings)
        self.limits = limits
        self._find_owner = find_owner
        self._place = Place.NONE
        self._cut_off: asyncio.TimerHandle | None = None
        self.is_own = False
        """Whether a process of the user whose program this is holds the other end."""
        self.peer = ""
        """Who is on the other end, as well as that is known."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        peer = transport.get_extra_info("peername")
        owner = None
        if self._find_owner is not None:
            owner = peers.find_owner(self._find_owner, transport)
            self.is_own = owner == os.geteuid()
        self.peer = f"user {owner}" if owner is not None else str(peer[0] if peer else "")
        self._place = self.limits.connect(is_stranger=not self.is_own)
        if self._place is Place.NONE:
            cast("asyncio.Transport", transport).abort()
        super().connection_made(transport)

    @property
    def is_surplus(self) -> bool:
        """Whether there are too many already, so that all it gets is to be told so."""
        return self._place is not Place.SERVED

    def connection_lost(self, exc: BaseException | None) -> None:
        """Called by the loop."""
        self.limits.disconnect(self._place, is_stranger=not self.is_own)
        self._place = Place.NONE
        if self._cut_off is not None:
            self._cut_off.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Called by the loop, when the other end reads more slowly than we write; it is not waited for without end."""
        super().pause_writing()
        if self.transport is not None:
            self._cut_off = self._loop.call_later(UNREAD_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Called by the loop."""
        if self._cut_off is not None:
            self._cut_off.cancel()
            self._cut_off = None
        super().resume_writing()

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


def connection_of(request: web.BaseRequest) -> HttpConnection:
    """The connection by which the request came."""
    connection = request.protocol
    assert isinstance(connection, HttpConnection), "the server makes no others"
    return connection


def connection_factory(
    runner: web.AppRunner, limits: Limits, find_owner: peers.OwnerFinder | None, **settings: Any
) -> Callable[[], asyncio.Protocol]:
    """What the listening socket calls for each connection. ``settings`` are aiohttp's for a RequestHandler."""
    loop = asyncio.get_running_loop()
    server = runner.server
    assert server is not None, "the runner must be set up"

    def accept() -> asyncio.Protocol:
        return HttpConnection(server, limits, find_owner, loop=loop, auto_decompress=False, **settings)

    return accept
