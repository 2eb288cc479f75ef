"""The exceptions of Stepwell: one tree, stable codes. Which HTTP status a code gets is decided in each dialect."""

from typing import Any, ClassVar

import msgspec

from stepwell.values import Json, Path


class Fault(msgspec.Struct, frozen=True):
    """One thing wrong at one place of a document or request."""

    path: Path
    message: str

    @property
    def field(self) -> str:
        """The path as text: `steps[0].id`."""
        text = ""
        for part in self.path:
            text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
        return text


class StepwellError(Exception):
    """An answer that is not a success. `message` is fit for a client; `details` is JSON."""

    code: ClassVar[str] = "INTERNAL_ERROR"

    def __init__(self, message: str, details: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class ValidationFailed(StepwellError):
    """The request, the run input or the definition has faults; all of them are listed. `within` says of which part of a
    request (`body`, `query` or `path`), and `given` what was sent there, where that is known."""

    code = "VALIDATION_ERROR"

    def __init__(self, message: str, faults: list[Fault], *, within: str | None = None, given: Json = None) -> None:
        super().__init__(message)
        self.faults = faults
        self.within = within
        self.given = given


class InputInvalid(ValidationFailed):
    """The input of a run does not fit the schema of its workflow."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("Input validation failed", faults)


class PayloadTooLarge(StepwellError):
    """What was sent, or the input of a run, is longer than `limit` bytes."""

    code = "PAYLOAD_TOO_LARGE"

    def __init__(self, limit: int, what: str = "Request body") -> None:
        super().__init__(f"{what} is larger than {limit} bytes")
        self.limit = limit


class InvalidStatus(StepwellError):
    """The workflow's status does not allow the call."""

    code = "INVALID_STATUS"


class FunctionHasNoRuns(StepwellError):
    """The workflow is a function: it is called and leaves no run."""

    code = "FUNCTION_HAS_NO_RUNS"

    def __init__(self) -> None:
        super().__init__("A function has no runs; call its URL with an HTTP POST instead")


class InvalidState(StepwellError):
    """The run's state does not allow the call."""

    code = "INVALID_STATE"


class InvalidStep(StepwellError):
    """A step named by the request does not exist in the version."""

    code = "INVALID_STEP"


class Unauthorized(StepwellError):
    """No key, or one that is unknown, expired or revoked."""

    code = "UNAUTHORIZED"


class InvalidKey(Unauthorized):
    """A key was sent, and it is unknown, expired or revoked."""


class KeyExpired(InvalidKey):
    """A key was sent whose time is over."""


class Forbidden(StepwellError):
    """The key may not do this."""

    code = "FORBIDDEN"


class NotFound(StepwellError):
    """The resource does not exist in the caller's workspace."""

    code = "NOT_FOUND"


class AlreadyExists(StepwellError):
    """A unique name is taken."""

    code = "ALREADY_EXISTS"


class SourceOwned(StepwellError):
    """The steps of the workflow are written in another dialect, and edited there."""

    code = "SOURCE_OWNED"


class IdempotencyConflict(StepwellError):
    """The key was used with a different request, and the workflow wants that refused."""

    code = "IDEMPOTENCY_CONFLICT"


class BudgetExceeded(StepwellError):
    """The monthly budget of the workspace or of the key is spent; nothing more is started."""

    code = "BUDGET_EXCEEDED"


class Overloaded(StepwellError):
    """The server takes no more work now; try again after `retry_after_s`."""

    code = "OVERLOADED"

    def __init__(self, message: str = "Too many open runs", retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreUnavailable(Overloaded):
    """The store cannot be written or read now. Never a step's error."""


class StartupRefused(StepwellError):
    """The server does not start: wrong file, version or key, directory in use. The message names the remedy."""

    code = "STARTUP_REFUSED"


class StepError(Exception):
    """A step's attempt failed. `code` is of the table in the LoopFour contract 5.4.

    `kind` is one of timeout, network, http, provider, code (None for faults the engine finds itself). `outcome_unknown`
    says that the request may have had its effect: a timeout, or a connection lost after sending. `final` says that no
    policy tries it again.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "STEP_ERROR",
        kind: str | None = None,
        http_status: int | None = None,
        retryable: bool = False,
        retry_after_ms: int | None = None,
        outcome_unknown: bool = False,
        details: dict[str, Json] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.kind = kind
        self.http_status = http_status
        self.retryable = retryable
        self.retry_after_ms = retry_after_ms
        self.outcome_unknown = outcome_unknown
        self.details = details or {}
        self.final = False

    def as_json(self) -> dict[str, Json]:
        """`{code, message, details?}` as it is recorded."""
        error: dict[str, Json] = {"code": self.code, "message": self.message[:2000]}
        details = dict(self.details)
        if self.kind is not None:
            details |= {"kind": self.kind, "retryable": self.retryable}
            if self.http_status is not None:
                details["httpStatus"] = self.http_status
        if details:
            error["details"] = details
        return error
