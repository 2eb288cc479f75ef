"""What is sent and answered of workflows, versions, deployments and variables. Source: AwaitStep contract 4.2, 4.3."""

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from stepwell.http.dialects.awaitstep.wire_runs import MOST_LISTED

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Description = Annotated[str, Meta(max_length=1000)]
VariableName = Annotated[str, Meta(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=128)]
Value = Annotated[str, Meta(min_length=1, max_length=10_000)]
Code = Annotated[str, Meta(max_length=50_000)]
Kind = Literal["workflow", "script"]
Object = dict[str, Any]


class PageQuery(Struct, rename="camel"):
    """Which part of a list."""

    limit: Annotated[int, Meta(ge=1, le=MOST_LISTED)] = 50
    cursor: str | None = None


class FullQuery(Struct, rename="camel"):
    """Which version is shown in whole."""

    version: str | None = None


class DeleteQuery(Struct, rename="camel"):
    """Whether runs that have not ended are ended."""

    force: bool = False


class NewWorkflow(Struct, rename="camel"):
    """A workflow to be made."""

    name: Name
    description: Description | None = None
    kind: Kind = "workflow"


class EnvVar(Struct, rename="camel"):
    """A variable of a workflow; the bullets as a secret's value keep what it is."""

    name: VariableName
    value: Value | None = None
    is_secret: bool = False


class WorkflowChanges(Struct, rename="camel"):
    """What is to be changed of a workflow; with a slug, `wf_<slug>` stands for its id. null takes the slug away."""

    name: Name | UnsetType = UNSET
    description: Description | None | UnsetType = UNSET
    slug: str | None | UnsetType = UNSET
    env_vars: list[EnvVar] | UnsetType = UNSET
    trigger_code: Code | None | UnsetType = UNSET
    dependencies: Any = UNSET
    deploy_config: Object | None | UnsetType = UNSET


class NewVersion(Struct, rename="camel"):
    """A graph to be saved."""

    ir: Any


class VersionChanges(Struct, rename="camel"):
    """Whether a version may change."""

    locked: bool


class DeployBody(Struct, rename="camel"):
    """What is deployed, and where."""

    connection_id: str
    version_id: str | None = None
    config: Object | None = None


class TakedownBody(Struct, rename="camel"):
    """Where a workflow is taken down."""

    connection_id: str


class NewVariable(Struct, rename="camel"):
    """A variable of the workspace to be made."""

    name: VariableName
    value: Value
    is_secret: bool = False


class VariableChanges(Struct, rename="camel"):
    """What is to be changed of a variable."""

    name: VariableName | None = None
    value: Value | None = None
    is_secret: bool | None = None


class WorkflowRow(Struct, rename="camel", omit_defaults=True):
    """A workflow; of a list also how its deploy and its last run stand."""

    id: str
    project_id: str
    created_by: str | None
    name: str
    description: str | None
    kind: Kind
    current_version_id: str | None
    env_vars: str
    trigger_code: str | None
    dependencies: str
    deploy_config: str
    created_at: str
    updated_at: str
    deploy_status: str | None | UnsetType = UNSET
    deploy_version_id: str | None | UnsetType = UNSET
    last_run_status: str | None | UnsetType = UNSET
    last_run_at: str | None | UnsetType = UNSET


class VersionRow(Struct, rename="camel"):
    """A version; `ir` is JSON text, null if it was written elsewhere."""

    id: str
    workflow_id: str
    version: int
    ir: str | None
    locked: int
    created_by: str | None
    created_at: str
    updated_at: str
    warnings: list[str] | UnsetType = UNSET


class DeploymentRow(Struct, rename="camel"):
    """One try to deploy a version."""

    id: str
    workflow_id: str
    version_id: str | None
    connection_id: str
    service_name: str
    service_url: str | None
    status: str
    error: str | None
    created_at: str


class FullWorkflow(Struct, rename="camel"):
    """A workflow with its versions."""

    workflow: WorkflowRow
    version: VersionRow | None
    versions: list[VersionRow]
    active_deployment: DeploymentRow | None


class Deployed(Struct, rename="camel"):
    """What came of a deploy."""

    success: bool
    deployment_id: str
    version_id: str
    url: str | None
    dashboard_url: str
    warnings: list[str]


class Success(Struct):
    """It is done."""

    success: bool = True


class VariableRow(Struct, rename="camel"):
    """A variable of the workspace; a secret's value is bullets."""

    id: str
    name: str
    value: str
    is_secret: bool
    created_at: str
    updated_at: str
