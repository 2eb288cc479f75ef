"""Connectors: what steps can use, and adding more of them by an OpenAPI document. Native to Stepwell."""

from collections.abc import Sequence

from msgspec import UNSET
from starlette.responses import Response

from stepwell.connectors.manifest import Credential, OAuth, WrittenAction, WrittenSimulation
from stepwell.core import ConnectorDetail, ConnectorDraft
from stepwell.http.dialects.loopfour import wire_connectors as wire
from stepwell.http.dialects.loopfour.answers import listing, success
from stepwell.http.dialects.loopfour.names import time
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route
from stepwell.values import Json


async def may_change_connectors(call: AnyCall) -> None:
    """Raise Forbidden unless the key is of the first workspace."""
    call.core.library.check_operator(call.workspace)


async def list_connectors(call: Call[None, None]) -> Response:
    """GET /connectors: all of them on one page."""
    found = call.core.library.all()
    return listing(found, len(found), _item, lambda detail: detail.manifest.name)


async def add_connector(call: Call[None, wire.NewConnector]) -> Response:
    """POST /connectors."""
    body = call.body
    draft = ConnectorDraft(
        name=body.name,
        document=None if body.document is UNSET else body.document,
        url=body.url,
        base_url=body.base_url,
        replace=body.replace,
    )
    return success(_detail(await call.core.library.add(call.workspace, draft)), 201)


async def get_connector(call: Call[None, None]) -> Response:
    """GET /connectors/{name}."""
    return success(_detail(await call.core.library.get(call.params["name"])))


async def delete_connector(call: Call[None, None]) -> Response:
    """DELETE /connectors/{name}."""
    name = call.params["name"]
    await call.core.library.remove(call.workspace, name)
    return success(wire.ConnectorRemoved(name=name))


def _item(detail: ConnectorDetail) -> wire.ConnectorItem:
    manifest = detail.manifest
    actions = [wire.ActionItem(f"{manifest.name}.{name}", action.title) for name, action in manifest.actions.items()]
    return wire.ConnectorItem(manifest.name, manifest.title, detail.built_in, actions)


def _detail(detail: ConnectorDetail) -> wire.ConnectorDetail:
    manifest = detail.manifest
    return wire.ConnectorDetail(
        name=manifest.name,
        title=manifest.title,
        description=manifest.description,
        built_in=detail.built_in,
        protocol=manifest.protocol,
        base_url=manifest.base_url or None,
        auth=[type(auth).__struct_config__.tag for auth in manifest.auths],  # type: ignore[misc]  # each has a text
        oauth=None if manifest.oauth is None else _oauth(manifest.oauth),
        credentials=[_credential(name, rule) for name, rule in manifest.credentials.items()],
        test=None if manifest.test is None else f"{manifest.name}.{manifest.test.action}",
        actions=[_action(f"{manifest.name}.{name}", action) for name, action in manifest.actions.items()],
        triggers=[f"{manifest.name}.{name}" for name in manifest.triggers],
        source=detail.source,
        skipped=[wire.SkippedItem(each.operation, each.reason) for each in detail.skipped],
        notes=list(detail.notes),
        created_at=time(detail.created_at),
        updated_at=time(detail.updated_at),
    )


def _oauth(oauth: OAuth) -> wire.OAuthItem:
    return wire.OAuthItem(oauth.authorize_url or None, oauth.token_url, list(oauth.scopes))


def _credential(name: str, rule: Credential) -> wire.CredentialItem:
    return wire.CredentialItem(
        name=name,
        title=rule.title,
        required=rule.required and rule.default is None,
        secret=rule.secret,
        type="number" if rule.number else "text",
        choices=list(rule.choices),
        default=rule.default,
    )


def _action(name: str, action: WrittenAction) -> wire.ActionDetail:
    return wire.ActionDetail(
        name=name,
        title=action.title,
        description=action.description,
        params=action.params,
        sends=[f"{request.method} {request.path}" for request in action.requests],
        output=_output(action.simulate[-1]),
    )


def _output(case: WrittenSimulation) -> Json:
    """What a simulator answers, as plain JSON: a shape without the words that steer it."""
    return case.output if case.literal else _plain(case.output)


def _plain(shape: Json) -> Json:
    if isinstance(shape, list):
        return [_plain(member) for member in shape]
    if not isinstance(shape, dict):
        return shape
    if "$then" in shape:
        return _plain(shape["$then"])
    if "$item" in shape:
        return [_plain(shape["$item"])]
    return {name: _plain(child) for name, child in shape.items() if not name.startswith("$")}


ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path="/connectors",
        handler=list_connectors,
        scope="connections:read",
        rate=Rate.READ,
        summary="List the connectors with their actions",
        answers=(Answer(status=200, data=wire.ConnectorItem, listed=True),),
    ),
    Route(
        method="POST",
        path="/connectors",
        handler=add_connector,
        scope="admin",
        rate=Rate.WRITE,
        summary="Add a connector made of an OpenAPI document",
        answers=(Answer(status=201, data=wire.ConnectorDetail),),
        body=wire.NewConnector,
        errors=("VALIDATION_ERROR", "ALREADY_EXISTS"),
        exists=may_change_connectors,
        batch=True,
    ),
    Route(
        method="GET",
        path="/connectors/{name}",
        handler=get_connector,
        scope="connections:read",
        rate=Rate.READ,
        summary="Read a connector: actions, parameters, credentials",
        answers=(Answer(status=200, data=wire.ConnectorDetail),),
        errors=("NOT_FOUND",),
    ),
    Route(
        method="DELETE",
        path="/connectors/{name}",
        handler=delete_connector,
        scope="admin",
        rate=Rate.WRITE,
        summary="Remove a connector that was added",
        answers=(Answer(status=200, data=wire.ConnectorRemoved),),
        errors=("NOT_FOUND", "ALREADY_EXISTS"),
    ),
)
