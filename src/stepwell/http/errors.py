"""What HTTP itself can refuse, as errors of the one tree; each dialect gives them their words and statuses."""

from stepwell.errors import NotFound, StepwellError


class RouteNotFound(NotFound):
    """No resource has this path."""

    def __init__(self) -> None:
        super().__init__("Route not found")


class MethodNotAllowed(StepwellError):
    """The path exists, but not with this method."""

    code = "METHOD_NOT_ALLOWED"

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__("Method not allowed")
        self.allowed = allowed


class UnsupportedMediaType(StepwellError):
    """The body is of a type that is not read as JSON."""

    code = "UNSUPPORTED_MEDIA_TYPE"

    def __init__(self) -> None:
        super().__init__("Content-Type must be application/json")


class ServerFault(StepwellError):
    """Something went wrong that is not the client's doing; its words are in the log, under the request's id."""

    def __init__(self, request: str) -> None:
        super().__init__("Internal server error")
        self.request = request


class RequestTimeout(StepwellError):
    """The sender did not send its request's body in time."""

    code = "REQUEST_TIMEOUT"

    def __init__(self) -> None:
        super().__init__("The request body did not arrive in time")


class RateLimited(StepwellError):
    """More than `limit` requests in a minute; there is room again in `retry_after_s` seconds."""

    code = "RATE_LIMITED"

    def __init__(self, limit: int, retry_after_s: int) -> None:
        super().__init__(f"Rate limit exceeded. Limit: {limit} requests per minute.")
        self.limit = limit
        self.retry_after_s = retry_after_s


class ClientGone(Exception):
    """The client closed the connection before its request was read; nobody waits for an answer."""
