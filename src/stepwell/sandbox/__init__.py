"""Code of tenants, run in child processes: nothing it does reaches the server's own."""

from stepwell.sandbox.sandbox import Sandbox

__all__ = ["Sandbox"]
