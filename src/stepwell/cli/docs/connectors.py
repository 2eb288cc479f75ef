"""The reference of the connectors, made from their manifests."""

from stepwell.cli.docs.fields import field_table, table
from stepwell.connectors import Event, load_manifests
from stepwell.connectors.connector import Connector
from stepwell.connectors.manifest import Credential, OAuth, WrittenAction, WrittenRequest

_PROTOCOLS = {"smtp": "over SMTP", "postgres": "over PostgreSQL's own protocol", "events": "for its events only"}


def connectors() -> str:
    """Every connector with its credentials and actions."""
    return "\n\n".join(map(_connector, load_manifests().values()))


def _connector(connector: Connector) -> str:
    manifest = connector.manifest
    parts = [f"## {manifest.title}", f"Provider `{manifest.name}`, {_reached(connector)}."]
    rows = [(f"`{name}`", rule.title, _rule(rule)) for name, rule in manifest.credentials.items()]
    parts += ["Credentials of a connection:", table(("Field", "", ""), rows)] if rows else ["It takes no connection."]
    if manifest.oauth is not None:
        parts.append(_oauth(manifest.oauth))
    if manifest.test is not None:
        parts.append(f"A connection is tried out by `{manifest.name}.{manifest.test.action}`.")
    for name, action in manifest.actions.items():
        parts += _action(f"{manifest.name}.{name}", action)
    for event in connector.events.values():
        parts += _event(event)
    return "\n\n".join(parts)


def _reached(connector: Connector) -> str:
    manifest = connector.manifest
    return _PROTOCOLS.get(manifest.protocol) or f"at `{manifest.base_url}`"


def _rule(rule: Credential) -> str:
    kind = " or ".join(f"`{choice}`" for choice in rule.choices) or ("number" if rule.number else "text")
    default = [f"`{rule.default}` if absent"] if rule.default is not None else []
    optional = ["optional"] if not rule.required and not default else []
    return ", ".join([kind, *optional, *default, *(["secret"] if rule.secret else [])])


def _oauth(oauth: OAuth) -> str:
    scopes = ", ".join(f"`{scope}`" for scope in oauth.scopes)
    return f"Or by OAuth 2: tokens come from `{oauth.token_url}`{f', with the scopes {scopes}' if scopes else ''}."


def _action(name: str, action: WrittenAction) -> list[str]:
    told = f"{action.title}. {action.description}" if action.description else f"{action.title}."
    fields = field_table(action.params) if action.params.get("properties") else "It takes no parameters."
    parts = [f"### {name}", told, fields]
    if ways := [" and ".join(f"`{field}`" for field in way["required"]) for way in action.params.get("anyOf", ())]:
        parts.append(f"At least one of {', '.join(ways)} is required.")
    if action.requests:
        parts.append(f"Sends {', '.join(map(_request, action.requests))}.")
    return parts


def _event(event: Event) -> list[str]:
    """An event, and how it comes."""
    spec = event.spec
    how = f"Polled every {spec.interval_s // 60} minutes unless the trigger says otherwise."
    if event.hook is not None:
        how = f"Sent by the provider, signed by the scheme `{event.hook.scheme}`."
        how += " The hook is set up and taken down with the trigger." if event.hook.setup else ""
    return [f"### Event {spec.name}", f"{spec.title}. {how}", field_table(spec.params)]


def _request(request: WrittenRequest) -> str:
    often = " once for each item" if request.each else " if needed" if request.when is not None else ""
    return f"`{request.method} {request.path}`{often}"
