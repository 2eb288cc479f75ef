"""Resolved configs and outputs as JSON text, within their bounds."""

from stepwell import values
from stepwell.errors import StepError
from stepwell.values import Json


def encode_config(value: Json) -> bytes:
    """The JSON text of a step's resolved config.

    Raises:
        StepError: TEMPLATE_ERROR, it is nested so deep that it could not be read back.
    """
    return _encode(value, "config", "TEMPLATE_ERROR")


def encode_output(value: Json, limit: int) -> bytes:
    """The JSON text of a step's output.

    Raises:
        StepError: OUTPUT_TOO_LARGE, it is longer than the limit or nested so deep that it could not be read back.
    """
    raw = _encode(value, "output", "OUTPUT_TOO_LARGE")
    if len(raw) > limit:
        raise StepError(f"The output has {len(raw)} bytes, {limit} are allowed", code="OUTPUT_TOO_LARGE")
    return raw


def _encode(value: Json, what: str, code: str) -> bytes:
    raw = values.encode(value)
    if len(raw) > values.MAX_DEPTH and raw.count(b"[") + raw.count(b"{") > values.MAX_DEPTH:
        try:
            values.check_depth(value)
        except values.InvalidJson as error:
            raise StepError(f"The {what} is {error}", code=code) from None
    return raw
