"""Metrics: counts and durations of the events, in the Prometheus text format."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REQUEST_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
RUN_BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0, 86_400.0)

Fields = Mapping[str, Any]
Labels = tuple[str, ...]


class Counts:
    """One counter: a number for each set of labels. Only the event loop counts, so there is no lock to pay for."""

    def __init__(self, name: str, help: str, labels: Sequence[str] = ()) -> None:
        self._describes = name, help, list(labels)
        self.values: defaultdict[Labels, int] = defaultdict(int)
        if not labels:
            self.values[()] = 0

    def family(self) -> Metric:
        """As it is scraped."""
        family = CounterMetricFamily(self._describes[0], self._describes[1], labels=self._describes[2])
        for labels, count in self.values.items():
            family.add_metric(labels, count)
        return family


class Durations:
    """One histogram of seconds: for each set of labels the counts of its buckets, and the sum."""

    def __init__(self, name: str, help: str, bounds: Sequence[float], labels: Sequence[str] = ()) -> None:
        self._describes = name, help, list(labels)
        self._bounds = bounds
        self._buckets: defaultdict[Labels, list[int]] = defaultdict(lambda: [0] * (len(bounds) + 1))
        self._sums: defaultdict[Labels, float] = defaultdict(float)

    def observe(self, seconds: float, labels: Labels = ()) -> None:
        """Count one duration."""
        self._buckets[labels][bisect_left(self._bounds, seconds)] += 1
        self._sums[labels] += seconds

    def family(self) -> Metric:
        """As it is scraped: buckets hold what they and all below them counted."""
        family = HistogramMetricFamily(self._describes[0], self._describes[1], labels=self._describes[2])
        for labels, counts in self._buckets.items():
            total, buckets = 0, []
            for bound, count in zip([*map(str, self._bounds), "+Inf"], counts, strict=True):
                total += count
                buckets.append((bound, total))
            family.add_metric(labels, buckets, self._sums[labels])
        return family


class Metrics(Collector):
    """One registry; `sink` takes events."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._started = Counts("stepwell_runs_started", "Walks of runs that began.")
        self._finished = Counts("stepwell_runs_finished", "Runs that ended, by state.", ["state"])
        self._ran = Durations(
            "stepwell_run_duration_seconds", "Time from a run's start to its end, waiting included.", RUN_BUCKETS
        )
        self._steps = Counts("stepwell_steps_finished", "Steps that ended, by status.", ["status"])
        self._retries = Counts("stepwell_steps_retried", "Failed attempts that are repeated.")
        self._requests = Counts("stepwell_http_requests", "Requests answered.", ["route", "status"])
        self._answered = Durations(
            "stepwell_http_request_duration_seconds",
            "Time from a request's head to the end of its answer, by route.",
            REQUEST_BUCKETS,
            ["route"],
        )
        self._faults = Counts("stepwell_faults", "Faults of the server itself, by event.", ["event"])
        self._gauges: list[tuple[str, str, Callable[[], int]]] = []
        self._handlers: dict[str, Callable[[Fields], None]] = {
            "http.request": self._request,
            "run.started": self._run_started,
            "run.finished": self._run_finished,
            "step.finished": self._step_finished,
            "step.retried": self._step_retried,
            **{name: self._fault(name) for name in ("http.fault", "run.crashed", "step.fault", "service.failed")},
        }
        self._registry.register(self)

    def sink(self, name: str, fields: Fields) -> None:
        """Count an event."""
        handler = self._handlers.get(name)
        if handler is not None:
            handler(fields)

    def watch(self, *, open_runs: Callable[[], int], active_runs: Callable[[], int]) -> None:
        """Tell what is asked for only when the metrics are read."""
        self._gauges = [
            ("stepwell_open_runs", "Runs that are not final.", open_runs),
            ("stepwell_active_runs", "Runs being walked now.", active_runs),
        ]

    def exposition(self) -> tuple[bytes, str]:
        """The metrics as text, and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE

    def collect(self) -> Iterator[Metric]:
        """Called by the registry when the metrics are read."""
        for kept in (self._started, self._finished, self._steps, self._retries, self._requests, self._faults):
            yield kept.family()
        yield self._ran.family()
        yield self._answered.family()
        for name, help, value in self._gauges:
            yield GaugeMetricFamily(name, help, value=value())

    def _request(self, fields: Fields) -> None:
        route = fields["route"]
        self._requests.values[route, str(fields["status"])] += 1
        self._answered.observe(fields["duration_ms"] / 1000, (route,))

    def _run_started(self, fields: Fields) -> None:
        self._started.values[()] += 1

    def _run_finished(self, fields: Fields) -> None:
        self._finished.values[(fields["state"],)] += 1
        self._ran.observe(fields["duration_ms"] / 1000)

    def _step_finished(self, fields: Fields) -> None:
        self._steps.values[(fields["status"],)] += 1

    def _step_retried(self, fields: Fields) -> None:
        self._retries.values[()] += 1

    def _fault(self, name: str) -> Callable[[Fields], None]:
        def count(fields: Fields) -> None:
            self._faults.values[(name,)] += 1

        return count
