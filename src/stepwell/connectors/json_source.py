"""JSON endpoints as a source of items: any address that answers with a list of objects."""

from collections.abc import Mapping

from stepwell.connectors.actions import OpenConnection
from stepwell.connectors.conditional import fetch_changed, validators
from stepwell.connectors.items import Found, Item, identity, newest
from stepwell.connectors.polling import Look
from stepwell.connectors.shape import flatten, text_of
from stepwell.errors import StepError
from stepwell.steps.ports import Http, HttpRequest
from stepwell.triggers import value_at
from stepwell.values import InvalidJson, Json, decode, encode

MAX_ANSWER_BYTES = 5 * 1024 * 1024


class JsonSource:
    """The source `json`. Params: `url`, `method`, `headers`, `query`, `body`; `items` and `id` are dotted paths to the
    list and to an item's id, `cursor` says where the answer holds what the next request sends as `param`; `order` is
    newestFirst or oldestFirst. A connection's credentials are one header."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def look(self, look: Look) -> Found:
        """See polling.Source. The state holds the cursor and what makes the next request conditional."""
        params, state = look.subscription.params, look.state or {}
        cursor = params.get("cursor")
        request = _request(params, look, state.get("cursor") if cursor else None)
        response = await fetch_changed(self._http, look.workspace, request, state, look.now_ms)
        if response is None:
            return Found((), state)
        try:
            answer = decode(response.body)
        except InvalidJson:
            raise StepError("The address sent an answer that is not JSON", kind="provider") from None
        next_state = validators(response)
        if cursor:
            given = value_at(answer, cursor["path"])
            next_state["cursor"] = state.get("cursor") if given is None else text_of(given)
        return Found(_items(answer, params), next_state)

    async def settled(self, look: Look, found: Found) -> None:
        """Nothing remains to be done."""


def _request(params: Mapping[str, Json], look: Look, cursor: Json) -> HttpRequest:
    headers = {
        "Accept": "application/json",
        **{name: text_of(value) for name, value in params.get("headers", {}).items()},
    }
    body = None
    if params.get("body") is not None:
        headers.setdefault("Content-Type", "application/json")
        body = encode(params["body"])
    query = flatten(params.get("query", {}))
    if cursor is not None:
        query = [*query, (params["cursor"]["param"], text_of(cursor))]
    return HttpRequest(
        params.get("method", "GET"),
        params["url"],
        headers={**headers, **_credentials(look.connection)},
        params=tuple(query),
        body=body,
        timeout_s=look.timeout_s,
        max_response_bytes=MAX_ANSWER_BYTES,
    )


def _credentials(connection: OpenConnection | None) -> dict[str, str]:
    if connection is None or "value" not in connection.credentials:
        return {}
    return {connection.credentials.get("header") or "Authorization": connection.credentials["value"]}


def _items(answer: Json, params: Mapping[str, Json]) -> tuple[Item, ...]:
    path = params.get("items")
    listed = value_at(answer, path) if path else answer
    if not isinstance(listed, list):
        raise StepError(f"The answer holds no list at {path or 'its root'}", kind="provider")
    path = params.get("id") or "id"
    members = newest(listed, params.get("order", "newestFirst") == "newestFirst")
    return tuple(Item(identity(value_at(member, path), member), member) for member in members)
