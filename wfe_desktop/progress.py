"""A run as it goes, on stderr: bars on a terminal, a line for each event everywhere else."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from engine.flow.presenter import present
from engine.flow.topology import compile_graph
from engine.model.events import JournalEntry, StepProgress
from engine.model.graph import GraphDefinition
from engine.model.run import EventRecord, RunSnapshot
from engine.model.status import RunStatus
from wfe_desktop.terminal import describe_amount, notice, plain

REFRESH_S: Final = 0.1
PROGRESS_LINE_EVERY_S: Final = 2.0
LONGEST_LINE: Final = 100


class View(Protocol):
    """Shows one run. For one thread."""

    def show(self, happened: JournalEntry | StepProgress) -> None:
        """Something happened."""

    def refresh(self) -> None:
        """Time has passed."""

    def announce_cancel(self) -> None:
        """The run is being cancelled."""

    def end(self, run: RunSnapshot) -> None:
        """The run has ended."""

    def close(self) -> None:
        """Leave the terminal as it was found; a second time does nothing."""


def make_view(graph: GraphDefinition, look: Callable[[], RunSnapshot]) -> View:
    """Bars where stderr is a terminal that can show them, else lines. ``look`` gives the run as it stands."""
    if sys.stderr.isatty() and os.environ.get("TERM") not in {None, "", "dumb"}:
        return Bars(graph, look)
    return Lines()


class Lines:
    """For files, pipes and terminals that cannot move their cursor."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def show(self, happened: JournalEntry | StepProgress) -> None:
        if isinstance(happened, JournalEntry):
            event = present(happened)
            notice(f"{_clock(event.timestamp)}  {event.message}")
        elif self._is_due(happened):
            notice(f"{_clock(datetime.now().astimezone())}  {happened.node}: {_how_far(happened)}")

    def refresh(self) -> None: ...

    def announce_cancel(self) -> None: ...

    def end(self, run: RunSnapshot) -> None: ...

    def close(self) -> None: ...

    def _is_due(self, progress: StepProgress) -> bool:
        now = time.monotonic()
        due = now - self._told.get(progress.node, 0.0) >= PROGRESS_LINE_EVERY_S
        if due:
            self._told[progress.node] = now
        return due


@dataclass(slots=True)
class _Step:
    """A step that is under way."""

    visit: int
    began: float = field(default_factory=time.monotonic)
    done: float = 0
    total: float | None = None
    message: str = ""
    items_done: int | None = None


class Bars:
    """The run in front of a person: a bar for all of it and one for each step under way, drawn some times a second.

    What went wrong, what tools say and what the run waits for stays above the bars.
    """

    def __init__(self, graph: GraphDefinition, look: Callable[[], RunSnapshot]) -> None:
        from rich.console import Console
        from rich.live import Live

        topology = compile_graph(graph)
        self._name = plain(graph.name)
        self._look = look
        self._total = None if topology.loops else len(topology.reachable)
        self._ended: dict[str, int] = {}
        self._steps: dict[str, _Step] = {}
        self._began = self._drawn = time.monotonic()
        self._note = ""
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def show(self, happened: JournalEntry | StepProgress) -> None:
        if isinstance(happened, StepProgress):
            step = self._steps.get(happened.node)
            if step is not None and happened.item is None:
                step.done, step.total, step.message = happened.done, happened.total, happened.message
            return
        event = present(happened)
        if event.event_type == "node_execution":
            self._follow(event)
        kind = event.data.get("execution_event", event.event_type)
        style = _KEPT.get(kind)
        if style is not None and (kind != "waiting" or not _PEOPLE.isdisjoint(event.data)):
            self._print(f"{_clock(event.timestamp)}  {event.message}", style)

    def refresh(self) -> None:
        now = time.monotonic()
        if now - self._drawn < REFRESH_S:
            return
        self._drawn = now
        if any(step.items_done is not None and step.total is None for step in self._steps.values()):
            self._count_items()
        self._live.update(self._draw(now), refresh=True)

    def announce_cancel(self) -> None:
        self._note = "being cancelled; Ctrl-C again ends at once"
        self._drawn = 0.0

    def end(self, run: RunSnapshot) -> None:
        self.close()
        count = len(run.current_state.execution_path)
        took = "" if run.duration_s is None else f" in {run.duration_s:.3g} s"
        steps = f"{count} step{'s' * (count != 1)}{took}"
        self._print(f"{self._name} {run.status.value}: {steps}", _ENDED.get(run.status, "yellow"))

    def close(self) -> None:
        self._live.stop()

    # What there is to show ----------------------------------------------------------------------------------

    def _follow(self, event: EventRecord) -> None:
        node, kind, item = event.node_id or "", event.data["execution_event"], event.data.get("item")
        if item is not None:
            if node in self._steps:
                step = self._steps[node]
                step.items_done = (step.items_done or 0) + (kind == "completed")
                step.done = step.items_done
        elif kind in {"completed", "failed", "skipped", "cancelled"}:
            self._steps.pop(node, None)
            self._ended[node] = event.data.get("visit", 1)
        else:  # started, or it waits
            step = self._steps.setdefault(node, _Step(event.data["visit"]))
            step.message = "" if kind == "started" else event.message.removeprefix(f"{node} ")
            if self._total is not None:  # it failed and is tried again; in a loop, visits add up
                self._ended.pop(node, None)

    def _count_items(self) -> None:
        for node, info in self._look().steps.items():
            if info.items_total is not None and node in self._steps:
                self._steps[node].total = info.items_total

    # How it is drawn ----------------------------------------------------------------------------------------

    def _draw(self, now: float) -> Any:
        from rich.table import Table

        width = min(self._console.width, LONGEST_LINE)
        table = Table.grid(padding=(0, 1))
        table.width = width
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=width // 3)
        table.add_column(width=width // 4)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        table.add_column(no_wrap=True, justify="right")
        done = len(self._ended) if self._total is not None else sum(self._ended.values())
        of_all = "" if self._total is None else f" of {self._total}"
        count = f"{done}{of_all} step{'s' * ((self._total or done) != 1)}"
        self._add_row(
            table, self._name, done, self._total, f"{count}  {self._note}", now - self._began, "bold"
        )
        room = max(1, self._console.height - 3)
        for node, step in list(self._steps.items())[:room]:
            visit = f" (visit {step.visit})" if step.visit > 1 else ""
            text = describe_amount(step.done, step.total, step.message)
            self._add_row(table, f"  {node}{visit}", step.done, step.total, text, now - step.began)
        if len(self._steps) > room:
            table.add_row(f"  and {len(self._steps) - room} more")
        return table

    def _add_row(
        self,
        table: Any,
        name: str,
        done: float,
        total: float | None,
        text: str,
        took_s: float,
        style: str = "",
    ) -> None:
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        # Without colours, one that pulses would look like one that is full.
        coloured = self._console.color_system is not None and not self._console.no_color
        bar = (
            ProgressBar(total=total, completed=done, pulse=total is None)
            if total is not None or coloured
            else ""
        )
        minutes, seconds = divmod(int(took_s), 60)
        table.add_row(
            Text(plain(name), style), bar, Text(plain(text)), Text(f"{minutes}:{seconds:02}", "dim")
        )

    def _print(self, text: str, style: str) -> None:
        from rich.text import Text

        self._console.print(Text(plain(text), style))


_ENDED: Final = {RunStatus.COMPLETED: "green", RunStatus.FAILED: "red"}
_KEPT: Final = {
    "failed": "red",
    "retrying": "yellow",
    "waiting": "yellow",
    "log": "",
    "workflow_paused": "yellow",
}
"""What is not only for the moment, with its style."""
_PEOPLE: Final = frozenset({"signal", "needs_decision"})
"""What a step has in its event when it waits for a person."""


def _how_far(progress: StepProgress) -> str:
    return describe_amount(progress.done, progress.total, progress.message)


def _clock(at: datetime) -> str:
    return at.astimezone().strftime("%H:%M:%S.%f")[:-3]
