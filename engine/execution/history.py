"""What the journal and the list of runs tell: the part of the engine that only reads the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from engine.execution.step_pages import StepPages
from engine.flow.presenter import present
from engine.flow.step_records import list_steps
from engine.model.events import JournalEntry
from engine.model.run import EventRecord, HistoryPage, StepPage, StepRecord
from engine.model.statistics import RunStatistics
from engine.model.status import RunStatus, StepStatus
from engine.storage.journal import StateManager


class RunHistory:
    """Questions about runs, ended or not, as they are recorded. Each waits for the database."""

    def __init__(self, states: StateManager) -> None:
        self.states = states
        self._step_pages = StepPages(states)

    def get_execution_logs(
        self, run_id: str, since: int = 0, limit: int | None = None, types: Sequence[str] | None = None
    ) -> list[EventRecord]:
        """The run's events with a ``seq`` above ``since``, oldest first; of these ``event_type``s where given.

        Raises:
            RunNotFound: there is no such run.
        """
        self.states.get_run(run_id)
        records: list[EventRecord] = []
        while True:
            entries = self.states.read_events(since, run_id)
            for entry in entries:
                record = present(entry)
                if types is None or record.event_type in types:
                    records.append(record)
                    if len(records) == limit:
                        return records
            if len(entries) < 1_000:
                return records
            since = entries[-1].seq

    def query_historical_executions(
        self,
        graph_id: str | None = None,
        status: RunStatus | str | Sequence[RunStatus | str] | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        limit: int = 50,
        offset: int = 0,
        parent_run_id: str | None = None,
        *,
        top_level: bool = False,
    ) -> HistoryPage:
        """A page of all runs, newest first. ``start_date`` is included, ``end_date`` is not; both by acceptance.

        With ``parent_run_id``, the runs that steps of that run started; with ``top_level``, only runs that no step started.
        """
        return self.states.query_runs(
            graph_id, status, start_date, end_date, limit, offset, parent_run_id, top_level=top_level
        )

    def get_execution_statistics(
        self,
        graph_id: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> RunStatistics:
        """Counts by status and by graph, and durations in seconds. ``limit`` and ``offset`` page the graphs."""
        return self.states.get_statistics(graph_id, start_date, end_date, limit, offset)

    def get_execution_steps(self, run_id: str) -> list[StepRecord]:
        """Every attempt of every step and item of the run, in the order in which they began.

        Raises:
            RunNotFound: there is no such run.
        """
        self.states.get_run(run_id)
        return list_steps(entry.event for entry in self.states.read_events(0, run_id, limit=None))

    def query_execution_steps(
        self,
        run_id: str,
        node_id: str | None = None,
        status: StepStatus | str | None = None,
        visit: int | None = None,
        limit: int = 50,
        offset: int = 0,
    ) -> StepPage:
        """A page of the steps, of one node, at one status or of one visit where given.

        Large results are left out. A run's journal is read once; asked again, only what has come to it is.

        Raises:
            RunNotFound: there is no such run.
        """
        self.states.get_run(run_id)
        filters = {"node_id": node_id, "status": status and StepStatus(status), "visit": visit}
        asked = {name: value for name, value in filters.items() if value is not None}

        def is_wanted(step: StepRecord) -> bool:
            return all(getattr(step, name) == value for name, value in asked.items())

        return self._step_pages.read(run_id, is_wanted if asked else None, limit, offset)

    def read_events(
        self,
        since: int = 0,
        run_id: str | None = None,
        graph_id: str | None = None,
        limit: int | None = 1_000,
    ) -> list[JournalEntry]:
        """The journal from after ``since``, oldest first; of one run or one graph where given."""
        return self.states.read_events(since, run_id, graph_id, limit)
