"""The page on which an approver decides: one document without scripts or anything from elsewhere."""

import base64
import hashlib
from html import escape

import msgspec
from starlette.responses import Response

from stepwell.clock import iso
from stepwell.core import Decision
from stepwell.store import Approval

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; color: #1b1f24; }
h1 { font-size: 1.4rem; }
pre { background: #f3f4f6; padding: 1rem; border-radius: 6px; overflow: auto; white-space: pre-wrap; }
label { display: block; margin: 1rem 0 .3rem; }
textarea { width: 100%; min-height: 5rem; font: inherit; padding: .5rem; box-sizing: border-box; }
button { font: inherit; padding: .5rem 1.4rem; margin: 1rem .5rem 0 0; border-radius: 6px; border: 1px solid #57606a; }
button[value=approve] { background: #1a7f37; border-color: #1a7f37; color: #fff; }
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
_DONE = {"approve": "You have approved this. The run goes on.", "reject": "You have rejected this."}


def asked(approval: Approval, approver: str) -> Response:
    """The question, with a form that goes to the page's own address, token included."""
    context = ""
    if approval.context not in (None, b"null"):
        context = f"<pre>{escape(msgspec.json.format(approval.context or b'', indent=2).decode())}</pre>"
    until = "" if approval.expires_at is None else f" The answer is wanted until {iso(approval.expires_at)}."
    return _page(
        "Approval",
        f"<h1>{escape(approval.reason)}</h1>{context}"
        '<form method="post">'
        '<label for="comment">Comment</label>'
        '<textarea id="comment" name="comment" maxlength="2000"></textarea>'
        '<button name="decision" value="approve">Approve</button>'
        '<button name="decision" value="reject">Reject</button>'
        "</form>"
        f'<p class="small">You decide as {escape(approver)}.{until} This link can be used once.</p>',
    )


def decided(decision: Decision) -> Response:
    """What was decided."""
    return told(_DONE[decision])


def told(message: str, status: int = 200) -> Response:
    """A page of one sentence."""
    return _page("Approval", f"<h1>{escape(message)}</h1>", status)


def _page(title: str, body: str, status: int = 200) -> Response:
    document = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>{body}</body></html>"
    )
    return Response(document, status, _HEADERS, "text/html; charset=utf-8")
