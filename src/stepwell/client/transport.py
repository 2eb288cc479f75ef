"""One request and its answer over HTTP."""

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from stepwell.client.errors import ApiError, Unreachable
from stepwell.client.records import Page

T = TypeVar("T")

BASE = "/api/v1"

_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


class Transport:
    """The way to one server with one key. Every request has a connection of its own: threads may share a transport."""

    def __init__(self, url: str, api_key: str | None, timeout_s: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Unreachable(f"{url} is no address of a server; http://127.0.0.1:3000 would be one")
        self.url = url.rstrip("/")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._root = parts.path.rstrip("/")
        self._timeout_s = timeout_s
        self._headers = {"User-Agent": "stepwell-client", "Accept": "application/json"}
        if api_key is not None:
            self._headers["X-Api-Key"] = api_key

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> "Answer":
        """Send a request, read its answer.

        Raises:
            ApiError: the server refused.
            Unreachable: no answer, or none of a Stepwell server.
        """
        with self._sent(method, BASE + path, body, query, headers) as response:
            return Answer(self._read(response), response.headers)

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str]) -> Iterator[http.client.HTTPResponse]:
        """An answer that is read while it comes; raises as `call` does."""
        with self._sent("GET", BASE + path, None, None, headers) as response:
            if response.status != 200:
                self._read(response)
            yield response

    def ready(self) -> bool:
        """Whether the server takes requests now."""
        try:
            with self._sent("GET", "/readyz", None, None, None) as response:
                return response.status == 200
        except Unreachable:
            return False

    @contextmanager
    def _sent(
        self,
        method: str,
        path: str,
        body: Any,
        query: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
    ) -> Iterator[http.client.HTTPResponse]:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = self._root + path + (f"?{urlencode(given)}" if given else "")
        sent = {**self._headers, **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=self._timeout_s)
        try:
            connection.request(method, target, None if body is None else _encode(body), sent)
            yield connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            cause = str(error) or type(error).__name__
            raise Unreachable(f"No answer from {self.url}: {cause}") from error
        finally:
            connection.close()

    def _read(self, response: http.client.HTTPResponse) -> dict[str, Any]:
        try:
            answer = _decode(response.read())
        except msgspec.DecodeError:
            answer = None
        if not isinstance(answer, dict) or "success" not in answer:
            raise Unreachable(f"What answers at {self.url} is no Stepwell server (HTTP {response.status})")
        if answer["success"]:
            return answer
        error, wait = answer["error"], response.headers.get("Retry-After", "")
        raise ApiError(
            status=response.status,
            code=error["code"],
            message=error["message"],
            details=error.get("details") or [],
            request_id=response.headers.get("X-Request-Id"),
            retry_after_s=int(wait) if wait.isdigit() else None,
        )


class Answer:
    """A successful answer."""

    def __init__(self, envelope: dict[str, Any], headers: http.client.HTTPMessage) -> None:
        self.data: Any = envelope["data"]
        self._meta: dict[str, Any] = envelope.get("meta") or {}
        self.headers = headers

    def one(self, kind: type[T]) -> T:
        """The record in the answer."""
        return msgspec.convert(self.data, kind)

    def page(self, kind: type[T]) -> Page[T]:
        """The page of records in the answer."""
        return Page(msgspec.convert(self.data, list[kind]), self._meta.get("cursor"))  # type: ignore[valid-type]
