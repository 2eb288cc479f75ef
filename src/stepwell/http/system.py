"""Pages of the server itself, outside every dialect and without a key: health, metrics, OpenAPI, the bench's echo."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from starlette.responses import Response

from stepwell import values
from stepwell.core import Core
from stepwell.http.bodies import Headers, Receive, decode_body, read_body
from stepwell.services import Metrics
from stepwell.values import Json

JSON = "application/json"
ECHO_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Page:
    """A page, and the name by which logs and metrics tell of it."""

    label: str
    answer: "Answering"


Answering: TypeAlias = Callable[[Receive, Headers], Awaitable[Response]]
Listed: TypeAlias = tuple[str, str, Page]


def system_pages(
    core: Core, metrics: Metrics, openapi: Mapping[str, Callable[[], Json]], *, bench: bool
) -> Iterator[Listed]:
    """Method, path and page of each. `openapi` makes documents, by their paths."""

    async def healthz(receive: Receive, headers: Headers) -> Response:
        return Response(b'{"status":"ok"}', media_type=JSON)

    async def readyz(receive: Receive, headers: Headers) -> Response:
        if core.ready():
            return Response(b'{"status":"ready"}', media_type=JSON)
        return Response(b'{"status":"not ready"}', 503, {"Retry-After": "1"}, JSON)

    async def measured(receive: Receive, headers: Headers) -> Response:
        text, content_type = metrics.exposition()
        return Response(text, headers={"Content-Type": content_type})

    async def echo(receive: Receive, headers: Headers) -> Response:
        return Response(values.encode(decode_body(await read_body(receive, headers, ECHO_LIMIT))), media_type=JSON)

    pages: list[tuple[str, Answering]] = [("/healthz", healthz), ("/readyz", readyz), ("/metrics", measured)]
    pages += [(path, _described(document)) for path, document in openapi.items()]
    for path, answer in pages:
        for method in ("GET", "HEAD"):  # load balancers ask for health with HEAD
            yield method, path, Page(f"{method} {path}", answer)
    if bench:
        yield "POST", "/bench/echo", Page("POST /bench/echo", echo)


def _described(document: Callable[[], Json]) -> Answering:
    """A document, made when it is first asked for: a server starts without it."""
    encoded = cache(lambda: values.encode(document()))

    async def answer(receive: Receive, headers: Headers) -> Response:
        return Response(encoded(), media_type=JSON)

    return answer
