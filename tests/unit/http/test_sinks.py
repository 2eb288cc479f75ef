"""The sinks of events: log lines and metrics."""

import errno
import io

import pytest

from stepwell.clock import FakeClock
from stepwell.services import Metrics, log_sink
from stepwell.values import decode

REQUEST = {
    "request": "r1",
    "method": "GET",
    "path": "/x",
    "route": "GET /x",
    "status": 200,
    "duration_ms": 3.0,
    "key": None,
}


def test_an_event_is_one_json_line_without_what_is_none() -> None:
    out = io.StringIO()

    log_sink("info", "json", out, FakeClock(0))("http.request", REQUEST)

    line = decode(out.getvalue())
    assert (line["time"], line["level"], line["event"]) == ("1970-01-01T00:00:00.000Z", "info", "http.request")
    assert (line["request"], line["status"], "key" in line) == ("r1", 200, False)


def test_events_below_the_level_are_not_logged() -> None:
    out = io.StringIO()
    sink = log_sink("warning", "json", out)

    sink("http.request", REQUEST)
    sink("http.fault", {"request": "r1", "error": "E"})

    assert [decode(line)["event"] for line in out.getvalue().splitlines()] == ["http.fault"]


def test_text_lines_are_readable() -> None:
    out = io.StringIO()

    log_sink("info", "text", out)("http.request", REQUEST)

    assert "status=200" in out.getvalue()


@pytest.mark.parametrize("format", ["json", "text"])
def test_a_line_that_cannot_be_written_is_lost_and_nothing_fails(format: str) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    log_sink("info", format, Full())("http.request", REQUEST)


def test_requests_runs_and_steps_are_counted() -> None:
    metrics = Metrics()
    metrics.watch(open_runs=lambda: 3, active_runs=lambda: 2)

    metrics.sink("http.request", REQUEST)
    metrics.sink("run.finished", {"run": "1", "state": "completed", "duration_ms": 20})
    metrics.sink("step.finished", {"run": "1", "path": "a", "status": "success"})

    text = metrics.exposition()[0].decode()
    for line in (
        'stepwell_http_requests_total{route="GET /x",status="200"} 1.0',
        'stepwell_http_request_duration_seconds_bucket{le="0.005",route="GET /x"} 1.0',
        'stepwell_runs_finished_total{state="completed"} 1.0',
        'stepwell_steps_finished_total{status="success"} 1.0',
        "stepwell_open_runs 3.0",
        "stepwell_active_runs 2.0",
    ):
        assert line in text
