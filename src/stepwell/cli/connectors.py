"""`stepwell connector`: what steps can use, and adding more by an OpenAPI document."""

import re
from pathlib import Path
from typing import Annotated
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import typer

from stepwell.cli.docs.fields import fields_of, type_text
from stepwell.cli.options import DEFAULT_URL, STYLE, ApiKeyOption, JsonOption, UrlOption
from stepwell.cli.output import err, json_text, out, say, show_json, show_rows
from stepwell.client import Action, Client, ConnectorDetail, CredentialField
from stepwell.connectors.openapi import MAX_BYTES, BadDocument, read_document
from stepwell.values import Json

commands = typer.Typer(
    help="See the connectors that steps can use, and add more: any OpenAPI 3 document becomes one.",
    no_args_is_help=True,
    **STYLE,
)

FETCH_S = 30
SHOWN_SKIPPED = 10

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The connector's name, such as stripe.")]


@commands.command()
def add(
    source: Annotated[str, typer.Argument(metavar="FILE_OR_URL", help="OpenAPI 3.0 or 3.1 document, JSON or YAML.")],
    name: Annotated[str | None, typer.Option(help="What actions begin with.  [default: the document's title]")] = None,
    base_url: Annotated[str | None, typer.Option(help="Address to call, in place of the document's server.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Put it in the place of one of the same name.")] = False,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a connector of an OpenAPI document. Its operations become actions that steps use at once.

    Operations that cannot be imported are listed with the reason.
    """
    remote = urlsplit(source).scheme in ("http", "https")
    document = _document(_fetched(source) if remote else _content(source))
    added = Client(url, api_key).connectors.add(
        name or _name_of(document),
        document,
        url=source if remote else None,
        base_url=base_url,
        replace=replace,
    )
    if as_json:
        show_json(added.document)
        return
    say(f"{added.name}  added: {added.title}, {added.base_url}")
    say(_summary(added))
    for note in added.notes:
        say(f"  note: {note}")
    if not added.credentials:
        say("It needs no credentials: give a connection `{}`.")


@commands.command("list")
def list_connectors(url: UrlOption = DEFAULT_URL, api_key: ApiKeyOption = None, as_json: JsonOption = False) -> None:
    """List the connectors, those that come with Stepwell included."""
    found = Client(url, api_key).connectors.list()
    if as_json:
        show_json(found)
        return
    rows = [(each.name, each.title, "built in" if each.built_in else "added", str(len(each.actions))) for each in found]
    show_rows(("Name", "Title", "", "Actions"), rows)


@commands.command()
def show(
    name: _Name,
    action: Annotated[str | None, typer.Argument(metavar="ACTION", help="One action, in detail.")] = None,
    url: UrlOption = DEFAULT_URL,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Document a connector: how it is reached, its credentials, each action with its parameters and output."""
    found = Client(url, api_key).connectors.get(name)
    if action is None:
        if as_json:
            show_json(found.document)
        else:
            _show_connector(found)
        return
    wanted = action if action.startswith(f"{name}.") else f"{name}.{action}"
    one = next((each for each in found.actions if each.name == wanted), None)
    if one is None:
        raise typer.BadParameter(f"{name} has no action {action}; `stepwell connector show {name}` lists them")
    if as_json:
        show_json(one)
    else:
        _show_action(one, in_full=True)


@commands.command()
def remove(name: _Name, url: UrlOption = DEFAULT_URL, api_key: ApiKeyOption = None) -> None:
    """Remove a connector that was added. Steps that use it fail from then on."""
    Client(url, api_key).connectors.remove(name)
    say(f"{name} is removed.")


def _fetched(address: str) -> bytes:
    err.print(f"Reading {address}", highlight=False, soft_wrap=True, markup=False)
    request = Request(address, headers={"User-Agent": "stepwell", "Accept": "application/json, */*"})
    try:
        with urlopen(request, timeout=FETCH_S) as response:
            content: bytes = response.read(MAX_BYTES + 1)
    except (URLError, OSError, ValueError) as error:
        raise typer.BadParameter(f"{address} cannot be read: {error}") from error
    return content


def _content(file: str) -> bytes:
    try:
        with Path(file).open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}") from error


def _document(content: bytes) -> Json:
    try:
        return read_document(content)
    except BadDocument as error:
        raise typer.BadParameter(str(error)) from error


def _name_of(document: Json) -> str:
    """A name made of the document's title."""
    info = document.get("info") if isinstance(document, dict) else None
    title = info.get("title") if isinstance(info, dict) else None
    name = re.sub(r"[^a-z0-9]+", "_", str(title or "").lower()).strip("_")[:63]
    if not name or not name[0].isalpha():
        raise typer.BadParameter("the document has no title to make a name of; give one by --name")
    return name


def _summary(added: ConnectorDetail) -> str:
    count = len(added.actions)
    line = f"{count} action{'s' * (count != 1)}"
    if added.skipped:
        skipped = len(added.skipped)
        line += f", {skipped} operation{'s' * (skipped != 1)} skipped:"
        shown = [f"  {each.operation}: {each.reason}" for each in added.skipped[:SHOWN_SKIPPED]]
        if skipped > SHOWN_SKIPPED:
            shown.append(f"  and {skipped - SHOWN_SKIPPED} more; `stepwell connector show {added.name}` lists them")
        line = "\n".join([line, *shown])
    return line


def _show_connector(found: ConnectorDetail) -> None:
    say(f"{found.name}: {found.title}")
    if found.description:
        say(found.description)
    origin = "comes with Stepwell" if found.built_in else f"added {found.created_at}"
    say(f"At {found.base_url}, {origin}." if found.base_url else f"Over {found.protocol}, {origin}.")
    if found.oauth is not None:
        say(f"OAuth 2: tokens from {found.oauth.token_url}, scopes {' '.join(found.oauth.scopes) or '-'}")
    say("")
    say(f"Credentials of a connection ({', '.join(found.auth) or found.protocol}):")
    if found.credentials:
        rows = [(field.name, _credential(field), field.title) for field in found.credentials]
        show_rows(("Field", "Type", ""), rows)
    else:
        say("  none")
    for one in found.actions:
        _show_action(one, in_full=False)
    if found.triggers:
        say(f"\nTriggers: {', '.join(found.triggers)}")
    if found.skipped:
        say("\nNot imported:")
        for each in found.skipped:
            say(f"  {each.operation}: {each.reason}")


def _credential(field: CredentialField) -> str:
    words = [" or ".join(field.choices) or field.type]
    words += [] if field.required else [f"default {field.default}" if field.default is not None else "optional"]
    return ", ".join([*words, *(["secret"] if field.secret else [])])


def _show_action(one: Action, *, in_full: bool) -> None:
    say("")
    out.print(f"[bold]{one.name}[/]", highlight=False)
    say(f"  {one.title}")
    if in_full and one.description:
        say(f"  {one.description}")
    for sent in one.sends:
        if sent != one.title:
            say(f"  {sent}")
    rows = [
        (name, type_text(schema).replace("`", ""), "required" if required else "", str(schema.get("description", "")))
        for name, schema, required in fields_of(one.params)
        if in_full or not ("." in name or "[" in name)
    ]
    if rows:
        show_rows(("Parameter", "Type", "", ""), rows)
    if ways := [" and ".join(way["required"]) for way in one.params.get("anyOf", ()) if "required" in way]:
        say(f"  At least one of {', '.join(ways)} is required.")
    output = json_text(one.output, indent=2 if in_full else 0)
    say(f"  Output, for example: {output if in_full or len(output) <= 300 else output[:299] + '…'}")
