"""Subjects as processes, asked in turn, so that what changes on the machine meanwhile changes for all of them."""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shapes import Sizes

HERE = Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Kind:
    """A subject: its name in the table, its script with arguments, its interpreter, and the sizes it is asked for."""

    name: str
    script: tuple[str, ...]
    python: str
    sizes: Sizes
    rounds: int


class SubjectFailed(Exception):
    """A subject ended before it answered."""


class Process:
    """A running subject."""

    def __init__(self, kind: Kind, folder: Path, synchronous: str) -> None:
        self.kind = kind
        self._log = folder.with_name(folder.name + ".log")
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [kind.python, HERE / kind.script[0], *kind.script[1:], folder, synchronous],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def ask(self, workload: str) -> dict[str, float]:
        """Run the workload once: ``seconds``, ``cpu_seconds``, ``peak_mb`` and ``written_bytes``."""
        asked = json.dumps({"name": workload, "sizes": dataclasses.asdict(self.kind.sizes)})
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(asked, file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except (BrokenPipeError, ValueError):  # it ended, or was stopped before
            line = ""
        if not line:
            self.stop()
            raise SubjectFailed(f"{self.kind.name}, {workload}: {self._log.read_text()[-1_500:]}")
        answer: dict[str, float] = json.loads(line)
        return answer

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def started(kinds: list[Kind], folder: Path, synchronous: str) -> Iterator[list[Process]]:
    """These subjects as processes, each with a folder of its own."""
    processes: list[Process] = []
    try:
        for number, kind in enumerate(kinds):
            processes.append(Process(kind, folder / f"{synchronous}-{number}", synchronous))
        yield processes
    finally:
        for process in processes:
            process.stop()


@dataclasses.dataclass(frozen=True)
class Figure:
    """What was measured of one subject and one workload, a value a round."""

    values: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> str:
        return f"{min(self.values):.0f}-{max(self.values):.0f}"


def interleave(processes: list[Process], workload: str) -> dict[str, Figure]:
    """The seconds of each subject, asked in turn, a round after a round, after one that does not count."""
    seconds: dict[str, list[float]] = {}
    failed: set[str] = set()
    for number in range(1 + max(process.kind.rounds for process in processes)):
        for process in processes:
            kind = process.kind
            if number > kind.rounds or kind.name in failed:
                continue
            try:
                answer = process.ask(workload)
            except SubjectFailed as error:
                failed.add(kind.name)
                print(error, file=sys.stderr)
                continue
            if number:
                seconds.setdefault(kind.name, []).append(answer["seconds"])
    return {name: Figure(values) for name, values in seconds.items()}


def once(kind: Kind, folder: Path, synchronous: str, workloads: list[str]) -> list[dict[str, Any]]:
    """These workloads, each once, in a new process: its answers."""
    process = Process(kind, folder, synchronous)
    try:
        return [process.ask(workload) for workload in workloads]
    finally:
        process.stop()
