"""The Python client of a Stepwell server. It knows the wire (the LoopFour dialect) and nothing of the server's code.

client = Client("http://127.0.0.1:3000", "wfk_...")
started = client.runs.start("wf_daily_report", {"day": "2024-01-15"})
for event in client.runs.stream(started.run_id):
    print(event.kind, event.data)
"""

from stepwell.client.approvals import Approvals
from stepwell.client.client import Client
from stepwell.client.connections import Connections
from stepwell.client.errors import ApiError, ClientError, Unreachable
from stepwell.client.keys import Keys
from stepwell.client.records import (
    Approval,
    Connection,
    Failure,
    Key,
    NewKey,
    Page,
    PreviewedStep,
    Restarted,
    RestartPreview,
    Run,
    RunDetail,
    RunEvent,
    RunLogs,
    Started,
    StepResult,
    Workflow,
    WorkflowDetail,
    first,
)
from stepwell.client.runs import FINAL, Runs
from stepwell.client.workflows import Applied, Workflows

__all__ = [
    "FINAL",
    "ApiError",
    "Applied",
    "Approval",
    "Approvals",
    "Client",
    "ClientError",
    "Connection",
    "Connections",
    "Failure",
    "Key",
    "Keys",
    "NewKey",
    "Page",
    "PreviewedStep",
    "RestartPreview",
    "Restarted",
    "Run",
    "RunDetail",
    "RunEvent",
    "RunLogs",
    "Runs",
    "Started",
    "StepResult",
    "Unreachable",
    "Workflow",
    "WorkflowDetail",
    "Workflows",
    "first",
]
