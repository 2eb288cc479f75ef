"""Frozen rows of what workflows were written as, where that is kept apart from their definitions."""

import msgspec


class SourceWorkflow(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow as it was written: its kind (workflow or script), the versions of it that are current and deployed,
    and its settings. `env_vars` (`[{name, value, secret, sealed}]`) and `deploy_config` are JSON text."""

    workspace: str
    workflow: str
    kind: str
    trigger_code: str | None = None
    env_vars: bytes = b"[]"
    deploy_config: bytes = b"{}"
    current_version: str | None = None
    deployed_version: str | None = None
    updated_at: int = 0


class SourceVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of what was written; `body` is the text as it was sent."""

    workspace: str
    workflow: str
    id: str
    number: int
    body: bytes
    locked: bool = False
    created_by: str = ""
    updated_at: int = 0


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One try to deploy a version, made at the id's own millisecond."""

    workspace: str
    id: str
    workflow: str
    version: str | None
    connection: str
    service_name: str
    service_url: str | None
    status: str
    error: str | None = None


class StoredVariable(msgspec.Struct, frozen=True, kw_only=True):
    """A variable of a workspace: its value, or that sealed if it is secret."""

    workspace: str
    id: str
    name: str
    secret: bool
    value: str | None = None
    sealed: bytes | None = None
    updated_at: int = 0


class Answered(msgspec.Struct, frozen=True):
    """What a call was answered, to be answered again to its repeats; in the store the body is sealed."""

    status: int
    body: bytes
