"""How much is too much, on a clock of the test's own."""

import asyncio

import pytest

from engine.config import AppConfig
from wfe_desktop.server import limits as limits_module
from wfe_desktop.server.failures import HttpError
from wfe_desktop.server.limits import (
    A_TURN,
    MAX_PEERS,
    MAX_TOLD,
    MAX_WAITING,
    WRONG_TOKENS,
    Bucket,
    Limits,
    Place,
    WrongTokens,
)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def make(*, knows_owners=True, **settings):
    return Limits(AppConfig(**settings), knows_owners=knows_owners)


def test_a_bucket_gives_its_burst_at_once_and_then_its_rate(clock):
    bucket = Bucket(8, 3, clock)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    clock.now += 0.125
    assert [bucket.take() for _ in range(2)] == [True, False]
    clock.now += 1_000
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


def test_a_bucket_tells_when_to_come_back(clock):
    bucket = Bucket(0.5, 1, clock)
    assert bucket.take()
    assert bucket.wait_s == 2
    clock.now += bucket.wait_s
    assert bucket.take()


# ------------------------------------------------------------------------------------------------- wrong tokens


def test_a_peer_with_too_many_wrong_tokens_is_not_listened_to_for_a_while(clock):
    wrong = WrongTokens(clock)
    for _ in range(WRONG_TOKENS):
        wrong.check("a")
        wrong.add("a")
    wrong.check("b")
    with pytest.raises(HttpError) as caught:
        wrong.check("a")
    assert caught.value.status == 429
    clock.now += int(caught.value.headers["Retry-After"])
    wrong.check("a")
    wrong.add("a")
    with pytest.raises(HttpError):
        wrong.check("a")


def test_a_thousand_peers_are_remembered_and_no_more(clock):
    wrong = WrongTokens(clock)
    for number in range(MAX_PEERS + 500):
        wrong.add(f"peer {number}")
        for _ in range(WRONG_TOKENS):
            wrong.add("persistent")
    assert len(wrong._peers) == MAX_PEERS
    with pytest.raises(HttpError):
        wrong.check("persistent")


# ------------------------------------------------------------------------------------------------- connections


def test_so_many_connections_are_served_some_more_are_told_so_and_the_rest_is_dropped():
    limits = make(max_connections=8)
    places = [limits.connect(is_stranger=False) for _ in range(8 + MAX_TOLD + 3)]
    assert places == [Place.SERVED] * 8 + [Place.TOLD] * MAX_TOLD + [Place.NONE] * 3
    for place in places[7:]:
        limits.disconnect(place, is_stranger=False)
    assert limits.connect(is_stranger=False) is Place.SERVED
    assert limits.connect(is_stranger=False) is Place.TOLD


def test_strangers_cannot_take_the_places_of_the_user():
    limits = make(max_connections=40)
    places = [limits.connect(is_stranger=True) for _ in range(30)]
    assert places == [Place.SERVED] * 10 + [Place.TOLD] * 20
    assert [limits.connect(is_stranger=False) for _ in range(31)] == [Place.SERVED] * 30 + [Place.TOLD]
    for place in places:
        limits.disconnect(place, is_stranger=True)
    assert limits.connect(is_stranger=True) is Place.SERVED


def test_where_nobody_is_recognised_all_places_are_for_all():
    limits = make(max_connections=40, knows_owners=False)
    assert [limits.connect(is_stranger=True) for _ in range(40)] == [Place.SERVED] * 40


# ---------------------------------------------------------------------------------------------------- requests


async def test_a_few_requests_begin_in_each_turn_of_the_loop_in_their_order():
    limits = make()
    begun = []

    async def ask(number):
        await limits.admit()
        begun.append(number)

    requests = [asyncio.ensure_future(ask(number)) for number in range(5 * A_TURN)]
    most = 0
    while len(begun) < len(requests):
        before = len(begun)
        await asyncio.sleep(0)
        most = max(most, len(begun) - before)
    assert begun == list(range(len(requests)))
    assert most == A_TURN


async def test_a_request_whose_client_has_gone_takes_no_turn():
    limits = make()
    requests = [asyncio.ensure_future(limits.admit()) for _ in range(4 * A_TURN)]
    await asyncio.sleep(0)
    for request in requests[A_TURN : 3 * A_TURN]:
        request.cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(*requests, return_exceptions=True)
    assert [request.cancelled() for request in requests] == [
        A_TURN <= n < 3 * A_TURN for n in range(4 * A_TURN)
    ]


async def test_a_row_that_is_too_long_is_refused(monkeypatch):
    monkeypatch.setattr(limits_module, "HOLD_S", 0)
    limits = make()
    requests = [asyncio.ensure_future(limits.admit()) for _ in range(A_TURN + MAX_WAITING + 5)]
    done = await asyncio.gather(*requests, return_exceptions=True)
    refused = [each for each in done if each is not None]
    assert [(each.status, each.headers["Retry-After"]) for each in refused] == [(429, "1")] * 5


async def test_more_requests_a_second_than_configured_are_refused(monkeypatch):
    monkeypatch.setattr(limits_module, "HOLD_S", 0)
    limits = make(max_requests_per_s=10)
    for _ in range(10):
        await limits.admit()
    with pytest.raises(HttpError) as caught:
        await limits.admit()
    assert caught.value.status == 429
