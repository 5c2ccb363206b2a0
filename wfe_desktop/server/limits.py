"""How much one server takes at once, so that nobody can make the window stutter or keep others out.

- Connections are counted; those of whom is not recognised have a share of their own, so strangers cannot take them all.
- A few requests begin in each turn of the loop, the rest when the window has had its turn. What comes faster than the
  configured rate, or waits in too long a row, is told to come back (429), after a moment: who asks again at once waits.
- What the guard refuses is answered at once only so often a second, and a peer with wrong tokens is not listened to
  for a while, so tokens cannot be tried out.

For the loop's thread.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from enum import Enum
from typing import Final

from engine.config import AppConfig
from wfe_desktop.server.failures import HttpError

A_TURN: Final = 8
"""Requests that begin in one turn of the loop: some milliseconds of work."""

MAX_WAITING: Final = 128
MAX_TOLD: Final = 32
STRANGERS_SHARE: Final = 4
HOLD_S: Final = 0.5
REFUSALS_A_SECOND: Final = 50.0
WRONG_TOKENS: Final = 10
FORGIVEN_A_SECOND: Final = 0.5
MAX_PEERS: Final = 1_024


class Place(Enum):
    """What becomes of a connection."""

    SERVED = "served"
    TOLD = "told"
    """There are too many already, and all it gets is to be told so."""
    NONE = "none"


class Bucket:
    """So many a second on average, and ``burst`` at once after a pause."""

    __slots__ = ("_burst", "_clock", "_left", "_rate", "_seen")

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left, self._seen = burst, clock()

    def look(self) -> bool:
        """Whether there is one to be had."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._seen) * self._rate)
        self._seen = now
        return self._left >= 1

    def take(self) -> bool:
        """Takes one; False where none is left."""
        found = self.look()
        self._left -= found
        return found

    @property
    def wait_s(self) -> int:
        """Seconds until there is one again, rounded up."""
        return max(1, math.ceil((1 - self._left) / self._rate))


class WrongTokens:
    """Who sent wrong tokens: by peer, the least recent forgotten first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._peers: OrderedDict[str, Bucket] = OrderedDict()

    def check(self, peer: str) -> None:
        """Refuses to listen to a peer that has tried too often; a right token would not be let in either.

        Raises:
            HttpError: 429.
        """
        bucket = self._peers.get(peer)
        if bucket is not None and not bucket.look():
            raise too_many("too many wrong tokens came from there", bucket.wait_s)

    def add(self, peer: str) -> None:
        """The peer sent a wrong one."""
        bucket = self._peers.pop(peer, None) or Bucket(FORGIVEN_A_SECOND, WRONG_TOKENS, self._clock)
        bucket.take()
        self._peers[peer] = bucket
        if len(self._peers) > MAX_PEERS:
            self._peers.popitem(last=False)


class Limits:
    """The limits of one server. ``knows_owners``: programs of its user are recognised when they connect."""

    def __init__(self, config: AppConfig, *, knows_owners: bool) -> None:
        self._max = config.max_connections
        self._max_strangers = max(1, self._max // STRANGERS_SHARE) if knows_owners else self._max
        self._served = self._strangers = self._told = 0
        self._requests = Bucket(config.max_requests_per_s, config.max_requests_per_s)
        self._refusals = Bucket(REFUSALS_A_SECOND, REFUSALS_A_SECOND)
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._left_in_turn = A_TURN

    # ---------------------------------------------------------------------------------------------- connections

    def connect(self, *, is_stranger: bool) -> Place:
        """What becomes of a new connection; ``disconnect`` gives back its place."""
        if self._served < self._max and not (is_stranger and self._strangers >= self._max_strangers):
            self._served += 1
            self._strangers += is_stranger
            return Place.SERVED
        if self._told < MAX_TOLD:
            self._told += 1
            return Place.TOLD
        return Place.NONE

    def disconnect(self, place: Place, *, is_stranger: bool) -> None:
        """A connection that had this place has ended."""
        match place:
            case Place.SERVED:
                self._served -= 1
                self._strangers -= is_stranger
            case Place.TOLD:
                self._told -= 1

    # ------------------------------------------------------------------------------------------------- requests

    async def admit(self) -> None:
        """Until the request may begin.

        Raises:
            HttpError: 429.
        """
        if not self._requests.take():
            await asyncio.sleep(HOLD_S)
            raise too_many("too many requests a second", self._requests.wait_s)
        if len(self._waiting) >= MAX_WAITING:
            await asyncio.sleep(HOLD_S)
            raise too_many("too many requests at once", 1)
        await self.take_turn()

    async def take_turn(self) -> None:
        """Until a request, or a message of a WebSocket, may be worked on."""
        if self._left_in_turn and not self._waiting:
            self._left_in_turn -= 1
            return
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._next_turn)
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _next_turn(self) -> None:
        self._left_in_turn = A_TURN
        while self._waiting and self._left_in_turn:
            turn = self._waiting.popleft()
            if not turn.done():  # else its client has gone
                self._left_in_turn -= 1
                turn.set_result(None)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._next_turn)

    def may_refuse_at_once(self) -> bool:
        """Whether a request that came from where none is to come from is to be answered now, and not held first."""
        return self._refusals.take()


def too_many(message: str, retry_after_s: int) -> HttpError:
    """The answer to those who ask too often."""
    return HttpError(429, message, headers={"Retry-After": str(retry_after_s)})
