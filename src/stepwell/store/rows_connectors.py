"""Rows of connectors that were made from documents; they belong to the server, not to a workspace."""

import msgspec


class StoredConnector(msgspec.Struct, frozen=True, kw_only=True):
    """A connector: its manifest as JSON, what could not be imported (a JSON list of `{operation, reason}`), and the
    address that its document came from. Times in epoch ms."""

    name: str
    title: str
    source: str | None
    manifest: bytes
    skipped: bytes
    created_at: int
    updated_at: int
