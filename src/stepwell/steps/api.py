"""api: one HTTP request. Source: LoopFour contract 9.5."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from stepwell.definitions import Kind, RetryPolicy, Source
from stepwell.errors import StepError
from stepwell.expressions import Scope, Template
from stepwell.steps.answers import FORMATS, failure, output
from stepwell.steps.fields import (
    choice_field,
    flag_field,
    number_field,
    read_choice,
    read_flag,
    read_needed_text,
    read_number,
    read_text,
    text_field,
    unfit,
)
from stepwell.steps.ports import Call, ConnectionNeed, HttpRequest, Ports
from stepwell.values import Json, encode

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
MAX_BYTES = 10 * 1024 * 1024
YEAR_MS = 365 * 24 * 3600 * 1000

_TEMPLATE = r"\{[{%]"
_FIELDS: Json = {"type": ["object", "array", "string"], "pattern": _TEMPLATE}


@dataclass(frozen=True, slots=True)
class ApiProgram:
    """The template of the whole config."""

    config: Template


class ApiStep:
    """Output is the answer: `status`, `headers`, `ok`, `contentType`, `sizeBytes` and what its format gives."""

    name = "api"
    kind = Kind.EFFECT
    default_timeout_ms: int | None = 30_000
    config_schema: Json = {
        "type": "object",
        "required": ["url"],
        "properties": {
            "url": text_field("http or https address.", minLength=1),
            "method": choice_field("The method.", *METHODS, default="GET"),
            "params": {**_FIELDS, "description": "Query parameters: an object, or a list of {Key, Value}."},
            "headers": {**_FIELDS, "description": "Headers: an object, or a list of {Key, Value}."},
            "body": {"description": "Sent as JSON unless it is a text."},
            "responseFormat": choice_field("How the answer is read.", *FORMATS, default="auto"),
            "csvDelimiter": text_field("Of a csv answer.", default=","),
            "timeout": number_field("Limit of one attempt in ms.", minimum=1, maximum=YEAR_MS),
            "retries": {
                "type": "integer",
                "minimum": 0,
                "maximum": 19,
                "description": "Further attempts after a failed one.",
            },
            "retryDelayMs": {"type": "integer", "minimum": 0, "maximum": YEAR_MS, "default": 1000},
            "retryMaxDelayMs": {"type": "integer", "minimum": 0, "maximum": YEAR_MS, "default": 30000},
            "retryNonIdempotent": flag_field("Repeat POST and PATCH like other methods.", default=False),
            "maxResponseBytes": number_field("Limit of the answer.", minimum=1, maximum=MAX_BYTES, default=MAX_BYTES),
            "failOnError": flag_field("Whether a status of 400 and above fails the step.", default=True),
        },
    }

    def compile(self, source: Source) -> ApiProgram | None:
        config = source.config
        url = config.get("url", "")
        if url and "{" not in url and not url.lower().startswith(("http://", "https://")):
            source.fault(("url",), "Expected an http or https address")
        if config.get("retries") is not None:
            source.defaults(
                retry=RetryPolicy(
                    max_attempts=int(config["retries"]) + 1,
                    initial_delay_ms=int(config.get("retryDelayMs", 1000)),
                    max_delay_ms=int(config.get("retryMaxDelayMs", 30_000)),
                )
            )
        if "timeout" in config and not isinstance(config["timeout"], str):
            source.defaults(timeout_ms=int(config["timeout"]))
        template = source.template(secrets=True)
        return None if template is None else ApiProgram(template)

    def resolve(self, program: ApiProgram, scope: Scope) -> Json:
        return program.config.render(scope)

    def connection(self, program: ApiProgram, config: Json) -> ConnectionNeed | None:
        return None

    async def perform(self, program: ApiProgram, config: Json, call: Call, ports: Ports) -> Json:
        request = _request(call.reveal(config), call)
        careful = request.method in ("POST", "PATCH") and not read_flag(config, "retryNonIdempotent", default=False)
        try:
            response = await ports.http.send(call.workspace, request)
        except StepError as error:
            if careful and error.outcome_unknown:
                error.retryable = False
            raise
        if response.status >= 400 and read_flag(config, "failOnError", default=True):
            raise failure(response, careful=careful)
        form = read_choice(config, "responseFormat", FORMATS, "auto")
        return output(response, form, read_text(config, "csvDelimiter") or ",")


def _request(config: dict[str, Json], call: Call) -> HttpRequest:
    """The request of a config with its secrets opened."""
    method = (read_text(config, "method") or "GET").upper()
    if method not in METHODS:
        raise unfit("method", f"Expected one of {', '.join(METHODS)}")
    url = read_needed_text(config, "url").strip()
    if not url.lower().startswith(("http://", "https://")):
        raise unfit("url", "Expected an http or https address")
    headers = {name: ", ".join(values) for name, values in _pairs(config, "headers")}
    given = {name.lower() for name in headers}
    body, content_type = _body(config.get("body"), headers)
    if content_type is not None and "content-type" not in given:
        headers["Content-Type"] = content_type
    if method not in ("GET", "HEAD", "OPTIONS") and "idempotency-key" not in given:
        headers["Idempotency-Key"] = call.operation_id
    timeout_ms, most = read_number(config, "timeout"), read_number(config, "maxResponseBytes")
    return HttpRequest(
        method=method,
        url=url,
        headers=headers,
        params=tuple((name, value) for name, values in _pairs(config, "params") for value in values),
        body=body,
        timeout_s=call.timeout_s if timeout_ms is None else min(call.timeout_s, max(1.0, float(timeout_ms)) / 1000),
        max_response_bytes=MAX_BYTES if most is None else max(1, min(int(most), MAX_BYTES)),
    )


def _pairs(config: dict[str, Json], name: str) -> Iterable[tuple[str, list[str]]]:
    """The names and texts of an object, or of a list of {Key, Value}; null values are left out."""
    given: Any = config.get(name) or {}
    if isinstance(given, list):
        if not all(isinstance(pair, dict) for pair in given):
            raise unfit(name, "Expected a list of {Key, Value}")
        members = [(pair.get("Key", pair.get("key")), pair.get("Value", pair.get("value"))) for pair in given]
    elif isinstance(given, dict):
        members = list(given.items())
    else:
        raise unfit(name, "Expected an object or a list of {Key, Value}")
    for key, value in members:
        texts = [_text(each) for each in (value if isinstance(value, list) else [value]) if each is not None]
        if key and texts:
            yield str(key), texts


def _text(value: Json) -> str:
    return value if isinstance(value, str) else encode(value).decode()


def _body(body: Json, headers: dict[str, str]) -> tuple[bytes | None, str | None]:
    """The bytes of a body and the type they have if no header says so."""
    if body is None:
        return None, None
    if isinstance(body, str):
        return body.encode(), "text/plain; charset=utf-8"
    stated = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    if stated.lower().startswith("application/x-www-form-urlencoded") and isinstance(body, dict):
        return urlencode([(name, _text(value)) for name, value in body.items() if value is not None]).encode(), stated
    return encode(body), "application/json"
