"""Projects, of which each workspace is the one of its keys; definitions of nodes; health. Source: AwaitStep contract
4.3."""

from typing import Any

from msgspec import Struct
from starlette.responses import Response

from stepwell.errors import NotFound
from stepwell.http.dialects.awaitstep.answers import bare
from stepwell.http.dialects.awaitstep.ir import DEFINITIONS
from stepwell.http.routes import Answer, Call, Rate, Route


class Project(Struct, rename="camel"):
    """A workspace as a project."""

    id: str
    organization_id: str
    name: str


async def list_projects(call: Call[None, None]) -> Response:
    """GET /api/projects."""
    own = call.workspace
    return bare({"data": [Project(id=own, organization_id=own, name="Workspace")], "nextCursor": None})


async def list_nodes(call: Call[None, None]) -> Response:
    """GET /api/nodes."""
    return bare({"data": DEFINITIONS, "nextCursor": None})


async def get_node(call: Call[None, None]) -> Response:
    """GET /api/nodes/{node_id}."""
    for each in DEFINITIONS:
        if each["id"] == call.params["node_id"]:
            return bare(each)
    raise NotFound("Node not found")


class Health(Struct):
    """How the server is."""

    status: str = "ok"


async def health(call: Call[None, None]) -> Response:
    """GET /api/health, after a read of the database."""
    await call.core.store.keys.workspaces()
    return bare(Health()) if call.core.ready() else bare(Health("not ready"), 503)


_NODE = dict[str, Any]

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/health",
        handler=health,
        scope=None,
        rate=Rate.READ,
        summary="Whether the server is well",
        answers=(Answer(status=200, data=Health),),
    ),
    Route(
        method="GET",
        path="/api/projects",
        handler=list_projects,
        scope="workflows:read",
        rate=Rate.READ,
        summary="List the projects of the key: its workspace",
        answers=(Answer(status=200, data=Project, listed=True),),
    ),
    Route(
        method="GET",
        path="/api/nodes",
        handler=list_nodes,
        scope="workflows:read",
        rate=Rate.READ,
        summary="List the definitions of nodes",
        answers=(Answer(status=200, data=_NODE, listed=True),),
    ),
    Route(
        method="GET",
        path="/api/nodes/{node_id}",
        handler=get_node,
        scope="workflows:read",
        rate=Rate.READ,
        summary="Read the definition of a node",
        answers=(Answer(status=200, data=_NODE),),
        errors=("NOT_FOUND",),
    ),
)
