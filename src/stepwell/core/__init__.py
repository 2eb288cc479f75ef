"""Use cases: what a caller of any dialect, the console or the command line can ask for."""

from stepwell.core.accounts import Accounts, Link, LinkPage
from stepwell.core.answering import SenderAnswer, sender_answer
from stepwell.core.approvals import ApprovalLinks, Approvals, Decision
from stepwell.core.budgets import Budgets, MonthlyBudget
from stepwell.core.connecting import ConnectionChanges, ConnectionFields
from stepwell.core.connections import STATUSES, Connections
from stepwell.core.connectors import ConnectorDetail, ConnectorDraft, ConnectorLibrary
from stepwell.core.core import Core, LoopLag
from stepwell.core.endpoint_sender import EndpointBodies, EndpointSender, Outcome, Try, tries
from stepwell.core.endpoints import EndpointChanges, EndpointFields, Endpoints
from stepwell.core.entries import Entries, Entry
from stepwell.core.environment import RunEnvironment
from stepwell.core.event_connections import EventConnections
from stepwell.core.firing import Fire, Firings, run_input
from stepwell.core.function_host import FunctionHost
from stepwell.core.functions import FunctionAnswer, FunctionBusy, FunctionLine, Functions, FunctionStats
from stepwell.core.hook_setup import HookSetup
from stepwell.core.inbound import InboundRequest
from stepwell.core.inbox import Inbox, Received
from stepwell.core.keys import Keys, NewKey
from stepwell.core.listening import Address, Listening
from stepwell.core.notices import Notices
from stepwell.core.oauth import Authorization, Authorizations, Connected
from stepwell.core.outbox import Outbox
from stepwell.core.plans import Plans
from stepwell.core.polls import Polls
from stepwell.core.previews import Preview, PreviewStep
from stepwell.core.probes import Probes, Tested
from stepwell.core.provider_hooks import ProviderHooks
from stepwell.core.repeats import Repeats
from stepwell.core.rotation import Rotation, VaultStatus
from stepwell.core.routing import Routing
from stepwell.core.runs import Restarted, Runs, StreamEvent
from stepwell.core.schedules import Schedules
from stepwell.core.schemes import SCHEMES
from stepwell.core.scripts import Draft, Scripts
from stepwell.core.secrets import SecretName, Secrets
from stepwell.core.selection import DEFAULT_USER
from stepwell.core.setup import ensure_first_workspace
from stepwell.core.signals import Signals
from stepwell.core.sources import BULLETS, Resolved, Sources, VersionRefused
from stepwell.core.starting import StartedRun, StartRequest
from stepwell.core.targets import Targets, UnsupportedProvider
from stepwell.core.tasks import Claimed, Tasks
from stepwell.core.threads import Reply, Threads
from stepwell.core.tokens import AccessTokens
from stepwell.core.triggers import Triggers, Wanted
from stepwell.core.variables import Variables
from stepwell.core.views import Attempt, Failure, RunView, StepView, failure, start_view
from stepwell.core.workflows import VersionDetail, WorkflowDetail, Workflows
from stepwell.core.workspaces import Workspaces

__all__ = [
    "Budgets",
    "Entries",
    "Entry",
    "MonthlyBudget",
    "Rotation",
    "VaultStatus",
    "Address",
    "InboundRequest",
    "Inbox",
    "Listening",
    "Received",
    "Routing",
    "SenderAnswer",
    "sender_answer",
    "AccessTokens",
    "Accounts",
    "Authorization",
    "Authorizations",
    "Connected",
    "DEFAULT_USER",
    "Link",
    "LinkPage",
    "Probes",
    "SCHEMES",
    "Tested",
    "Draft",
    "Reply",
    "Scripts",
    "Repeats",
    "BULLETS",
    "Resolved",
    "Sources",
    "Targets",
    "Variables",
    "VersionRefused",
    "UnsupportedProvider",
    "Claimed",
    "Tasks",
    "Threads",
    "STATUSES",
    "ApprovalLinks",
    "Approvals",
    "Attempt",
    "ConnectionChanges",
    "ConnectionFields",
    "Connections",
    "ConnectorDetail",
    "ConnectorDraft",
    "ConnectorLibrary",
    "Core",
    "Decision",
    "EndpointBodies",
    "EndpointChanges",
    "EndpointFields",
    "EndpointSender",
    "Endpoints",
    "EventConnections",
    "Failure",
    "Fire",
    "Firings",
    "FunctionAnswer",
    "FunctionBusy",
    "FunctionHost",
    "FunctionLine",
    "FunctionStats",
    "Functions",
    "Keys",
    "LoopLag",
    "Notices",
    "NewKey",
    "Outbox",
    "Outcome",
    "Plans",
    "HookSetup",
    "Polls",
    "ProviderHooks",
    "Preview",
    "PreviewStep",
    "Restarted",
    "RunEnvironment",
    "RunView",
    "Runs",
    "Schedules",
    "SecretName",
    "Secrets",
    "Signals",
    "StartRequest",
    "StartedRun",
    "StepView",
    "StreamEvent",
    "Triggers",
    "Try",
    "VersionDetail",
    "Wanted",
    "WorkflowDetail",
    "Workflows",
    "Workspaces",
    "ensure_first_workspace",
    "failure",
    "start_view",
    "run_input",
    "tries",
]
