"""What users wait for, apart from steps: ``python benchmarks/rest.py [start http journal] [--window]``.

  start    main.py --headless: from the process's start to the first answer with status 200
  http     a chain of 10 steps created, run and finished over HTTP; GET /graph/state while a run is going, with four connections;
           peak memory of the headless process after W5
  journal  with 1,000,000 events: the history list, and one run opened by an engine that has not seen it

With ``--window`` the program has its window (on an offscreen platform where there is no display).
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from driver import HERE
from shapes import Sizes, chain_pairs, layer_pairs, make_workloads

TOOLS = '''
import asyncio
import time

from engine import tool


@tool(name="increment")
def increment(x: int) -> int:
    """x + 1"""
    return x + 1


@tool(name="nap")
def nap(x: int) -> int:
    """Sleeps 10 ms."""
    time.sleep(0.01)
    return x + 1


@tool(name="snooze")
async def snooze(x: int) -> int:
    """Sleeps 16 ms and holds no thread."""
    await asyncio.sleep(0.016)
    return x + 1
'''
LISTS: dict[str, dict[str, Any]] = {
    "history list, newest 50": {},
    "history list, 50 from the middle": {"offset": 20_000},
    "history list, those that failed": {"status": "failed"},
}
CONNECTIONS = 4
SECONDS = 5.0


class Program:
    """main.py as a process, and one connection to it."""

    def __init__(self, folder: Path, *, window: bool, main: Path = HERE.parent / "main.py") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        tools = folder / "tools"
        tools.mkdir(exist_ok=True)
        (tools / "trivial.py").write_text(TOOLS, encoding="utf-8")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        command = [sys.executable, main, "--port", str(self.port)]
        command += ["--database", folder / "ours.db", "--tools", tools, *([] if window else ["--headless"])]
        environment = {**os.environ, "WFE_SYNCHRONOUS": "normal"}
        if window and not (environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")):
            environment["QT_QPA_PLATFORM"] = "offscreen"
        began = time.perf_counter()
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while True:
            try:
                self.connection.request("GET", "/health")
                answer = self.connection.getresponse()
                answer.read()
                if answer.status == 200:
                    break
            except OSError:
                self.connection.close()
                if self.process.poll() is not None:
                    raise RuntimeError("the program did not start") from None
                time.sleep(0.002)
        self.ready_s = time.perf_counter() - began

    def ask(self, method: str, path: str, body: object = None) -> Any:
        text = None if body is None else json.dumps(body)
        self.connection.request(method, path, text, {"Content-Type": "application/json"} if text else {})
        answer = self.connection.getresponse()
        found = json.loads(answer.read())
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {found}")
        return found

    def run(self, graph_id: str, wait_s: float | None = None) -> Any:
        body: dict[str, Any] = {"graph_id": graph_id, "initial_state": {"x": 0}}
        return self.ask("POST", "/graph/run", body if wait_s is None else {**body, "wait_s": wait_s})

    def peak_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def stop(self) -> None:
        self.connection.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def program(folder: Path, *, window: bool) -> Iterator[Program]:
    started = Program(folder, window=window)
    try:
        yield started
    finally:
        started.stop()


def graph_body(name: str, count: int, pairs: tuple[tuple[int, int], ...], tool: str = "increment") -> Any:
    node = {"function_name": tool, "bindings": {"x": "state.x"}, "save_as": "x"}
    nodes = [{"id": f"n{i}", **node} for i in range(count)]
    edges = [{"from_node": f"n{a}", "to_node": f"n{b}"} for a, b in pairs]
    return {"name": name, "nodes": nodes, "edges": edges}


def loop_body(tool: str, passes: int) -> Any:
    body = graph_body("loop", 1, (), tool)
    body["edges"] = [{"from_node": "n0", "to_node": "n0", "condition": f"visit < {passes}"}]
    return {**body, "entry_point": "n0"}


def measure_start(folder: Path, rounds: int, *, window: bool) -> None:
    times: list[float] = []
    for number in range(rounds + 1):
        with program(folder / "start", window=window) as started:
            if number:
                times.append(started.ready_s)
    show("ready to serve (the database exists)", f"{middle(times):.2f} s ({low_high(times, 2)})", "0.8 s")


def measure_http(folder: Path, rounds: int, *, window: bool) -> None:
    with program(folder / "http", window=window) as started:
        body = graph_body("chain", 10, chain_pairs(10))
        times: list[float] = []
        for number in range(20 * rounds):
            began = time.perf_counter()
            graph_id = started.ask("POST", "/graph/create", body)["graph_id"]
            status = started.run(graph_id, 30)["status"]
            if status != "completed":
                raise RuntimeError(status)
            if number >= rounds:
                times.append((time.perf_counter() - began) * 1e3)
        show("create + run + finished, 10 steps", f"{middle(times):.1f} ms ({low_high(times)})", "10 ms")
        for label, tool in (("a run that naps", "nap"), ("a run at full speed", "increment")):
            graph_id = started.ask("POST", "/graph/create", loop_body(tool, 10_000))["graph_id"]
            run_id = started.run(graph_id)["run_id"]
            rate, late, status = load(started, f"/graph/state/{run_id}")
            show(
                f"GET /graph/state beside {label} ({status} at the end)",
                f"{rate:,.0f}/s, p99 {late:.1f} ms",
                "1,500/s, 10 ms",
            )
            if status == "running":
                started.ask("POST", f"/graph/cancel/{run_id}")
        graph_id = started.ask("POST", "/graph/create", graph_body("W5", 5_000, layer_pairs(5_000)))[
            "graph_id"
        ]
        before = started.peak_mb()
        started.run(graph_id, 60)
        show(
            "peak memory with the graph of W5, and after its run",
            f"{before:.0f} and {started.peak_mb():.0f} MB",
            "90 MB",
        )


def load(started: Program, path: str) -> tuple[float, float, str]:
    """Requests a second of connections that each ask again at once; 99th percentile in ms; the last status seen."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{started.port}\r\n\r\n".encode()
    chosen = selectors.DefaultSelector()
    sent: dict[socket.socket, float] = {}
    got: dict[socket.socket, bytes] = {}
    for _ in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", started.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        chosen.register(connection, selectors.EVENT_READ)
        connection.sendall(request)
        sent[connection], got[connection] = time.perf_counter(), b""
    times: list[float] = []
    last = b""
    began = time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        for key, _ in chosen.select(1):
            connection = key.fileobj  # type: ignore[assignment]
            got[connection] += connection.recv(1 << 20)
            head, found, rest = got[connection].partition(b"\r\n\r\n")
            if not found or len(rest) < int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]):
                continue
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            times.append(time.perf_counter() - sent[connection])
            last, got[connection] = rest, b""
            sent[connection] = time.perf_counter()
            connection.sendall(request)
    seconds = time.perf_counter() - began
    for connection in sent:
        connection.close()
    return len(times) / seconds, statistics.quantiles(times, n=100)[98] * 1e3, json.loads(last)["status"]


def measure_journal(folder: Path, rounds: int, *, window: bool) -> None:  # noqa: ARG001 - all are called alike
    from history import fill
    from subject_engine import Ours, make_graph

    length = fill(folder / "journal", 1_000_000)
    ours = Ours(folder / "journal", "normal")
    workload = make_workloads(Sizes())["W3"]
    long_run = ours.run(ours.graphs.create_graph(make_graph(workload)))
    ours.close()
    found: dict[str, list[float]] = {}
    for _ in range(rounds + 1):
        began = time.perf_counter()
        ours = Ours(folder / "journal", "normal")
        ours.engine.recover()
        found.setdefault("open the engine", []).append((time.perf_counter() - began) * 1e3)
        for name, asked in LISTS.items():
            began = time.perf_counter()
            ours.states.query_runs(limit=50, **asked)
            found.setdefault(name, []).append((time.perf_counter() - began) * 1e3)
        page = ours.states.query_runs(limit=1, offset=20_000).executions
        for name, run_id in (
            ("open one run of 10 steps", page[0].run_id),
            ("open one run of 1,000", long_run),
        ):
            began = time.perf_counter()
            ours.engine.get_execution_status(run_id)
            found.setdefault(name, []).append((time.perf_counter() - began) * 1e3)
        ours.close()
    for name, times in found.items():
        target = {"h": "100 ms", "o": "200 ms"}[name[0]] if name != "open the engine" else ""
        show(f"{length:,} events: {name}", f"{middle(times[1:]):.1f} ms ({low_high(times[1:])})", target)


def middle(values: list[float]) -> float:
    return statistics.median(values)


def low_high(values: list[float], digits: int = 1) -> str:
    return f"{min(values):.{digits}f}-{max(values):.{digits}f}"


def show(what: str, value: str, target: str) -> None:
    print(f"| {what} | {value} | {target} |", flush=True)


def main() -> None:
    measures = {"start": measure_start, "http": measure_http, "journal": measure_journal}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("measures", nargs="*", choices=[[], *measures], help="default: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--window", action="store_true")
    chosen = parser.parse_args()
    print("| what | measured | target |\n|---|---:|---:|")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        for asked, measure in measures.items():
            if not chosen.measures or asked in chosen.measures:
                measure(Path(name), chosen.rounds, window=chosen.window)


if __name__ == "__main__":
    main()
