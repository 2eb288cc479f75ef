"""Messages to endpoints: when they are tried, what each try says, and what becomes of those that nobody takes."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from stepwell.auth import Vault
from stepwell.clock import FakeClock
from stepwell.core import EndpointBodies, EndpointChanges, EndpointFields, Endpoints, EndpointSender, tries
from stepwell.errors import StepError
from stepwell.events import Events
from stepwell.ids import TimeOrderedIds
from stepwell.services import EndpointService
from stepwell.states import OPEN, RunState
from stepwell.steps import HttpRequest, HttpResponse
from stepwell.store import End, Endpoint, EndpointMessage, NewRun
from stepwell.store.sqlite import SqliteStore
from stepwell.values import decode, encode

DAY_S = 86_400
Answer = int | Exception | tuple[int, dict[str, str]]


@dataclass
class Receivers:
    """The port of HTTP: answers as it is told, by URL, else 200, and keeps what came. `hold` keeps a URL waiting."""

    answers: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    always: dict[str, Answer] = field(default_factory=dict)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    seen: list[HttpRequest] = field(default_factory=list)

    async def send(self, workspace: str, request: HttpRequest) -> HttpResponse:
        self.seen.append(request)
        if request.url in self.held:
            await self.held[request.url].wait()
        told = self.answers[request.url]
        answer = told.pop(0) if told else self.always.get(request.url, 200)
        if isinstance(answer, Exception):
            raise answer
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        return HttpResponse(status, headers, b"", request.url)

    def at(self, url: str) -> list[HttpRequest]:
        return [request for request in self.seen if request.url == url]


@dataclass
class Post:
    """A store, the use cases on endpoints, and the service that sends."""

    path: Path
    clock: FakeClock = field(default_factory=FakeClock)
    receivers: Receivers = field(default_factory=Receivers)
    told: list[tuple[str, Any]] = field(default_factory=list)

    def open(self) -> None:
        self.ids = TimeOrderedIds(self.clock)
        self.workspace = self.ids.new()
        self.store = SqliteStore(self.path, inline=True)
        events = Events([lambda name, fields: self.told.append((name, fields))])
        bodies = EndpointBodies(
            event=lambda type, at, run: encode({"type": type, "at": at, "state": run.state}),
            test=lambda endpoint, at: encode({"type": "endpoint.test"}),
        )
        sender = EndpointSender(self.store, Vault(b"k" * 32), self.receivers, bodies, self.clock, events)
        self.endpoints = Endpoints(self.store, Vault(b"k" * 32), sender, self.clock, self.ids)
        self.service = EndpointService(sender, self.clock, events)
        self.stop = asyncio.Event()

    async def listening(self, url: str = "https://one.example/", *events: str) -> Endpoint:
        fields = EndpointFields(url=url, events=events or ("run.cancelled",))
        endpoint, _ = await self.endpoints.create(self.workspace, fields)
        return endpoint

    async def cancelled(self) -> str:
        """A run that was cancelled."""
        new = NewRun(
            workspace=self.workspace,
            id=self.ids.new(),
            workflow=self.ids.new(),
            version=1,
            trigger="api",
            input=b"{}",
            owner=None,
        )
        run = (await self.store.runs.start(new)).run
        end = End(
            workspace=self.workspace,
            run=run,
            state=RunState.CANCELLED,
            now=self.clock.now_ms(),
            error=None,
            record_error=b"{}",
            allowed=OPEN,
        )
        await self.store.runs.end(end)
        return run

    async def settle(self) -> None:
        """Send what is due, until nothing is."""
        while await self.store.endpoints.due_endpoints(self.clock.now_ms(), None, 1):
            await self.service.release(self.stop)
            await self.service.idle()

    async def turns(self) -> None:
        """Let whatever can happen without time passing happen."""
        for _ in range(50):
            await asyncio.sleep(0)

    async def until_nothing_is_due(self) -> list[int]:
        """Send everything at its time; when each look was made, in seconds from now."""
        began, looks = self.clock.now_ms(), [0]
        await self.settle()
        while (due := await self.store.endpoints.next(self.clock.now_ms())) is not None:
            self.clock.advance((due - self.clock.now_ms()) / 1000)
            looks.append((self.clock.now_ms() - began) // 1000)
            await self.settle()
        return looks

    async def messages(self, endpoint: Endpoint) -> list[EndpointMessage]:
        return await self.endpoints.deliveries(self.workspace, endpoint.id)

    async def statuses(self, endpoint: Endpoint) -> list[str]:
        return [message.status for message in await self.messages(endpoint)]


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    post = Post(tmp_path / "stepwell.db")
    post.open()
    yield post
    await post.store.close()


async def test_a_message_is_sent_once_if_it_is_taken(post: Post) -> None:
    endpoint = await post.listening()
    await post.cancelled()

    await post.until_nothing_is_due()

    (request,) = post.receivers.seen
    (message,) = await post.messages(endpoint)
    assert (request.method, request.url, request.max_redirects) == ("POST", "https://one.example/", 0)
    assert request.headers["webhook-id"] == f"dlv_{message.id}"
    assert (message.status, message.attempts, message.response_status) == ("delivered", 1, 200)


async def test_a_message_that_nobody_takes_is_tried_eight_times_by_the_schedule(post: Post) -> None:
    endpoint = await post.listening()
    post.receivers.always[endpoint.url] = 500
    await post.cancelled()

    looks = await post.until_nothing_is_due()

    delays = [later - earlier for earlier, later in zip(looks, looks[1:], strict=False)]
    (message,) = await post.messages(endpoint)
    assert delays == [5, 300, 1800, 7200, 18_000, 36_000, 50_400]
    assert (message.status, message.attempts, message.due, message.error) == ("failed", 8, None, "HTTP 500")
    assert [each.status for each in tries(message)] == [500] * 8


async def test_every_try_has_the_same_id_and_body_and_a_time_of_its_own(post: Post) -> None:
    endpoint = await post.listening()
    post.receivers.answers[endpoint.url] = [500, StepError("Connection timeout", kind="timeout")]
    await post.cancelled()

    await post.until_nothing_is_due()

    assert len({(request.headers["webhook-id"], request.body) for request in post.receivers.seen}) == 1
    assert len({request.headers["webhook-timestamp"] for request in post.receivers.seen}) == 3


async def test_the_log_of_tries_says_what_went_wrong(post: Post) -> None:
    endpoint = await post.listening()
    post.receivers.answers[endpoint.url] = [StepError("Connection timeout", kind="timeout"), 302]
    await post.cancelled()

    await post.until_nothing_is_due()

    (message,) = await post.messages(endpoint)
    assert [(each.status, each.error) for each in tries(message)] == [
        (None, "Connection timeout"),
        (302, "HTTP 302; redirects are not followed"),
        (200, None),
    ]


async def test_an_answer_too_large_to_read_is_judged_by_its_status(post: Post) -> None:
    endpoint = await post.listening()
    post.receivers.answers[endpoint.url] = [StepError("Response is larger", kind="http", http_status=200)]
    await post.cancelled()

    await post.until_nothing_is_due()

    assert await post.statuses(endpoint) == ["delivered"]


async def test_a_receiver_that_asks_for_more_time_gets_it(post: Post) -> None:
    endpoint = await post.listening()
    post.receivers.answers[endpoint.url] = [(429, {"retry-after": "90"}), (503, {"retry-after": "1"})]
    await post.cancelled()

    assert await post.until_nothing_is_due() == [0, 90, 390]


async def test_410_ends_the_message_and_disables_the_endpoint_visibly(post: Post) -> None:
    endpoint = await post.listening()
    post.receivers.always[endpoint.url] = 410
    await post.cancelled()

    await post.settle()
    await post.cancelled()
    await post.settle()

    kept = await post.endpoints.get(post.workspace, endpoint.id)
    assert (kept.enabled, kept.disabled_reason) == (False, "The receiver answered 410 Gone")
    assert await post.statuses(endpoint) == ["failed"]
    assert len(post.receivers.seen) == 1
    assert [name for name, _ in post.told] == [
        "endpoint.disabled",
        "endpoint.given_up",
    ]  # in this order, or a death loses it


async def test_what_waits_for_an_endpoint_that_was_disabled_fails_unsent(post: Post) -> None:
    endpoint = await post.listening()
    post.receivers.always[endpoint.url] = 500
    await post.cancelled()
    await post.settle()
    await post.endpoints.update(post.workspace, endpoint.id, EndpointChanges(enabled=False))

    await post.until_nothing_is_due()

    (message,) = await post.messages(endpoint)
    assert (message.status, message.error, len(post.receivers.seen)) == ("failed", "The endpoint is disabled", 1)


async def test_an_endpoint_that_only_fails_for_five_days_is_disabled_visibly(post: Post) -> None:
    endpoint = await post.listening()
    post.receivers.always[endpoint.url] = 500
    for _ in range(2):  # each message for 31 hours
        await post.cancelled()
        await post.until_nothing_is_due()
        assert (await post.endpoints.get(post.workspace, endpoint.id)).enabled
        post.clock.advance(DAY_S)

    await post.cancelled()
    await post.until_nothing_is_due()

    kept = await post.endpoints.get(post.workspace, endpoint.id)
    assert kept.disabled_reason == "Every try since 2023-11-14T22:13:20.000Z has failed"
    assert not kept.enabled


async def test_a_success_within_the_five_days_keeps_an_endpoint(post: Post) -> None:
    endpoint = await post.listening()
    for _ in range(4):
        post.receivers.answers[endpoint.url] = [500] * 7
        await post.cancelled()
        await post.until_nothing_is_due()
        post.clock.advance(DAY_S)

    kept = await post.endpoints.get(post.workspace, endpoint.id)
    assert (kept.enabled, kept.failing_since) == (True, None)


async def test_a_slow_receiver_holds_up_only_what_is_for_itself(post: Post) -> None:
    slow, quick = await post.listening("https://slow.example/"), await post.listening("https://quick.example/")
    post.receivers.held[slow.url] = asyncio.Event()
    for _ in range(10):
        await post.cancelled()

    for _ in range(10):
        await post.service.release(post.stop)
        await post.turns()

    assert (len(post.receivers.at(slow.url)), len(post.receivers.at(quick.url))) == (4, 10)
    post.receivers.held[slow.url].set()
    await post.settle()
    assert len(post.receivers.at(slow.url)) == 10


async def test_endpoints_that_were_not_served_come_before_those_that_were(post: Post) -> None:
    endpoints = [await post.listening(f"https://{number}.example/") for number in range(5)]
    for endpoint in endpoints:
        post.receivers.held[endpoint.url] = asyncio.Event()
    for _ in range(8):
        await post.cancelled()
    await post.service.release(post.stop)
    await post.turns()
    served = {request.url for request in post.receivers.seen}

    post.receivers.held[min(served)].set()
    await post.turns()
    await post.service.release(post.stop)
    await post.turns()

    (left,) = {endpoint.url for endpoint in endpoints} - served
    assert len(post.receivers.at(left)) == 4
    for held in post.receivers.held.values():
        held.set()
    await post.settle()


async def test_no_more_than_16_messages_are_sent_at_once_and_every_endpoint_has_its_turn(post: Post) -> None:
    endpoints = [await post.listening(f"https://{number}.example/") for number in range(6)]
    for endpoint in endpoints:
        post.receivers.held[endpoint.url] = asyncio.Event()
    for _ in range(5):
        await post.cancelled()

    await post.service.release(post.stop)
    await post.service.release(post.stop)
    await asyncio.sleep(0)
    at_once = len(post.receivers.seen)
    for held in post.receivers.held.values():
        held.set()
    await post.settle()

    assert at_once == 16
    assert [len(post.receivers.at(endpoint.url)) for endpoint in endpoints] == [5] * 6


async def test_during_rotation_both_secrets_sign_for_24_hours(post: Post) -> None:
    endpoint = await post.listening()

    async def signatures() -> int:
        await post.cancelled()
        await post.settle()
        return len(post.receivers.seen[-1].headers["webhook-signature"].split())

    counts = [await signatures()]
    await post.endpoints.rotate(post.workspace, endpoint.id)
    counts.append(await signatures())
    post.clock.advance(DAY_S - 1)
    counts.append(await signatures())
    post.clock.advance(1)
    counts.append(await signatures())

    assert counts == [1, 2, 2, 1]


async def test_a_failed_message_can_be_sent_again_under_its_id(post: Post) -> None:
    endpoint = await post.listening()
    post.receivers.answers[endpoint.url] = [500] * 8
    await post.cancelled()
    await post.until_nothing_is_due()
    (failed,) = await post.messages(endpoint)

    await post.endpoints.retry(post.workspace, endpoint.id, failed.id)
    await post.settle()

    (message,) = await post.messages(endpoint)
    assert (message.id, message.status, message.attempts) == (failed.id, "delivered", 9)
    assert len({request.body for request in post.receivers.seen}) == 1


async def test_a_test_is_sent_at_once_also_to_a_disabled_endpoint_and_kept(post: Post) -> None:
    endpoint = await post.listening()
    await post.endpoints.update(post.workspace, endpoint.id, EndpointChanges(enabled=False))
    post.receivers.answers[endpoint.url] = [500]

    sent = await post.endpoints.test(post.workspace, endpoint.id)

    assert (sent.status, sent.response_status, sent.error) == ("failed", 500, "HTTP 500")
    assert decode(post.receivers.seen[0].body or b"") == {"type": "endpoint.test"}
    assert [message.id for message in await post.messages(endpoint)] == [sent.id]
    assert await post.store.endpoints.next(0) is None


async def test_a_fault_of_ours_is_a_failed_try_and_holds_nobody_up(post: Post) -> None:
    endpoint = await post.listening()
    post.receivers.answers[endpoint.url] = [ZeroDivisionError()]
    await post.cancelled()
    await post.cancelled()

    looks = await post.until_nothing_is_due()

    assert (looks, await post.statuses(endpoint)) == ([0, 5], ["delivered", "delivered"])
    assert [fields["error"] for name, fields in post.told if name == "endpoint.fault"] == ["ZeroDivisionError()"]


async def test_messages_outlive_the_process(post: Post) -> None:
    endpoint = await post.listening()
    post.receivers.answers[endpoint.url] = [500]
    await post.cancelled()
    await post.settle()
    workspace = post.workspace
    await post.store.close()

    post.open()
    post.workspace = workspace
    await post.until_nothing_is_due()

    assert await post.statuses(endpoint) == ["delivered"]


async def test_messages_of_an_endpoint_that_is_gone_are_dropped(post: Post) -> None:
    endpoint = await post.listening()
    await post.cancelled()
    await post.store.endpoints.delete(post.workspace, endpoint.id)

    await post.until_nothing_is_due()

    assert (post.receivers.seen, await post.store.endpoints.next(0)) == ([], None)


async def test_the_service_sleeps_until_something_is_emitted_and_then_until_it_is_due(post: Post) -> None:
    endpoint = await post.listening()
    post.receivers.answers[endpoint.url] = [500]
    serving = asyncio.ensure_future(post.service.run(post.stop))

    await post.cancelled()
    await post.turns()
    post.clock.advance(4)
    await post.turns()
    before_it_is_due = len(post.receivers.seen)
    post.clock.advance(1)
    await post.turns()
    post.stop.set()
    post.service.wake()
    await serving

    assert before_it_is_due == 1
    assert await post.statuses(endpoint) == ["delivered"]


async def test_a_secret_stands_nowhere_in_the_file(post: Post) -> None:
    _, secret = await post.endpoints.create(post.workspace, EndpointFields(url="https://one.example/"))
    _, rotated = await post.endpoints.rotate(post.workspace, (await post.endpoints.page(post.workspace))[0].id)

    files = [post.path.read_bytes(), post.path.with_name("stepwell.db-wal").read_bytes()]
    for each in (secret, rotated):
        assert not any(each.encode() in content or each[6:].encode() in content for content in files)
