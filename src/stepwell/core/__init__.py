"""Use cases: what a caller of any dialect, the console or the command line can ask for."""

from stepwell.core.approvals import ApprovalLinks, Approvals, Decision
from stepwell.core.connections import STATUSES, ConnectionChanges, ConnectionFields, Connections
from stepwell.core.core import Core, LoopLag
from stepwell.core.environment import RunEnvironment
from stepwell.core.keys import Keys, NewKey
from stepwell.core.notices import Notices
from stepwell.core.outbox import Outbox
from stepwell.core.plans import Plans
from stepwell.core.previews import Preview, PreviewStep
from stepwell.core.runs import Restarted, Runs, StartedRun, StartRequest, StreamEvent
from stepwell.core.secrets import SecretName, Secrets
from stepwell.core.setup import ensure_first_workspace
from stepwell.core.signals import Signals
from stepwell.core.views import Attempt, Failure, RunView, StepView, failure
from stepwell.core.workflows import VersionDetail, WorkflowDetail, Workflows
from stepwell.core.workspaces import Workspaces

__all__ = [
    "STATUSES",
    "ApprovalLinks",
    "Approvals",
    "Attempt",
    "ConnectionChanges",
    "ConnectionFields",
    "Connections",
    "Core",
    "Decision",
    "Failure",
    "Keys",
    "LoopLag",
    "Notices",
    "NewKey",
    "Outbox",
    "Plans",
    "Preview",
    "PreviewStep",
    "Restarted",
    "RunEnvironment",
    "RunView",
    "Runs",
    "SecretName",
    "Secrets",
    "Signals",
    "StartRequest",
    "StartedRun",
    "StepView",
    "StreamEvent",
    "VersionDetail",
    "WorkflowDetail",
    "Workflows",
    "Workspaces",
    "ensure_first_workspace",
    "failure",
]
