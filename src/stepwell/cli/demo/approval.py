"""The second story: an order over a limit waits for a person and an event, and is restarted from inside its loop."""

import re
import shlex
import time
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from stepwell.cli.demo.story import Scene, set_up, title
from stepwell.cli.output import json_text, out, say
from stepwell.cli.watching import Progress, show_preview
from stepwell.client import Client, ClientError, Run, RunDetail

EXAMPLE = "approval-over-limit.json"
ORDER: dict[str, Any] = {
    "orderId": "o-2",
    "customerEmail": "ana@example.com",
    "approver": "lead@example.com",
    "lines": [{"sku": "desk", "quantity": 2, "price": 900}, {"sku": "lamp", "quantity": 4, "price": 50}],
}
EDITED: dict[str, Any] = {"lines": [ORDER["lines"][0], {"sku": "lamp", "quantity": 40, "price": 50}]}
FROM = "lines[1].price-line"
LINK = re.compile(r"https?://\S+/decide\?token=[A-Za-z0-9_-]+")
MAIL_S = 20.0


def tell_approval(scene: Scene) -> None:
    """Run the order through its decision and its event, then again from inside the loop.

    Raises:
        ClientError: the server refused something, or a run failed.
    """
    client, key, _, workflow = set_up(scene, EXAMPLE)
    started = client.runs.start(workflow.id, ORDER)
    title("The order is over the limit: the run goes on until somebody must decide")
    run = _see_through(client, scene, started.run_id, key)
    title(f"The finished run: {run.status}")
    say(json_text(run.output))
    title(f"Restart from inside the loop, {FROM}, with another quantity: what would happen")
    show_preview(client.runs.preview_restart(run.id, FROM, EDITED))
    again = client.runs.restart(run.id, FROM, EDITED)
    title(f"The restart: {again.new_run_id}")
    second = _see_through(client, scene, again.new_run_id, key, by_hand=False)
    _show_reuse(second)
    say(f"output {json_text(second.output, indent=0)}")


def _see_through(client: Client, scene: Scene, run: str, key: str, *, by_hand: bool = True) -> RunDetail:
    """Follow a run to its end; decide and send the event when it waits for them."""
    mails = len(scene.mailbox.received)
    seen = _follow(client, run, None, "approval")
    waiting = client.runs.get(run)
    say(f"  {waiting.waiting_for}")
    link = _link(scene, mails)
    if by_hand:
        _show_ways(scene, key, run, link)
    if not by_hand or not _decided_by_hand(client, run, scene.patience_s):
        say("  the demo opens the link and approves")
        _decide(link)
    seen = _follow(client, run, seen, "event")
    waiting = client.runs.get(run)
    say(f"  {waiting.waiting_for}")
    event = client.runs.send_event(run, "paid", {"orderId": ORDER["orderId"], "reference": "PAY-7"})
    say(f"  sent the event: {event}")
    _follow(client, run, seen, "")
    ended = client.runs.get(run)
    if ended.status != "completed":
        cause = "" if ended.error is None else f": {ended.error.message} ({ended.error.code})"
        raise ClientError(f"The demo's run ended {ended.status}{cause}")
    return ended


def _follow(client: Client, run: str, after: int | None, until: str) -> int | None:
    """Show what happens until the run is final or waits for what is named; the last event's id."""
    progress = Progress(run)
    for event in client.runs.stream(run, after=after):
        after = event.id
        line = progress.take(event)
        if line is not None:
            say(line)
        suspended = isinstance(event.data, Run) and event.data.status == "suspended"
        if suspended and client.runs.get(run).suspend_reason == until:
            break
    return after


def _link(scene: Scene, mails: int) -> str:
    """The link in the mail that the approver got, at the address where this server is reached."""
    end = time.monotonic() + MAIL_S
    while len(scene.mailbox.received) <= mails:
        if time.monotonic() > end:
            raise ClientError(f"No mail to the approver within {MAIL_S:.0f} s")
        time.sleep(0.02)
    mail = scene.mailbox.received[mails]
    found = LINK.search(mail.text)
    if found is None:
        raise ClientError("The mail to the approver has no link")
    parts = urlsplit(found[0])
    say(f"  mail to {', '.join(mail.recipients)}: {mail.message['Subject']}")
    return f"{scene.url}{parts.path}?{parts.query}"


def _show_ways(scene: Scene, key: str, run: str, link: str) -> None:
    body = json_text({"decision": "approve", "comment": "Good customer"}, indent=0)
    say(f"  open    {link}")
    curl = ["curl", "-sS", link, "-H", "Content-Type: application/json", "-d", body]
    say(f"  or      {shlex.join(curl)}")
    say(f"  watch   {shlex.join(['curl', '-sS', f'{scene.url}/api/v1/runs/{run}', '-H', f'x-api-key: {key}'])}")


def _decided_by_hand(client: Client, run: str, patience_s: float) -> bool:
    if patience_s:
        out.print(f"[dim]  waiting {patience_s:.0f} s for you to decide[/]", highlight=False)
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if client.runs.get(run).suspend_reason != "approval":
            return True
        time.sleep(0.25)
    return False


def _decide(link: str) -> None:
    body = json_text({"decision": "approve", "comment": "Good customer"}).encode()
    request = Request(link, data=body, headers={"Content-Type": "application/json"}, method="POST")  # noqa: S310 - ours
    with urlopen(request, timeout=10) as answer:  # noqa: S310 - the demo's own server
        answer.read()


def _show_reuse(run: RunDetail) -> None:
    title("What was reused and what ran")
    for step in run.step_results:
        say(f"  {step.place}  {'reused' if step.reused else step.status}")
