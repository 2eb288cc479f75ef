"""Metrics: counts and durations of the events, in the Prometheus text format."""

from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
RUN_BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0, 86_400.0)

Fields = Mapping[str, Any]


class Metrics:
    """One registry; `sink` takes events. A label is looked up once: the lookup costs more than counting."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._runs_started = Counter("stepwell_runs_started", "Walks of runs that began.", registry=self._registry)
        self._runs_finished = Counter(
            "stepwell_runs_finished", "Runs that ended, by state.", ["state"], registry=self._registry
        )
        self._run_duration = Histogram(
            "stepwell_run_duration_seconds",
            "Time from a run's start to its end, waiting included.",
            registry=self._registry,
            buckets=RUN_BUCKETS,
        )
        self._steps = Counter(
            "stepwell_steps_finished", "Steps that ended, by status.", ["status"], registry=self._registry
        )
        self._retries = Counter("stepwell_steps_retried", "Failed attempts that are repeated.", registry=self._registry)
        self._requests = Counter(
            "stepwell_http_requests",
            "Requests answered, by route and status.",
            ["route", "status"],
            registry=self._registry,
        )
        self._request_duration = Histogram(
            "stepwell_http_request_duration_seconds",
            "Time from a request's head to the end of its answer, by route.",
            ["route"],
            registry=self._registry,
            buckets=REQUEST_BUCKETS,
        )
        self._faults = Counter(
            "stepwell_faults", "Faults of the server itself, by event.", ["event"], registry=self._registry
        )
        self._answered: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._ended: dict[str, Counter] = {}
        self._stepped: dict[str, Counter] = {}
        self._handlers: dict[str, Callable[[Fields], None]] = {
            "http.request": self._request,
            "run.started": self._run_started,
            "run.finished": self._run_finished,
            "step.finished": self._step_finished,
            "step.retried": self._step_retried,
            **{name: self._fault(name) for name in ("http.fault", "run.crashed", "step.fault", "service.failed")},
        }

    def sink(self, name: str, fields: Fields) -> None:
        """Count an event."""
        handler = self._handlers.get(name)
        if handler is not None:
            handler(fields)

    def watch(self, *, open_runs: Callable[[], int], active_runs: Callable[[], int]) -> None:
        """Tell what is asked for only when the metrics are read."""
        gauges = (
            ("stepwell_open_runs", "Runs that are not final.", open_runs),
            ("stepwell_active_runs", "Runs being walked now.", active_runs),
        )
        for name, help, value in gauges:
            Gauge(name, help, registry=self._registry).set_function(value)

    def exposition(self) -> tuple[bytes, str]:
        """The metrics as text, and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE

    def _request(self, fields: Fields) -> None:
        key = (fields["route"], fields["status"])
        found = self._answered.get(key)
        if found is None:
            route, status = key
            found = self._requests.labels(route, str(status)), self._request_duration.labels(route)
            self._answered[key] = found
        counter, histogram = found
        counter.inc()
        histogram.observe(fields["duration_ms"] / 1000)

    def _run_started(self, fields: Fields) -> None:
        self._runs_started.inc()

    def _run_finished(self, fields: Fields) -> None:
        _child(self._ended, self._runs_finished, fields["state"]).inc()
        self._run_duration.observe(fields["duration_ms"] / 1000)

    def _step_finished(self, fields: Fields) -> None:
        _child(self._stepped, self._steps, fields["status"]).inc()

    def _step_retried(self, fields: Fields) -> None:
        self._retries.inc()

    def _fault(self, name: str) -> Callable[[Fields], None]:
        counter = self._faults.labels(name)
        return lambda fields: counter.inc()


def _child(known: dict[str, Counter], parent: Counter, label: str) -> Counter:
    child = known.get(label)
    if child is None:
        child = known[label] = parent.labels(label)
    return child
