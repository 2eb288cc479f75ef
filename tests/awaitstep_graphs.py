"""Short ways to write IRs."""

from stepwell.values import Json


def node(id: str, type: str, *, name: str | None = None, config: Json = None, **data: Json) -> Json:
    """A node of an IR."""
    made = {"id": id, "type": type, "name": name or id, "position": {"x": 0, "y": 0}, "version": "1.0.0"}
    made |= {"provider": "core", "data": data}
    return made if config is None else {**made, "config": config}


def step(id: str, code: str, **more: Json) -> Json:
    """A step of JavaScript that is not tried again."""
    return node(id, "step", code=code, **{"retryLimit": 0, **more})


def graph(*nodes: Json, edges: str, kind: str = "workflow", trigger: Json = None) -> Json:
    """An IR whose edges are written `a>b a>c:label`; the first node is the entry."""
    listed = []
    for index, text in enumerate(edges.split()):
        ends, _, label = text.partition(":")
        source, _, target = ends.partition(">")
        edge = {"id": f"e{index}", "source": source, "target": target}
        listed.append({**edge, "label": label} if label else edge)
    times = {"createdAt": "2026-01-15T10:00:00.000Z", "updatedAt": "2026-01-15T10:00:00.000Z"}
    made = {"kind": kind, "metadata": {"name": "Test", "version": 1, **times}, "nodes": list(nodes), "edges": listed}
    made["entryNodeId"] = nodes[0]["id"]
    return made if trigger is None else {**made, "trigger": trigger}
