"""The reference of the connectors, made from their manifests."""

from stepwell.cli.docs.fields import field_table, table
from stepwell.connectors import load_manifests
from stepwell.connectors.manifest import Connector, Credential, WrittenAction, WrittenRequest


def connectors() -> str:
    """Every connector with its credentials and actions."""
    return "\n\n".join(map(_connector, load_manifests().values()))


def _connector(connector: Connector) -> str:
    manifest = connector.manifest
    parts = [f"## {manifest.title}", f"Provider `{manifest.name}`, {_reached(connector)}."]
    rows = [(f"`{name}`", rule.title, _rule(rule)) for name, rule in manifest.credentials.items()]
    parts += ["Credentials of a connection:", table(("Field", "", ""), rows)]
    for name, action in manifest.actions.items():
        parts += _action(f"{manifest.name}.{name}", action)
    return "\n\n".join(parts)


def _reached(connector: Connector) -> str:
    manifest = connector.manifest
    return "over SMTP" if manifest.protocol == "smtp" else f"at `{manifest.base_url}`"


def _rule(rule: Credential) -> str:
    kind = " or ".join(f"`{choice}`" for choice in rule.choices) or ("number" if rule.number else "text")
    return ", ".join([kind, *(["optional"] if not rule.required else []), *(["secret"] if rule.secret else [])])


def _action(name: str, action: WrittenAction) -> list[str]:
    parts = [f"### {name}", f"{action.title}.", field_table(action.params)]
    if ways := [" and ".join(f"`{field}`" for field in way["required"]) for way in action.params.get("anyOf", ())]:
        parts.append(f"At least one of {', '.join(ways)} is required.")
    if action.requests:
        parts.append(f"Sends {', '.join(map(_request, action.requests))}.")
    return parts


def _request(request: WrittenRequest) -> str:
    often = " once for each item" if request.each else " if needed" if request.when is not None else ""
    return f"`{request.method} {request.path}`{often}"
