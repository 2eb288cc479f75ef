"""A workflow's secrets: written, named, never read. Source: LoopFour contract 3.2."""

from collections.abc import Sequence

from starlette.responses import Response

from stepwell.clock import iso
from stepwell.core import SecretName
from stepwell.http.dialects.loopfour import requests, wire
from stepwell.http.dialects.loopfour.answers import listing, success
from stepwell.http.dialects.loopfour.workflows import workflow, workflow_exists
from stepwell.http.routes import Answer, Call, Rate, Route


async def list_secrets(call: Call[None, None]) -> Response:
    """GET /workflows/{id}/secrets: all of them on one page."""
    names = await call.core.secrets.names(call.workspace, workflow(call))
    return listing(names, len(names), _item, lambda secret: secret.name)


async def create_secret(call: Call[None, requests.NewSecret]) -> Response:
    """POST /workflows/{id}/secrets."""
    body = call.body
    return success(_item(await call.core.secrets.create(call.workspace, workflow(call), body.key, body.value)), 201)


async def replace_secret(call: Call[None, requests.SecretValue]) -> Response:
    """PUT /workflows/{id}/secrets/{key}."""
    key, value = call.params["key"], call.body.value
    return success(_item(await call.core.secrets.replace(call.workspace, workflow(call), key, value)))


async def delete_secret(call: Call[None, None]) -> Response:
    """DELETE /workflows/{id}/secrets/{key}."""
    key = call.params["key"]
    await call.core.secrets.delete(call.workspace, workflow(call), key)
    return success(wire.SecretDeleted(key=key))


def _item(secret: SecretName) -> wire.SecretItem:
    return wire.SecretItem(key=secret.name, updated_at=iso(secret.updated_at))


ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path="/workflows/{id}/secrets",
        handler=list_secrets,
        scope="secrets:write",
        rate=Rate.READ,
        summary="List the names of a workflow's secrets",
        answers=(Answer(status=200, data=wire.SecretItem, listed=True),),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="POST",
        path="/workflows/{id}/secrets",
        handler=create_secret,
        scope="secrets:write",
        rate=Rate.WRITE,
        summary="Add a secret",
        answers=(Answer(status=201, data=wire.SecretItem),),
        body=requests.NewSecret,
        errors=("NOT_FOUND", "VALIDATION_ERROR", "ALREADY_EXISTS"),
        exists=workflow_exists,
    ),
    Route(
        method="PUT",
        path="/workflows/{id}/secrets/{key}",
        handler=replace_secret,
        scope="secrets:write",
        rate=Rate.WRITE,
        summary="Give a secret another value",
        answers=(Answer(status=200, data=wire.SecretItem),),
        body=requests.SecretValue,
        errors=("NOT_FOUND", "VALIDATION_ERROR"),
        exists=workflow_exists,
    ),
    Route(
        method="DELETE",
        path="/workflows/{id}/secrets/{key}",
        handler=delete_secret,
        scope="secrets:write",
        rate=Rate.WRITE,
        summary="Remove a secret",
        answers=(Answer(status=200, data=wire.SecretDeleted),),
        errors=("NOT_FOUND",),
    ),
)
