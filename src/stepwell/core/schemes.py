"""Schemes: how accounts of end users say who they are, in the words of their callers. Source: Flowra contract 4.3."""

import re
from collections.abc import Mapping

from stepwell import values
from stepwell.connectors import Connector
from stepwell.connectors.manifest import Basic
from stepwell.core.checks import name_faults
from stepwell.core.connecting import client_faults
from stepwell.errors import Fault
from stepwell.store import AuthConfig
from stepwell.values import Json

SCHEMES = ("API_KEY", "BEARER_TOKEN", "BASIC", "OAUTH2", "NO_AUTH", "HEADERS")
LARGEST_CREDENTIALS = 16_384
_KEY_NAMES = ("api_key", "apiKey", "generic_api_key", "key", "token", "value")
_TOKEN_NAMES = ("token", "access_token", "accessToken", "bearer_token", "bearerToken")


def state(connector: Connector, scheme: str, val: Mapping[str, Json]) -> tuple[Json, dict[str, Json] | None]:
    """The credentials and `auth` of a connection, given a scheme and what the caller says under names of its own."""
    manifest = connector.manifest
    known: dict[str, Json] = {name: value for name, value in val.items() if name in manifest.credentials}
    match scheme:
        case "NO_AUTH":
            return known, {"type": "none"}
        case "HEADERS":
            return known, {"type": "headers", "headers": val.get("headers") or {}}
        case "OAUTH2":
            tokens = {"accessToken": _first(val, _TOKEN_NAMES), "refreshToken": val.get("refresh_token")}
            return known, {"type": "oauth2"} | {name: value for name, value in tokens.items() if value}
        case "BASIC":
            pair = next((auth for auth in manifest.auths if isinstance(auth, Basic)), None)
            if pair is None:
                return (known, None) if "username" in known else (known, {**_basic(val), "type": "basic"})
            given = {pair.username: val.get("username"), pair.password or "": val.get("password")}
            return {**{name: value for name, value in given.items() if name and value}, **known}, None
    field = _key_field(connector, scheme)
    value = _first(val, _TOKEN_NAMES if scheme == "BEARER_TOKEN" else _KEY_NAMES)
    if field is not None:
        return {**({field: value} if value else {}), **known}, None
    if scheme == "BEARER_TOKEN":
        return known, {"type": "bearer", "token": value}
    if not manifest.auths:
        return known, None
    return known, {"type": "api_key", "key": value} | {name: val[name] for name in ("header", "prefix") if name in val}


def _key_field(connector: Connector, scheme: str) -> str | None:
    """The field of the connector's credentials that a key or token goes into."""
    manifest = connector.manifest
    if scheme == "BEARER_TOKEN":
        return manifest.token_field
    fields = [getattr(auth, "field", None) or getattr(auth, "username", None) for auth in manifest.auths]
    return next((field for field in fields if field), None)


def asked(connector: Connector, scheme: str, shared: Mapping[str, Json]) -> tuple[tuple[str, str, bool], ...]:
    """The fields that the page of a link asks for: those of the connector, or the scheme's own."""
    fields = connector.manifest.credentials
    if scheme == "NO_AUTH":
        return ()
    if scheme == "BEARER_TOKEN" and _key_field(connector, scheme) is None:
        return (("token", "Token", True),)
    return tuple(
        (name, rule.title, rule.secret)
        for name, rule in fields.items()
        if name not in shared and name not in ("clientId", "clientSecret")
    )


def config_faults(connector: Connector | None, config: AuthConfig, credentials: Json) -> list[Fault]:
    faults = name_faults(config.name, "displayName")
    if connector is None:
        faults.append(Fault(("toolkit", "slug"), f"Unknown toolkit: {config.provider}"[:300]))
    at = "credentials"
    if config.scheme not in SCHEMES:
        faults.append(Fault(("authScheme",), f"Expected one of {', '.join(SCHEMES)}"))
    if credentials is not None and not isinstance(credentials, dict):
        return [*faults, Fault((at,), "Expected object")]
    if len(values.encode(credentials or {})) > LARGEST_CREDENTIALS:
        return [*faults, Fault((at,), f"At most {LARGEST_CREDENTIALS} bytes")]
    if config.scheme != "OAUTH2":
        return faults
    given = credentials or {}
    if not given.get("clientId"):
        faults.append(Fault((at, "clientId"), "Required"))
    faults += client_faults(given, at)
    oauth = connector.manifest.oauth if connector else None
    if connector is not None and (oauth is None or not oauth.token_url) and not given.get("tokenUrl"):
        faults.append(Fault((at, "tokenUrl"), f"Required: the connector {config.provider} does not say"))
    return faults


def camel(credentials: Json) -> Json:
    """Field names of an OAuth client in camel case, scopes as a list."""
    if not isinstance(credentials, dict):
        return credentials
    given = {_camel_name(name): value for name, value in credentials.items()}
    if isinstance(given.get("scopes"), str):
        given["scopes"] = [each for each in re.split(r"[\s,]+", given["scopes"]) if each]
    return given


def _camel_name(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(other.capitalize() for other in others)


def _basic(val: Mapping[str, Json]) -> dict[str, Json]:
    return {name: val[name] for name in ("username", "password") if name in val}


def _first(val: Mapping[str, Json], names: tuple[str, ...]) -> Json:
    return next((val[name] for name in names if val.get(name)), None)
