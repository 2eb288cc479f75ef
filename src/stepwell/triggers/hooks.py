"""Webhook triggers of a definition: what they listen to, how they verify, what they answer. LoopFour contract 11."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from stepwell.definitions import Schema
from stepwell.errors import Fault, ValidationFailed
from stepwell.expressions import CompileFailed, Template, compile_template
from stepwell.triggers.arrivals import Event, scheme_of_provider
from stepwell.triggers.filters import Filter, compile_filter
from stepwell.triggers.signatures import LONGEST_TOLERANCE_S, MOST_SECRETS, SCHEMES, Scheme, configured, scheme_of
from stepwell.values import Json, Path

CUSTOM = "custom"  # the provider of paths of their own
LONGEST_WAIT_S = 60
DEFAULT_WAIT_S = 30
MOST_EVENTS = 200
MOST_HEADERS = 32
LONGEST_BODY = 256 * 1024  # of an answer's template, as JSON text

_NAMES = frozenset({"trigger", "eventId", "eventType", "workflowsTriggered", "runId", "duplicate"})
_OURS = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-security-policy",
        "date",
        "keep-alive",
        "server",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-content-type-options",
        "x-request-id",
    }
)  # headers of an answer that are not a workflow's to set
_SECRET = re.compile(r"\{\{-?\s*secrets\.([A-Za-z0-9_][A-Za-z0-9_-]{0,127})\s*-?\}\}")
_PUBLIC_KEY = re.compile(r"[0-9a-fA-F]{64}")

HOOK: Json = {
    "type": "object",
    "properties": {
        "provider": {
            "type": "string",
            "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$",
            "description": "Who sends: the request arrives at /webhooks/<provider>/<workspace>.",
        },
        "events": {
            "type": "array",
            "maxItems": MOST_EVENTS,
            "items": {"type": "string", "minLength": 1, "maxLength": 255},
            "description": "Event types that are meant; `invoice.*` and `*` match. All, if absent.",
        },
        "path": {
            "type": "string",
            "pattern": "^[A-Za-z0-9._~-]{1,128}$",
            "description": "A path of its own, kept secret: requests arrive at /webhooks/custom/<workspace>/<path>.",
        },
        "verifySignature": {"type": "boolean", "default": True},
        "filter": {"type": "object", "description": "What must hold of the body."},
        "signature": {
            "type": "object",
            "properties": {
                "scheme": {"type": "string"},
                "secrets": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MOST_SECRETS,
                    "items": {"type": "string"},
                    "description": "`{{secrets.NAME}}`, two during a rotation.",
                },
                "header": {"type": "string", "pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$"},
                "encoding": {"enum": ["hex", "base64"]},
                "prefix": {"type": "string", "maxLength": 64},
                "timestampHeader": {"type": "string", "pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$"},
                "toleranceSeconds": {"type": "integer", "minimum": 1, "maximum": LONGEST_TOLERANCE_S},
            },
        },
        "respond": {
            "type": "object",
            "properties": {
                "status": {"type": "integer", "minimum": 200, "maximum": 599, "default": 200},
                "headers": {
                    "type": "object",
                    "maxProperties": MOST_HEADERS,
                    "propertyNames": {"pattern": "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$"},
                    "additionalProperties": {"type": "string", "maxLength": 4096},
                },
                "body": {},
                "wait": {"type": "boolean"},
                "timeoutSeconds": {"type": "integer", "minimum": 1, "maximum": LONGEST_WAIT_S},
            },
        },
    },
}
"""A webhook trigger as JSON Schema."""

_SCHEMA = Schema(HOOK)


@dataclass(frozen=True, slots=True)
class Respond:
    """What a sender is answered in place of the usual body: templates, or the output of the run that it waits for."""

    status: int
    headers: dict[str, Template]
    body: Template | None
    wait_s: int | None

    @property
    def waits(self) -> bool:
        """Whether the answer is the run's."""
        return self.wait_s is not None


@dataclass(frozen=True, slots=True)
class Hook:
    """A compiled webhook trigger. `secrets` are names of the workflow's secrets, or the public keys themselves."""

    provider: str | None
    events: tuple[re.Pattern[str], ...] | None
    filter: Filter | None
    verify: bool
    signed: bool  # it says itself how requests are signed
    scheme: Scheme | None
    secret_names: tuple[str, ...]
    public_keys: tuple[str, ...]
    respond: Respond | None

    @property
    def dialect(self) -> Scheme | None:
        """Whose way of naming events its requests follow: the provider's before that of the signature."""
        of_provider = None if self.provider is None else scheme_of_provider(self.provider)
        return of_provider or self.scheme

    def verifies(self, *, secret_path: bool) -> bool:
        """Whether a request needs a signature. A path that is a secret itself needs none, unless it is asked for."""
        return self.verify and (self.signed or not secret_path)

    def refusal(self, event: Event) -> str | None:
        """Why an event is not meant; None if it is."""
        if self.events is not None and not any(pattern.fullmatch(event.type or "") for pattern in self.events):
            return f"Events of type {event.type} are not asked for" if event.type else "The event has no type"
        if self.filter is not None and not self.filter.matches(event.body):
            return "The filter does not match"
        return None


def hook_faults(config: Json, path: Path) -> Iterator[Fault]:
    """Everything wrong with a webhook trigger."""
    config = _without_nulls(config)
    faults = _SCHEMA.faults(config)
    yield from (Fault((*path, *fault.path), fault.message) for fault in faults)
    faulty = {fault.path[0] for fault in faults if fault.path}
    fit = {name: value for name, value in config.items() if name not in faulty}
    if fit.get("path") in (".", ".."):
        yield Fault((*path, "path"), "Not a path")
    if fit.get("provider") == "t":
        yield Fault((*path, "provider"), "t is taken: /webhooks/t/ leads to triggers by id")
        return
    if "filter" in fit:
        yield from _filter_faults(fit["filter"], (*path, "filter"))
    if "signature" not in faulty and "provider" not in faulty:
        yield from _signature_faults(fit, path)
    if "respond" in fit:
        yield from _respond_faults(fit["respond"], (*path, "respond"))


def compile_hook(config: Json) -> Hook:
    """The hook that a trigger's config writes down; it has no faults.

    Raises:
        ValidationFailed, CompileFailed: it was stored by a server that knew more.
    """
    config = _without_nulls(config)
    signature = config.get("signature")
    written = signature or {}
    provider = _provider(config)
    scheme = scheme_of(written["scheme"]) if "scheme" in written else scheme_of_provider(provider or "")
    if scheme is not None:
        scheme = configured(
            scheme,
            header=written.get("header"),
            encoding=written.get("encoding"),
            prefix=written.get("prefix"),
            timestamp_header=written.get("timestampHeader"),
            tolerance_s=None if "toleranceSeconds" not in written else int(written["toleranceSeconds"]),
        )
    secrets = written.get("secrets", ())
    return Hook(
        provider=provider,
        events=_patterns(config.get("events")),
        filter=compile_filter(config["filter"]) if config.get("filter") else None,
        verify=config.get("verifySignature", True) is not False,
        signed=signature is not None,
        scheme=scheme,
        secret_names=tuple(found[1] for each in secrets if (found := _SECRET.fullmatch(each.strip()))),
        public_keys=tuple(each for each in secrets if _PUBLIC_KEY.fullmatch(each)),
        respond=_respond(config["respond"]) if config.get("respond") else None,
    )


def default_hook(provider: str) -> Hook:
    """What holds for requests of a provider that no trigger listens to."""
    return compile_hook({"provider": provider})


def _without_nulls(config: dict[str, Json]) -> dict[str, Json]:
    """Null stands for an absent field, of the trigger and of what it holds."""
    return {
        name: {key: each for key, each in value.items() if each is not None}
        if name in ("signature", "respond") and isinstance(value, dict)
        else value
        for name, value in config.items()
        if value is not None
    }


def _provider(config: Json) -> str | None:
    provider = config.get("provider")
    return None if provider in (None, CUSTOM) else str(provider)


def _patterns(events: Json) -> tuple[re.Pattern[str], ...] | None:
    """`invoice.*` as a pattern; None if all are meant."""
    if not events or "*" in events:
        return None
    return tuple(re.compile(".*".join(map(re.escape, event.split("*"))), re.DOTALL) for event in dict.fromkeys(events))


def _filter_faults(document: Json, path: Path) -> Iterator[Fault]:
    try:
        compile_filter(document, path)
    except ValidationFailed as error:
        yield from error.faults


def _signature_faults(config: dict[str, Json], path: Path) -> Iterator[Fault]:
    provider = _provider(config)
    of_provider = None if provider is None else scheme_of_provider(provider)
    signature = config.get("signature")
    if signature is None:
        if provider is not None and of_provider is None and config.get("verifySignature", True):
            message = f"Say how {provider} signs (signature.scheme), or set verifySignature to false"
            yield Fault((*path, "signature"), message)
        return
    path = (*path, "signature")
    scheme = of_provider
    if "scheme" in signature:
        scheme = scheme_of(signature["scheme"])
        if scheme is None:
            known = ", ".join(SCHEMES)
            yield Fault((*path, "scheme"), f"Unknown scheme: {signature['scheme']}. Known: {known}"[:400])
            return
    if scheme is None:
        yield Fault((*path, "scheme"), "Required")
        return
    for name in ("header", "encoding", "prefix", "timestampHeader"):
        if name in signature and name not in scheme.configurable:
            yield Fault((*path, name), f"Not for {scheme.name}, whose requests have it fixed")
    if "toleranceSeconds" in signature and not scheme.timed and "timestampHeader" not in signature:
        yield Fault((*path, "toleranceSeconds"), f"Requests of {scheme.name} carry no time")
    for index, secret in enumerate(signature.get("secrets", ())):
        public = scheme.digest == "ed25519"
        if "{{" in secret and "secrets." not in secret:
            continue  # whoever checks what templates may read tells of it
        if not _SECRET.fullmatch(secret.strip()) and not (public and _PUBLIC_KEY.fullmatch(secret)):
            wanted = "a public key in hex or {{secrets.NAME}}" if public else "{{secrets.NAME}}; a text would be shown"
            yield Fault((*path, "secrets", index), f"Expected {wanted}")


def _respond_faults(respond: dict[str, Json], path: Path) -> Iterator[Fault]:
    if respond.get("wait"):
        for name in ("status", "headers", "body"):
            if name in respond:
                yield Fault((*path, name), "Not together with wait: the answer is the run's output")
        return
    if "timeoutSeconds" in respond:
        yield Fault((*path, "timeoutSeconds"), "Only together with wait: true")
    for name in respond.get("headers", {}):
        if name.lower() in _OURS:
            yield Fault((*path, "headers", name), "Not a header that a workflow may set")
    for part in ("headers", "body"):
        yield from _template_faults(respond.get(part), (*path, part))


def _template_faults(value: Json, path: Path) -> Iterator[Fault]:
    if len(str(value)) > LONGEST_BODY:
        yield Fault(path, f"Longer than {LONGEST_BODY} characters")
        return
    try:
        template = compile_template(value)
    except CompileFailed as error:
        yield from (Fault((*path, *fault.path), fault.message) for fault in error.faults)
        return
    for where, name in sorted(template.references, key=str):
        if not name or name[0] not in _NAMES:
            wanted = ", ".join(sorted(_NAMES))
            yield Fault((*path, *where), f"Unknown name: {name[0] if name else ''}. Known here: {wanted}"[:300])


def _respond(respond: dict[str, Json]) -> Respond:
    if respond.get("wait"):
        return Respond(200, {}, None, int(respond.get("timeoutSeconds", DEFAULT_WAIT_S)))
    headers = {name: compile_template(value) for name, value in respond.get("headers", {}).items()}
    body = compile_template(respond["body"]) if respond.get("body") is not None else None
    return Respond(int(respond.get("status", 200)), headers, body, None)
