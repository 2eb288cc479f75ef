"""Failures of providers: an HTTP answer that is not a success, turned into a step's error."""

from email.utils import parsedate_to_datetime
from http import HTTPStatus

from stepwell.connectors.connector import Connector
from stepwell.errors import StepError
from stepwell.expressions import Template
from stepwell.steps.ports import HttpResponse
from stepwell.values import InvalidJson, Json, decode

RETRYABLE = frozenset({408, 425, 429})
"""Besides 5xx. Source: LoopFour contract 8.3."""
MAX_RETRY_AFTER_MS = 3_600_000

_LIMITED = "API rate limit exceeded"


def read_answer(connector: Connector, response: HttpResponse, now_ms: int, form: str = "json") -> Json:
    """The JSON of a provider's answer; null if it has no body. Of the form `text` it is a text whatever it holds, of
    the form `any` if it is not JSON; of the form `headers` it is `{headers, body}`.

    Raises:
        StepError: kind http for an error status, kind provider for a failure behind a success status.
    """
    failed = not 200 <= response.status < 300
    try:
        answer = decode(response.body) if response.body.strip() else None
        if form == "text" and not failed:
            answer = response.body.decode("utf-8", "replace")
    except InvalidJson:
        if form != "json" and not failed:
            return response.body.decode("utf-8", "replace")
        if not failed:
            message = f"{connector.manifest.title} sent an answer that is not JSON"
            raise StepError(message, kind="provider", outcome_unknown=True) from None
        answer = None
    failure = connector.failure
    if failed or (failure and failure.when and failure.when.evaluate({"answer": answer})):
        raise _failure(connector, response, answer, now_ms)
    return {"headers": dict(response.headers), "body": answer} if form == "headers" else answer


def retry_after_ms(value: str | None, now_ms: int) -> int | None:
    """Milliseconds of a `Retry-After` header: seconds or a date; at most an hour, None if it says neither."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:9]) * 1000, MAX_RETRY_AFTER_MS)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0, min(round(moment.timestamp() * 1000) - now_ms, MAX_RETRY_AFTER_MS))


def _failure(connector: Connector, response: HttpResponse, answer: Json, now_ms: int) -> StepError:
    failure, status = connector.failure, response.status
    code = _say(failure.code, answer) if failure and failure.code else None
    told = _say(failure.message, answer) if failure else None
    if failure and code:
        told = failure.messages.get(code, told)
    by_code = failure is not None and code in failure.retry_codes
    of_http = not 200 <= status < 300
    return StepError(
        told or _unsaid(connector.manifest.title, status),
        kind="http" if of_http else "provider",
        http_status=status if of_http else None,
        retryable=by_code or status in RETRYABLE or status >= 500,
        retry_after_ms=retry_after_ms(response.headers.get("retry-after"), now_ms),
        details={"providerCode": code} if code and code != told else None,
    )


def _say(template: Template, answer: Json) -> str | None:
    said = template.render({"answer": answer})
    return said if isinstance(said, str) and said.strip() else None


def _unsaid(title: str, status: int) -> str:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return _LIMITED
    phrase = f" {HTTPStatus(status).phrase}" if status in HTTPStatus._value2member_map_ else ""
    return f"{title} answered {status}{phrase}"
