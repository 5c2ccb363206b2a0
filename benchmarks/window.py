"""How long the window's loop is away while its server is asked: ``python benchmarks/window.py [--rounds 3]``.

The real window (offscreen where there is no display) shows a run that goes on all the time. In each round it is measured first with no
requests, then with 500 requests a second, then with as many as four connections can make. What is printed are the times
between two beats of a timer that wants to fire every 5 ms: on the clock, and of the window's own thread's
processor time, which is what it did without coming back to its loop, whatever else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
import tempfile
import time
from pathlib import Path

from driver import HERE
from rest import SECONDS, Program, load, loop_body, show

REQUESTS_A_SECOND = 500


def read_gaps(started: Program, path: Path) -> list[tuple[float, float]]:
    """What the meter has seen since it was asked the last time."""
    path.unlink(missing_ok=True)
    started.process.send_signal(signal.SIGUSR1)
    while not path.exists():
        time.sleep(0.01)
    gaps: list[tuple[float, float]] = json.loads(path.read_text())
    return gaps


def paced(started: Program, path: str) -> tuple[float, float]:
    """Requests at their times over one connection: how many a second were answered, and the 99th percentile in ms."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{started.port}\r\n\r\n".encode()
    times: list[float] = []
    with socket.create_connection(("127.0.0.1", started.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.perf_counter()
        while (now := time.perf_counter() - began) < SECONDS:
            if (wait := len(times) / REQUESTS_A_SECOND - now) > 0:
                time.sleep(wait)
            sent = time.perf_counter()
            connection.sendall(request)
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += connection.recv(1 << 20)
            head, _, rest = answer.partition(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            while len(rest) < length:
                rest += connection.recv(1 << 20)
            times.append(time.perf_counter() - sent)
        seconds = time.perf_counter() - began
    return len(times) / seconds, statistics.quantiles(times, n=100)[98] * 1e3


def describe(gaps: list[tuple[float, float]]) -> str:
    """p99 and the longest, on the clock and of processor time."""
    texts = []
    for name, values in zip(("clock", "processor"), zip(*gaps, strict=True), strict=True):
        ordered = sorted(values)
        texts.append(f"{name} {ordered[int(len(ordered) * 0.99)] * 1e3:.0f} / {ordered[-1] * 1e3:.0f} ms")
    return ", ".join(texts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        path = Path(name) / "gaps.json"
        os.environ["BENCH_GAPS"] = str(path)
        started = Program(Path(name), window=True, main=HERE / "metered_window.py")
        try:
            measure(started, path, chosen.rounds)
        finally:
            started.stop()


def measure(started: Program, path: Path, rounds: int) -> None:
    graph_id = started.ask("POST", "/graph/create", loop_body("nap", 10_000))["graph_id"]
    state = f"/graph/state/{started.run(graph_id)['run_id']}"
    time.sleep(3)  # the window has come up
    read_gaps(started, path)
    found: dict[str, list[tuple[float, float]]] = {}
    rates: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        time.sleep(SECONDS)
        found.setdefault("no requests", []).extend(read_gaps(started, path))
        rates.setdefault("500 requests a second", []).append(paced(started, state))
        found.setdefault("500 requests a second", []).extend(read_gaps(started, path))
        rates.setdefault("as many as can be", []).append(load(started, state)[:2])
        found.setdefault("as many as can be", []).extend(read_gaps(started, path))
    print("| the window's loop, p99 / longest away, and answers | measured | target |\n|---|---:|---:|")
    for name, gaps in found.items():
        show(f"{name}: away", describe(gaps), "50 ms")
        if name in rates:
            rate, late = (statistics.median(each[i] for each in rates[name]) for i in (0, 1))
            show(
                f"{name}: answers",
                f"{rate:,.0f}/s, p99 {late:.1f} ms",
                "1,500/s, 10 ms" if rate > 600 else "",
            )


if __name__ == "__main__":
    main()
