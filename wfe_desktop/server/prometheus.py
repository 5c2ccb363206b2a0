"""The metrics in the text format of Prometheus. The names stay; labels have few values, never an id of a run or graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from wfe_desktop.server.failures import HttpError
from wfe_desktop.server.system_payloads import DurationsHistogram, Metrics

if TYPE_CHECKING:
    from prometheus_client.core import Metric

EXTRA: Final = "metrics"
_GAUGES: Final = (
    ("active_runs", "Runs that have not ended.", "engine", "active_runs"),
    ("running_steps", "Steps that are running or queued for a worker.", "engine", "running_steps"),
    ("abandoned_threads", "Threads still busy with a step that was given up.", "engine", "abandoned_threads"),
    ("workers", "Threads that may run tools.", "engine", "workers"),
    ("journal_last_seq", "The newest event's seq.", "engine", "last_seq"),
    ("journal_lag_events", "Events that the server has not handed out yet.", "server", "journal_lag_events"),
    ("websocket_connections", "WebSocket clients.", "server", "websocket_connections"),
    ("websocket_queued_messages", "Messages that wait for them.", "server", "websocket_queued"),
    ("http_requests_in_progress", "Requests without an answer yet.", "server", "requests_in_progress"),
    ("process_threads", "Threads of the process.", "process", "threads"),
    ("process_memory_bytes", "Memory that the process holds.", "process", "memory_rss_bytes"),
    ("process_memory_peak_bytes", "The most that it held.", "process", "memory_peak_bytes"),
)
_COUNTERS: Final = (
    ("runs_accepted", "Runs accepted.", "runs", "accepted"),
    ("journal_commits", "Commits of the journal.", "engine", "commits"),
    ("journal_commit_seconds", "Time that they took.", "engine", "commit_s"),
    ("events_dispatched", "Events handed to the WebSocket clients' side.", "server", "events_dispatched"),
    ("websocket_clients_dropped", "Clients given up for reading too slowly.", "server", "websocket_dropped"),
)

_RESOURCES: Final = {
    "limit": "Tokens that there are of a resource.",
    "in_use": "Tokens that steps hold.",
    "abandoned": "Of these, held by calls that were given up.",
    "waiting": "Steps that wait for tokens.",
}


def render_metrics(metrics: Metrics) -> tuple[bytes, str]:
    """The exposition and its content type.

    Raises:
        HttpError: 501, prometheus-client is not installed.
    """
    try:
        from prometheus_client import CollectorRegistry
        from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
    except ImportError:
        raise HttpError(
            501,
            f"this address needs the extra '{EXTRA}': pip install 'agent-workflow-engine[{EXTRA}]'; "
            "/system/metrics has the same figures as JSON",
            details={"extra": EXTRA},
        ) from None
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(metrics))
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Collector:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        metrics = self._metrics
        for name, text, part, field in _GAUGES:
            if (value := getattr(getattr(metrics, part), field)) is not None:
                yield GaugeMetricFamily(f"wfe_{name}", text, value)
        for name, text, part, field in _COUNTERS:
            yield CounterMetricFamily(f"wfe_{name}", text, getattr(getattr(metrics, part), field))
        yield _by_label("wfe_runs", "Runs that ended.", "status", metrics.runs.ended)
        yield _by_label("wfe_steps", "Attempts of steps that ended.", "outcome", metrics.steps.ended)
        yield _by_label(
            "wfe_http_requests", "Requests answered.", "status", metrics.server.requests_by_status
        )
        cpu = {"user": metrics.process.cpu_user_s, "system": metrics.process.cpu_system_s}
        yield _by_label("wfe_process_cpu_seconds", "Processor time of the process.", "mode", cpu)
        for field, text in _RESOURCES.items():
            family = GaugeMetricFamily(f"wfe_resource_{field}", text, labels=["resource"])
            for name, usage in metrics.engine.resources.items():
                family.add_metric([name], getattr(usage, field))
            yield family
        yield _histogram("wfe_run_duration_seconds", "From start to end of runs.", metrics.runs.durations)
        yield _histogram("wfe_step_duration_seconds", "Attempts of steps.", metrics.steps.durations)


def _by_label(name: str, text: str, label: str, values: Any) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([str(key)], value)
    return family


def _histogram(name: str, text: str, found: DurationsHistogram) -> Metric:
    from prometheus_client.core import HistogramMetricFamily

    family = HistogramMetricFamily(name, text)
    buckets = [(f"{bound:g}", float(found.up_to_s[bound])) for bound in found.up_to_s]
    family.add_metric([], [*buckets, ("+Inf", float(found.count))], found.sum_s)
    return family
