"""Answers of HTTP requests: their bodies as JSON values, and what a failed one says. Source: LoopFour contract 9.5."""

import base64
import csv
import io
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from stepwell.errors import StepError
from stepwell.steps.ports import HttpResponse
from stepwell.values import InvalidJson, Json, decode

FORMATS = ("auto", "json", "csv", "text", "binary")
MAX_RETRY_AFTER_MS = 3_600_000

_RETRYABLE = {408, 425, 429}
# Python knows more codecs, some of which are no character sets or take quadratic time.
_CHARSETS = re.compile(
    r"utf-?(8|16|32)(le|be)?|iso-8859-[0-9]{1,2}|latin-?1|(windows-|cp)125[0-9]|(us-)?ascii|shift_jis|euc-(jp|kr)|gbk|"
    r"gb2312|gb18030|big5|koi8-[ru]"
)
_TEXTS = ("text/", "application/xml", "application/javascript", "application/x-www-form-urlencoded")


def output(response: HttpResponse, form: str, delimiter: str) -> dict[str, Json]:
    """The output of an api step: the fields of every answer and those of its format.

    Raises:
        StepError: the body is not what `responseFormat` promises.
    """
    content_type = response.headers.get("content-type", "")
    result: dict[str, Json] = {
        "status": response.status,
        "ok": response.status < 400,
        "headers": dict(response.headers),
        "contentType": content_type,
        "sizeBytes": len(response.body),
    }
    match form if form != "auto" else _guessed(content_type, response.body):
        case "json":
            return result | _json(response.body, strict=form == "json")
        case "csv":
            return result | _csv(response.body, content_type, delimiter)
        case "binary":
            return result | {"content": base64.b64encode(response.body).decode()}
    text = _text(response.body, content_type)
    return result | {"data": text, "text": text}


def failure(response: HttpResponse, *, careful: bool) -> StepError:
    """The error of an answer with a status of 400 and above. A careful step is repeated only after 429."""
    status = response.status
    retryable = status == 429 or (not careful and (status in _RETRYABLE or status >= 500))
    return StepError(
        _cause(response),
        kind="http",
        http_status=status,
        retryable=retryable,
        retry_after_ms=_retry_after_ms(response.headers),
    )


def _guessed(content_type: str, body: bytes) -> str:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        return "json"
    if kind == "text/csv":
        return "csv"
    if not body or kind.startswith(_TEXTS) or kind.endswith("+xml"):
        return "text"
    if kind:
        return "binary"
    return "binary" if b"\0" in body[:1024] else "text"


def _json(body: bytes, *, strict: bool) -> dict[str, Json]:
    if not body.strip():
        return {"data": None}
    try:
        return {"data": decode(body)}
    except InvalidJson:
        if strict:
            raise StepError("Response is not valid JSON", kind="http") from None
        text = body.decode(errors="replace")
        return {"data": text, "text": text}


def _csv(body: bytes, content_type: str, delimiter: str) -> dict[str, Json]:
    """Rows as objects under the names of the first line; missing cells are null, surplus ones are left out."""
    if len(delimiter) != 1 or delimiter in '\r\n"':
        raise StepError("csvDelimiter: Expected one character", code="TEMPLATE_ERROR")
    try:
        lines = list(csv.reader(io.StringIO(_text(body, content_type).removeprefix("\ufeff")), delimiter=delimiter))
    except csv.Error as error:
        raise StepError(f"Response is not valid CSV: {error}", kind="http") from None
    columns = lines[0] if lines else []
    rows = [dict(zip(columns, [*line, *[None] * len(columns)], strict=False)) for line in lines[1:] if line]
    return {"columns": columns, "rows": rows}


def _text(body: bytes, content_type: str) -> str:
    charset = content_type.lower().partition("charset=")[2].partition(";")[0].strip().strip('"')
    if not _CHARSETS.fullmatch(charset):
        return body.decode(errors="replace")
    try:
        return body.decode(charset, errors="replace")
    except LookupError:
        return body.decode(errors="replace")


def _cause(response: HttpResponse) -> str:
    """What the called system says went wrong, else its status."""
    try:
        answer = decode(response.body)
    except InvalidJson:
        answer = None
    if isinstance(answer, dict):
        error = answer.get("error")
        inner = error.get("message") if isinstance(error, dict) else error
        for text in (inner, answer.get("message")):
            if isinstance(text, str) and text.strip():
                return text.strip()[:500]
    try:
        return f"HTTP {response.status} {HTTPStatus(response.status).phrase}"
    except ValueError:
        return f"HTTP {response.status}"


def _retry_after_ms(headers: Mapping[str, str]) -> int | None:
    """`Retry-After` in ms, at most an hour: whole seconds, or a date, counted from the answer's own `Date`."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal() and len(text) < 12:
        return min(int(text) * 1000, MAX_RETRY_AFTER_MS)
    try:
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("date", ""))
    except (ValueError, TypeError):  # no date, or only one of the two with a zone
        return None
    return max(0, min(round(wait.total_seconds() * 1000), MAX_RETRY_AFTER_MS))
