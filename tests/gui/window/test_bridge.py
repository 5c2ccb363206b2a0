"""The bridge between the engine's thread and the window: order, completeness, and an event loop that stays free."""

import threading
import time

from engine.model.events import JournalEntry, StepStarted
from wfe_desktop import bridge as bridge_module
from wfe_desktop.bridge import EngineBridge


def make_entries(first: int, count: int) -> list[JournalEntry]:
    return [JournalEntry(seq, "run", StepStarted(0, "a", seq, 1)) for seq in range(first, first + count)]


def test_every_entry_arrives_once_and_in_order_from_another_thread(qtbot):
    bridge = EngineBridge()
    seen: list[int] = []
    bridge.entries.connect(lambda entries: seen.extend(entry.seq for entry in entries))

    def produce() -> None:
        for start in range(1, 20_001, 7):
            bridge.take(make_entries(start, min(7, 20_001 - start)))

    thread = threading.Thread(target=produce)
    thread.start()
    qtbot.waitUntil(lambda: len(seen) == 20_000, timeout=10_000)
    thread.join()
    assert seen == list(range(1, 20_001))
    bridge.close()


def test_many_entries_become_few_signals(qtbot):
    bridge = EngineBridge()
    batches: list[int] = []
    bridge.entries.connect(lambda entries: batches.append(len(entries)))
    for seq in range(1, 101):
        bridge.take(make_entries(seq, 1))
    qtbot.waitUntil(lambda: sum(batches) == 100)
    assert batches == [100]
    bridge.close()


def test_slow_views_make_it_wait_longer(qtbot):
    bridge = EngineBridge()
    seen: list[int] = []

    def show_slowly(entries: list[JournalEntry]) -> None:
        began = time.perf_counter()
        while time.perf_counter() - began < 0.03:
            pass
        seen.append(len(entries))

    bridge.entries.connect(show_slowly)
    bridge.take(make_entries(1, 1))
    qtbot.waitUntil(lambda: len(seen) == 1)
    qtbot.waitUntil(lambda: bridge.interval_ms >= 90)
    bridge.close()


def test_a_flood_is_dropped_and_the_views_are_told_to_read_again(qtbot, monkeypatch):
    monkeypatch.setattr(bridge_module, "MOST_WAITING", 1_000)
    bridge = EngineBridge()
    seen: list[JournalEntry] = []
    bridge.entries.connect(seen.extend)
    with qtbot.waitSignal(bridge.overflowed):
        bridge.take(make_entries(1, 1_001))
    bridge.take(make_entries(1_002, 2))
    qtbot.waitUntil(lambda: [entry.seq for entry in seen] == [1_002, 1_003])
    bridge.close()


def test_nothing_comes_after_it_was_closed(qtbot):
    bridge = EngineBridge()
    seen: list[JournalEntry] = []
    bridge.entries.connect(seen.extend)
    bridge.take(make_entries(1, 5))
    bridge.close()
    bridge.take(make_entries(6, 5))
    qtbot.wait(120)  # longer than the bridge would wait
    assert seen == []
