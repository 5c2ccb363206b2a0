"""The hub against a journal in memory that is written by a thread of its own, as the engine's is."""

import asyncio
import json
import threading
import time
from collections import Counter

import pytest

from engine.errors import ServiceUnavailable
from engine.model.events import JournalEntry, RunStarted, StepProgress, StepStarted
from wfe_desktop.server import hub as hub_module
from wfe_desktop.server import subscriber as subscriber_module
from wfe_desktop.server.hub import Hub
from wfe_desktop.server.subscriber import HISTORY_PAGE, MAX_QUEUED, Subscriber
from wfe_desktop.server.threads import DatabaseThreads


class MemoryJournal:
    """Commits, then tells, in order; as the engine does."""

    def __init__(self):
        self.entries = []
        self.subscribers = []
        self.on_deleted = []
        self.on_progress = []
        self.lock = threading.Lock()
        self.read_delay_s = 0.0

    def subscribe(self, callback):
        self.subscribers.append(callback)
        return lambda: self.subscribers.remove(callback)

    def subscribe_deleted(self, callback):
        self.on_deleted.append(callback)
        return lambda: self.on_deleted.remove(callback)

    def subscribe_progress(self, callback):
        self.on_progress.append(callback)
        return lambda: self.on_progress.remove(callback)

    def say(self, run_id, done, node="n", total=100):
        for callback in self.on_progress:
            callback(StepProgress(run_id, node, 1, 1, None, done, total, "on its way"))

    def delete(self, *run_ids):
        for callback in self.on_deleted:
            callback(run_ids)

    def read_events(self, since=0, run_id=None, graph_id=None, limit=1000):
        with self.lock:
            found = [
                entry
                for entry in self.entries[since:]
                if run_id in (None, entry.run_id) and graph_id in (None, graph_of(entry.run_id))
            ][:limit]
        time.sleep(self.read_delay_s)
        return found

    def append(self, *run_ids):
        """For one thread at a time."""
        with self.lock:
            batch = [
                JournalEntry(len(self.entries) + 1 + index, run_id, RunStarted(at=0))
                for index, run_id in enumerate(run_ids)
            ]
            self.entries.extend(batch)
        for callback in self.subscribers:
            callback(batch)


def graph_of(run_id):
    """Runs are named by their graph: "g1" is one of "g"."""
    return run_id[0]


class Client:
    """A client of the hub that remembers what it was sent. ``reads`` cleared: it does not read."""

    def __init__(self, hub, database):
        self.frames = []
        self.closed = None
        self.reads = asyncio.Event()
        self.reads.set()
        self.subscriber = Subscriber(hub, database, self._send, self._close)
        self.subscriber.start()

    async def _send(self, messages):
        await self.reads.wait()
        self.frames += [json.loads(data) for data in messages]

    async def _close(self, code, reason):
        self.closed = code

    @property
    def events(self):
        return [event for frame in self.frames for event in (frame if isinstance(frame, list) else [frame])]

    @property
    def seqs(self):
        return [event["seq"] for event in self.events]


async def until(condition):
    async with asyncio.timeout(25):
        while not condition():  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.002)


@pytest.fixture
def journal():
    return MemoryJournal()


@pytest.fixture
def hub(loop, journal):
    async def find_graph(run_id):
        hub.asked.append(run_id)
        await asyncio.sleep(0.001)
        return graph_of(run_id)

    hub = Hub(journal, find_graph)
    hub.asked = []

    async def start():
        hub.start()

    loop.run_until_complete(start())
    yield hub
    for client in tuple(hub.clients):
        loop.run_until_complete(client.stop())
    hub.stop()


@pytest.fixture
def database(loop):
    threads = DatabaseThreads(2)
    yield threads
    loop.run_until_complete(threads.close())


@pytest.fixture
def connect(hub, database):
    return lambda: Client(hub, database)


async def test_a_client_gets_the_runs_it_subscribed_to_and_no_others(connect, journal):
    client = connect()
    client.subscriber.subscribe("a", None, None)
    client.subscriber.subscribe("b", None, None)
    journal.append("a", "x", "b", "a", "x")
    await until(lambda: len(client.seqs) == 3)
    assert client.seqs == [1, 3, 4]


async def test_an_event_wanted_twice_is_sent_once(connect, journal):
    client = connect()
    client.subscriber.subscribe("a", None, None)
    client.subscriber.subscribe("*", None, None)
    journal.append("a", "x", "a")
    await until(lambda: len(client.seqs) == 3)
    await asyncio.sleep(0.01)
    assert client.seqs == [1, 2, 3]


async def test_a_client_gets_the_runs_of_the_graph_it_subscribed_to(connect, journal, hub):
    client, all_of_it = connect(), connect()
    client.subscriber.subscribe("graph:g", None, None)
    all_of_it.subscriber.subscribe("*", None, None)
    for _ in range(40):
        journal.append("g1", "h1", "g2")
        await asyncio.sleep(0)
    await until(lambda: len(all_of_it.seqs) == 120 and len(client.seqs) == 80)
    assert all_of_it.seqs == list(range(1, 121))
    assert client.seqs == [seq for seq in range(1, 121) if seq % 3 != 2]
    assert hub.asked == ["g1", "h1", "g2"], "each unknown run is looked up once"
    client.subscriber.unsubscribe("graph:g")
    assert hub.graph_watchers == 0
    journal.append("g9")
    await until(lambda: len(all_of_it.seqs) == 121)
    assert hub.asked == ["g1", "h1", "g2"], "nobody wants to know any more"
    assert len(client.seqs) == 80


async def test_a_graph_that_cannot_be_looked_up_delays_events_and_loses_none(
    connect, journal, hub, monkeypatch, expect_log
):
    expect_log("events wait for it")
    monkeypatch.setattr(hub_module, "LOOK_UP_AGAIN_S", 0.01)
    failing = [ServiceUnavailable("not now"), ServiceUnavailable("nor now")]
    find_graph = hub._find_graph

    async def find(run_id):
        if failing:
            raise failing.pop()
        return await find_graph(run_id)

    hub._find_graph = find
    client = connect()
    client.subscriber.subscribe("graph:g", None, None)
    journal.append("g1", "h1", "g1")
    await until(lambda: client.seqs == [1, 3])


@pytest.mark.parametrize("is_live", [True, False], ids=["one after the other", "both with history"])
async def test_overlapping_subscriptions_of_all_kinds_send_each_event_once_while_events_pour_in(
    connect, journal, hub, is_live
):
    journal.append(*["g1", "h1"] * HISTORY_PAGE)
    client = connect()
    stop = threading.Event()

    def write():
        while not stop.is_set():
            journal.append("g1", "h1", "g2", "h2")
            time.sleep(0.0005)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        client.subscriber.subscribe("graph:g", 0, None)
        if is_live:
            await until(lambda: client.subscriber._subscriptions["graph:g"].live)
        else:
            await asyncio.sleep(0.02)
        had = len(journal.entries)
        client.subscriber.subscribe("h1", None, None)
        client.subscriber.subscribe("*", 10, None)
        await until(lambda: all(each.live for each in client.subscriber._subscriptions.values()))
        await asyncio.sleep(0.02)
    finally:
        stop.set()
        writer.join()
    of_g = [seq for seq, entry in enumerate(journal.entries, 1) if graph_of(entry.run_id) == "g"]
    await until(lambda: client.seqs and max(client.seqs) == len(journal.entries))
    assert set(of_g) <= set(client.seqs)
    assert set(range(11, len(journal.entries) + 1)) <= set(client.seqs)
    if is_live:  # else what is history of one subscription may come again as that of the other
        after = [seq for seq in client.seqs if seq > had]
        assert len(after) == len(set(after))
    assert max(Counter(client.seqs).values()) <= 2, "once as history of each that has any"


async def test_only_events_of_the_wanted_types_are_sent(connect, journal):
    client, both = connect(), connect()
    client.subscriber.subscribe("*", None, None, ["node_execution"])
    both.subscriber.subscribe("*", None, None, ["node_execution"])
    both.subscriber.subscribe("g1", None, None)
    journal.append("g1", "g2")
    with journal.lock:
        journal.entries.append(JournalEntry(3, "g2", StepStarted(at=0, node="n", visit=1, attempt=1)))
    journal.subscribers[0](journal.entries[-1:])
    await until(lambda: client.seqs == [3] and both.seqs == [1, 3])
    late = connect()
    late.subscriber.subscribe("*", 0, None, ["node_execution"])
    journal.append("g3")
    await until(lambda: late.seqs == [3])
    late.subscriber.subscribe("*", 0, None, ["workflow_started"])
    await until(lambda: late.seqs == [3, 1, 2, 4])


async def test_clients_with_the_same_events_share_their_arrays(connect, journal, hub):
    clients = [connect() for _ in range(3)]
    for client in clients:
        client.subscriber.subscribe("*", None, 20)
    for _ in range(5):
        journal.append(*["a"] * 100)
    for client in clients:
        await until(lambda client=client: len(client.seqs) == 500)
        assert client.seqs == list(range(1, 501))
    ends, array = hub.last_array
    assert [event["seq"] for event in json.loads(array)] == list(range(ends[0], ends[1] + 1))


async def test_after_unsubscribe_nothing_more_comes(connect, journal):
    client, other = connect(), connect()
    client.subscriber.subscribe("*", None, None)
    other.subscriber.subscribe("*", None, None)
    assert client.subscriber.unsubscribe("*")
    assert not client.subscriber.unsubscribe("*")
    journal.append("a")
    await until(lambda: other.seqs == [1])
    assert client.seqs == []


async def test_history_comes_first_and_then_what_happens(connect, journal):
    journal.append(*["a", "b"] * HISTORY_PAGE)
    client = connect()
    client.subscriber.subscribe("a", 3, None)
    journal.append("a", "b")
    await until(lambda: len(client.seqs) == HISTORY_PAGE - 1)
    assert client.seqs == [*range(5, 2 * HISTORY_PAGE, 2), 2 * HISTORY_PAGE + 1]


@pytest.mark.parametrize("pending", [4, 4_000])
async def test_no_gap_and_no_repeat_between_history_and_live_while_events_pour_in(
    connect, journal, hub, monkeypatch, pending
):
    monkeypatch.setattr(subscriber_module, "MAX_PENDING", pending)
    journal.read_delay_s = 0.001
    total = 6_000

    def write():
        for number in range(total // 20):
            journal.append(*[f"run{number % 3}"] * 20)
            time.sleep(0.0005)

    writer = threading.Thread(target=write)
    writer.start()
    wanted = []
    for number in range(12):
        await asyncio.sleep(0.01)
        client, since, key = connect(), number * 37, ("*", "run0", "run1", "run2")[number % 4]
        client.subscriber.subscribe(key, since, 5 if number % 2 else None)
        wanted.append((client, since, key))
    await asyncio.to_thread(writer.join)
    await until(lambda: hub.dispatched == total)
    for client, since, key in wanted:
        expected = [entry.seq for entry in journal.entries[since:] if key in ("*", entry.run_id)]
        await until(lambda client=client, expected=expected: len(client.seqs) >= len(expected))
        assert client.seqs == expected


async def test_with_batch_ms_frames_are_arrays_and_messages_of_the_server_are_not(connect, journal):
    client = connect()
    client.subscriber.subscribe("*", None, 10)
    journal.append("a", "a")
    journal.append("b")
    await until(lambda: client.frames)
    client.subscriber.say(b'{"event_type": "pong"}')
    await until(lambda: len(client.frames) == 2)
    assert [event["seq"] for event in client.frames[0]] == [1, 2, 3]
    assert client.frames[1] == {"event_type": "pong"}


async def test_a_client_that_reads_too_slowly_is_dropped_and_the_others_go_on(connect, journal):
    slow, quick = connect(), connect()
    slow.reads.clear()
    slow.subscriber.subscribe("*", None, None)
    quick.subscriber.subscribe("*", None, 1)
    for _ in range(MAX_QUEUED // 500 + 1):
        journal.append(*["a"] * 500)
        await asyncio.sleep(0.01)
    await until(lambda: slow.closed)
    assert slow.closed == 1013
    assert slow.seqs == []
    await until(lambda: len(quick.seqs) == MAX_QUEUED + 500)
    assert quick.closed is None


async def test_a_client_that_reads_history_slowly_is_waited_for(connect, journal):
    journal.append(*["a"] * (MAX_QUEUED * 2))
    client = connect()
    client.reads.clear()
    client.subscriber.subscribe("*", 0, 1)
    await asyncio.sleep(0.1)
    assert client.closed is None
    client.reads.set()
    await until(lambda: len(client.seqs) == MAX_QUEUED * 2)
    assert client.seqs == list(range(1, MAX_QUEUED * 2 + 1))


async def test_nobody_is_dropped_because_this_side_was_busy(connect, journal, hub):
    clients = [connect(), connect()]
    clients[0].subscriber.subscribe("*", None, None)
    clients[1].subscriber.subscribe("*", None, 5)
    total = 6 * MAX_QUEUED
    writer = threading.Thread(target=lambda: [journal.append(*["a"] * 1_000) for _ in range(total // 1_000)])
    writer.start()
    writer.join()  # the loop stands meanwhile
    for client in clients:
        await until(lambda client=client: len(client.seqs) == total)
        assert client.seqs == list(range(1, total + 1))
        assert client.closed is None


async def test_many_batches_wake_the_loop_once(connect, journal, hub, monkeypatch):
    woken = []
    monkeypatch.setattr(
        hub, "_loop", type("Loop", (), {"call_soon_threadsafe": lambda _, call: woken.append(call)})()
    )
    for _ in range(50):
        journal.append("a")
    assert len(woken) == 1


async def test_an_event_has_its_node_and_message_in_its_data(connect, journal):
    client = connect()
    client.subscriber.subscribe("*", None, None)
    with journal.lock:
        journal.entries.append(JournalEntry(1, "a", StepStarted(at=1_000_000, node="n", visit=2, attempt=1)))
    journal.subscribers[0](journal.entries[-1:])
    await until(lambda: client.frames)
    event = client.frames[0]
    assert event["event_type"] == "node_execution"
    assert event["timestamp"] == "1970-01-01T00:00:01Z"
    assert event["run_id"] == "a"
    assert event["data"]["node_id"] == "n"
    assert event["data"]["visit"] == 2
    assert event["data"]["execution_event"] == "started"
    assert event["data"]["message"]


async def test_a_journal_that_cannot_be_read_closes_the_client(connect, journal, monkeypatch, expect_log):
    expect_log("had to be given up")

    def broken(**_):
        raise OSError("disk gone")

    monkeypatch.setattr(journal, "read_events", broken)
    client = connect()
    client.subscriber.subscribe("*", 0, None)
    await until(lambda: client.closed)
    assert client.closed == 1011


def deleted_in(client):
    return [event["data"]["run_ids"] for event in client.events if event["event_type"] == "runs_deleted"]


async def test_clients_are_told_of_deleted_runs_that_are_their_matter(connect, journal):
    every, one, typed, unwilling, graph, nothing = (connect() for _ in range(6))
    every.subscriber.subscribe("*", None, None)
    one.subscriber.subscribe("a1", None, None)
    one.subscriber.subscribe("b1", None, None)
    typed.subscriber.subscribe("*", None, None, ["runs_deleted"])
    unwilling.subscriber.subscribe("*", None, None, ["node_execution"])
    graph.subscriber.subscribe("graph:a", None, None)
    threading.Thread(target=journal.delete, args=("a1", "a2")).start()
    await until(lambda: all(map(deleted_in, (every, one, typed, graph))))
    assert [deleted_in(each) for each in (every, typed, graph)] == [[["a1", "a2"]]] * 3
    assert deleted_in(one) == [["a1"]]
    assert every.frames[-1]["seq"] is every.frames[-1]["run_id"] is None
    journal.append("z")
    await until(lambda: every.seqs[-1:] == [1])
    assert unwilling.frames == nothing.frames == []


async def test_what_runs_did_is_told_before_that_they_are_deleted(connect, journal, monkeypatch):
    monkeypatch.setattr(hub_module, "ENTRIES_A_TURN", 2)
    live, late = connect(), connect()
    live.subscriber.subscribe("*", None, None)
    journal.append(*["a1"] * 3)
    await until(lambda: live.seqs == [1, 2, 3])
    journal.read_delay_s = 0.05
    late.subscriber.subscribe("*", 0, 5)
    journal.append(*["a1"] * 7)
    journal.delete("a1")
    journal.append("b")
    await until(lambda: len(live.seqs) == 12 and len(late.seqs) == 12)
    for client in (live, late):
        place = client.seqs.index(None)
        assert place >= 10
        assert deleted_in(client) == [["a1"]]
        assert [seq for seq in client.seqs if seq] == list(range(1, 12))


def progress_in(client):
    return [
        (event["run_id"], event["data"]["node_id"], event["data"]["done"])
        for event in client.events
        if event["event_type"] == "step_progress"
    ]


async def test_progress_goes_to_who_asked_for_it_the_latest_of_each_step(connect, journal, hub):
    every, one, graph, plain = (connect() for _ in range(4))
    journal.say("a1", 1)
    every.subscriber.subscribe("*", None, 5, ["node_execution"], progress=True)
    one.subscriber.subscribe("a1", None, None, progress=True)
    graph.subscriber.subscribe("graph:b", None, None, progress=True)
    plain.subscriber.subscribe("*", None, None)
    journal.append("a1", "b1")
    await until(lambda: plain.seqs == [1, 2])
    said = [threading.Thread(target=journal.say, args=("b1", 5)) for _ in range(8)]
    for thread in said:
        thread.start()
    for thread in said:
        thread.join()
    for done in range(2, 50):
        journal.say("a1", done)
    journal.say("a1", 7, node="m")
    await until(lambda: len(progress_in(every)) >= 3 and len(progress_in(one)) >= 2 and progress_in(graph))
    assert set(progress_in(every)) == {("b1", "n", 5), ("a1", "n", 49), ("a1", "m", 7)}
    assert progress_in(one) == [("a1", "n", 49), ("a1", "m", 7)]
    assert set(progress_in(graph)) == {("b1", "n", 5)}
    assert progress_in(plain) == []
    told = one.frames[-1]
    assert (told["seq"], told["data"]["total"], told["data"]["message"]) == (None, 100, "on its way")
    assert told["data"].keys() == {"node_id", "visit", "attempt", "item", "done", "total", "message"}
    for client in (every, one, graph):
        for key in client.subscriber.keys:
            client.subscriber.unsubscribe(key)
    assert hub.progress_watchers == 0


async def test_progress_never_costs_a_slow_client_its_connection(connect, journal):
    slow = connect()
    slow.reads.clear()
    slow.subscriber.subscribe("*", None, None, progress=True)
    for done in range(3 * MAX_QUEUED):
        journal.say("a1", done)
        await asyncio.sleep(0)
    assert slow.closed is None
    assert slow.subscriber.queued <= 2 * subscriber_module.MAX_BEFORE_PROGRESS
    slow.reads.set()
    await until(lambda: slow.subscriber.queued == 0)
    journal.say("a1", 1, total=1)
    await until(lambda: progress_in(slow)[-1:] == [("a1", "n", 1)])
