"""Approvals: listed, read, decided with a key or by a link. Source: LoopFour contract 10."""

from collections.abc import Sequence

from starlette.responses import Response

from stepwell import ids
from stepwell.core import Decision
from stepwell.errors import Unauthorized
from stepwell.http.dialects.loopfour import decision_page, requests, show, wire
from stepwell.http.dialects.loopfour.answers import listing, success
from stepwell.http.dialects.loopfour.names import approval_id, cursor, cursor_id
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route


async def approval_exists(call: AnyCall) -> None:
    """Raise NotFound unless the approval of the path exists."""
    await call.core.approvals.get(call.workspace, approval_id(call.params["id"]))


async def token_counts(call: AnyCall) -> None:
    """Raise Unauthorized unless the token of the query decides the approval of the path."""
    await call.core.approvals.asked_by_token(_linked(call), call.query.token)


async def list_approvals(call: Call[requests.ApprovalsQuery, None]) -> Response:
    """GET /approvals."""
    query = call.query
    rows = await call.core.approvals.page(
        call.workspace, status=query.status, before=cursor_id(query.cursor, "apr"), limit=query.limit + 1
    )
    return listing(rows, query.limit, show.approval, lambda row: cursor(ids.created_ms(row.id), f"apr_{row.id}"))


async def get_approval(call: Call[None, None]) -> Response:
    """GET /approvals/{id}."""
    return success(show.approval(await call.core.approvals.get(call.workspace, approval_id(call.params["id"]))))


async def approve(call: Call[None, requests.DecisionBody]) -> Response:
    """POST /approvals/{id}/approve."""
    return await _decide(call, "approve")


async def reject(call: Call[None, requests.DecisionBody]) -> Response:
    """POST /approvals/{id}/reject."""
    return await _decide(call, "reject")


async def show_decision(call: Call[requests.TokenQuery, None]) -> Response:
    """GET /approvals/{id}/decide: a page for people, which changes nothing."""
    try:
        approval, approver = await call.core.approvals.asked_by_token(_linked(call), call.query.token)
    except Unauthorized as refused:
        if b"text/html" not in call.headers.get(b"accept", b""):
            raise
        return decision_page.told(refused.message, status=401)
    return decision_page.asked(approval, approver)


async def decide(call: Call[requests.TokenQuery, requests.LinkDecision]) -> Response:
    """POST /approvals/{id}/decide: answered as it was sent, to a form with a page."""
    body = call.body
    try:
        approval = await call.core.approvals.decide_by_token(
            _linked(call), call.query.token, body.decision, body.comment
        )
    except Unauthorized as refused:
        if not call.form:
            raise
        return decision_page.told(refused.message, status=401)
    return decision_page.decided(body.decision) if call.form else success(show.approval(approval))


async def _decide(call: Call[None, requests.DecisionBody], decision: Decision) -> Response:
    decided = await call.core.approvals.decide(
        call.workspace,
        approval_id(call.params["id"]),
        decision,
        key_name=call.principal.key_name,
        approver=call.body.approver,
        comment=call.body.comment,
    )
    return success(show.approval(decided))


def _linked(call: AnyCall) -> str:
    """The approval that a link names; a malformed id is one that no token fits."""
    return ids.parse(call.params["id"].removeprefix("apr_")) or ""


ROUTES: Sequence[Route] = (
    Route(
        method="GET",
        path="/approvals",
        handler=list_approvals,
        scope="runs:read",
        rate=Rate.READ,
        summary="List approvals, newest first",
        answers=(Answer(status=200, data=wire.ApprovalItem, listed=True),),
        query=requests.ApprovalsQuery,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="GET",
        path="/approvals/{id}",
        handler=get_approval,
        scope="runs:read",
        rate=Rate.READ,
        summary="Read an approval",
        answers=(Answer(status=200, data=wire.ApprovalItem),),
        errors=("NOT_FOUND",),
    ),
    *(
        Route(
            method="POST",
            path=f"/approvals/{{id}}/{handler.__name__}",
            handler=handler,
            scope="workflows:execute",
            rate=Rate.EXECUTE,
            summary=summary,
            answers=(Answer(status=200, data=wire.ApprovalItem),),
            body=requests.DecisionBody,
            errors=("NOT_FOUND", "INVALID_STATE"),
            exists=approval_exists,
        )
        for handler, summary in ((approve, "Approve what a run asks"), (reject, "Reject what a run asks"))
    ),
    Route(
        method="GET",
        path="/approvals/{id}/decide",
        handler=show_decision,
        scope=None,
        rate=Rate.READ,
        summary="The page of an approver's link; changes nothing",
        answers=(Answer(status=200, data=wire.ApprovalItem, content="text/html"),),
        query=requests.TokenQuery,
        errors=("VALIDATION_ERROR",),
    ),
    Route(
        method="POST",
        path="/approvals/{id}/decide",
        handler=decide,
        scope=None,
        rate=Rate.EXECUTE,
        summary="Decide by an approver's link, once; a form is answered with a page",
        answers=(
            Answer(status=200, data=wire.ApprovalItem),
            Answer(status=200, data=wire.ApprovalItem, content="text/html"),
        ),
        query=requests.TokenQuery,
        body=requests.LinkDecision,
        exists=token_counts,
        form=True,
    ),
)
