"""What can go wrong between a client and its server."""

from typing import Any


class ClientError(Exception):
    """A call did not succeed; the message is fit to be shown."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Unreachable(ClientError):
    """No server answered, it hung up before it had answered, or what answered is no Stepwell server."""


class ApiError(ClientError):
    """The server refused. `code` is stable (`NOT_FOUND`), `details` is a list of objects that say what and where."""

    def __init__(
        self,
        *,
        status: int,
        code: str,
        message: str,
        details: list[dict[str, Any]],
        request_id: str | None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.details = details
        self.request_id = request_id
        self.retry_after_s = retry_after_s

    @property
    def faults(self) -> list[str]:
        """The details a line each: the field, if one is named, and what is wrong with it."""
        return [_fault(detail) for detail in self.details]


def _fault(detail: dict[str, Any]) -> str:
    field = detail.get("field") or ".".join(str(part) for part in detail.get("path", ()))
    message = detail.get("message") or ", ".join(f"{name}: {value}" for name, value in detail.items())
    return f"{field}: {message}" if field else message
