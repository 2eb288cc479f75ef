"""Conditional requests: what is fetched only if it has changed since the last look."""

from collections.abc import Mapping
from dataclasses import replace

from stepwell.connectors.failures import RETRYABLE, retry_after_ms
from stepwell.errors import StepError
from stepwell.steps.ports import Http, HttpRequest, HttpResponse
from stepwell.values import Json

_LONGEST_VALIDATOR = 1000


async def fetch_changed(
    http: Http, workspace: str, request: HttpRequest, state: Mapping[str, Json], now_ms: int
) -> HttpResponse | None:
    """The answer, or None if it is as it was when `state` was kept (`validators` of an earlier answer).

    Raises:
        StepError: the request failed, or the answer is no success.
    """
    headers = dict(request.headers)
    if isinstance(etag := state.get("etag"), str):
        headers["If-None-Match"] = etag
    if isinstance(modified := state.get("modified"), str):
        headers["If-Modified-Since"] = modified
    response = await http.send(workspace, replace(request, headers=headers))
    if response.status == 304 and headers.keys() & {"If-None-Match", "If-Modified-Since"}:
        return None
    if not 200 <= response.status < 300:
        raise StepError(
            f"The address answered {response.status}",
            kind="http",
            http_status=response.status,
            retryable=response.status in RETRYABLE or response.status >= 500,
            retry_after_ms=retry_after_ms(response.headers.get("retry-after"), now_ms),
        )
    return response


def validators(response: HttpResponse) -> dict[str, Json]:
    """What the next request is to tell of this answer."""
    named = {"etag": response.headers.get("etag"), "modified": response.headers.get("last-modified")}
    return {name: value for name, value in named.items() if value and len(value) <= _LONGEST_VALIDATOR}
