"""The client against prepared answers: what the wire may do to it."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from stepwell.client import ApiError, Client, ClientError, Run, Unreachable
from stepwell.client.stream import run_events

RUN = (
    '{"id": "run_1", "workflowId": "wf_1", "status": "%s", "triggerType": "api", "startedAt": null,'
    ' "completedAt": null, "durationMs": null, "error": null, "createdAt": "2024-01-15T10:30:00.000Z"}'
)
WORKFLOW = (
    '{"id": "wf_%s", "name": "Orders", "description": null, "status": "draft", "version": 1, "trigger": {},'
    ' "createdAt": "", "updatedAt": ""}'
)


@dataclass
class Prepared:
    """A server that gives answers in order, (status, headers, body), and keeps the requests' lines and headers."""

    answers: list[tuple[int, dict[str, str], str]]
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)


Serve = Callable[..., tuple[Client, Prepared]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve prepared answers; gives the client of that server."""
    servers = []

    def serve(*answers: tuple[int, dict[str, str], str]) -> tuple[Client, Prepared]:
        prepared = Prepared(list(answers))

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # noqa: N802 - its protocol
                headers = {name.lower(): value for name, value in self.headers.items()}
                prepared.asked.append((f"{self.command} {self.path}", headers))
                status, sent, body = prepared.answers.pop(0)
                self.send_response(status)
                for name, value in sent.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

            do_DELETE = do_PUT = do_POST = do_GET  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return Client(f"http://127.0.0.1:{server.server_port}", "wfk_test"), prepared

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_it_imports_nothing_of_the_server() -> None:
    code = "import sys, stepwell.client; print(*(name for name in sys.modules if name.startswith('stepwell')))"

    names = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()

    assert [name for name in names if not name.startswith("stepwell.client")] == ["stepwell"]


def test_a_refusal_carries_code_message_details_request_and_wait(serve: Serve) -> None:
    body = (
        '{"success": false, "error": {"code": "VALIDATION_ERROR", "message": "Input validation failed",'
        ' "details": [{"path": ["items", 0], "message": "Required"}]}}'
    )
    client, _ = serve((400, {"X-Request-Id": "req_1", "Retry-After": "3"}, body))

    with pytest.raises(ApiError) as refused:
        client.runs.get("run_1")

    error = refused.value
    assert (error.status, error.code, error.message) == (400, "VALIDATION_ERROR", "Input validation failed")
    assert (error.faults, error.request_id, error.retry_after_s) == (["items.0: Required"], "req_1", 3)


@pytest.mark.parametrize("body", ["<html>hello</html>", "[]", '{"data": 1}'])
def test_an_answer_of_another_server_is_told_as_such(serve: Serve, body: str) -> None:
    client, _ = serve((200, {}, body))

    with pytest.raises(Unreachable, match="no Stepwell server"):
        client.runs.get("run_1")


def test_the_key_goes_in_its_header_and_ids_are_escaped(serve: Serve) -> None:
    client, server = serve((200, {}, '{"success": true, "data": {}}'))

    client.runs.delete("a/b c")

    ((line, headers),) = server.asked
    assert (line, headers["x-api-key"]) == ("DELETE /api/v1/runs/a%2Fb%20c", "wfk_test")


def test_a_repeated_start_is_marked_as_such(serve: Serve) -> None:
    started = (
        '{"success": true, "data": {"runId": "run_1", "status": "pending", "workflowId": "wf_1", "workflowVersion": 1}}'
    )
    client, _ = serve((202, {"Idempotency-Replayed": "true"}, started))

    assert client.runs.start("wf_1").replayed is True


def test_a_stream_that_breaks_is_taken_up_after_the_last_event(serve: Serve) -> None:
    client, server = serve(
        (200, {}, f"id: 4\nevent: run.status\ndata: {RUN % 'running'}\n\nid: 5\nevent: run.sta"),
        (200, {}, f"id: 9\nevent: run.status\ndata: {RUN % 'completed'}\n\n"),
    )

    events = list(client.runs.stream("run_1"))

    assert [event.id for event in events] == [4, 9]
    assert [headers.get("last-event-id") for _, headers in server.asked] == [None, "4"]


def test_a_stream_of_a_server_that_is_not_there_fails_at_once() -> None:
    with pytest.raises(Unreachable):
        next(Client("http://127.0.0.1:1", "k").runs.stream("run_1"))


def test_comments_unknown_kinds_and_split_data_of_a_stream_are_read_as_the_standard_says() -> None:
    first, second = (RUN % "completed").split(",", 1)
    text = f": here\n\nid: 1\nevent: news\ndata: x\n\nid: 2\nevent:run.status\ndata: {first},\ndata: {second}\n\n"

    (event,) = run_events(line.encode() for line in text.splitlines(keepends=True))

    assert event.id == 2
    assert isinstance(event.data, Run)


def test_apply_by_a_name_that_several_workflows_have_is_refused(serve: Serve) -> None:
    page = f'{{"success": true, "data": [{WORKFLOW % 1}, {WORKFLOW % 2}], "meta": {{"hasMore": false}}}}'
    client, server = serve((200, {}, page))

    with pytest.raises(ClientError, match="2 workflows are named Orders: wf_1, wf_2"):
        client.workflows.apply({"name": "Orders"})

    assert len(server.asked) == 1
