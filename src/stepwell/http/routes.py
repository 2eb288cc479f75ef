"""The route table: what a dialect serves. Routing, checks, OpenAPI and docs are all made from it."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from starlette.responses import Response

from stepwell.auth import Principal
from stepwell.clock import Clock
from stepwell.core import Core
from stepwell.errors import StepwellError
from stepwell.http.bodies import Headers
from stepwell.states import RunState

Q = TypeVar("Q")
B = TypeVar("B")


ANY_KEY = ""  # the scope of a route that every key may use


class Rate(StrEnum):
    """What a request counts as; the names are those of the settings' section `rate_limit`."""

    READ = "read"
    WRITE = "write"
    EXECUTE = "execute"
    WEBHOOKS = "webhooks"


@dataclass(slots=True)
class Call(Generic[Q, B]):
    """One request that passed its checks: who asks, and for what. `form` says that the body came as a form does."""

    core: Core
    clock: Clock
    principal: Principal
    params: dict[str, str]
    headers: Headers
    query: Q
    body: B
    form: bool = False

    @property
    def workspace(self) -> str:
        """The caller's workspace."""
        return self.principal.workspace


AnyCall: TypeAlias = Call[Any, Any]
Handler: TypeAlias = Callable[[AnyCall], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A success as OpenAPI tells of it. `data` is the type of what is wrapped (`listed`: of each item), None if there
    is nothing; `bare` is answered without an envelope, `nullable` may be null."""

    status: int
    data: Any
    listed: bool = False
    bare: bool = False
    nullable: bool = False
    headers: tuple[str, ...] = ()
    content: Literal["application/json", "text/event-stream", "text/html"] = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method on one path.

    `query` and `body` are struct types; a body of `dict` is any object, told of by `body_schema`. `exists` is asked
    before a fault of query or body is told: a resource that does not exist or may not be reached counts first.
    `sheds` routes are refused with 503 under overload, before their body is decoded. A `form` is taken as a body beside
    JSON. A route without `scope` needs no key and is counted by address. `errors` are the codes beyond those that every
    route has. `path_check` is asked of the path's parameters after the key and its rate, and before the scope: all of
    them are UUIDs, else it raises ValidationFailed. A dialect without it tells of a bad path when it looks for the
    thing.
    """

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    handler: Handler
    scope: str | None
    rate: Rate
    summary: str
    answers: tuple[Answer, ...]
    query: type[Any] | None = None
    body: type[Any] | None = None
    body_schema: Any = None
    headers: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    exists: Callable[[AnyCall], Awaitable[None]] | None = None
    path_check: Callable[[Mapping[str, str]], None] | None = None
    sheds: bool = False
    form: bool = False
    batch: bool = False


def last_values(given: Iterable[tuple[str, str]], lists: Collection[str]) -> Mapping[str, Any]:
    """Query parameters where of equal names the last counts."""
    return dict(given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """A published contract: a codec over `core`. `absent` are paths that a parameter would match but nothing serves.
    `folded` makes a mapping of query parameters, given those that are lists; `envelope` is the JSON Schema of a
    success, given that of its data and whether it is a list. `run_states` and `ids` are told of in the docs: its word
    for each state of a run, and how it writes the ids of things."""

    name: str
    base: str
    routes: tuple[Route, ...]
    refusal: Callable[[StepwellError], Response]
    error_schema: Callable[[str], Any]
    statuses: dict[str, int]
    envelope: Callable[[Answer, Any], Any]
    absent: tuple[str, ...] = ()
    folded: Callable[[Iterable[tuple[str, str]], Collection[str]], Mapping[str, Any]] = last_values
    run_states: Mapping[RunState, str] = field(default_factory=dict)
    ids: Mapping[str, str] = field(default_factory=dict)
