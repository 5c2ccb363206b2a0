"""What the history adds up to. Plain immutable data; durations in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.model.status import RunStatus


@dataclass(frozen=True, slots=True)
class Durations:
    """How long completed runs took, from start to end; ``count`` is how many there are, None where there is none.

    ``p50_s`` and ``p95_s`` are durations that really occurred: that of the run at this rank.
    """

    count: int = 0
    mean_s: float | None = None
    p50_s: float | None = None
    p95_s: float | None = None
    max_s: float | None = None


@dataclass(frozen=True, slots=True)
class GraphStatistics:
    """The runs of one graph. ``graph_name`` is the name it had in its latest run."""

    graph_id: str
    graph_name: str
    total_count: int
    by_status: Mapping[RunStatus, int]
    durations: Durations


@dataclass(frozen=True, slots=True)
class RunStatistics:
    """All runs asked for. ``by_status`` has every status; ``by_graph`` those with the most runs first."""

    total_count: int
    by_status: Mapping[RunStatus, int]
    durations: Durations
    by_graph: tuple[GraphStatistics, ...]
    graph_count: int
