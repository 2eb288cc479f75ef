"""Credentials at work: what is sent of them, what templates may read of them, and what must never be shown."""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from stepwell.connectors.manifest import Auth, Basic, Bearer, CookieKey, HeaderKey, Manifest, QueryKey


@dataclass(frozen=True, slots=True)
class Sent:
    """What says who asks, in each part of a request."""

    headers: dict[str, str] = field(default_factory=dict, repr=False)
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    cookies: dict[str, str] = field(default_factory=dict, repr=False)


def sent(auths: Sequence[Auth], credentials: Mapping[str, str], instead: Mapping[str, str] | None = None) -> Sent:
    """What a request to a provider carries of the credentials. Fields that are not given are not sent. Headers that are
    given `instead` are sent in place of all of it."""
    if instead is not None:
        return Sent(dict(instead))
    headers: dict[str, str] = {}
    query: list[tuple[str, str]] = []
    cookies: dict[str, str] = {}
    for auth in auths:
        match auth:
            case Bearer(field=name) if name in credentials:
                headers["Authorization"] = f"Bearer {credentials[name]}"
            case Basic(username=username, password=password) if username in credentials:
                pair = f"{credentials[username]}:{credentials.get(password, '') if password else ''}"
                headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
            case HeaderKey(name=header, field=name, prefix=prefix) if name in credentials:
                headers[header] = prefix + credentials[name]
            case QueryKey(name=parameter, field=name) if name in credentials:
                query.append((parameter, credentials[name]))
            case CookieKey(name=cookie, field=name) if name in credentials:
                cookies[cookie] = quote(credentials[name], safe="")
    return Sent(headers, tuple(query), cookies)


def open_fields(manifest: Manifest, credentials: Mapping[str, str]) -> dict[str, str]:
    """The fields of the credentials that are no secrets; templates may read them."""
    fields = manifest.credentials
    return {name: value for name, value in credentials.items() if name in fields and not fields[name].secret}


def masking(
    manifest: Manifest, credentials: Mapping[str, str], instead: Mapping[str, str] | None = None
) -> Callable[[str], str]:
    """Replaces every credential in a text, also as it was sent. One under four characters only if it is the text."""
    fields = manifest.credentials
    given = sent(manifest.auths, credentials)
    secrets = {value for name, value in credentials.items() if value and name in fields and fields[name].secret}
    secrets |= {quote(secret, safe="") for secret in secrets}
    secrets |= {value.partition(" ")[2] for value in given.headers.values()} - {""}
    secrets |= {value for value in (instead or {}).values() if value}

    def mask(text: str) -> str:
        if text in secrets:
            return "[secret]"
        for secret in sorted(secrets, key=len, reverse=True):
            if len(secret) >= 4:
                text = text.replace(secret, "[secret]")
        return text

    return mask
