"""The Python client of a Stepwell server. It knows the wire (the LoopFour dialect) and nothing of the server's code.

client = Client("http://127.0.0.1:3000", "wfk_...")
started = client.runs.start("wf_daily_report", {"day": "2024-01-15"})
for event in client.runs.stream(started.run_id):
    print(event.kind, event.data)
"""

from stepwell.client.approvals import Approvals
from stepwell.client.budgets import Budgets
from stepwell.client.client import Client
from stepwell.client.connections import Connections
from stepwell.client.connectors import Action, Connector, ConnectorDetail, Connectors, CredentialField, SkippedOperation
from stepwell.client.deliveries import Deliveries, InboundDelivery, InboundDetail, InboundResult
from stepwell.client.endpoints import Delivery, DeliveryTry, Endpoint, Endpoints, EndpointTest, NewEndpoint
from stepwell.client.errors import ApiError, ClientError, Unreachable
from stepwell.client.keys import Keys
from stepwell.client.records import (
    Approval,
    Authorization,
    Budget,
    Connection,
    Failure,
    Firing,
    Key,
    NewKey,
    NextFiring,
    Page,
    PreviewedStep,
    Restarted,
    RestartPreview,
    Run,
    RunDetail,
    RunEvent,
    RunLogs,
    Schedule,
    Started,
    StepResult,
    TestedConnection,
    VaultStatus,
    Workflow,
    WorkflowDetail,
    first,
)
from stepwell.client.runs import FINAL, Runs
from stepwell.client.schedules import Schedules
from stepwell.client.vault import Vault
from stepwell.client.workflows import Applied, Workflows

__all__ = [
    "FINAL",
    "Action",
    "ApiError",
    "Applied",
    "Approval",
    "Approvals",
    "Authorization",
    "Budget",
    "Budgets",
    "Client",
    "ClientError",
    "Connection",
    "Connections",
    "Connector",
    "ConnectorDetail",
    "Connectors",
    "CredentialField",
    "Deliveries",
    "Delivery",
    "DeliveryTry",
    "Endpoint",
    "EndpointTest",
    "Endpoints",
    "Failure",
    "Firing",
    "InboundDelivery",
    "InboundDetail",
    "InboundResult",
    "Key",
    "Keys",
    "NewEndpoint",
    "NewKey",
    "NextFiring",
    "Page",
    "PreviewedStep",
    "RestartPreview",
    "Restarted",
    "Run",
    "RunDetail",
    "RunEvent",
    "RunLogs",
    "Runs",
    "Schedule",
    "Schedules",
    "SkippedOperation",
    "Started",
    "StepResult",
    "TestedConnection",
    "Unreachable",
    "Vault",
    "VaultStatus",
    "Workflow",
    "WorkflowDetail",
    "Workflows",
    "first",
]
