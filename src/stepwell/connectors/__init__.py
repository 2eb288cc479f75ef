"""Connectors: what providers offer, and the only ways of the program to the outside: guarded HTTP and mail."""

from stepwell.connectors.actions import ConnectorActions, OpenConnection, Simulator
from stepwell.connectors.catalogue import Connectors
from stepwell.connectors.connector import BadManifest, Connector, compile_manifest, load_manifests
from stepwell.connectors.egress import EgressRefused, check_address, open_socket, socket_factory
from stepwell.connectors.events import Event, EventCall, Hook
from stepwell.connectors.failures import retry_after_ms
from stepwell.connectors.feeds import FeedSource
from stepwell.connectors.http import GuardedHttp
from stepwell.connectors.items import Found, Item
from stepwell.connectors.json_source import JsonSource
from stepwell.connectors.mail import MailServer, Sent, SmtpMail
from stepwell.connectors.mailbox import MailboxSource
from stepwell.connectors.manifest import Manifest, OAuth
from stepwell.connectors.message import Mail, read_mail
from stepwell.connectors.oauth import (
    Challenge,
    GrantRefused,
    OAuthClient,
    TokenEndpoint,
    Tokens,
    authorize_url,
    endpoint_url,
)
from stepwell.connectors.polling import EventSources, Look, Source
from stepwell.connectors.postgres import Database, Postgres

__all__ = [
    "Source",
    "MailboxSource",
    "Look",
    "JsonSource",
    "Item",
    "Hook",
    "Found",
    "FeedSource",
    "EventSources",
    "EventCall",
    "Event",
    "BadManifest",
    "Challenge",
    "Connector",
    "ConnectorActions",
    "Connectors",
    "Database",
    "EgressRefused",
    "GrantRefused",
    "GuardedHttp",
    "Mail",
    "MailServer",
    "Manifest",
    "OAuth",
    "OAuthClient",
    "OpenConnection",
    "Postgres",
    "Sent",
    "Simulator",
    "SmtpMail",
    "TokenEndpoint",
    "Tokens",
    "authorize_url",
    "check_address",
    "compile_manifest",
    "endpoint_url",
    "load_manifests",
    "open_socket",
    "read_mail",
    "retry_after_ms",
    "socket_factory",
]
