"""Variables of the workspace. Source: AwaitStep contract 4.3."""

from starlette.responses import Response

from stepwell import ids
from stepwell.clock import iso
from stepwell.core import BULLETS
from stepwell.errors import NotFound
from stepwell.http.dialects.awaitstep.answers import bare
from stepwell.http.dialects.awaitstep.pages import after, listing
from stepwell.http.dialects.awaitstep.wire_runs import Done
from stepwell.http.dialects.awaitstep.wire_workflows import NewVariable, PageQuery, VariableChanges, VariableRow
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.ids import created_ms
from stepwell.store import StoredVariable


async def list_variables(call: Call[PageQuery, None]) -> Response:
    """GET /api/env-vars."""
    before = after(call.query.cursor, "env")
    found = [each for each in await call.core.variables.all(call.workspace) if before is None or each.id < before]
    return listing(found[: call.query.limit + 1], call.query.limit, _row, "env", lambda each: each.id)


async def create_variable(call: Call[None, NewVariable]) -> Response:
    """POST /api/env-vars."""
    body = call.body
    made = await call.core.variables.create(call.workspace, body.name, body.value, secret=body.is_secret)
    return bare(_row(made), 201)


async def update_variable(call: Call[None, VariableChanges]) -> Response:
    """PATCH /api/env-vars/{id}. The bullets keep the value."""
    body, id = call.body, _id(call)
    value = None if body.value == BULLETS else body.value
    changed = await call.core.variables.change(call.workspace, id, name=body.name, value=value, secret=body.is_secret)
    return bare(_row(changed))


async def delete_variable(call: Call[None, None]) -> Response:
    """DELETE /api/env-vars/{id}."""
    await call.core.variables.delete(call.workspace, _id(call))
    return bare(Done())


async def _exists(call: AnyCall) -> None:
    await call.core.variables.get(call.workspace, _id(call))


def _id(call: AnyCall) -> str:
    found = ids.parse(call.params["id"].removeprefix("env_"))
    if found is None:
        raise NotFound("Environment variable not found")
    return found


def _row(variable: StoredVariable) -> VariableRow:
    return VariableRow(
        id=f"env_{variable.id}",
        name=variable.name,
        value=BULLETS if variable.secret else variable.value or "",
        is_secret=variable.secret,
        created_at=iso(created_ms(variable.id)),
        updated_at=iso(variable.updated_at),
    )


_ROW = (Answer(status=200, data=VariableRow),)

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/env-vars",
        handler=list_variables,
        scope="workflows:read",
        rate=Rate.READ,
        summary="List the variables of the workspace, newest first",
        answers=(Answer(status=200, data=VariableRow, listed=True),),
        query=PageQuery,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="POST",
        path="/api/env-vars",
        handler=create_variable,
        scope="secrets:write",
        rate=Rate.WRITE,
        summary="Make a variable",
        answers=(Answer(status=201, data=VariableRow),),
        body=NewVariable,
        errors=("ALREADY_EXISTS", "BAD_REQUEST"),
    ),
    Route(
        method="PATCH",
        path="/api/env-vars/{id}",
        handler=update_variable,
        scope="secrets:write",
        rate=Rate.WRITE,
        summary="Change a variable; it holds from the next deploy on",
        answers=_ROW,
        body=VariableChanges,
        errors=("NOT_FOUND", "ALREADY_EXISTS", "BAD_REQUEST"),
        exists=_exists,
    ),
    Route(
        method="DELETE",
        path="/api/env-vars/{id}",
        handler=delete_variable,
        scope="secrets:write",
        rate=Rate.WRITE,
        summary="Remove a variable",
        answers=(Answer(status=200, data=Done),),
        errors=("NOT_FOUND",),
    ),
)
