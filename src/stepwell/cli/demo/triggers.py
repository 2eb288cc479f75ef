"""The third story: workflows start by themselves, by a signed webhook, by a schedule, by a trigger instance."""

import json
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from stepwell.cli.demo.story import Scene, set_up, title
from stepwell.cli.output import json_text, say
from stepwell.client import Client, ClientError, RunDetail
from stepwell.triggers.signatures import SCHEMES, Inbound

EXAMPLE = "stripe-invoice-paid.json"
EVENT: dict[str, Any] = {
    "id": "evt_demo_1",
    "object": "event",
    "type": "invoice.paid",
    "data": {"object": {"id": "in_demo_1", "customer": "cus_1", "amount_paid": 4860, "currency": "usd"}},
}
TICK: dict[str, Any] = {
    "name": "Every two seconds",
    "trigger": {"type": "schedule", "cron": "*/2 * * * * *", "timezone": "Europe/Berlin"},
    "steps": [{"id": "tick", "type": "transform", "config": {"mapping": {"at": "{{input.scheduledAt}}"}}}],
}
TICKS = 2
PATIENCE_S = 20.0


def tell_triggers(scene: Scene) -> None:
    """Send webhooks, let a schedule fire, take an instance through its life.

    Raises:
        ClientError: the server refused something, or a run failed.
    """
    client, key, _, workflow = set_up(scene, EXAMPLE)
    _show_webhook(client, scene, key, workflow.id)
    _show_schedule(client)
    _show_instance(client, scene, workflow.id)


def _show_webhook(client: Client, scene: Scene, key: str, workflow: str) -> None:
    secret = "whsec_" + secrets.token_urlsafe(24)
    client.connections.apply(
        "demo-stripe",
        "Demo provider",
        "stripe",
        {"apiKey": scene.stripe.api_key},
        base_url=scene.stripe.url,
        webhook_secrets=[secret],
    )
    workspaces = _http(scene, "GET", "/api/v1/admin/workspaces", key=key)["data"]
    path = f"/webhooks/stripe/{workspaces[0]['id']}"
    body = json_text(EVENT, indent=0).encode()
    headers = _signed(body, secret)

    title("A webhook, signed as Stripe signs it")
    say(f"  POST {path}  Stripe-Signature: {headers['stripe-signature'][:32]}…")
    answer = _http(scene, "POST", path, body, headers=headers)
    say(f"  200 {json_text(answer, indent=0)}")
    run = _run_of(client, workflow)
    say(f"  run {run.id}: {run.status}, output {json_text(run.output, indent=0)}")
    say(f"  the same again: {json_text(_http(scene, 'POST', path, body, headers=headers), indent=0)}")
    forged = _http(scene, "POST", path, body, headers=_signed(body, "whsec_of_somebody_else"), expected=401)
    say(f"  with another secret: 401 {forged['error']['message']}")
    say("  deliveries, newest first:")
    for delivery in _http(scene, "GET", "/api/v1/webhook-deliveries", key=key)["data"]:
        reason = f"  ({delivery['reason']})" if delivery.get("reason") else ""
        say(f"    {delivery['id']}  {delivery['status']}{reason}")


def _show_schedule(client: Client) -> None:
    title("A schedule: every two seconds, in Berlin")
    workflow = client.workflows.activate(client.workflows.apply(TICK).workflow.id)
    say("  its next ten firings:")
    for firing in client.schedules.next(workflow.id, count=10).next:
        say(f"    {firing.local}")
    end = time.monotonic() + PATIENCE_S
    seen: list[str] = []
    while len(seen) < TICKS:
        if time.monotonic() > end:
            raise ClientError(f"The schedule did not fire {TICKS} times within {PATIENCE_S:.0f} s")
        for run in reversed(client.runs.list(workflow=workflow.id, status="completed").items):
            if run.id not in seen:
                seen.append(run.id)
                say(f"  fired: {run.id}  {json_text(client.runs.get(run.id).output, indent=0)}")
        time.sleep(0.1)
    client.workflows.pause(workflow.id)
    say("  paused")


def _show_instance(client: Client, scene: Scene, workflow: str) -> None:
    title("A Flowra trigger instance, through its life")
    flowra = client.keys.create(
        "demo-flowra", ["workflows:read", "workflows:write", "workflows:execute"], dialect="flowra"
    ).key
    base = "/api/v1/trigger_instances"
    config = {"cron": "0 9 * * *", "timezone": "Europe/Berlin"}
    ids = []
    for cron in ("0 9 * * *", "0 8 * * *"):
        wanted = {"workflowId": workflow.removeprefix("wf_"), "triggerConfig": {**config, "cron": cron}}
        answer = _http(scene, "POST", f"{base}/schedule/upsert", json_text(wanted, indent=0).encode(), key=flowra)
        row = answer["data"]
        ids.append(row["triggerId"])
        say(f"  upsert {cron}: {answer['message']}, {row['triggerId']}, next {row['nextRunAt']}")
    listed = _http(scene, "GET", f"{base}/active", key=flowra)
    say(f"  active: {listed['total']} row, one id for both: {'yes' if len(set(ids)) == 1 else 'no'}")
    for wanted_status in ("disable", "enable"):
        body = json_text({"status": wanted_status}, indent=0).encode()
        answer = _http(scene, "PATCH", f"{base}/manage/{ids[0]}/status", body, key=flowra)
        say(f"  {wanted_status}: {answer['data']['status']}")
    say(f"  delete: {_http(scene, 'DELETE', f'{base}/manage/{ids[0]}', key=flowra)['message']}")
    again = _http(scene, "DELETE", f"{base}/manage/{ids[0]}", key=flowra, expected=404)
    say(f"  delete again: 404 {again['message']}")


def _run_of(client: Client, workflow: str) -> RunDetail:
    """The run that the webhook started, once it is final."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        for run in client.runs.list(workflow=workflow).items:
            if run.status == "completed":
                return client.runs.get(run.id)
        time.sleep(0.02)
    raise ClientError("The webhook's run did not end")


def _signed(body: bytes, secret: str) -> dict[str, str]:
    inbound = Inbound(method="POST", url="", headers={}, query={}, body=body)
    return SCHEMES["stripe"].sign(inbound, secret, round(time.time() * 1000))


def _http(
    scene: Scene,
    method: str,
    path: str,
    body: bytes | None = None,
    *,
    key: str | None = None,
    headers: Mapping[str, str] | None = None,
    expected: int | None = None,
) -> Any:
    """The JSON of an answer. Raises ClientError unless it is a success, or the status that is expected."""
    sent = {"Content-Type": "application/json", **(headers or {})} | ({} if key is None else {"x-api-key": key})
    request = Request(f"{scene.url}{path}", data=body, headers=sent, method=method)  # noqa: S310 - ours
    try:
        with urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310 - the demo's own server
            return json.loads(answer.read())
    except HTTPError as error:
        told = error.read().decode(errors="replace")
        if error.code != expected:
            raise ClientError(f"{method} {path} answered {error.code}: {told[:500]}") from None
        return json.loads(told)
