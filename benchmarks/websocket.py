"""What WebSocket clients cost the engine: ``python benchmarks/websocket.py [--rounds 3]``.

The headless program runs loops of steps that sleep, so that it records some 5,000 events a second, and is watched by nobody, by 10
clients with one event a frame, and by 100 clients with arrays (``batch_ms`` 100). Each round has all three, one after the other,
and what is printed is the median of the rounds' ratios to nobody. The clients are one process of their own; each
checks that it is sent every event, in order.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import selectors
import socket
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from rest import Program, graph_body, low_high, middle, program, show

LOOPS = 50
PASSES = 250
PONG = bytes([0x8A, 0x80, 0, 0, 0, 0])
TICKS = os.sysconf("SC_CLK_TCK")
SUBSCRIBE = {
    10: b'{"action":"subscribe","run_id":"*"}',
    100: b'{"action":"subscribe","run_id":"*","batch_ms":100}',
}


class Watcher:
    """One client: counts the events it is sent and sees to it that none is missing and all are in order."""

    def __init__(self, port: int, subscribe: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(
            (
                f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            ).encode()
        )
        self.buffer = bytearray()
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += self.socket.recv(1 << 16)
        del self.buffer[: self.buffer.index(b"\r\n\r\n") + 4]
        self.socket.sendall(bytes([0x81, 0x80 | len(subscribe), 0, 0, 0, 0]) + subscribe)
        self.seq = 0
        self.events = 0
        self.frames = 0

    def read(self) -> None:
        data = self.socket.recv(1 << 20)
        if not data:
            raise RuntimeError("a client was closed")
        self.buffer += data
        start = 0
        while (ends := self._frame(start)) is not None:
            begin, end = ends
            if self.buffer[start] == 0x89:
                self.socket.sendall(PONG)
            else:
                self._take(begin, end)
            start = end
        del self.buffer[:start]

    def _frame(self, start: int) -> tuple[int, int] | None:
        """Where the content of the frame at ``start`` begins and ends, if all of it is there."""
        have = len(self.buffer)
        if have < start + 2:
            return None
        size, begin = self.buffer[start + 1], start + 2
        if size >= 126:
            begin += 2 if size == 126 else 8
            if have < begin:
                return None
            size = int.from_bytes(self.buffer[start + 2 : begin])
        return None if have < begin + size else (begin, begin + size)

    def _take(self, begin: int, end: int) -> None:
        if self.buffer.find(b'"seq":null', begin, end) >= 0:
            return  # a message of the server's own
        first = self._number(self.buffer.find(b'"seq":', begin, end))
        last = self._number(self.buffer.rfind(b'"seq":', begin, end))
        count = self.buffer.count(b'"seq":', begin, end)
        if last - first + 1 != count or (self.seq and first != self.seq + 1):
            raise RuntimeError(f"events are missing or out of order: {self.seq} {first} {last} {count}")
        self.seq, self.events, self.frames = last, self.events + count, self.frames + 1

    def _number(self, at: int) -> int:
        return int(self.buffer[at + 6 : self.buffer.index(b",", at)])


def watch(port: int, clients: int, pipe: Connection) -> None:
    """The process of the clients: ready, then until told the seq to which all have to come."""
    watchers = [Watcher(port, SUBSCRIBE[clients]) for _ in range(clients)]
    chosen = selectors.DefaultSelector()
    for watcher in watchers:
        chosen.register(watcher.socket, selectors.EVENT_READ, watcher)
    chosen.register(pipe, selectors.EVENT_READ, None)
    pipe.send("ready")
    goal: int | None = None
    while goal is None or min(watcher.seq for watcher in watchers) < goal:
        for key, _ in chosen.select(10):
            if key.data is None:
                goal = pipe.recv()
                chosen.unregister(pipe)
            else:
                key.data.read()
    pipe.send((min(w.events for w in watchers), sum(w.frames for w in watchers)))


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def run_loops(started: Program, graph_id: str) -> tuple[float, float, int]:
    """Seconds and processor seconds for all loops, and the events they made."""
    before, cpu = started.ask("GET", "/health")["last_seq"], cpu_s(started.process.pid)
    began = time.perf_counter()
    runs = [started.run(graph_id)["run_id"] for _ in range(LOOPS)]
    while started.ask("GET", "/health")["active_runs"]:
        time.sleep(0.01)
    seconds = time.perf_counter() - began
    status = started.ask("GET", f"/graph/state/{runs[-1]}")["status"]
    if status != "completed":
        raise RuntimeError(status)
    last = started.ask("GET", "/health")["last_seq"]
    return seconds, cpu_s(started.process.pid) - cpu, last - before


def measure(started: Program, graph_id: str, clients: int) -> dict[str, float]:
    if not clients:
        seconds, cpu, events = run_loops(started, graph_id)
        return {"seconds": seconds, "cpu": cpu, "events": events, "behind": 0.0}
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=watch, args=(started.port, clients, theirs), daemon=True)
    process.start()
    ours.recv()
    seconds, cpu, events = run_loops(started, graph_id)
    ended = time.perf_counter()
    ours.send(started.ask("GET", "/health")["last_seq"])
    if not ours.poll(60):
        raise RuntimeError("the clients did not get everything")
    seen, _frames = ours.recv()
    process.join()
    if seen != events:
        raise RuntimeError(f"{events} events, {seen} seen")
    return {"seconds": seconds, "cpu": cpu, "events": events, "behind": time.perf_counter() - ended}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--window", action="store_true")
    chosen = parser.parse_args()
    found: dict[int, list[dict[str, Any]]] = {0: [], 10: [], 100: []}
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name,
        program(Path(name), window=chosen.window) as started,
    ):
        body = graph_body("snooze", 1, (), "snooze")
        body["edges"] = [{"from_node": "n0", "to_node": "n0", "condition": f"visit < {PASSES}"}]
        graph_id = started.ask("POST", "/graph/create", {**body, "entry_point": "n0"})["graph_id"]
        run_loops(started, graph_id)  # does not count
        for _ in range(chosen.rounds):
            for clients, rounds in found.items():
                rounds.append(measure(started, graph_id, clients))
    print("| what | measured | target |\n|---|---:|---:|")
    for clients, rounds in found.items():
        rates = [each["events"] / each["seconds"] for each in rounds]
        name = {0: "nobody", 10: "10 clients, one event a frame", 100: "100 clients, arrays"}[clients]
        show(f"{name}: events a second", f"{middle(rates):,.0f} ({low_high(rates, 0)})", "")
        cpu = [each["cpu"] / each["events"] * 1e6 for each in rounds]
        show(
            f"{name}: processor time of the program an event",
            f"{middle(cpu):.0f} µs ({low_high(cpu, 0)})",
            "",
        )
        if clients:
            slower = [each["seconds"] / none["seconds"] for each, none in zip(rounds, found[0], strict=True)]
            behind = statistics.median(each["behind"] for each in rounds) * 1e3
            show(
                f"{name}: time of the engine, to that with nobody",
                f"{middle(slower):.2f} ({low_high(slower, 2)})",
                "1.10",
            )
            show(f"{name}: the last event is there after the run's end by", f"{behind:.0f} ms", "")


if __name__ == "__main__":
    main()
