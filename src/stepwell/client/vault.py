"""The vault's key; an admin key of the first workspace is needed."""

from stepwell.client.records import VaultStatus
from stepwell.client.transport import Transport


class Vault:
    """Look at the vault's keys, and give it another."""

    def __init__(self, transport: Transport) -> None:
        self._call = transport.call

    def status(self) -> VaultStatus:
        """How things stand; changes nothing."""
        return self._call("GET", "/admin/vault").one(VaultStatus)

    def rotate(self, *, new_key: bool = True) -> VaultStatus:
        """Take one step of a rotation. Call it with `new_key` once, then without until it is done."""
        return self._call("POST", "/admin/vault/rotate", {"newKey": new_key}).one(VaultStatus)
