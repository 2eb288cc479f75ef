"""The store: the only SQL of the project, behind one port."""

from stepwell.store.port import Connections, Keys, Outbox, Runs, Store, Workflows
from stepwell.store.port_connectors import StoredConnectors
from stepwell.store.port_costs import Costs
from stepwell.store.port_endpoints import Endpoints
from stepwell.store.port_invocations import Invocations
from stepwell.store.port_lists import Lists
from stepwell.store.port_seals import SEAL_KINDS, Seal, SealKind, Seals
from stepwell.store.port_signals import Signals
from stepwell.store.port_sources import Sources
from stepwell.store.port_tasks import TaskChange, Tasks
from stepwell.store.port_triggers import Accounts, Deliveries, Triggers
from stepwell.store.rows import (
    Approval,
    Broadcast,
    Claim,
    Commit,
    Committed,
    Connection,
    ConnectionFilter,
    End,
    Errand,
    EventWait,
    Key,
    Loaded,
    NewRun,
    Reached,
    Record,
    Run,
    RunEvent,
    RunFilter,
    Secret,
    Started,
    Timer,
    Version,
    Workflow,
    Workspace,
)
from stepwell.store.rows_connectors import StoredConnector
from stepwell.store.rows_costs import Budget, OverBudget
from stepwell.store.rows_endpoints import Endpoint, EndpointMessage, MessageStatus
from stepwell.store.rows_invocations import Invocation, InvocationFilter
from stepwell.store.rows_lists import Activity, RunCounts, RunListing, WorkflowListing
from stepwell.store.rows_sources import Answered, Deployment, SourceVersion, SourceWorkflow, StoredVariable
from stepwell.store.rows_tasks import Task, TaskClaim, TaskDelivery, TaskFailure, TaskVerdict
from stepwell.store.rows_triggers import (
    AccountLink,
    AuthConfig,
    Delivery,
    DeliveryFilter,
    EndUser,
    Firing,
    FiringFilter,
    OAuthGrant,
    Trigger,
    TriggerFilter,
)

__all__ = [
    "SEAL_KINDS",
    "Seal",
    "SealKind",
    "Seals",
    "StoredConnector",
    "StoredConnectors",
    "Budget",
    "Costs",
    "OverBudget",
    "Invocation",
    "InvocationFilter",
    "Invocations",
    "Lists",
    "Activity",
    "RunCounts",
    "RunListing",
    "WorkflowListing",
    "Answered",
    "Deployment",
    "SourceVersion",
    "SourceWorkflow",
    "Sources",
    "StoredVariable",
    "Task",
    "TaskChange",
    "TaskClaim",
    "TaskDelivery",
    "TaskFailure",
    "TaskVerdict",
    "Tasks",
    "Endpoint",
    "EndpointMessage",
    "Endpoints",
    "MessageStatus",
    "Accounts",
    "Deliveries",
    "Triggers",
    "AccountLink",
    "AuthConfig",
    "Delivery",
    "DeliveryFilter",
    "EndUser",
    "Firing",
    "FiringFilter",
    "OAuthGrant",
    "Trigger",
    "TriggerFilter",
    "Approval",
    "Broadcast",
    "Claim",
    "Commit",
    "Committed",
    "Connection",
    "ConnectionFilter",
    "Connections",
    "End",
    "Errand",
    "EventWait",
    "Reached",
    "Key",
    "Keys",
    "Loaded",
    "NewRun",
    "Outbox",
    "Record",
    "Run",
    "RunEvent",
    "RunFilter",
    "Runs",
    "Secret",
    "Signals",
    "Started",
    "Store",
    "Timer",
    "Version",
    "Workflow",
    "Workflows",
    "Workspace",
]
