"""The page on triggering runs: its requests and its JavaScript as printed; only host, key and ids are put in."""

import subprocess

import pytest

from awaitstep_client import AwaitstepApi, awaitstep
from awaitstep_graphs import graph, step
from awaitstep_runs import approval, compiled, final, held, trigger
from live import SEEDS, Api
from snippets import bash, needs_curl, needs_node, needs_seeds, node, snippet
from stepwell.store import Connection
from stepwell.values import Json, encode

PAGE = SEEDS / "awaitstep-triggering-runs.txt"
HOST = "https://app.awaitstep.dev"
INSTANCE = "9d3f1a2b-4c5e-6d7f-8a9b-0c1d2e3f4a5b"


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    """A workspace whose target has the printed id as its slug."""
    client = awaitstep(api)
    target = Connection(
        workspace=api.workspace,
        id="00000000-0000-4000-8000-000000000789",
        slug="xyz789",
        name="Stepwell",
        provider="stepwell",
        status="active",
        mode="live",
        is_default=True,
        base_url=None,
        external_account_id=None,
        sealed=None,
        updated_at=0,
    )
    api.server.call(api.server.parts.core.store.connections.create(target))
    return client


def printed(client: AwaitstepApi, begin: str, end: str, *, after: str = "") -> str:
    text = snippet(PAGE, begin, end, after=after)
    return text.replace(HOST, client.native.server.url).replace("ask_yourkey", client.key)


@needs_seeds
@needs_curl
def test_the_printed_request_starts_a_run_that_reads_the_printed_params(client: AwaitstepApi) -> None:
    compiled(client, slug="abc123")

    run = bash(printed(client, "curl -X POST", "}\n  }'") + " --silent")

    assert final(client, run)["output"] == {"orderId": "ord_001", "userId": "usr_42", "amount": 4999}
    assert run["instanceId"] == run["id"].removeprefix("run_")


@needs_seeds
@needs_curl
def test_the_printed_event_reaches_the_run_that_waits_for_it(client: AwaitstepApi) -> None:
    workflow = compiled(client, approval(), slug="abc123")
    run = held(client, trigger(client, workflow, {"amount": 4999}))

    request = printed(client, "curl -X POST", "}\n    }\n  }'", after="Sending events to a waiting run")
    answer = bash(request.replace(INSTANCE, run["instanceId"]) + " --silent")

    assert answer == {"instanceId": run["instanceId"]}
    assert final(client, run)["output"] == {"paid": 4999}


@needs_seeds
@needs_node
def test_the_printed_javascript_starts_a_run(client: AwaitstepApi) -> None:
    workflow = compiled(client, slug="abc123")

    told = node(printed(client, "const response = await fetch", "console.log('Run started:', instanceId)"))

    (run,) = client.answer("GET", f"/api/workflows/{workflow}/runs")["data"]
    assert told == f"Run started: {run['instanceId']}"
    assert run["params"] == {"orderId": "ord_001"}


def polled(client: AwaitstepApi, run: Json, after: str) -> str:
    """What the printed loop prints of a run, called as the page says."""
    loop = printed(client, "async function waitForCompletion", "complete')\n}")
    named = ", ".join(encode(text).decode() for text in (run["workflowId"], run["instanceId"], client.key))
    return node(f"{loop}\n{after.replace('CALL', f'await waitForCompletion({named})')}")


@needs_seeds
@needs_node
def test_the_printed_loop_ends_on_complete(client: AwaitstepApi) -> None:
    run = trigger(client, compiled(client), {"n": 1})

    assert polled(client, run, "console.log(JSON.stringify((CALL).output))") == '{"n":1}'


@needs_seeds
@needs_node
def test_the_printed_loop_tells_the_message_of_a_failed_run(client: AwaitstepApi) -> None:
    run = trigger(client, compiled(client, graph(step("pay", "throw new Error('card declined')"), edges="")))

    told = polled(client, run, "try { CALL } catch (error) { console.log(error.message) }")

    assert told == "Run failed: card declined"


@needs_seeds
@needs_node
def test_the_printed_loop_tells_of_a_terminated_run(client: AwaitstepApi) -> None:
    run = trigger(client, compiled(client, approval()))
    client.answer("POST", f"/api/workflows/{run['workflowId']}/runs/{run['id']}/terminate")

    assert polled(client, run, "try { CALL } catch (error) { console.log(error.message) }") == "Run was terminated"


@needs_seeds
@pytest.mark.parametrize("verb", ["pause", "resume", "terminate"])
def test_the_table_of_controls_is_served_as_it_is_printed(client: AwaitstepApi, verb: str) -> None:
    row = next(line for line in PAGE.read_text().splitlines() if line.startswith(verb.capitalize()) and "POST" in line)
    path = row.partition("POST ")[2].removesuffix("deploy")
    run = held(client, trigger(client, compiled(client, approval())))
    if verb == "resume":
        client.answer("POST", f"/api/workflows/{run['workflowId']}/runs/{run['id']}/pause")

    filled = path.replace(":id", run["workflowId"]).replace(":runId", run["instanceId"])

    assert client.scoped("deploy").answer("POST", filled) == {"ok": True}


@needs_seeds
@needs_curl
def test_the_printed_call_of_a_function_answers_with_its_values(client: AwaitstepApi) -> None:
    code = {"language": "javascript", "code": "return {Order: input.event.payload.orderId}"}
    document = {"name": "f", "trigger": {"type": "api"}, "inline": True}
    function = client.native.workflow({**document, "steps": [{"id": "graph", "type": "code", "config": code}]})

    request = snippet(PAGE, "curl -X POST https://<your-worker-url>", "}'")
    url = f"{client.native.server.url}/fn/{function}"
    answer = bash(request.replace("https://<your-worker-url>", url) + " --silent")

    assert answer == {"Order": "ord_001"}
    plain = subprocess.run(["curl", "--silent", "-w", "%{http_code}", url], capture_output=True, check=True, timeout=30)
    assert plain.stdout == b"200"
