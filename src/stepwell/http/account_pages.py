"""Pages at which people connect accounts: where a provider sends a browser back, and links. No key, no dialect."""

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from urllib.parse import urlsplit

import msgspec
from starlette.responses import RedirectResponse, Response

from stepwell.core import Authorization, LinkPage
from stepwell.errors import Overloaded, StepwellError, ValidationFailed
from stepwell.http.errors import RateLimited
from stepwell.http.routes import Answer, Call, Dialect, Rate, Route

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 3rem auto; padding: 0 1rem; color: #1b1f24; }
h1 { font-size: 1.4rem; }
label { display: block; margin: 1rem 0 .3rem; }
input { width: 100%; font: inherit; padding: .5rem; box-sizing: border-box; }
button { font: inherit; padding: .5rem 1.4rem; margin: 1.2rem 0 0; border-radius: 6px; border: 1px solid #1a7f37;
  background: #1a7f37; color: #fff; }
.fault { color: #b42318; }
.small { color: #57606a; font-size: .9rem; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


_STATUSES = {
    "VALIDATION_ERROR": 400,
    "INVALID_STATE": 400,
    "UNAUTHORIZED": 401,
    "NOT_FOUND": 404,
    "PAYLOAD_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "RATE_LIMITED": 429,
    "OVERLOADED": 503,
}


class CallbackQuery(msgspec.Struct, frozen=True):
    """What a provider sends a browser back with."""

    state: str = ""
    code: str | None = None
    error: str | None = None
    error_description: str | None = None


class LinkQuery(msgspec.Struct, frozen=True):
    """The token of a link: in the query, for the server logs paths only."""

    token: str = ""


async def callback(call: Call[CallbackQuery, None]) -> Response:
    """GET /oauth/callback."""
    query = call.query
    connected = await call.core.authorizations.end(query.state, query.code, query.error, query.error_description)
    if connected.onward is not None:
        return RedirectResponse(connected.onward, 302, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
    done = connected.outcome == "success"
    title = "Connected" if done else "Not connected"
    return _page(title, f"<h1>{escape(connected.message)}</h1>", 200 if done else 400)


async def show_link(call: Call[LinkQuery, None]) -> Response:
    """GET /connect: asks, and changes nothing."""
    return _asked(await call.core.accounts.page_of_link(call.query.token), ())


async def take_link(call: Call[LinkQuery, dict[str, str]]) -> Response:
    """POST /connect: the form of the page, which goes to its own address, token included."""
    token = call.query.token
    try:
        onward = await call.core.accounts.take_link(token, call.body if isinstance(call.body, dict) else {})
    except ValidationFailed as refused:
        told = tuple(f"{fault.path[-1] if fault.path else ''}: {fault.message}" for fault in refused.faults)
        return _asked(await call.core.accounts.page_of_link(token), told)
    if isinstance(onward, Authorization):
        # Not by a redirect: a page whose forms may only go here may not be led elsewhere by one.
        host = escape(urlsplit(onward.url).netloc)
        url = escape(onward.url)
        body = f'<h1><a href="{url}" rel="noreferrer">Go on to {host}</a></h1>'
        return _page("Connect", body, head=f'<meta http-equiv="refresh" content="0;url={url}">')
    if onward is not None:
        url = escape(onward)
        return _page("Connected", f'<h1>Connected.</h1><p><a href="{url}">Go on</a></p>')
    return _page("Connected", "<h1>Connected. You may close this page.</h1>")


def refusal(error: StepwellError) -> Response:
    """A page of one sentence."""
    status = _STATUSES.get(error.code, 500)
    message = "Something went wrong on this server. Try again later." if status == 500 else error.message
    page = _page("Connect", f"<h1>{escape(message)}</h1>", status)
    if isinstance(error, RateLimited | Overloaded):
        page.headers["Retry-After"] = str(error.retry_after_s)
    return page


def _asked(page: LinkPage, faults: Sequence[str]) -> Response:
    told = "".join(f'<p class="fault">{escape(fault)}</p>' for fault in faults)
    fields = "".join(
        f'<label for="{escape(name)}">{escape(title)}</label><input id="{escape(name)}" name="{escape(name)}" '
        f'type="{"password" if secret else "text"}" autocomplete="off" maxlength="4000">'
        for name, title, secret in page.fields
    )
    hint = "You agree on the provider's own page." if page.scheme == "OAUTH2" else "What you enter is kept encrypted."
    return _page(
        f"Connect {page.title}",
        f'<h1>Connect {escape(page.title)}</h1>{told}<form method="post">{fields}<button>Connect</button></form>'
        f'<p class="small">{hint} This link works once.</p>',
        400 if faults else 200,
    )


def _page(title: str, body: str, status: int = 200, head: str = "") -> Response:
    document = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{head}<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>"
    )
    return Response(document, status, _HEADERS, "text/html; charset=utf-8")


_HTML = (Answer(status=200, data=None, content="text/html"),)
PAGES = Dialect(
    name="pages",
    base="",
    routes=(
        Route(
            method="GET",
            path="/oauth/callback",
            handler=callback,
            scope=None,
            rate=Rate.WRITE,
            summary="Where a provider sends a browser back",
            answers=_HTML,
            query=CallbackQuery,
        ),
        Route(
            method="GET",
            path="/connect",
            handler=show_link,
            scope=None,
            rate=Rate.READ,
            summary="The page of a link at which an account is connected",
            answers=_HTML,
            query=LinkQuery,
        ),
        Route(
            method="POST",
            path="/connect",
            handler=take_link,
            scope=None,
            rate=Rate.WRITE,
            summary="Connect an account by a link, once",
            answers=_HTML,
            query=LinkQuery,
            body=dict,
            body_schema={"type": "object"},
            form=True,
        ),
    ),
    refusal=refusal,
    error_schema=lambda code: {},
    envelope=lambda answer, data: {},
    statuses=_STATUSES,
)
