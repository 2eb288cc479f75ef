"""Tools and toolkits: what connectors offer. Source: Flowra contract 4.3."""

from collections.abc import Iterator, Sequence
from typing import Literal, TypeVar

from starlette.responses import Response

from stepwell.connectors import Connectors
from stepwell.errors import NotFound
from stepwell.http.dialects.flowra import tools, wire
from stepwell.http.dialects.flowra.answers import listing, single
from stepwell.http.dialects.flowra.queries import Page, Texts
from stepwell.http.dialects.flowra.tools import Tool
from stepwell.http.routes import Answer, Call, Rate, Route

T = TypeVar("T")


class ToolsQuery(Page, kw_only=True):
    """Filters of the list of tools."""

    kind: Literal["actions", "triggers", "all"] = "all"
    toolkit_slugs: Texts | None = None
    q: str | None = None


class ToolkitsQuery(Page, kw_only=True):
    """Filters of the list of toolkits."""

    q: str | None = None


async def list_tools(call: Call[ToolsQuery, None]) -> Response:
    """GET /tools."""
    query, text = call.query, (call.query.q or "").lower()
    toolkits = {each.lower() for each in query.toolkit_slugs or ()}
    fit = [
        tool
        for tool in _all(call.core.connectors, query.kind)
        if (not toolkits or tool.toolkit in toolkits) and text in f"{tool.slug} {tool.title}".lower()
    ]
    rows = fit[query.start : query.start + query.limit + 1]
    return listing(query, rows, len(fit), _tool, lambda tool: tool.slug)


async def get_tool(call: Call[None, None]) -> Response:
    """GET /tools/byId/{slug}."""
    connectors, slug = call.core.connectors, call.params["slug"]
    tool = tools.action(connectors, slug) or tools.event(connectors, slug)
    if tool is None:
        raise NotFound("Tool not found")
    return single("OK", _tool(tool))


async def list_toolkits(call: Call[ToolkitsQuery, None]) -> Response:
    """GET /toolkits."""
    query, text = call.query, (call.query.q or "").lower()
    fit = [each for each in _toolkits(call.core.connectors) if text in f"{each.slug} {each.name}".lower()]
    rows = fit[query.start : query.start + query.limit + 1]
    return listing(query, rows, len(fit), lambda each: each, lambda each: each.id)


def _all(connectors: Connectors, kind: str) -> Iterator[Tool]:
    if kind != "triggers":
        yield from tools.actions(connectors)
    if kind != "actions":
        yield from tools.events(connectors)


def _tool(tool: Tool) -> wire.ToolItem:
    return wire.ToolItem(
        id=tool.slug,
        slug=tool.slug,
        name=tool.title,
        description=tool.description,
        toolkit_slug=tool.toolkit,
        type=tool.type,
        input_parameters=tool.params,
        output_parameters=tool.output,
        no_auth=tool.account != "required",
    )


def _toolkits(connectors: Connectors) -> Iterator[wire.ToolkitItem]:
    events = [event.toolkit for event in tools.events(connectors)]
    for name in sorted(connectors.connectors()):
        connector = connectors.get(name)
        if connector is not None:
            yield wire.ToolkitItem(
                id=name,
                slug=name,
                name=connector.manifest.title,
                description=connector.manifest.description,
                no_auth=not connector.manifest.credentials,
                tools_count=len(connector.actions),
                triggers_count=events.count(name),
            )


ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path="/tools",
        handler=list_tools,
        scope="workflows:read",
        rate=Rate.READ,
        summary="List what connectors do and tell of",
        answers=(Answer(status=200, data=wire.ToolItem, listed=True),),
        query=ToolsQuery,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="GET",
        path="/tools/byId/{slug}",
        handler=get_tool,
        scope="workflows:read",
        rate=Rate.READ,
        summary="Read one of them",
        answers=(Answer(status=200, data=wire.ToolItem),),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="GET",
        path="/toolkits",
        handler=list_toolkits,
        scope="workflows:read",
        rate=Rate.READ,
        summary="List the connectors",
        answers=(Answer(status=200, data=wire.ToolkitItem, listed=True),),
        query=ToolkitsQuery,
        errors=("VALIDATION_ERROR",),
    ),
)
