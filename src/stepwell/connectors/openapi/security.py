"""Security schemes: the ways to show who asks that serve the most operations of a document."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urljoin, urlsplit

import msgspec

from stepwell.connectors.manifest import Auth, Basic, Bearer, CookieKey, Credential, HeaderKey, NoAuth, OAuth, QueryKey
from stepwell.connectors.openapi.document import CannotImport, Document
from stepwell.connectors.openapi.samples import literal
from stepwell.values import Json

Requirement: TypeAlias = frozenset[str]
"""Names of security schemes that are sent together."""

NOTHING: Requirement = frozenset()

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_FLOWS = ("authorizationCode", "clientCredentials", "password", "implicit")
_RESERVED = frozenset({"host", "content-length", "transfer-encoding", "connection", "cookie", "content-type"})


@dataclass(frozen=True, slots=True)
class Security:
    """What the connector sends, and what a connection must hold for it."""

    requirement: Requirement
    auths: tuple[Auth, ...]
    credentials: dict[str, Credential]
    oauth: OAuth | None


def requirements(node: Json) -> tuple[Requirement, ...]:
    """The alternatives of a `security` list; nothing at all is one that asks for nothing."""
    if not isinstance(node, list) or not node:
        return (NOTHING,)
    return tuple(frozenset(map(str, each)) for each in node if isinstance(each, dict)) or (NOTHING,)


def met(alternatives: tuple[Requirement, ...], sent: Requirement) -> bool:
    """Whether what is sent is enough for an operation."""
    return any(requirement <= sent for requirement in alternatives)


class Schemes:
    """The security schemes of a document."""

    def __init__(self, document: Document, location: str | None) -> None:
        components = document.root.get("components")
        self._schemes: Json = components.get("securitySchemes", {}) if isinstance(components, dict) else {}
        self._document = document
        self._location = location or ""

    def choose(self, wanted: Sequence[tuple[Requirement, ...]]) -> Security:
        """The way that the most operations take, and as many more as the others need and can be sent beside it. With
        more than one way, a connection may hold the credentials of any: what it does not hold is not sent."""
        votes = Counter(requirement for alternatives in wanted for requirement in dict.fromkeys(alternatives))
        chosen: list[Requirement] = []
        together = NOTHING
        for requirement, _ in votes.most_common():
            needed = any(requirement in each and not _asked(each, together) for each in wanted)
            if requirement and needed and self.reason(together | requirement) is None:
                chosen.append(requirement)
                together |= requirement
        made = [self._scheme(name) for requirement in chosen for name in sorted(requirement)]
        fields: dict[str, Credential] = {}
        for _, credentials, _ in made:
            fields |= credentials
        optional = any(NOTHING in each and len(each) > 1 for each in wanted)
        if len(chosen) > 1 or optional:
            fields = {name: msgspec.structs.replace(rule, required=False) for name, rule in fields.items()}
        auths = tuple(dict.fromkeys(auth for auth, _, _ in made)) or (NoAuth(),)
        return Security(together, auths, fields, next((oauth for *_, oauth in made if oauth), None))

    def reason(self, requirement: Requirement) -> str | None:
        """Why schemes cannot be sent together, or one not at all; None if they can."""
        try:
            places = [_place(self._scheme(name)[0]) for name in sorted(requirement)]
        except CannotImport as error:
            return str(error)
        twice = [place for place, count in Counter(places).items() if count > 1]
        return f"it wants two things in {twice[0]}" if twice else None

    def _scheme(self, name: str) -> tuple[Auth, dict[str, Credential], OAuth | None]:
        found = self._schemes.get(name) if isinstance(self._schemes, dict) else None
        if found is None:
            raise CannotImport(f"the security scheme {name[:100]} is not described")
        scheme = self._document.follow(found, f"security scheme {name[:100]}")
        kind, form = scheme.get("type"), str(scheme.get("scheme", "")).lower()
        if kind == "apiKey":
            return self._key(name, scheme)
        if kind == "http" and form == "basic":
            fields = {"username": Credential("User name"), "password": Credential("Password", secret=True)}
            return Basic("username", "password"), fields, None
        if kind == "http" and form == "bearer":
            return Bearer("token"), {"token": Credential("Bearer token", secret=True)}, None
        if kind in ("oauth2", "openIdConnect"):
            fields = {"accessToken": Credential("Access token", secret=True)}
            return Bearer("accessToken"), fields, self._oauth(scheme)
        raise CannotImport(f"the security scheme {name[:100]} is of the kind {str(kind)[:50]} {form[:50]}".rstrip())

    def _key(self, name: str, scheme: dict[str, Json]) -> tuple[Auth, dict[str, Credential], OAuth | None]:
        sent, where = scheme.get("name"), scheme.get("in")
        if not isinstance(sent, str) or not sent:
            raise CannotImport(f"the security scheme {name[:100]} has no name to send")
        field = re.sub(r"[^A-Za-z0-9_]+", "_", name)[:64].strip("_") or "apiKey"
        fields = {field: Credential(f"{sent} ({where})"[:200], secret=True)}
        if where == "query":
            return QueryKey(sent, field), fields, None
        if not _TOKEN.fullmatch(sent) or sent.lower() in _RESERVED:
            raise CannotImport(f"the security scheme {name[:100]} sends what cannot be named {sent[:50]!r}")
        if where == "header":
            return HeaderKey(sent, field), fields, None
        if where == "cookie":
            return CookieKey(sent, field), fields, None
        raise CannotImport(f"the security scheme {name[:100]} is in {str(where)[:50]}")

    def _oauth(self, scheme: dict[str, Json]) -> OAuth | None:
        """How tokens are given out, by the first flow that tells of an address."""
        flows = scheme.get("flows")
        for name in _FLOWS:
            flow = flows.get(name) if isinstance(flows, dict) else None
            if not isinstance(flow, dict):
                continue
            token_url, authorize_url = self._url(flow.get("tokenUrl")), self._url(flow.get("authorizationUrl"))
            if token_url:
                scopes = flow.get("scopes")
                names = tuple(map(str, scopes))[:200] if isinstance(scopes, dict) else ()
                return OAuth(token_url, authorize_url, names)
        return None

    def _url(self, given: Json) -> str:
        """An http or https address, empty if it is none."""
        try:
            url = urljoin(self._location, given) if isinstance(given, str) else ""
            fit = urlsplit(url).scheme in ("http", "https") and bool(urlsplit(url).hostname)
        except ValueError:
            return ""
        return literal(url) if fit else ""


def _asked(alternatives: tuple[Requirement, ...], sent: Requirement) -> bool:
    """Whether an operation is told who asks."""
    return any(requirement and requirement <= sent for requirement in alternatives)


def _place(auth: Auth) -> str:
    """Where in a request an auth goes."""
    match auth:
        case HeaderKey(name=name):
            return f"the header {name.title()}"
        case QueryKey(name=name):
            return f"the query as {name}"
        case CookieKey(name=name):
            return f"the cookie {name}"
    return "the header Authorization"
