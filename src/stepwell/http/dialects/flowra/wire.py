"""What the dialect answers, as structs. Source: Flowra contract 4-9."""

from typing import Any, Literal

import msgspec

Object = dict[str, Any]


class Wire(msgspec.Struct, rename="camel"):
    """Fields in camelCase."""


# -- the key


class KeyProfile(Wire):
    """Whose key it is."""

    id: str
    name: str
    project_id: str
    scopes: list[str]


# -- triggers


class TriggerRow(Wire, kw_only=True):
    """A trigger instance."""

    id: str
    slug: str
    trigger_name: str
    tool_slug: str
    toolkit_slug: str | None
    type: Literal["schedule", "webhook", "poll"]
    status: Literal["ACTIVE", "DISABLED", "ERROR"]
    is_disabled: bool
    status_reason: str | None
    euid: str = msgspec.field(name="eUID")
    username: str
    project_id: str
    workflow_id: str | None
    connected_account_id: str | None
    auth_config_id: str | None
    trigger_config: Object
    webhook_url: str | None
    invocation_count: int
    invocation_errors: int
    last_invoked_at: str | None
    next_run_at: str | None
    disabled_at: str | None
    created_at: str
    updated_at: str


class UpsertedTrigger(TriggerRow, kw_only=True):
    """A trigger instance that was just made or changed."""

    trigger_id: str


class InvocationLog(Wire, kw_only=True):
    """One time that a trigger was called on; `success` says that a run was started."""

    id: str
    trigger_id: str
    tool_slug: str
    source: Literal["connected_webhook", "local_webhook", "poll_scheduler"]
    status: Literal["success", "error", "skipped"]
    payload: Any
    error: str | None
    workflow_id: str | None
    execution_id: str | None
    thread_id: str | None
    euid: str = msgspec.field(name="eUID")
    duration_ms: int
    replay_of: str | None
    created_at: str


class ReplayedLog(Wire):
    """What came of a delivery that was sent again."""

    log_id: str
    execution_id: str | None
    thread_id: str | None


# -- accounts and users


class ToolkitName(Wire):
    """A toolkit, named."""

    slug: str
    name: str


class AuthConfigName(Wire):
    """The auth config of an account; null where the account was made without one."""

    id: str | None
    auth_scheme: str | None


class AccountItem(Wire, kw_only=True):
    """A connected account, without its credentials."""

    id: str
    toolkit: ToolkitName
    auth_config: AuthConfigName
    display_name: str
    label: str
    euid: str = msgspec.field(name="eUID")
    status: Literal["INITIATED", "ACTIVE", "FAILED", "EXPIRED", "INACTIVE"]
    status_reason: str | None
    is_disabled: bool
    created_at: str
    updated_at: str


class AccountPage(Wire):
    """A page of accounts."""

    items: list[Any]
    next_cursor: str | None
    total_pages: int
    current_page: int
    total_items: int


class ConnectedAccount(Wire):
    """An account that was just made; `redirectUrl` is where its owner agrees, if that is needed."""

    id: str
    connection_data: Object
    status: Literal["INITIATED", "ACTIVE", "FAILED", "EXPIRED", "INACTIVE"]
    redirect_url: str | None


class AccountLink(Wire):
    """A page at which an account is connected once."""

    redirect_url: str
    link_token: str
    expires_at: str
    connected_account_id: str


class AuthConfigRow(Wire, kw_only=True):
    """The app that accounts of a toolkit are connected with, without its secrets."""

    id: str
    toolkit: ToolkitName
    type: Literal["use_custom_auth"] = "use_custom_auth"
    auth_scheme: str
    display_name: str
    project_id: str
    created_at: str
    updated_at: str


class ExternalUser(Wire):
    """An end user."""

    id: str
    username: str
    is_active: bool
    is_default: bool
    project_id: str
    created_at: str


# -- the catalogue


class ToolItem(Wire):
    """Something a connector does or tells of."""

    id: str
    slug: str
    name: str
    description: str | None
    toolkit_slug: str
    type: Literal["action", "poll", "webhook"]
    input_parameters: Object
    output_parameters: Any
    no_auth: bool


class ToolkitItem(Wire):
    """A connector."""

    id: str
    slug: str
    name: str
    description: str | None
    no_auth: bool
    tools_count: int
    triggers_count: int
