"""Manifests: what a connector is, as it is written in YAML or made from an OpenAPI document."""

from typing import Literal, TypeAlias

import msgspec

from stepwell.values import Json

Encoding: TypeAlias = Literal["json", "form", "text"]
Method: TypeAlias = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


class Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a manifest as it is written; a field that is not known is a fault."""


class Credential(Written, frozen=True):
    """One field of a connection's credentials. What is secret never shows in an output. A `pattern` must match all of
    the value; `hint` says in words what it wants. A field that is not required may have a `default`."""

    title: str
    required: bool = True
    secret: bool = False
    number: bool = False
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    hint: str | None = None
    default: str | None = None


class NoAuth(Written, frozen=True, tag="none", tag_field="kind"):
    """Nothing that says who asks."""


class Bearer(Written, frozen=True, tag="bearer", tag_field="kind"):
    """`Authorization: Bearer <field>`. The access token of an OAuth connection arrives in this field too."""

    field: str


class Basic(Written, frozen=True, tag="basic", tag_field="kind"):
    """`Authorization: Basic <username:password>`; an empty password if none is named."""

    username: str
    password: str | None = None


class HeaderKey(Written, frozen=True, tag="header", tag_field="kind"):
    """A key in a header of its own, after `prefix` (`API-Key `)."""

    name: str
    field: str
    prefix: str = ""


class QueryKey(Written, frozen=True, tag="query", tag_field="kind"):
    """A key in the query."""

    name: str
    field: str


class CookieKey(Written, frozen=True, tag="cookie", tag_field="kind"):
    """A key in a cookie."""

    name: str
    field: str


Auth: TypeAlias = NoAuth | Bearer | Basic | HeaderKey | QueryKey | CookieKey


class OAuth(Written, frozen=True):
    """How a provider gives out access tokens (OAuth 2). Without `authorize_url` only to the client itself. `extra` are
    further parameters of the token request, `authorize_params` of the page that the user is sent to. The URLs may hold
    `{{connection.<field>}}` of credentials that are no secrets."""

    token_url: str
    authorize_url: str = ""
    scopes: tuple[str, ...] = ()
    scope_separator: str = " "
    pkce: bool = True
    token_auth: Literal["basic", "body"] = "body"
    authorize_params: dict[str, str] = {}
    extra: dict[str, str] = {}


class TestCall(Written, frozen=True):
    """The harmless action by which a connection is tried out. A refusal with one of the `good_codes` says that the
    credentials are good, for something else."""

    __test__ = False  # no test of ours

    action: str
    params: dict[str, Json] = {}
    good_codes: frozenset[str] = frozenset()


class WrittenRequest(Written, frozen=True):
    """One HTTP request of an action. With `each` it is sent once for every member of a list.

    A body that comes out as null is not sent. `encoding` and `content_type` stand in for the manifest's. `lists` says
    how a list in the query or a form is named: `a[0]=x&a[1]=y`, or `a=x&a=y`. `answer` says what is read: JSON, any
    text as it is, JSON if it is JSON, or `{headers, body}` with names in lower case.

    Templates see `params`, `connection` (what is no secret), `requests` (the answers so far) and `call` (`id` of the
    operation, `now` in epoch ms).
    """

    name: str
    method: Method
    path: str
    headers: dict[str, Json] = {}
    query: dict[str, Json] = {}
    cookies: dict[str, Json] = {}
    body: Json = None
    encoding: Encoding | None = None
    content_type: str | None = None
    lists: Literal["indexed", "repeated"] = "indexed"
    answer: Literal["json", "text", "any", "headers"] = "json"
    when: Json = None
    each: str | None = None


class WrittenSimulation(Written, frozen=True):
    """One case of a simulated answer; `count` names the counter that gives `count` and `n` (four digits). The output of
    a `literal` case is given as it is."""

    output: Json
    literal: bool = False
    when: Json = None
    count: str | None = None


class WrittenAction(Written, frozen=True):
    """One thing a provider can do. The output is the answer of the last request sent, unless `output` shapes it."""

    title: str
    params: dict[str, Json]
    simulate: tuple[WrittenSimulation, ...]
    requests: tuple[WrittenRequest, ...] = ()
    output: Json | msgspec.UnsetType = msgspec.UNSET
    description: str | None = None
    price: float | None = None  # of one call, in cents
    usage: str | None = None  # the entry of the manifest's `usages` by which calls are priced


class Usage(Written, frozen=True):
    """What a call of a model costs, as far as its answer tells. `model`, `input` and `output` are where the name of it
    and the numbers of tokens stand in the output; `models` are cents per million tokens of input and of output. A name
    with the date or number of a version behind it (`-2024-07-18`) is priced as without it. A model that is not listed
    costs nothing."""

    model: str
    input: str
    output: str
    models: dict[str, tuple[float, float]]


class WrittenFailure(Written, frozen=True):
    """How a provider tells of failures. Templates see `answer`; `when` finds failures behind a success status."""

    message: str
    code: str | None = None
    when: Json = None
    retry_codes: frozenset[str] = frozenset()
    messages: dict[str, str] = {}


class Manifest(Written, frozen=True):
    """A connector as it is written. `base_url` and `headers` may hold `{{connection.<field>}}` of credentials that are
    no secrets. Several `auth`s are sent together. A connector of the protocol `events` has no actions: its events are
    polled by sources of the program's own. `triggers` are written as `connectors.events` says."""

    name: str
    title: str
    credentials: dict[str, Credential]
    actions: dict[str, WrittenAction]
    protocol: Literal["http", "smtp", "postgres", "events"] = "http"
    base_url: str = ""
    auth: Auth | tuple[Auth, ...] | None = None
    oauth: OAuth | None = None
    test: TestCall | None = None
    encoding: Encoding = "json"
    headers: dict[str, str] = {}
    idempotency_header: str = "Idempotency-Key"
    failure: WrittenFailure | None = None
    description: str | None = None
    triggers: dict[str, Json] = {}
    usages: dict[str, Usage] = {}

    @property
    def auths(self) -> tuple[Auth, ...]:
        """Everything that says who asks."""
        if self.auth is None:
            return ()
        return self.auth if isinstance(self.auth, tuple) else (self.auth,)

    @property
    def token_field(self) -> str | None:
        """The field of the credentials that an access token is kept in, if there is one."""
        return next((auth.field for auth in self.auths if isinstance(auth, Bearer)), None)
