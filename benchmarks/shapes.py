"""The workloads as plain data, and the process that runs them: shared by every subject, ours and the baselines.

A subject is a program that is asked for one workload after another and answers how long each took, so that subjects
can be measured in turn, each with nothing but its own in its memory. Only the standard library is needed here: the
baselines live in an environment of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAP_S = 0.01
LAYER = 50


@dataclass(frozen=True)
class Workload:
    """``runs`` of one graph: nodes 0 to ``count - 1``, an edge for each pair; ``passes`` over node 0 in a loop."""

    name: str
    runs: int
    count: int
    pairs: tuple[tuple[int, int], ...] = ()
    passes: int = 1
    together: bool = False  # all runs at once, else one after another
    naps: bool = False  # each step sleeps NAP_S instead of adding 1
    workers: int | None = None  # None: as shipped
    beside: bool = False  # while a CPU-bound tool runs in the same engine

    @property
    def steps(self) -> int:
        return self.runs * self.count * self.passes

    def sources(self) -> list[list[int]]:
        """By node, those it waits for."""
        found: list[list[int]] = [[] for _ in range(self.count)]
        for source, target in self.pairs:
            found[target].append(source)
        return found


@dataclass(frozen=True)
class Sizes:
    """How much of each workload: those of the published figures, unless told otherwise."""

    chains: int = 200
    fans: int = 10
    width: int = 100
    passes: int = 1_000
    sleepers: int = 100
    nodes: int = 5_000
    beside: int = 60


def chain_pairs(count: int) -> tuple[tuple[int, int], ...]:
    return tuple((i, i + 1) for i in range(count - 1))


def layer_pairs(count: int, width: int = LAYER) -> tuple[tuple[int, int], ...]:
    """A layered graph, each node with one to three inputs from the layer before."""
    dice = random.Random(1)
    pairs: list[tuple[int, int]] = []
    for node in range(width, count):
        first = (node // width - 1) * width
        pairs += [(source, node) for source in dice.sample(range(first, first + width), dice.randint(1, 3))]
    return tuple(pairs)


def make_workloads(sizes: Sizes) -> dict[str, Workload]:
    middle = range(1, sizes.width + 1)
    last = sizes.width + 1
    fan = (*((0, node) for node in middle), *((node, last) for node in middle))
    chain = chain_pairs(10)
    listed = (
        Workload("W1", sizes.chains, 10, chain),
        Workload("W2", sizes.fans, last + 1, fan),
        Workload("W3", 1, 1, passes=sizes.passes),
        Workload("W4/16", sizes.sleepers, 10, chain, together=True, naps=True, workers=16),
        Workload("W4/64", sizes.sleepers, 10, chain, together=True, naps=True, workers=64),
        Workload("W5", 1, sizes.nodes, layer_pairs(sizes.nodes)),
        Workload("W7/alone", sizes.beside, 10, chain),
        Workload("W7", sizes.beside, 10, chain, beside=True),
    )
    return {workload.name: workload for workload in listed}


def increment(x: int) -> int:
    return x + 1


def nap(x: int) -> int:
    time.sleep(NAP_S)
    return x


def burn(x: int) -> int:
    """A fifth of a second or so of pure Python: what a careless tool does."""
    total = x
    for number in range(4_000_000):
        total ^= number
    return x


@dataclass(frozen=True)
class Settings:
    folder: Path
    synchronous: str  # "normal", "full", or "shipped": whatever the subject does by itself


def subject_arguments() -> Settings:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("synchronous", choices=("normal", "full", "shipped"))
    given = parser.parse_args()
    return Settings(given.folder, given.synchronous)


def peak_mb() -> float:
    """The most memory this process has had at one time."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def written_bytes() -> int:
    """So much this process has written so far, into files that is, as a rule: databases and their logs."""
    for line in Path("/proc/self/io").read_text().splitlines():
        if line.startswith("wchar"):
            return int(line.split()[1])
    return 0


def serve(prepare: Callable[[Workload], Callable[[], None]]) -> None:
    """Run the workloads that the driver asks for. What tools or libraries print goes to the standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    ready: dict[str, Callable[[], None]] = {}
    for line in sys.stdin:
        asked: dict[str, Any] = json.loads(line)
        workload = make_workloads(Sizes(**asked["sizes"]))[asked["name"]]
        go = ready.get(line)
        if go is None:
            go = ready[line] = prepare(workload)
        written, began, used = written_bytes(), time.perf_counter(), time.process_time()
        go()
        answer = {
            "seconds": time.perf_counter() - began,
            "cpu_seconds": time.process_time() - used,
            "peak_mb": peak_mb(),
            "written_bytes": written_bytes() - written,
        }
        print(json.dumps(answer), file=answers, flush=True)
