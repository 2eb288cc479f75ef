"""email: sends a message through an email provider. Source: LoopFour contract 9.4."""

import re
from dataclasses import dataclass
from email.utils import getaddresses, quote
from typing import TypeAlias, Union

from stepwell.clock import parse_iso
from stepwell.definitions import Kind, Source
from stepwell.definitions.wording import kind_of
from stepwell.expressions import Scope, Template
from stepwell.steps.fields import choice_field, read_needed_text, read_text, text_field, unfit
from stepwell.steps.ports import Call, ConnectionNeed, Ports
from stepwell.steps.rules import is_email
from stepwell.values import Json

PROVIDERS = ("resend", "sendgrid", "gmail", "outlook", "smtp")

_SEND = "sendEmail"
_SPECIAL = re.compile(r'[][\\()<>@,:;".]')
_TEMPLATED = ("sendTemplate", "send_template")
_ADDRESSES: Json = {"type": ["string", "array"], "items": {"type": "string"}}
_CONTENT = ("html", "text")
_CONTENT_FIELDS: Json = {
    "html": text_field("HTML; values in it are escaped unless filtered with `safe`."),
    "text": text_field("Plain text."),
}

Parts: TypeAlias = dict[str, Union[Template, "Parts"]]
"""Templates by the name of the field they stand in."""


@dataclass(frozen=True, slots=True)
class EmailProgram:
    """The config field by field (each is escaped in its own way), and the providers that may send it."""

    parts: Parts
    providers: tuple[str, ...]


class EmailStep:
    """Output `{messageId, status}`; of a scheduled message the id is that of the operation that will send it."""

    name = "email"
    kind = Kind.EFFECT
    default_timeout_ms: int | None = 30_000
    config_schema: Json = {
        "type": "object",
        "required": ["to"],
        "properties": {
            "action": {"enum": ["send", *_TEMPLATED, "schedule"], "default": "send"},
            "to": {**_ADDRESSES, "description": "Recipients: an array or a comma list."},
            "subject": text_field("Handlebars blocks work here and in the body."),
            "body": {"type": "object", "description": "What the message says.", "properties": _CONTENT_FIELDS},
            **_CONTENT_FIELDS,
            "template": {
                "type": ["object", "string"],
                "description": "Of sendTemplate: {subject, html, text}, or HTML.",
                "properties": {"subject": text_field("The subject."), **_CONTENT_FIELDS},
            },
            "from": text_field("Sender; the connection's if absent."),
            "cc": _ADDRESSES,
            "bcc": _ADDRESSES,
            "reply_to": _ADDRESSES,
            "attachments": {
                "type": ["array", "string"],
                "description": "Objects {filename, content (base64), contentType}.",
            },
            "send_at": text_field("Of schedule: the ISO 8601 time at which the server sends it."),
            "provider": choice_field("Whose connection sends it; any if absent.", *PROVIDERS),
            "connection": text_field("Id or slug of the connection to use."),
        },
    }

    def compile(self, source: Source) -> EmailProgram:
        config = source.config
        action = config.get("action", "send")
        if action == "schedule":
            _require(source, "send_at")
            _check_time(source, config.get("send_at"))
        if action in _TEMPLATED:
            _require(source, "template")
        else:
            _require(source, "subject")
            if not any(name in config for name in _CONTENT):
                _require(source, "body")
        offered = source.catalogue.offering(_SEND)
        provider = config.get("provider")
        if provider in PROVIDERS and provider not in offered:
            source.fault(("provider",), f"Email provider not available: {provider}")
        return EmailProgram(_parts(source, config), offered)

    def resolve(self, program: EmailProgram, scope: Scope) -> Json:
        return _rendered(program.parts, scope)

    def connection(self, program: EmailProgram, config: Json) -> ConnectionNeed | None:
        provider = read_text(config, "provider")
        if provider is not None and provider not in program.providers:
            raise unfit("provider", f"Email provider not available: {provider}")
        providers = program.providers if provider is None else (provider,)
        return ConnectionNeed(providers, read_text(config, "connection"))

    async def perform(self, program: EmailProgram, config: Json, call: Call, ports: Ports) -> Json:
        if call.connection is None:
            raise unfit("provider", "No connection was chosen")
        params = _message(call.reveal(config))
        action = f"{call.connection.provider}.{_SEND}"
        if read_text(config, "action") == "schedule":
            await ports.outbox.put(action, params, call, _time(config))
            return {"messageId": call.operation_id, "status": "scheduled"}
        result = await ports.actions.perform(action, params, call)
        return {"messageId": result.get("messageId"), "status": result.get("status", "sent")}


def _require(source: Source, name: str) -> None:
    if name not in source.raw.get("config", {}):
        source.fault((name,), "Required")


def _check_time(source: Source, given: Json) -> None:
    if isinstance(given, str) and "{" not in given and parse_iso(given) is None:
        source.fault(("send_at",), "Expected an ISO 8601 time")


def _time(config: dict[str, Json]) -> int:
    """When a scheduled message is to be sent; a time that is past means now."""
    time_ms = parse_iso(read_needed_text(config, "send_at"))
    if time_ms is None:
        raise unfit("send_at", "Expected an ISO 8601 time")
    return time_ms


def _parts(source: Source, fields: dict[str, Json], *above: str) -> Parts:
    parts: Parts = {}
    for name, value in fields.items():
        if name in ("body", "template") and isinstance(value, dict) and not above:
            parts[name] = _parts(source, value, name)
            continue
        html = name == "html" or (name == "template" and not above)
        handlebars = html or name in ("subject", "text")
        template = source.template(*above, name, secrets=True, html=html, handlebars=handlebars)
        if template is not None:
            parts[name] = template
    return parts


def _rendered(parts: Parts, scope: Scope) -> dict[str, Json]:
    return {
        name: _rendered(part, scope) if isinstance(part, dict) else part.render(scope) for name, part in parts.items()
    }


def _message(config: dict[str, Json]) -> dict[str, Json]:
    """The parameters of a provider's `sendEmail`: lists of addresses, one subject, html and text."""
    content: dict[str, Json] = {name: config.get(name) for name in ("subject", *_CONTENT)}
    for name in ("body", "template"):
        given = config.get(name)
        given = {"html": given} if isinstance(given, str) else {} if given is None else given
        if not isinstance(given, dict):
            raise unfit(name, f"Expected object, received {kind_of(given)}")
        content = {field: value if value is not None else given.get(field) for field, value in content.items()}
    to = _addresses(config, "to")
    if not to:
        raise unfit("to", "Required")
    message: dict[str, Json] = {
        "from": _one_line(read_text(config, "from")),
        "to": to,
        "cc": _addresses(config, "cc"),
        "bcc": _addresses(config, "bcc"),
        "reply_to": _addresses(config, "reply_to"),
        "subject": _one_line(read_needed_text(content, "subject")),
        "html": read_text(content, "html"),
        "text": read_text(content, "text"),
        "attachments": _attachments(config),
    }
    if message["html"] is None and message["text"] is None:
        raise unfit("body", "Required")
    return {name: value for name, value in message.items() if value not in (None, [])}


def _one_line(text: str | None) -> str | None:
    return None if text is None else re.sub(r"[\r\n]+", " ", text).strip()


def _addresses(config: dict[str, Json], name: str) -> list[str]:
    given = config.get(name)
    texts = given if isinstance(given, list) else [] if given is None else [given]
    if not all(isinstance(text, str) for text in texts):
        raise unfit(name, "Expected email addresses")
    pairs = getaddresses([text for text in texts if text.strip()])
    if not all(is_email(address) for _, address in pairs):
        raise unfit(name, "Expected email addresses")
    return [_address(" ".join(person.split()), address) for person, address in pairs]


def _address(person: str, address: str) -> str:
    """`Ana <ana@example.com>`, with the name in quotes where it must be."""
    if not person:
        return address
    return f'"{quote(person)}" <{address}>' if _SPECIAL.search(person) else f"{person} <{address}>"


def _attachments(config: dict[str, Json]) -> list[Json]:
    given = config.get("attachments") or []
    if not isinstance(given, list) or not all(isinstance(each, dict) and each.get("filename") for each in given):
        raise unfit("attachments", "Expected a list of {filename, content, contentType}")
    return given
