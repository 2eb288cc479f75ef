"""Nodes of a workflow: added, listed, changed, removed; each change makes a new version. Source: AITasker contract 4.2,
7."""

from collections.abc import Callable, Sequence

from starlette.responses import Response

from stepwell.clock import iso
from stepwell.core import RunView
from stepwell.errors import Fault, InvalidState, NotFound
from stepwell.http.dialects.aitasker import drafts
from stepwell.http.dialects.aitasker.answers import bare, once
from stepwell.http.dialects.aitasker.located import document, param, workflow, workflow_exists
from stepwell.http.dialects.aitasker.names import check_path
from stepwell.http.dialects.aitasker.shown import ShownNode, nodes_of, retries, source_of
from stepwell.http.dialects.aitasker.templates import named_nodes
from stepwell.http.dialects.aitasker.wire_workflows import (
    NewNode,
    Node,
    NodeChanges,
    Object,
    node_fields,
    refused,
    whole_node,
)
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.ids import TimeOrderedIds, created_ms
from stepwell.states import WorkflowStatus
from stepwell.store import Workflow as Row
from stepwell.values import Json, Path

_TEXTS = ("task_template", "node_config", "input_mapping")
Nodes = list[Object]


async def list_nodes(call: Call[None, None]) -> Response:
    """GET /workflows/{id}/nodes."""
    row = await workflow(call)
    return bare(await shown_nodes(call, row, await document(call, row)))


async def add_node(call: Call[None, NewNode]) -> Response:
    """POST /workflows/{id}/nodes. The same Idempotency-Key gets the first answer again."""
    row = await workflow(call)
    return await once(call, f"nodes:{row.id}", lambda: _added(call))


async def _added(call: Call[None, NewNode]) -> Response:
    faults: list[Fault] = []
    fields = node_fields(call.body, faults)
    row = await _own(call, faults)
    node = whole_node(fields, TimeOrderedIds(call.clock).new(), call.clock.now_ms())
    await _write(call, row, node["id"], lambda nodes: [*nodes, node])
    return bare(await _shown(call, row.id, node["id"]))


async def get_node(call: Call[None, None]) -> Response:
    """GET /workflows/{id}/nodes/{node_id}."""
    row = await workflow(call)
    return bare(await _shown(call, row.id, param(call, "node_id")))


async def update_node(call: Call[None, NodeChanges]) -> Response:
    """PUT /workflows/{id}/nodes/{node_id}."""
    faults: list[Fault] = []
    await node_exists(call)
    fields = node_fields(call.body, faults)
    row, id = await _own(call, faults), param(call, "node_id")

    def changed(nodes: Nodes) -> Nodes:
        _find(nodes, id)
        return [{**node, **fields} if node["id"] == id else node for node in nodes]

    await _write(call, row, id, changed)
    return bare(await _shown(call, row.id, id))


async def delete_node(call: Call[None, None]) -> Response:
    """DELETE /workflows/{id}/nodes/{node_id}."""
    await node_exists(call)
    row, id = await _own(call, []), param(call, "node_id")

    def left(nodes: Nodes) -> Nodes:
        if needing := _needing(nodes, _find(nodes, id)):
            raise InvalidState(f"Node is needed by {', '.join(needing)}")
        return [node for node in nodes if node["id"] != id]

    await _write(call, row, id, left)
    return Response(status_code=204)


async def node_exists(call: AnyCall) -> None:
    """Raise NotFound unless the workflow and the node of the path exist."""
    row = await workflow(call)
    whole = await document(call, row)
    if all(node.id != param(call, "node_id") for node in await _nodes(call, row, whole)):
        raise NotFound("Node not found")


async def shown_nodes(call: AnyCall, row: Row, whole: Object) -> list[Node]:
    """The nodes of a workflow by position."""
    view = await _newest(call, row)
    return [_node(row, node, view) for node in await _nodes(call, row, whole)]


async def _nodes(call: AnyCall, row: Row, whole: Object) -> list[ShownNode]:
    types: dict[str, str] = {}
    if source_of(whole) is None:
        types = await call.core.workflows.step_types(row.workspace, row.id, row.version)
    return nodes_of(row.id, whole, types)


async def _newest(call: AnyCall, row: Row) -> RunView | None:
    """The newest run of a workflow."""
    newest = (await call.core.workflows.counts(row.workspace, row.id)).newest
    if newest is None:
        return None
    try:
        return await call.core.runs.get(row.workspace, newest)
    except NotFound:
        return None  # it was deleted meanwhile


def _node(row: Row, node: ShownNode, view: RunView | None) -> Node:
    steps = {} if view is None else {step.path: step for step in view.steps}
    fields = {name: node.fields[name] for name in Node.__struct_fields__ if name in node.fields}
    created = node.fields.get("created_at")
    fields["created_at"] = iso(created_ms(row.id) if created is None else created)
    used = 0 if view is None else retries(steps.get(node.step), view)
    return Node(**{**fields, "id": node.id}, workflow_id=row.id, retry_count=used)


async def _shown(call: AnyCall, workflow_id: str, id: str) -> Node:
    row = await call.core.workflows.row(call.workspace, workflow_id)
    for node in await shown_nodes(call, row, await document(call, row)):
        if node.id == id:
            return node
    raise NotFound("Node not found")


async def _own(call: AnyCall, faults: list[Fault]) -> Row:
    """The workflow of the path, whose nodes may be changed here. Raises what was found wrong with the body after it is
    known that there is such a workflow."""
    row = await workflow(call)
    if faults:
        raise refused(faults, call.body)
    if source_of(await document(call, row)) is None:
        raise InvalidState("Nodes belong to another dialect")
    if row.status is WorkflowStatus.ARCHIVED:
        raise InvalidState("Workflow is archived")
    return row


async def _write(call: AnyCall, row: Row, id: str, change: Callable[[Nodes], Nodes]) -> None:
    """Store the nodes as they are changed; what is wrong with another node than this one is told of the whole body."""
    whole = await document(call, row)
    nodes = change(whole["source"]["nodes"])
    await drafts.check_scripts(call.core, call.workspace, [each for each in nodes if each["id"] == id], _of_body)

    def changed(whole: Object) -> Object:
        nodes = change(whole["source"]["nodes"])
        source = {**whole["source"], "nodes": nodes}

        def placed(index: int, path: Path) -> Path:
            if nodes[index]["id"] == id:
                return path
            return ("depends_on",) if path[:1] == ("depends_on",) else ("node", nodes[index]["id"], *path)

        made = drafts.native(call.core, source, whole["name"], whole.get("description"), placed)
        return {**whole, **made, "trigger": whole["trigger"], "settings": whole.get("settings")}

    await call.core.workflows.revise(call.workspace, row.id, changed, call.principal.key_id)


def _of_body(index: int, path: Path) -> Path:
    return path


def _find(nodes: Nodes, id: str) -> Object:
    for node in nodes:
        if node["id"] == id:
            return node
    raise NotFound("Node not found")


def _needing(nodes: Nodes, node: Object) -> list[str]:
    """The nodes that depend on a node, or whose templates name it."""
    position = str(node["position"])
    alone = sum(str(other["position"]) == position for other in nodes) == 1
    names = {node["id"], position} if alone else {node["id"]}
    return [
        other["id"]
        for other in nodes
        if other is not node and (node["id"] in other["depends_on"] or names & named_nodes(_texts(other)))
    ]


def _texts(node: Object) -> list[Json]:
    return [node[name] for name in _TEXTS]


_PATH = "/workflows/{id}/nodes"
ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path=_PATH,
        handler=list_nodes,
        scope="workflows:read",
        rate=Rate.READ,
        summary="List the nodes of a workflow by position",
        answers=(Answer(status=200, data=Node, listed=True),),
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
        path_check=check_path,
    ),
    Route(
        method="POST",
        path=_PATH,
        handler=add_node,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Add a node to a workflow",
        answers=(Answer(status=200, data=Node),),
        body=NewNode,
        headers=("Idempotency-Key",),
        errors=("NOT_FOUND", "INVALID_STATE"),
        path_check=check_path,
        exists=workflow_exists,
    ),
    Route(
        method="GET",
        path=_PATH + "/{node_id}",
        handler=get_node,
        scope="workflows:read",
        rate=Rate.READ,
        summary="Read a node",
        answers=(Answer(status=200, data=Node),),
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
        path_check=check_path,
    ),
    Route(
        method="PUT",
        path=_PATH + "/{node_id}",
        handler=update_node,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Change a node; what is not sent stays",
        answers=(Answer(status=200, data=Node),),
        body=NodeChanges,
        errors=("NOT_FOUND", "INVALID_STATE"),
        path_check=check_path,
        exists=node_exists,
    ),
    Route(
        method="DELETE",
        path=_PATH + "/{node_id}",
        handler=delete_node,
        scope="workflows:write",
        rate=Rate.WRITE,
        summary="Remove a node that no other needs",
        answers=(Answer(status=204, data=None),),
        errors=("NOT_FOUND", "INVALID_STATE", "VALIDATION_ERROR"),
        path_check=check_path,
    ),
)
