"""Services: what runs beside the requests."""

from stepwell.services.endpoints import EndpointService
from stepwell.services.inbox import InboxService
from stepwell.services.logs import log_sink
from stepwell.services.metrics import Metrics
from stepwell.services.outbox import OutboxService
from stepwell.services.retention import Retention
from stepwell.services.schedules import ScheduleService
from stepwell.services.supervisor import Service, Supervisor

__all__ = [
    "EndpointService",
    "InboxService",
    "Metrics",
    "OutboxService",
    "Retention",
    "ScheduleService",
    "Service",
    "Supervisor",
    "log_sink",
]
