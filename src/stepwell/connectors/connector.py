"""Connectors: manifests checked and compiled once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

import jsonschema_rs
import msgspec
import yaml

from stepwell import cost
from stepwell.connectors.events import BadEvent, Event, compile_events
from stepwell.connectors.manifest import (
    Auth,
    Basic,
    Encoding,
    Manifest,
    NoAuth,
    Usage,
    WrittenAction,
    WrittenFailure,
    WrittenRequest,
    WrittenSimulation,
)
from stepwell.connectors.shape import Constant, Fields, Shape, UrlPath, compile_path, compile_shape
from stepwell.errors import StartupRefused
from stepwell.expressions import (
    CompileFailed,
    Condition,
    InvalidPattern,
    Template,
    compile_condition,
    compile_template,
    regex,
)
from stepwell.values import Json

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C where it was built: six times as fast


class BadManifest(ValueError):
    """What is written is no manifest; the message names the place and what is wrong."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request, compiled."""

    name: str
    method: str
    path: UrlPath
    headers: Fields
    query: Shape
    cookies: Fields
    body: Shape | None
    encoding: Encoding
    content_type: str | None
    repeats: bool
    answer: str
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
    price: int | None = None  # of one call, in millionths of a cent
    usage: Usage | None = None  # how one is priced by its output


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
    base_url: Template
    headers: Fields
    actions: Mapping[str, Action]
    failure: Failure | None
    events: Mapping[str, Event]

    @property
    def name(self) -> str:
        """The first part of its actions' names: `stripe`."""
        return self.manifest.name


def load_manifests(folder: Traversable | None = None) -> dict[str, Connector]:
    """Every connector of a folder of YAML files (default: those that come with Stepwell), by name.

    Raises:
        StartupRefused: a file is not a manifest; the message names the file, the place and what is wrong.
    """
    own = folder is None
    folder = folder or files("stepwell.connectors") / "manifests"
    texts = sorted((entry.name, entry.read_text("utf-8")) for entry in folder.iterdir() if entry.name.endswith(".yaml"))
    loaded = [_load(name, text, proven=own) for name, text in texts]
    return {connector.name: connector for connector in loaded}


class _WhenUsed(Mapping[str, Action]):
    """Actions that are compiled when they are first used: a connector may have thousands."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._compiled: dict[str, Action] = {}

    def __getitem__(self, name: str) -> Action:
        found = self._compiled.get(name)
        if found is None:
            found = self._compiled[name] = _compile_action(name, self._manifest)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._manifest.actions

    def __iter__(self) -> Iterator[str]:
        return iter(self._manifest.actions)

    def __len__(self) -> int:
        return len(self._manifest.actions)


def compile_manifest(manifest: Manifest, *, proven: bool = False) -> Connector:
    """Check a manifest and compile it. The actions of one that is `proven`, having been compiled before, are compiled
    when they are used.

    Raises:
        BadManifest.
    """
    _check(manifest)
    actions = _WhenUsed(manifest)
    try:
        return Connector(
            manifest,
            compile_template(manifest.base_url),
            _fields(manifest.headers),
            actions if proven else dict(actions),
            _compile_failure(manifest.failure) if manifest.failure else None,
            compile_events(manifest),
        )
    except (CompileFailed, BadEvent) as error:
        raise BadManifest(str(error)) from error


def _load(file: str, text: str, *, proven: bool) -> Connector:
    try:
        manifest = msgspec.convert(yaml.load(text, _Loader), Manifest)
        if manifest.protocol == "http" and not manifest.base_url.startswith(("https://", "{{connection.")):
            raise BadManifest("an http connector needs an https base_url")
        return compile_manifest(manifest, proven=proven)
    except (yaml.YAMLError, msgspec.ValidationError, BadManifest) as error:
        raise StartupRefused(f"Connector manifest {file}: {error}") from error


def _check(manifest: Manifest) -> None:
    """What the structs cannot say."""
    http = manifest.protocol == "http"
    if http and not (manifest.base_url and manifest.auths and manifest.failure):
        raise BadManifest("an http connector needs base_url, auth and failure")
    for field in (name for auth in manifest.auths for name in auth_fields(auth)):
        if field not in manifest.credentials:
            raise BadManifest(f"auth names {field}, which is not in credentials")
    if manifest.oauth is not None and manifest.token_field is None:
        raise BadManifest("oauth needs a bearer auth, whose field takes the access token")
    if manifest.test is not None and manifest.test.action not in manifest.actions:
        raise BadManifest(f"test names {manifest.test.action}, which is not in actions")
    for name, rule in manifest.credentials.items():
        _check_pattern(name, rule.pattern)
    for name, action in manifest.actions.items():
        if http and not action.requests:
            raise BadManifest(f"actions.{name} has no requests")
        if not action.simulate or action.simulate[-1].when is not None:
            raise BadManifest(f"actions.{name}.simulate needs a last case without `when`")
        if len({request.name for request in action.requests}) != len(action.requests):
            raise BadManifest(f"actions.{name} has two requests of one name")


def _check_pattern(name: str, pattern: str | None) -> None:
    try:
        if pattern is not None:
            regex(pattern)
    except InvalidPattern as error:
        raise BadManifest(f"credentials.{name}.pattern: {error}") from error


def auth_fields(auth: Auth) -> list[str]:
    """The fields of the credentials that an auth sends."""
    match auth:
        case NoAuth():
            return []
        case Basic(username=username, password=password):
            return [username] if password is None else [username, password]
    return [auth.field]


def _compile_action(name: str, manifest: Manifest) -> Action:
    written, encoding = manifest.actions[name], manifest.encoding
    if written.usage is not None and written.usage not in manifest.usages:
        raise BadManifest(f"actions.{name}.usage names {written.usage}, which is not in usages")
    try:
        validator = jsonschema_rs.Draft202012Validator(
            written.params,
            offline=True,
            mask="value",  # values may be secrets
            pattern_options=jsonschema_rs.RegexOptions(),
        )
    except (ValueError, jsonschema_rs.ValidationError) as error:
        raise BadManifest(f"actions.{name}.params is not a JSON Schema: {error}") from error
    return Action(
        name,
        written.params,
        validator,
        tuple(_compile_request(request, encoding) for request in written.requests),
        None if written.output is msgspec.UNSET else compile_shape(written.output),
        tuple(_compile_simulation(case) for case in written.simulate),
        _price(name, written),
        None if written.usage is None else manifest.usages[written.usage],
    )


def _price(name: str, written: WrittenAction) -> int | None:
    if written.price is None:
        return None
    price = cost.parse(written.price)
    if price is None:
        raise BadManifest(f"actions.{name}.price is no number of cents with at most {cost.DECIMALS} decimals")
    return price


def _compile_simulation(written: WrittenSimulation) -> Simulation:
    output = Constant(written.output) if written.literal else compile_shape(written.output)
    return Simulation(output, _condition(written.when), written.count)


def _compile_request(written: WrittenRequest, encoding: Encoding) -> Request:
    return Request(
        written.name,
        written.method,
        compile_path(written.path),
        _fields(written.headers),
        compile_shape(written.query),
        _fields(written.cookies),
        None if written.body is None else compile_shape(written.body),
        written.encoding or encoding,
        written.content_type,
        written.lists == "repeated",
        written.answer,
        _condition(written.when),
        None if written.each is None else compile_template(written.each),
    )


def _fields(value: Mapping[str, Json]) -> Fields:
    shape = compile_shape(dict(value))
    if not isinstance(shape, Fields):
        raise BadManifest("headers and cookies are written by name")
    return shape


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
