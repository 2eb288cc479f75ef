"""The recorded shape of every action's requests: what is given, what must be sent, what is answered and comes out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from stepwell.values import Json, decode, encode

FOLDER = Path(__file__).parent / "shapes"
_OF_TRANSPORT = frozenset({"host", "user-agent", "accept-encoding", "content-length", "connection"})


@dataclass
class Recorder:
    """A provider that gives prepared answers in their order, and writes down what it is sent."""

    answers: list[Json]
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: list[Json] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.sent.append(await _shape(request))
        answer = self.answers[min(len(self.sent), len(self.answers)) - 1] if self.answers else None
        if answer is None:
            return web.Response(status=204, headers=self.headers)
        return web.json_response(answer, headers=self.headers)


def load() -> dict[str, Json]:
    """The shapes of all providers by name."""
    return {path.stem: yaml.safe_load(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.yaml"))}


def params(case: Json) -> Json:
    """What a case gives, with numbers as the engine has them."""
    return decode(encode(case.get("params", {})))


async def _shape(request: web.Request) -> Json:
    headers = {name.lower(): value for name, value in request.headers.items()}
    shape: dict[str, Any] = {
        "request": f"{request.method} {request.raw_path}",
        "headers": {name: value for name, value in sorted(headers.items()) if name not in _OF_TRANSPORT},
    }
    if raw := await request.read():
        shape["body"] = _plain(decode(raw)) if "json" in headers["content-type"] else raw.decode()
    return shape


def _plain(value: Json) -> Json:
    """Numbers as YAML reads them."""
    if isinstance(value, dict):
        return {name: _plain(child) for name, child in value.items()}
    if isinstance(value, list):
        return [_plain(child) for child in value]
    return float(value) if isinstance(value, Decimal) else value
