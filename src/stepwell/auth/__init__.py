"""Who may do what, and what is kept from everyone: keys, scopes, the vault, secret markers."""

from stepwell.auth.keys import Authenticator, Principal, hash_key, new_key_text, shown_prefix
from stepwell.auth.markers import Markers, SecretBox, mask, mask_encoded, mask_text
from stepwell.auth.scopes import ADMIN, DIALECTS, SCOPES, Dialect, granted
from stepwell.auth.vault import CannotOpen, Vault, check_vault, load_vault

__all__ = [
    "ADMIN",
    "DIALECTS",
    "SCOPES",
    "Authenticator",
    "CannotOpen",
    "Dialect",
    "Markers",
    "Principal",
    "SecretBox",
    "Vault",
    "check_vault",
    "granted",
    "hash_key",
    "load_vault",
    "mask",
    "mask_encoded",
    "mask_text",
    "new_key_text",
    "shown_prefix",
]
