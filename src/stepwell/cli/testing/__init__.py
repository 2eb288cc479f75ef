"""`stepwell test`: cases of workflows, played on the real engine without a server and without network."""

from stepwell.cli.testing.command import test

__all__ = ["test"]
