"""Manifests: what a connector is, read from YAML, checked and compiled once."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal, TypeAlias

import jsonschema_rs
import msgspec
import yaml

from stepwell.connectors.shape import Shape, UrlPath, compile_path, compile_shape
from stepwell.errors import StartupRefused
from stepwell.expressions import CompileFailed, Condition, Template, compile_condition, compile_template
from stepwell.values import Json

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C where it was built: six times as fast


class Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a manifest as it is written; a field that is not known is a fault."""


class Credential(Written, frozen=True):
    """One field of a connection's credentials. What is secret never shows in an output."""

    title: str
    required: bool = True
    secret: bool = False
    number: bool = False
    choices: tuple[str, ...] = ()


class Bearer(Written, frozen=True, tag="bearer", tag_field="kind"):
    """`Authorization: Bearer <field>`."""

    field: str


class Basic(Written, frozen=True, tag="basic", tag_field="kind"):
    """`Authorization: Basic <username:password>`; an empty password if none is named."""

    username: str
    password: str | None = None


class HeaderKey(Written, frozen=True, tag="header", tag_field="kind"):
    """A key in a header of its own."""

    name: str
    field: str


Auth: TypeAlias = Bearer | Basic | HeaderKey


class WrittenRequest(Written, frozen=True):
    """One HTTP request of an action. With `each` it is sent once for every member of a list."""

    name: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    headers: dict[str, str] = {}
    query: dict[str, Json] = {}
    body: Json = None
    when: Json = None
    each: str | None = None


class WrittenSimulation(Written, frozen=True):
    """One case of a simulated answer; `count` names the counter that gives `count` and `n` (four digits)."""

    output: Json
    when: Json = None
    count: str | None = None


class WrittenAction(Written, frozen=True):
    """One thing a provider can do. The output is the answer of the last request sent, unless `output` shapes it."""

    title: str
    params: dict[str, Json]
    simulate: tuple[WrittenSimulation, ...]
    requests: tuple[WrittenRequest, ...] = ()
    output: Json | msgspec.UnsetType = msgspec.UNSET


class WrittenFailure(Written, frozen=True):
    """How a provider tells of failures. Templates see `answer`; `when` finds failures behind a success status."""

    message: str
    code: str | None = None
    when: Json = None
    retry_codes: frozenset[str] = frozenset()
    messages: dict[str, str] = {}


class Manifest(Written, frozen=True):
    """A connector as it is written."""

    name: str
    title: str
    credentials: dict[str, Credential]
    actions: dict[str, WrittenAction]
    protocol: Literal["http", "smtp"] = "http"
    base_url: str = ""
    auth: Auth | None = None
    encoding: Literal["json", "form"] = "json"
    headers: dict[str, str] = {}
    idempotency_header: str = "Idempotency-Key"
    failure: WrittenFailure | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A request, compiled."""

    name: str
    method: str
    path: UrlPath
    headers: Shape
    query: Shape
    body: Shape | None
    when: Condition | None
    each: Template | None


@dataclass(frozen=True, slots=True)
class Simulation:
    """A case of a simulated answer, compiled."""

    output: Shape
    when: Condition | None
    count: str | None


@dataclass(frozen=True, slots=True)
class Action:
    """An action, compiled. `params` is its JSON Schema."""

    name: str
    params: Json
    validator: jsonschema_rs.Validator
    requests: tuple[Request, ...]
    output: Shape | None
    simulate: tuple[Simulation, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """How failures are read, compiled."""

    message: Template
    code: Template | None
    when: Condition | None
    retry_codes: frozenset[str]
    messages: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Connector:
    """A provider, compiled."""

    manifest: Manifest
    actions: Mapping[str, Action]
    failure: Failure | None

    @property
    def name(self) -> str:
        """The first part of its actions' names: `stripe`."""
        return self.manifest.name


def load_manifests(folder: Traversable | None = None) -> dict[str, Connector]:
    """Every connector of a folder of YAML files (default: those that come with Stepwell), by name.

    Raises:
        StartupRefused: a file is not a manifest; the message names the file, the place and what is wrong.
    """
    folder = folder or files("stepwell.connectors") / "manifests"
    texts = sorted((entry.name, entry.read_text()) for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    loaded = [_load(name, text) for name, text in texts]
    return {connector.name: connector for connector in loaded}


def _load(file: str, text: str) -> Connector:
    try:
        manifest = msgspec.convert(yaml.load(text, _Loader), Manifest)
        _check(manifest)
        actions = {name: _compile_action(name, written) for name, written in manifest.actions.items()}
        return Connector(manifest, actions, _compile_failure(manifest.failure) if manifest.failure else None)
    except (yaml.YAMLError, msgspec.ValidationError, CompileFailed, _Wrong) as error:
        raise StartupRefused(f"Connector manifest {file}: {error}") from error


class _Wrong(ValueError):
    pass


def _check(manifest: Manifest) -> None:
    """What the structs cannot say."""
    http = manifest.protocol == "http"
    if http and not (manifest.base_url.startswith("https://") and manifest.auth and manifest.failure):
        raise _Wrong("an http connector needs an https base_url, auth and failure")
    for field in _named(manifest.auth):
        if field not in manifest.credentials:
            raise _Wrong(f"auth names {field}, which is not in credentials")
    for name, action in manifest.actions.items():
        if http and not action.requests:
            raise _Wrong(f"actions.{name} has no requests")
        if not action.simulate or action.simulate[-1].when is not None:
            raise _Wrong(f"actions.{name}.simulate needs a last case without `when`")
        if len({request.name for request in action.requests}) != len(action.requests):
            raise _Wrong(f"actions.{name} has two requests of one name")


def _named(auth: Auth | None) -> list[str]:
    match auth:
        case Bearer(field=field) | HeaderKey(field=field):
            return [field]
        case Basic(username=username, password=password):
            return [username] if password is None else [username, password]
    return []


def _compile_action(name: str, written: WrittenAction) -> Action:
    try:
        validator = jsonschema_rs.validator_for(written.params, offline=True, mask="value")  # values may be secrets
    except (ValueError, jsonschema_rs.ValidationError) as error:
        raise _Wrong(f"actions.{name}.params is not a JSON Schema: {error}") from error
    return Action(
        name,
        written.params,
        validator,
        tuple(_compile_request(request) for request in written.requests),
        None if written.output is msgspec.UNSET else compile_shape(written.output),
        tuple(Simulation(compile_shape(case.output), _condition(case.when), case.count) for case in written.simulate),
    )


def _compile_request(written: WrittenRequest) -> Request:
    return Request(
        written.name,
        written.method,
        compile_path(written.path),
        compile_shape(written.headers),
        compile_shape(written.query),
        None if written.body is None else compile_shape(written.body),
        _condition(written.when),
        None if written.each is None else compile_template(written.each),
    )


def _compile_failure(written: WrittenFailure) -> Failure:
    return Failure(
        compile_template(written.message),
        None if written.code is None else compile_template(written.code),
        _condition(written.when),
        written.retry_codes,
        written.messages,
    )


def _condition(value: Json) -> Condition | None:
    return None if value is None else compile_condition(value)
