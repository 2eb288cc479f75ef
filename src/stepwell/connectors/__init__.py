"""Connectors: what providers offer, and the only ways of the program to the outside: guarded HTTP and mail."""

from stepwell.connectors.actions import ConnectorActions, OpenConnection, Simulator
from stepwell.connectors.catalogue import Connectors
from stepwell.connectors.egress import EgressRefused, check_address, open_socket, socket_factory
from stepwell.connectors.failures import retry_after_ms
from stepwell.connectors.http import GuardedHttp
from stepwell.connectors.mail import MailServer, Sent, SmtpMail
from stepwell.connectors.manifest import load_manifests
from stepwell.connectors.message import Mail, read_mail

__all__ = [
    "ConnectorActions",
    "Connectors",
    "EgressRefused",
    "GuardedHttp",
    "Mail",
    "MailServer",
    "OpenConnection",
    "Sent",
    "Simulator",
    "SmtpMail",
    "check_address",
    "load_manifests",
    "open_socket",
    "read_mail",
    "retry_after_ms",
    "socket_factory",
]
