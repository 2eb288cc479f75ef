"""Shapes: the JSON that a manifest writes with templates in it, and its encodings on the wire."""

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from email.policy import SMTP
from typing import TypeAlias
from urllib.parse import quote, unquote, urlencode

from stepwell.connectors.message import build, message_id, read_addresses, read_mail
from stepwell.errors import StepError
from stepwell.expressions import Condition, Scope, Template, compile_condition, compile_template
from stepwell.values import Json, encode

_EXPRESSION = re.compile(r"(\{\{.*?\}\})")
_WRITTEN = "~:@!$&'()*+,;="  # may stand in a segment as they are; source: RFC 3986, 3.3


@dataclass(frozen=True, slots=True)
class Fields:
    """An object. Fields whose template gives null are left out, a null that is written stays; the fields of `rest` come
    on top."""

    fields: tuple[tuple[str, "Shape"], ...]
    nulls: frozenset[str]
    rest: "Shape | None"

    def render(self, scope: Scope) -> Json:
        written = {name: shape.render(scope) for name, shape in self.fields}
        rest = self.rest.render(scope) if self.rest else None
        return {name: value for name, value in written.items() if value is not None or name in self.nulls} | (
            rest or {}
        )


@dataclass(frozen=True, slots=True)
class Members:
    """A list, member by member; a member that gives null is left out."""

    members: tuple["Shape", ...]

    def render(self, scope: Scope) -> Json:
        return [value for shape in self.members if (value := shape.render(scope)) is not None]


@dataclass(frozen=True, slots=True)
class Each:
    """A list made from another: `item` and `index` stand for its member, which of an object is `{name, value}`. Null if
    there is nothing to go through."""

    collection: Template
    member: "Shape"

    def render(self, scope: Scope) -> Json:
        items = self.collection.render(scope) or []
        if isinstance(items, dict):
            items = [{"name": name, "value": value} for name, value in items.items()]
        return [self.member.render({**scope, "item": item, "index": i}) for i, item in enumerate(items)] or None


@dataclass(frozen=True, slots=True)
class Guarded:
    """A value that stands only under a condition; null otherwise."""

    condition: Condition
    value: "Shape"

    def render(self, scope: Scope) -> Json:
        return self.value.render(scope) if self.condition.evaluate(scope) else None


@dataclass(frozen=True, slots=True)
class MailText:
    """A mail of the parameters of `sendEmail`, as the text of RFC 5322 in base64url. `call` tells the operation's id
    and time."""

    params: "Shape"

    def render(self, scope: Scope) -> Json:
        call, mail = scope["call"], read_mail(self.params.render(scope), "")
        message = build(mail, message_id(call["id"], mail.sender), call["now"])
        if mail.bcc:  # there is no envelope: the provider takes them from here, and leaves them out
            message["Bcc"] = mail.bcc
        return urlsafe_b64encode(message.as_bytes(policy=SMTP)).decode()


@dataclass(frozen=True, slots=True)
class Addresses:
    """A list of `{email, name}` from a list of `a@b.c` or `Name <a@b.c>`, or one text with commas; or only the first.
    Null if there is none."""

    addresses: Template
    only_first: bool

    def render(self, scope: Scope) -> Json:
        found = read_addresses(self.addresses.render(scope))
        read = [
            {"email": each.addr_spec} | ({"name": each.display_name} if each.display_name else {}) for each in found
        ]
        return (read[0] if self.only_first else read) if read else None


@dataclass(frozen=True, slots=True)
class Constant:
    """A value as it is; nothing in it is a template."""

    value: Json

    def render(self, scope: Scope) -> Json:
        return self.value


Shape: TypeAlias = Fields | Members | Each | Guarded | MailText | Addresses | Constant | Template


def compile_shape(value: Json) -> Shape:
    """Compile what a manifest writes: any JSON, its texts templates. An object may say `$rest: <object>` beside its
    fields, or be `{$each: <list>, $item: <shape>}`, `{$when: <condition>, $then: <shape>}`, `{$addresses: <list>}`,
    `{$address: <text>}` or `{$mail: <parameters of sendEmail>}`.

    Raises:
        CompileFailed: a template or condition has faults.
    """
    if isinstance(value, list):
        return Members(tuple(compile_shape(member) for member in value))
    if not isinstance(value, dict):
        return compile_template(value)
    if "$each" in value:
        return Each(compile_template(value["$each"]), compile_shape(value["$item"]))
    if "$when" in value:
        return Guarded(compile_condition(value["$when"]), compile_shape(value["$then"]))
    if "$mail" in value:
        return MailText(compile_shape(value["$mail"]))
    for word, only_first in (("$addresses", False), ("$address", True)):
        if word in value:
            return Addresses(compile_template(value[word]), only_first)
    fields = tuple((name, compile_shape(child)) for name, child in value.items() if name != "$rest")
    nulls = frozenset(name for name, child in value.items() if child is None)
    return Fields(fields, nulls, compile_shape(value["$rest"]) if "$rest" in value else None)


@dataclass(frozen=True, slots=True)
class UrlPath:
    """A path whose segments hold templates. What a template gives stays inside its segment, whatever characters it has;
    what is written beside it goes out as it is (`/values/{{params.range}}:append`)."""

    segments: tuple[tuple[str | Template, ...], ...]

    def render(self, scope: Scope) -> str:
        """`/v1/invoices/in_1`. Raises StepError if a segment is empty or would climb."""
        return "".join(f"/{_segment(parts, scope)}" for parts in self.segments)


def compile_path(path: str) -> UrlPath:
    """Compile `/v1/invoices/{{params.invoiceId}}`. Raises CompileFailed."""
    segments = path.removeprefix("/").split("/")
    return UrlPath(tuple(tuple(_parts(segment)) for segment in segments))


def encoded(encoding: str, value: Json, *, repeats: bool = False) -> tuple[str, bytes]:
    """Content type and body of a request: JSON; a form, `metadata[source]=api&items[0][amount]=5`; or plain text."""
    if encoding == "form":
        return "application/x-www-form-urlencoded", urlencode(flatten(value, repeats=repeats)).encode()
    if encoding == "text":
        return "text/plain; charset=utf-8", text_of(value).encode()
    return "application/json", encode(value)


def flatten(value: Json, name: str = "", *, repeats: bool = False) -> list[tuple[str, str]]:
    """Pairs of bracketed names and texts. With `repeats` the members of a list have one name."""
    if isinstance(value, dict):
        parts = [(f"{name}[{key}]" if name else str(key), child) for key, child in value.items()]
    elif isinstance(value, list):
        parts = [(name if repeats else f"{name}[{index}]", child) for index, child in enumerate(value)]
    else:
        return [(name, text_of(value))]
    return [pair for key, child in parts for pair in flatten(child, key, repeats=repeats)]


def text_of(value: Json) -> str:
    """A value as it stands in a path, a header or a form; lists and objects as JSON."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return encode(value).decode()
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _parts(segment: str) -> Iterator[str | Template]:
    for text in _EXPRESSION.split(segment):
        if text:
            yield compile_template(text) if "{{" in text or "{%" in text else quote(unquote(text), safe=_WRITTEN)


def _segment(parts: tuple[str | Template, ...], scope: Scope) -> str:
    texts = [part if isinstance(part, str) else quote(text_of(part.render(scope)), safe="") for part in parts]
    segment = "".join(texts)
    given = any(isinstance(part, Template) for part in parts)
    if segment in (".", "..") or (given and "" in texts):
        raise StepError("An id that the request's address needs is empty or not an id")
    return segment
