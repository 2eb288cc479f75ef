"""What the demo does as a client of its server, and what it prints of it."""

import shlex
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from stepwell.cli.demo.stripe import StripeServer
from stepwell.cli.output import json_text, out, say
from stepwell.cli.watching import follow
from stepwell.client import Client, ClientError, RunDetail, WorkflowDetail
from stepwell.values import decode

if TYPE_CHECKING:
    from stepwell.cli.demo.mailbox import Mailbox  # its driver is optional

EXAMPLE = "process-customer-order.json"
ORDER: dict[str, Any] = {
    "customerId": "cus_1",
    "customerEmail": "ana@example.com",
    "items": [
        {"productId": "p1", "quantity": 2, "price": 1999},
        {"productId": "p2", "quantity": 1, "price": 502},
    ],
}
"""Two items, prices in minor units. Source: LoopFour contract A.1."""

READY_S = 10.0


@dataclass(frozen=True, slots=True)
class Scene:
    """What the story has to do with."""

    url: str
    admin_key: str
    data: Path
    kept: bool
    stripe: StripeServer
    mailbox: "Mailbox"
    patience_s: float = 0.0  # how long a person at the terminal has to decide


def tell(scene: Scene) -> None:
    """Set the server up, run the order, show what came of it.

    Raises:
        ClientError: the server refused something, or the run failed.
    """
    client, key, document, workflow = set_up(scene, EXAMPLE)
    started = client.runs.start(workflow.id, ORDER)
    title("The run, step by step")
    run = follow(client, started.run_id, [step["id"] for step in document["steps"]])
    if run.status != "completed":
        cause = "" if run.error is None else f": {run.error.message} ({run.error.code})"
        raise ClientError(f"The demo's run ended {run.status}{cause}")
    _show_result(run)
    _show_provider(scene.stripe)
    _show_mail(scene.mailbox)
    _show_calls(scene.url, key, workflow.id, run.id)


def set_up(scene: Scene, example: str) -> tuple[Client, str, dict[str, Any], WorkflowDetail]:
    """A key, the connections and an active workflow on a new server: client, key, document and workflow."""
    admin = Client(scene.url, scene.admin_key)
    wait_for(admin)
    key = admin.keys.create("demo", ["admin"]).key
    client = Client(scene.url, key)
    title("Stepwell demo")
    say(f"Server      {scene.url}, data in {scene.data}{'' if scene.kept else ' (removed at the end)'}")
    _connect(client, scene)
    document = decode((resources.files("stepwell.cli.demo") / example).read_bytes())
    workflow = client.workflows.activate(client.workflows.apply(document).workflow.id)
    say(f"Workflow    {workflow.name}: {workflow.id}, version {workflow.version}, {workflow.status}")
    return client, key, document, workflow


def wait_for(client: Client) -> None:
    end = time.monotonic() + READY_S
    while not client.ready():
        if time.monotonic() > end:
            raise ClientError(f"The server at {client.url} was not ready within {READY_S:.0f} s")
        time.sleep(0.02)


def _connect(client: Client, scene: Scene) -> None:
    """Give the workflow its provider and its mail server; both are this process, on loopback."""
    stripe, mailbox = scene.stripe, scene.mailbox
    client.connections.apply(
        "demo-stripe", "Demo provider", "stripe", {"apiKey": stripe.api_key}, base_url=stripe.url, is_default=True
    )
    mail = {"host": mailbox.host, "port": mailbox.port, "tls": "none", "from": "orders@demo.example"}
    client.connections.apply("demo-smtp", "Demo mail server", "smtp", mail, is_default=True)
    say(f"Provider    Stripe-shaped HTTP server on {stripe.url}")
    say(f"Mail server SMTP on {mailbox.host}:{mailbox.port}")


def _show_result(run: RunDetail) -> None:
    outputs = {step.step_id: step.output for step in run.step_results}
    totals, invoice = outputs["calculate-total"], outputs["create-invoice"]
    title(f"The finished run: {run.status} in {run.duration_ms} ms")
    table = Table(box=None, pad_edge=False, show_header=False)
    for name in ("subtotal", "tax", "total"):
        table.add_row(name, json_text(totals[name]))
    table.add_row("invoice", escape(f"{invoice['number']} ({invoice['id']}, {invoice['status']})"))
    table.add_row("output", escape(json_text(run.output, indent=0)))
    out.print(table, highlight=False)


def _show_provider(stripe: StripeServer) -> None:
    title("What the provider received")
    for request in stripe.received:
        again = " (repeat)" if request.replayed else ""
        say(f"{request.method} {request.path}{again}  Idempotency-Key: {request.idempotency_key}")


def _show_mail(mailbox: "Mailbox") -> None:
    title("The e-mail, as the mail server received it")
    mail = mailbox.received[-1]
    say(f"From:    {mail.message['From']}")
    say(f"To:      {', '.join(mail.recipients)}")
    say(f"Subject: {mail.message['Subject']}")
    say(mail.text)


def _show_calls(url: str, key: str, workflow: str, run: str) -> None:
    """Lines to copy and paste, each whole on one line."""
    base = f"{url}/api/v1"
    title("Now you")
    say(f"API key     {key}")
    again = {"fromStepId": "send-confirmation", "overrideInput": {"customerEmail": "bo@example.com"}}
    calls = (
        ("Start a run", f"{base}/workflows/{workflow}/run", {"input": ORDER}),
        ("Read it", f"{base}/runs/{run}", None),
        ("Read its log", f"{base}/runs/{run}/logs", None),
        ("Restart it from its last step", f"{base}/runs/{run}/restart", again),
    )
    for what, address, body in calls:
        out.print(f"\n[dim]# {what}[/]", highlight=False)
        words = ["curl", "-sS", address, "-H", f"x-api-key: {key}"]
        if body is not None:
            words += ["-H", "Content-Type: application/json", "-d", json_text(body, indent=0)]
        say(shlex.join(words))


def title(text: str) -> None:
    """A heading."""
    out.print(f"\n[bold]{escape(text)}[/]", highlight=False)
