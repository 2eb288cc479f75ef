"""Secret markers: what stands in recorded values for the value of a secret, and `[secret]`, which is shown for both."""

import base64
import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from urllib.parse import quote, quote_plus

from stepwell.auth.vault import Vault
from stepwell.values import Json, map_strings

SHOWN = "[secret]"
_OPEN, _CLOSE = "\ue000", "\ue001"
_MARKER = re.compile(_OPEN + r"[A-Za-z0-9_-]{1,128}:[0-9a-f]{16}" + _CLOSE)
_MARKER_BYTES = re.compile(_MARKER.pattern.encode())
_OPEN_BYTES = _OPEN.encode()


class Markers:
    """Makes markers. Only this server can: a marker carries a signature over workspace, workflow and name."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def marker(self, workspace: str, workflow: str, name: str) -> str:
        """What stands for a secret of a workflow in recorded values."""
        return f"{_OPEN}{name}:{self._vault.sign(f'{workspace}|{workflow}|{name}')[:16]}{_CLOSE}"

    def box(self, workspace: str, workflow: str, secrets: Mapping[str, str]) -> "SecretBox":
        """The secrets of a workflow, by name, for the time of one walk."""
        return SecretBox({self.marker(workspace, workflow, name): value for name, value in secrets.items()})


class SecretBox:
    """Some secrets in plain text, and the markers that stand for them."""

    __slots__ = ("_by_form", "_by_marker", "_forms", "markers")

    def __init__(self, by_marker: Mapping[str, str]) -> None:
        """`by_marker` maps markers to the secrets' values."""
        self._by_marker = by_marker
        self.markers: Mapping[str, str] = {marker[1:].partition(":")[0]: marker for marker in by_marker}
        self._by_form = {form: marker for marker, value in by_marker.items() for form in _forms(value)}
        longest_first = sorted(self._by_form, key=len, reverse=True)
        self._forms = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def reveal(self, value: Json) -> Json:
        """A copy of the value with the genuine markers in its texts replaced by the secrets; others stay."""
        return map_strings(value, self._reveal_text)

    def hide(self, value: Json) -> Json:
        """A copy of the value with the secrets in it, as they are or as JSON, URLs and base64 write them, replaced by
        their markers: in texts and keys, and a number that is a secret as a whole."""
        return _changed(value, self._hide_text, self._by_form) if self._forms else value

    def _reveal_text(self, text: str) -> str:
        if _OPEN not in text:
            return text
        return _MARKER.sub(lambda found: self._by_marker.get(found[0], found[0]), text)

    def _hide_text(self, text: str) -> str:
        if self._forms is None or not any(form in text for form in self._by_form):
            return text
        return self._forms.sub(lambda found: self._by_form[found[0]], text)


def mask(value: Json) -> Json:
    """A copy of the value with everything of a marker's shape replaced by `[secret]`."""
    return _changed(value, mask_text, {})


def mask_text(text: str) -> str:
    """The text with everything of a marker's shape replaced by `[secret]`."""
    return _MARKER.sub(SHOWN, text) if _OPEN in text else text


def mask_encoded(data: bytes) -> bytes:
    """JSON text, as `values.encode` writes it, with everything of a marker's shape replaced by `[secret]`."""
    return _MARKER_BYTES.sub(SHOWN.encode(), data) if _OPEN_BYTES in data else data


def _forms(value: str) -> set[str]:
    """How a secret may stand in an answer that repeats it."""
    written = {value, value.strip(), json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    written |= {quote(value, safe=""), quote(value), quote_plus(value), base64.b64encode(value.encode()).decode()}
    return {form for form in written if len(form) >= 4}  # shorter ones would stand in any text


def _changed(value: Json, change: Callable[[str], str], numbers: Mapping[str, str]) -> Json:
    """A copy with every text and key passed through, and the given numbers replaced."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): _changed(child, change, numbers) for key, child in value.items()}
    if isinstance(value, list):
        return [_changed(child, change, numbers) for child in value]
    if numbers and isinstance(value, int | Decimal) and not isinstance(value, bool):
        return numbers.get(str(value), value)
    return value
