"""Importing: a whole document made into a manifest, with what could not be imported and why."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from stepwell.connectors.connector import BadManifest, Connector, compile_manifest
from stepwell.connectors.manifest import Manifest, TestCall, WrittenAction, WrittenFailure
from stepwell.connectors.openapi.document import CannotImport, Document
from stepwell.connectors.openapi.names import action_name
from stepwell.connectors.openapi.operations import METHODS, OTHER_METHODS, Operation, Operations
from stepwell.connectors.openapi.samples import literal
from stepwell.connectors.openapi.schemas import Schemas
from stepwell.connectors.openapi.security import Requirement, Schemes, Security, met, requirements
from stepwell.errors import Fault, ValidationFailed
from stepwell.values import Json

MAX_OPERATIONS = 2000

_FAILURE = WrittenFailure(
    message="{{answer.error.message | default: answer.message | default: answer.error_description "
    "| default: answer.detail | default: answer.title | default: answer.errors[0].message "
    "| default: answer.errors[0].detail | default: answer.errors[0] | default: answer.errorMessage "
    "| default: answer.error}}",
    code="{{answer.error.code | default: answer.code | default: answer.errors[0].code | default: answer.type}}",
)


@dataclass(frozen=True, slots=True)
class Skipped:
    """An operation that was not imported."""

    operation: str  # GET /pets/{petId}
    reason: str


@dataclass(frozen=True, slots=True)
class Imported:
    """The connector, and what is not in it. `notes` say what is there in part."""

    connector: Connector
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]

    @property
    def manifest(self) -> Manifest:
        """The connector as it is written."""
        return self.connector.manifest


def import_document(name: str, root: Json, *, location: str | None = None, base_url: str | None = None) -> Imported:
    """Make the manifest of a document. `location` is the address that it came from, against which its server may be
    relative; `base_url` stands in for its server.

    Raises:
        ValidationFailed: it is no OpenAPI document of version 3.0 or 3.1, names no server that can be used, or has no
            operation that can be imported; faults begin with `document` or `baseUrl`.
    """
    document = Document(_checked(root))
    address = _base_url(base_url) if base_url is not None else _server(document, location)
    operations = list(_operations(document))
    schemes = Schemes(document, location)
    security = schemes.choose([_wanted(document, each) for each in operations])
    schemas = Schemas(document)
    maker = Operations(document, schemas)
    actions: dict[str, WrittenAction] = {}
    skipped = list(_unknown(document))
    for operation in operations:
        schemas.begin()
        try:
            _check_servers(operation)
            _check_security(schemes, security, _wanted(document, operation))
            action = maker.action(operation)
        except CannotImport as error:
            skipped.append(Skipped(operation.label[:300], str(error)))
            continue
        finally:
            schemas.end()
        named = operation.written.get("operationId")
        actions[action_name(named, operation.method, operation.path, actions)] = action
    if not actions:
        faults = [Fault(("document", "paths"), f"{each.operation}: {each.reason}") for each in skipped[:20]]
        raise _refused("paths", "No operation can be imported", *faults)
    manifest = _manifest(document, name, address, security, actions)
    try:
        return Imported(compile_manifest(manifest), tuple(skipped), tuple(_notes(schemas)))
    except BadManifest as error:
        raise _refused("", f"It makes a connector that does not work: {error}"[:500]) from None


def _manifest(
    document: Document, name: str, address: str, security: Security, actions: dict[str, WrittenAction]
) -> Manifest:
    info = document.root["info"] if isinstance(document.root.get("info"), dict) else {}
    return Manifest(
        name=name,
        title=_line(info.get("title"), 100) or name,
        description=_line(info.get("description"), 1000) or None,
        credentials=security.credentials,
        actions=actions,
        base_url=literal(address),
        auth=security.auths[0] if len(security.auths) == 1 else security.auths,
        oauth=security.oauth,
        failure=_FAILURE,
        test=_test(actions),
    )


def _checked(root: Json) -> dict[str, Json]:
    if not isinstance(root, dict):
        raise _refused("", "Expected an OpenAPI document: an object")
    if "swagger" in root:
        raise _refused("swagger", f"Swagger {str(root['swagger'])[:20]} is not read; convert the document to OpenAPI 3")
    version = str(root.get("openapi", ""))
    if not version.startswith(("3.0", "3.1")):
        told = f"this is {version[:20]}" if version else "this has no `openapi` field"
        raise _refused("openapi", f"Expected OpenAPI 3.0 or 3.1, {told}")
    if not isinstance(root.get("paths"), dict) or not root["paths"]:
        raise _refused("paths", "The document has no paths")
    count = sum(1 for item in root["paths"].values() if isinstance(item, dict) for word in METHODS if word in item)
    if count > MAX_OPERATIONS:
        raise _refused("paths", f"The document has {count} operations; at most {MAX_OPERATIONS} can be imported")
    return root


def _operations(document: Document) -> Iterator[Operation]:
    for path, item in document.root["paths"].items():
        if not str(path).startswith("/"):
            continue
        try:
            of_path = document.follow(item, "path item")
        except CannotImport:
            continue
        for method in METHODS:
            if isinstance(of_path.get(method), dict):
                yield Operation(method, str(path), of_path, of_path[method])


def _unknown(document: Document) -> Iterator[Skipped]:
    """What stands among the paths and is no operation that can be sent."""
    for path, item in document.root["paths"].items():
        if str(path).startswith("x-"):
            continue
        if not str(path).startswith("/"):
            yield Skipped(str(path)[:300], "a path begins with /")
            continue
        try:
            of_path = document.follow(item, "path item")
        except CannotImport as error:
            yield Skipped(str(path)[:300], str(error))
            continue
        for method in (*METHODS, *OTHER_METHODS):
            if method in of_path and (method in OTHER_METHODS or not isinstance(of_path[method], dict)):
                reason = "this method is not sent" if method in OTHER_METHODS else "it is not an object"
                yield Skipped(f"{method.upper()} {path}"[:300], reason)


def _wanted(document: Document, operation: Operation) -> tuple[Requirement, ...]:
    own = operation.written.get("security")
    return requirements(document.root.get("security") if own is None else own)


def _check_security(schemes: Schemes, security: Security, wanted: tuple[Requirement, ...]) -> None:
    if met(wanted, security.requirement):
        return
    told = schemes.reason(wanted[0])
    used = " and ".join(sorted(security.requirement)) or "none"
    needed = " and ".join(sorted(wanted[0]))
    raise CannotImport(told or f"it needs the security scheme {needed[:200]}, which cannot be sent beside {used[:200]}")


def _check_servers(operation: Operation) -> None:
    if any(
        isinstance(node.get("servers"), list) and node["servers"] for node in (operation.of_path, operation.written)
    ):
        raise CannotImport("it is on a server of its own")


def _server(document: Document, location: str | None) -> str:
    """The address of the first server, its variables at their defaults."""
    servers = document.root.get("servers")
    first = servers[0] if isinstance(servers, list) and servers else {"url": "/"}
    url = first.get("url") if isinstance(first, dict) else None
    if not isinstance(url, str):
        raise _refused("servers", "The first server has no url; give a base URL")
    variables = first.get("variables")
    for name, variable in variables.items() if isinstance(variables, dict) else ():
        if isinstance(variable, dict) and isinstance(variable.get("default"), str | int):
            url = url.replace("{" + str(name) + "}", str(variable["default"]))
    if "{" in url:
        raise _refused("servers", f"The server {url[:200]} has a variable without a default; give a base URL")
    if not urlsplit(url).scheme and location is None:
        raise _refused("servers", f"The server is {url[:200]!r}, which says no host; give a base URL")
    return _base_url(urljoin(location, url) if location else url)


def _base_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        fit = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        fit = fit and not (parts.query or parts.fragment or parts.username or parts.password)
        fit = fit and url.isprintable() and not set(" \\<>\"'`^") & set(url) and ".." not in parts.path
    except ValueError:
        fit = False
    if not fit:
        told = f"Expected an http or https address without credentials and query as the server, not {url[:200]!r}"
        raise ValidationFailed("Invalid request", [Fault(("baseUrl",), told)])
    return url.rstrip("/")


def _test(actions: dict[str, WrittenAction]) -> TestCall | None:
    """The first action that only reads and needs nothing."""
    for name, action in actions.items():
        if action.requests[0].method == "GET" and not action.params.get("required"):
            return TestCall(name)
    return None


def _notes(schemas: Schemas) -> Iterator[str]:
    if schemas.cut == 1:
        yield "One schema holds itself or is too large: what it describes is not checked in full"
    elif schemas.cut:
        yield f"{schemas.cut} schemas hold themselves or are too large: what they describe is not checked in full"


def _line(text: Json, most: int) -> str:
    if not isinstance(text, str):
        return ""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:most]


def _refused(where: str, message: str, *more: Fault) -> ValidationFailed:
    path = ("document", where) if where else ("document",)
    return ValidationFailed("Invalid request", [Fault(path, message), *more])
