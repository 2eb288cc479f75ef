"""Events that a provider sends: the hook is there while the trigger is on, and what it sends starts runs."""

import hashlib
import hmac
from collections.abc import Iterator
from urllib.parse import urlsplit

import msgspec
import pytest
import requests

from contract.providers import GitHub, inputs, on_event, provider, row, trigger_when
from live import Api, refused
from stepwell.values import Json, decode, encode

TOKEN = "ghp_the-token-of-the-tests"


@pytest.fixture
def github() -> Iterator[GitHub]:
    made = GitHub()
    with provider(made.answer) as url:
        made.url = url
        yield made


@pytest.fixture
def connected(api: Api, github: GitHub) -> Api:
    body = {"name": "GitHub", "provider": "github", "credentials": {"accessToken": TOKEN}, "baseUrl": github.url}
    api.data("POST", "/connections", body)
    return api


def on_push(repo: str = "shop", **params: Json) -> Json:
    return on_event("github.push", params={"owner": "acme", "repo": repo, **params})


def listening(api: Api, github: GitHub, document: Json | None = None) -> tuple[str, Json]:
    """A workflow whose hook is set up, and the hook as GitHub keeps it."""
    workflow = api.workflow(document or on_push())
    trigger_when(api, workflow, lambda found: found.cursor)
    return workflow, github.all[-1]


def deliver(
    api: Api, hook: Json, event: str, body: Json, *, id: str = "d-1", secret: str | None = None
) -> requests.Response:
    """Send an event as GitHub does: to the address of the hook, signed with its secret."""
    raw = encode(body)
    key = (secret or hook["config"]["secret"]).encode()
    headers = {
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": id,
        "X-Hub-Signature-256": f"sha256={hmac.new(key, raw, hashlib.sha256).hexdigest()}",
        "Content-Type": "application/json",
    }
    address = api.server.url + urlsplit(hook["config"]["url"]).path
    return requests.post(address, data=raw, headers=headers, timeout=10)


def gone(github: GitHub, api: Api, workflow: str) -> None:
    trigger_when(api, workflow, lambda found: not github.all and found.cursor is None)


def test_activation_sets_the_hook_up_with_the_triggers_address_and_a_secret(connected: Api, github: GitHub) -> None:
    workflow, hook = listening(connected, github)

    assert hook["events"] == ["push"]
    assert urlsplit(hook["config"]["url"]).path == f"/webhooks/t/trg_{workflow[3:]}"
    assert len(hook["config"]["secret"]) >= 32
    assert github.seen[-1].headers["authorization"] == f"Bearer {TOKEN}"
    assert list(github.hooks) == ["acme/shop"]


def test_an_event_that_the_hook_sends_starts_a_run_once(connected: Api, github: GitHub) -> None:
    workflow, hook = listening(connected, github)
    push = {"ref": "refs/heads/main", "commits": [{"id": "1"}]}

    first = deliver(connected, hook, "push", push)
    again = deliver(connected, hook, "push", push)

    assert (first.status_code, first.json()["workflowsTriggered"]) == (200, 1)
    assert again.json()["duplicate"] is True
    assert inputs(connected, workflow) == [push]


def test_an_event_signed_with_another_secret_is_refused(connected: Api, github: GitHub) -> None:
    workflow, hook = listening(connected, github)

    response = deliver(connected, hook, "push", {"ref": "x"}, secret="guessed")

    assert response.status_code == 401
    assert inputs(connected, workflow) == []


def test_other_events_and_other_branches_start_nothing(connected: Api, github: GitHub) -> None:
    workflow, hook = listening(connected, github, on_push(branch="main"))

    answers = [
        deliver(connected, hook, "ping", {"zen": "z"}, id="1"),
        deliver(connected, hook, "push", {"ref": "refs/heads/dev"}, id="2"),
        deliver(connected, hook, "push", {"ref": "refs/heads/main"}, id="3"),
    ]

    assert [answer.json()["workflowsTriggered"] for answer in answers] == [0, 0, 1]
    assert inputs(connected, workflow) == [{"ref": "refs/heads/main"}]


def test_actions_of_an_event_are_told_apart(connected: Api, github: GitHub) -> None:
    params = {"owner": "acme", "repo": "shop", "actions": ["opened"]}
    workflow, hook = listening(connected, github, on_event("github.issues", params=params))

    deliver(connected, hook, "issues", {"action": "closed"}, id="1")
    deliver(connected, hook, "issues", {"action": "opened"}, id="2")

    assert hook["events"] == ["issues"]
    assert inputs(connected, workflow) == [{"action": "opened"}]


@pytest.mark.parametrize(("method", "call"), [("POST", "/pause"), ("DELETE", "")])
def test_a_workflow_that_stops_takes_its_hook_down(connected: Api, github: GitHub, method: str, call: str) -> None:
    workflow, _ = listening(connected, github)

    connected.data(method, f"/workflows/{workflow}{call}")

    gone(github, connected, workflow)


def test_activation_after_a_pause_makes_a_new_hook_with_another_secret(connected: Api, github: GitHub) -> None:
    workflow, first = listening(connected, github)
    connected.data("POST", f"/workflows/{workflow}/pause")
    gone(github, connected, workflow)

    connected.data("POST", f"/workflows/{workflow}/activate")
    trigger_when(connected, workflow, lambda found: found.cursor)

    (hook,) = github.all
    assert hook["config"]["secret"] != first["config"]["secret"]
    assert deliver(connected, hook, "push", {"ref": "x"}).status_code == 200


def test_another_repository_moves_the_hook(connected: Api, github: GitHub) -> None:
    workflow, _ = listening(connected, github)

    connected.data("PUT", f"/workflows/{workflow}", {"trigger": on_push("other")["trigger"]})
    trigger_when(
        connected,
        workflow,
        lambda found: (
            found.cursor
            and decode(found.cursor)["params"]["repo"] == "other"
            and github.hooks["acme/shop"] == {}
            and len(github.hooks.get("acme/other", {})) == 1
        ),
    )


def test_another_event_of_the_same_repository_leaves_one_hook(connected: Api, github: GitHub) -> None:
    workflow, _ = listening(connected, github)
    params = {"owner": "acme", "repo": "shop"}

    connected.data("PUT", f"/workflows/{workflow}", {"trigger": on_event("github.issues", params=params)["trigger"]})
    trigger_when(connected, workflow, lambda found: found.cursor and decode(found.cursor)["slug"] == "github.issues")

    assert [hook["events"] for hook in github.all] == [["issues"]]


def test_a_change_of_the_steps_leaves_the_hook_alone(connected: Api, github: GitHub) -> None:
    workflow, hook = listening(connected, github)

    connected.data("PUT", f"/workflows/{workflow}", {"name": "Another name"})

    assert deliver(connected, hook, "push", {"ref": "x"}).json()["workflowsTriggered"] == 1
    assert github.all == [hook]


def test_a_hook_that_was_made_though_the_answer_was_an_error_is_not_made_twice(connected: Api, github: GitHub) -> None:
    github.lost = True
    workflow = connected.workflow(on_push())
    trigger_when(connected, workflow, lambda found: found.reason)
    lost = len(github.all)

    connected.server.call(connected.server.parts.core.hooks.switched(row(connected, workflow), True))
    trigger_when(connected, workflow, lambda found: found.cursor)

    assert lost == 1
    assert [hook["id"] for hook in github.all] == [2]
    assert row(connected, workflow).reason is None


def test_a_provider_that_is_down_is_a_reason_and_the_activation_stands(connected: Api, github: GitHub) -> None:
    github.failing = [503]

    workflow = connected.workflow(on_push())
    failed = trigger_when(connected, workflow, lambda found: found.reason)

    assert failed.status == "active"
    assert failed.reason == "setup_failed: Try again"
    assert connected.data("GET", f"/workflows/{workflow}")["status"] == "active"


def test_a_provider_that_refuses_puts_the_trigger_into_error(connected: Api, github: GitHub) -> None:
    github.failing = [404]

    workflow = connected.workflow(on_push())
    failed = trigger_when(connected, workflow, lambda found: found.reason)

    assert (failed.status, failed.reason) == ("error", "setup_failed: Try again")


def test_what_a_death_left_undone_is_done_at_start(connected: Api, github: GitHub) -> None:
    workflow, _ = listening(connected, github)
    github.hooks.clear()
    store = connected.server.parts.core.store
    lost = row(connected, workflow)
    changed = msgspec.structs.replace(lost, cursor=None, updated_at=lost.updated_at + 1)
    connected.server.call(store.triggers.save(changed, seen=lost.updated_at))

    count = connected.server.call(connected.server.parts.core.hooks.recover())
    trigger_when(connected, workflow, lambda found: found.cursor)

    assert count >= 1
    assert len(github.all) == 1


def test_activation_without_a_connection_is_refused(api: Api) -> None:
    workflow = api.data("POST", "/workflows", on_push())["id"]

    details = refused(api.post(f"/workflows/{workflow}/activate"), 400, "VALIDATION_ERROR")

    assert [(each["field"], each["message"]) for each in details] == [
        ("trigger.connection", "No active connection for github. Create one.")
    ]


def test_the_secret_and_the_token_are_in_no_answer(connected: Api, github: GitHub) -> None:
    workflow, hook = listening(connected, github)
    deliver(connected, hook, "push", {"ref": "x"})

    texts = [
        connected.get(path).text
        for path in (f"/workflows/{workflow}", "/workflows", "/webhook-deliveries", "/connections", "/runs")
    ]

    assert not any(secret in text for text in texts for secret in (hook["config"]["secret"], TOKEN))
