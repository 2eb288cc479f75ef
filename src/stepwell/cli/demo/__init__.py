"""`stepwell demo`: a server, a provider and a mail server on loopback, and one order from start to end."""

from stepwell.cli.demo.command import demo

__all__ = ["demo"]
