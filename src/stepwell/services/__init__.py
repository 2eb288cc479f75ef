"""Services: what runs beside the requests."""

from stepwell.services.logs import log_sink
from stepwell.services.metrics import Metrics
from stepwell.services.outbox import OutboxService
from stepwell.services.retention import Retention
from stepwell.services.supervisor import Service, Supervisor

__all__ = ["Metrics", "OutboxService", "Retention", "Service", "Supervisor", "log_sink"]
