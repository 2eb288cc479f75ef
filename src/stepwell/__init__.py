"""Stepwell: a self-hosted, durable workflow server."""

__version__ = "0.1.0"
