"""The client: one server, one key, and what can be asked of it."""

from stepwell.client.approvals import Approvals
from stepwell.client.budgets import Budgets
from stepwell.client.connections import Connections
from stepwell.client.connectors import Connectors
from stepwell.client.deliveries import Deliveries
from stepwell.client.endpoints import Endpoints
from stepwell.client.keys import Keys
from stepwell.client.runs import Runs
from stepwell.client.schedules import Schedules
from stepwell.client.transport import Transport
from stepwell.client.vault import Vault
from stepwell.client.workflows import Workflows


class Client:
    """Calls of a Stepwell server. Every call may raise ApiError (the server refused) or Unreachable."""

    def __init__(self, url: str, api_key: str | None, *, timeout_s: float = 60.0) -> None:
        """`timeout_s` bounds the wait for any part of an answer; streams send a sign of life every 15 s."""
        transport = Transport(url, api_key, timeout_s)
        self.url = transport.url
        self.ready = transport.ready
        self.workflows = Workflows(transport)
        self.runs = Runs(transport)
        self.budgets = Budgets(transport)
        self.schedules = Schedules(transport)
        self.approvals = Approvals(transport)
        self.keys = Keys(transport)
        self.connections = Connections(transport)
        self.connectors = Connectors(transport)
        self.endpoints = Endpoints(transport)
        self.deliveries = Deliveries(transport)
        self.vault = Vault(transport)
