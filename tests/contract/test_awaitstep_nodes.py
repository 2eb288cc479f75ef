"""What nodes do and what their expressions read, over the wire. Source: AwaitStep contract 10."""

import pytest

from answering import Answering
from awaitstep_client import AwaitstepApi, awaitstep, simple
from awaitstep_graphs import graph, node, step
from awaitstep_runs import final, trigger
from live import Api
from stepwell.values import Json, decode


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    return awaitstep(api)


def ran(client: AwaitstepApi, ir: Json, params: Json = None) -> Json:
    run = final(client, trigger(client, client.deployed(ir), params))
    assert run["status"] == "complete", run
    return run


def outputs(run: Json) -> dict[str, Json]:
    """The value of each node that ran."""
    return {each["nodeId"]: each["output"] for each in run["steps"] if each["status"] == "success"}


# -- what expressions read


def test_the_event_tells_its_payload_its_instance_and_its_time(client: AwaitstepApi) -> None:
    code = "return [event.payload.n, event.instanceId, event.timestamp, {{event.instanceId}}, {{event.timestamp}}]"

    run = ran(client, simple(code), {"n": 1})

    told = [run["instanceId"], run["startedAt"]]
    assert run["output"] == [1, *told, *told]


def test_an_expression_that_is_the_whole_text_keeps_its_type(client: AwaitstepApi, upstream: Answering) -> None:
    body = {"whole": "{{a}}", "number": "{{a.n}}", "nothing": "{{a.none}}"}
    call = node("call", "http_request", url=upstream.url, method="POST", body=body)

    ran(client, graph(step("a", "return {n: 1.5, none: null}"), call, edges="a>call"))

    assert decode(upstream.seen[0].body) == {"whole": {"n": 1.5, "none": None}, "number": 1.5, "nothing": None}


def test_within_a_text_an_object_is_json_and_null_is_empty(client: AwaitstepApi, upstream: Answering) -> None:
    body = {"text": "a={{a}} n={{a.none}}."}
    call = node("call", "http_request", url=upstream.url, method="POST", body=body)

    ran(client, graph(step("a", "return {n: 1, none: null}"), call, edges="a>call"))

    assert decode(upstream.seen[0].body) == {"text": 'a={"n":1,"none":null} n=.'}


def test_headers_and_query_may_be_json_text(client: AwaitstepApi, upstream: Answering) -> None:
    call = node(
        "call",
        "http_request",
        url=f"{upstream.url}/{{{{a.list[0].id}}}}",
        method="GET",
        headers='{"X-Name": "{{a["name"]}}"}',
        queryParams='{"q": "{{a.list[0].id}}"}',
    )

    ran(client, graph(step("a", "return {list: [{id: 7}], name: 'n'}"), call, edges="a>call"))

    (seen,) = upstream.seen
    assert (seen.path, seen.headers["x-name"]) == ("/7?q=7", "n")


def test_a_text_with_holes_is_a_template_literal(client: AwaitstepApi, upstream: Answering) -> None:
    url = f"{upstream.url}/${{event.payload.n + 1}}"

    ran(client, graph(node("call", "http_request", url=url, method="GET"), edges=""), {"n": 1})

    assert upstream.seen[0].path == "/2"


def test_code_names_nodes_by_what_they_are_called(client: AwaitstepApi) -> None:
    ir = graph(
        step("a", "return 1", name="Get Price"),
        step("b", "return 2", name="Get Price"),
        step("c", "return [Get_Price, Get_Price_2]"),
        edges="a>b b>c",
    )

    assert ran(client, ir)["output"] == [1, 2]


# -- how nodes run


def test_a_step_inline_is_not_tried_again(client: AwaitstepApi) -> None:
    ir = graph(node("a", "step", code="throw new Error(`try ${ctx.attempt}`)", inline=True), edges="")

    run = final(client, trigger(client, client.deployed(ir)))

    assert (run["status"], run["error"], run["errorDetail"]["attempts"]) == ("errored", "try 1", 1)


def test_the_return_of_a_step_inline_does_not_end_the_run(client: AwaitstepApi) -> None:
    ir = graph(node("a", "step", code="return 1", inline=True), step("b", "return {{a}} + 1"), edges="a>b")

    assert ran(client, ir)["output"] == 2


def test_a_branch_without_a_match_runs_nothing(client: AwaitstepApi) -> None:
    branch = node("r", "branch", branches=[{"label": "x", "condition": "event.payload.n > 1"}])

    run = ran(client, graph(branch, step("a", "return 1"), edges="r>a:x"), {"n": 1})

    assert (run["output"], "a" in outputs(run)) == (None, False)


@pytest.mark.parametrize("type", ["parallel", "race", "try_catch", "loop"])
def test_what_hangs_on_then_follows_a_container(client: AwaitstepApi, type: str) -> None:
    data = {"loopType": "times", "count": 2} if type == "loop" else {}
    edges = {"try_catch": "c>a:try c>b:catch", "loop": "c>a:body a>b"}.get(type, "c>a c>b")
    ir = graph(
        node("c", type, **data),
        step("a", "return 'a'"),
        step("b", "return 'b'"),
        step("z", "return {{c}}"),
        edges=f"{edges} c>z:then",
    )

    run = ran(client, ir)

    assert run["output"] == outputs(run)["c"]
    assert run["output"] is not None


def test_a_join_follows_a_container(client: AwaitstepApi) -> None:
    ir = graph(
        node("p", "parallel"),
        step("a", "return 1"),
        step("b", "return 2"),
        step("z", "return {{p}}.map((arm) => arm.value)"),
        edges="p>a p>b a>z b>z",
    )

    assert ran(client, ir)["output"] == [1, 2]


def test_a_break_in_an_arm_ends_that_arm_alone(client: AwaitstepApi) -> None:
    ir = graph(
        node("p", "parallel"),
        step("a", "return 1"),
        node("stop", "break"),
        step("never", "return 9"),
        step("b", "return 2"),
        edges="p>a a>stop stop>never p>b",
    )

    run = ran(client, ir)

    assert "never" not in outputs(run)
    assert [arm["value"] for arm in outputs(run)["p"]] == [1, 2]


def test_added_steps_are_hidden_here_and_shown_natively(client: AwaitstepApi) -> None:
    run = ran(client, graph(node("p", "parallel"), step("a", "return 1"), edges="p>a"))

    native = client.native.data("GET", f"/runs/{run['id']}")
    assert [each["nodeId"] for each in run["steps"]] == ["p", "a"]
    assert "p__out" in {each["id"] for each in native["steps"]}


@pytest.mark.parametrize("type", ["sleep", "sleep_until"])
def test_a_time_that_is_over_lets_a_run_go_on_at_once(client: AwaitstepApi, type: str) -> None:
    nap = node("nap", type, duration=0, timestamp="{{event.payload.at}}")

    run = ran(client, graph(nap, step("a", "return {{nap}}"), edges="nap>a"), {"at": "2020-01-01T00:00:00Z"})

    assert run["output"] is None
