"""Graphs that are refused, with every fault at its place. Source: Flowra contract 7.1, 12."""

import pytest

from flowra_client import FlowraApi, flowra, refused
from flowra_flows import BASE, GRAPH, UNKNOWN, create, detail, node
from live import Api
from stepwell.values import Json


@pytest.fixture
def client(api: Api) -> FlowraApi:
    return flowra(api)


def faults(client: FlowraApi, graph: Json, **fields: Json) -> dict[str, str]:
    """What is wrong with a graph that must be refused."""
    response = client("POST", f"{BASE}/create", {"name": "Flow", "graph": graph, **fields})
    assert response.status_code == 400, response.text
    body = response.json()
    assert isinstance(body["message"], str)
    details = [(each["field"], each["message"]) for each in body["details"]]
    assert len(details) == len(set(details))
    assert len(dict(details)) == len(details), details
    return dict(details)


def test_every_fault_of_a_graph_is_told_at_once(client: FlowraApi) -> None:
    graph = {
        "nodes": [
            node("s", "start"),
            node("s2", "start"),
            node("a", code="return ("),
            node("b", "action", toolSlug="NOPE_DO"),
            node("c", "action", toolSlug="STRIPE_CREATE_INVOICE", inputMapping={"amount": "{{ input.x | nope }}"}),
            node("d", "llm_agent"),
            node("e", inputMapping={"y": "{{nodes.zz.output}}"}),
        ],
        "edges": [
            {"from": "s", "to": "a"},
            {"from": "a", "to": "b", "condition": "output.("},
            {"from": "b", "to": "c"},
            {"from": "c", "to": "b"},
            {"from": "b", "to": "d"},
            {"from": "d", "to": "e"},
        ],
    }

    told = faults(client, graph, triggers=[{"kind": "cron", "expression": "nope"}])

    assert set(told) == {
        "graph.nodes[1].type",
        "graph.nodes[2].code",
        "graph.nodes[3].toolSlug",
        "graph.nodes[4].inputMapping.customerId",
        "graph.nodes[4].inputMapping.amount",
        "graph.nodes[5].type",
        "graph.nodes[6].inputMapping.y",
        "graph.edges[1].condition",
        "graph.edges",
        "triggers[0].expression",
    }
    assert told["graph.nodes[3].toolSlug"] == "Unknown tool: NOPE_DO"
    assert told["graph.nodes[5].type"] == "Node type not available: llm_agent"
    assert told["graph.nodes[2].code"].startswith("SyntaxError")
    assert client.answer("GET", f"{BASE}/list")["total"] == 0


@pytest.mark.parametrize(
    "condition", ["1); (2", "output.x; true", "{", "a b", "return 1", "1) || (x => { for(;;); })(", "..."]
)
def test_a_condition_is_one_expression(client: FlowraApi, condition: str) -> None:
    edges = [{"from": "s", "to": "a", "condition": condition}]

    assert set(faults(client, {**GRAPH, "edges": edges})) == {"graph.edges[0].condition"}


@pytest.mark.parametrize("code", ["}); (async () => {", "return 1 +", "import x from 'y'; return x", "let a; let a;"])
def test_code_is_one_body(client: FlowraApi, code: str) -> None:
    assert set(faults(client, {**GRAPH, "nodes": [node("s", "start"), node("a", code=code)]})) == {
        "graph.nodes[1].code"
    }


def test_schemas_of_a_graph_are_checked(client: FlowraApi) -> None:
    told = faults(client, {**GRAPH, "inputSchema": {"type": "nope"}})

    assert [field.partition("Schema")[0] for field in told] == ["graph.input"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x", "agent": {"model": "m"}}, "agent"),
        ({"name": "x", "workflowType": "agent"}, "workflowType"),
        ({"name": "x", "triggers": [{"kind": "rain"}]}, "triggers[0].kind"),
        ({"name": "x", "triggers": [{}]}, "triggers[0].kind"),
        ({"name": "x", "triggers": ["manual"]}, "triggers[0]"),
        ({"name": "x", "triggers": [{"kind": "cron"}]}, "triggers[0].expression"),
        ({"name": "x", "triggers": [{"kind": "cron", "expression": "0 9 * *"}]}, "triggers[0].expression"),
        (
            {"name": "x", "triggers": [{"kind": "cron", "expression": "0 9 * * *", "timezone": "X"}]},
            "triggers[0].timezone",
        ),
        ({"name": "x", "triggers": [{"kind": "trigger_tool"}]}, "triggers[0].toolSlug"),
        ({"name": "x", "triggers": [{"kind": "trigger_tool", "toolSlug": "nope"}]}, "triggers[0].toolSlug"),
        ({"name": "x", "triggers": [{"kind": "trigger_tool", "triggerId": UNKNOWN}]}, "triggers[0].triggerId"),
        ({"name": "x", "triggers": {"kind": "manual"}}, "triggers"),
        ({"name": "x", "isPublic": "yes"}, "isPublic"),
        ({"name": "x", "graph": []}, "graph"),
    ],
)
def test_a_faulty_body_is_refused_at_its_field(client: FlowraApi, body: Json, field: str) -> None:
    assert field in refused(client("POST", f"{BASE}/create", body), 400)


def test_a_faulty_graph_leaves_the_workflow_as_it_was(client: FlowraApi) -> None:
    made = create(client)

    refused(client("PATCH", f"{BASE}/update/{made['id']}", {"name": "New", "graph": {"nodes": []}}), 400)

    assert detail(client, made["id"]) == made
