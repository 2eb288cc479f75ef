"""Approvals: listed, decided with a key or by a link. Source: LoopFour contract 10."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from asking import Asked, ask
from live import Api, NewApi, live, refused
from stepwell.clock import iso
from stepwell.serving import running
from stepwell.settings import RateLimit, Server, Settings

ANA, BO = "ana@example.com", "bo@example.com"
UNKNOWN = "apr_01890000-0000-7000-8000-000000000000"
EXPIRES = 4_000_000_000_000
FIELDS = [
    "id",
    "runId",
    "workflowId",
    "stepId",
    "status",
    "reason",
    "context",
    "approvers",
    "requireAll",
    "decisions",
    "expiresAt",
    "createdAt",
]


@pytest.fixture
def asked(api: Api) -> Asked:
    return ask(api, context=b'{"amount":120}', expires_at=EXPIRES)


@pytest.fixture
def all_asked(api: Api) -> Asked:
    """An approval that all approvers must give."""
    return ask(api, require_all=True)


def open_link(asked: Asked, approver: str = ANA, method: str = "GET", **options: object) -> requests.Response:
    """Use a link as somebody without a key does."""
    url = f"{asked.api.server.url}/api/v1{asked.link(approver)}"
    return requests.request(method, url, timeout=10, **options)  # type: ignore[arg-type]


# Read


def test_an_approval_has_exactly_the_fields_of_the_contract(asked: Asked) -> None:
    row = asked.row

    assert list(row) == FIELDS
    assert (row["id"], row["runId"], row["stepId"]) == (asked.id, asked.run, "sign-off")
    assert (row["status"], row["reason"], row["context"]) == ("pending", "Refund 120?", {"amount": 120})
    assert (row["approvers"], row["requireAll"], row["decisions"]) == ([ANA, BO], False, [])
    assert row["expiresAt"] == iso(EXPIRES)


def test_approvals_are_listed_newest_first_by_status(api: Api) -> None:
    made = [ask(api).id for _ in range(3)]
    api.data("POST", f"/approvals/{made[1]}/approve", {})

    def ids(query: str) -> list[str]:
        return [row["id"] for row in api.data("GET", f"/approvals{query}")]

    assert ids("") == made[::-1]
    assert ids("?status=pending") == [made[2], made[0]]
    assert ids("?status=approved") == [made[1]]
    assert ids("?status=expired") == []
    refused(api.get("/approvals?status=open"), 400, "VALIDATION_ERROR")


def test_approvals_are_listed_in_pages(api: Api) -> None:
    made = [ask(api).id for _ in range(2)]

    first = api.get("/approvals?limit=1").json()
    rest = api.get(f"/approvals?limit=1&cursor={first['meta']['cursor']}").json()

    assert [row["id"] for row in (*first["data"], *rest["data"])] == made[::-1]
    assert rest["meta"] == {"hasMore": False}


@pytest.mark.parametrize("call", ["GET {id}", "POST {id}/approve", "POST {id}/reject"])
def test_unknown_malformed_and_foreign_approvals_are_not_found(new_api: NewApi, asked: Asked, call: str) -> None:
    stranger = new_api()

    for id in (UNKNOWN, "other", asked.id):
        method, path = call.format(id=f"/approvals/{id}").split()
        answer = stranger(method, path, {"approver": 3} if method == "POST" else None)
        refused(answer, 404, "NOT_FOUND", "Approval not found")
    assert stranger.data("GET", "/approvals") == []


def test_a_cancelled_run_cancels_its_approval(api: Api, asked: Asked) -> None:
    api.data("POST", f"/runs/{asked.run}/cancel")

    assert asked.row["status"] == "cancelled"
    refused(api.post(f"/approvals/{asked.id}/approve"), 400, "INVALID_STATE", "Approval already decided")
    assert open_link(asked).status_code == 401


def test_the_run_says_whose_approval_it_waits_for(api: Api, asked: Asked) -> None:
    waiting = api.data("GET", f"/runs/{asked.run}")["waitingFor"]

    sentence = f"Step sign-off waits for an approval by {ANA} or {BO} until {iso(EXPIRES)}"
    assert waiting == f"{sentence}, and 1 more step waits"


# Decided with a key


@pytest.mark.parametrize(("verb", "status"), [("approve", "approved"), ("reject", "rejected")])
def test_a_decision_is_answered_with_the_approval(api: Api, asked: Asked, verb: str, status: str) -> None:
    answer = api.post(f"/approvals/{asked.id}/{verb}", {"comment": "Fine", "approver": BO})

    data = answer.json()["data"]
    (decision,) = data["decisions"]
    assert (answer.status_code, data["status"], list(data)) == (200, status, FIELDS)
    assert (decision["approver"], decision["decision"], decision["comment"]) == (BO, verb, "Fine")
    assert decision["at"] >= data["createdAt"]
    assert asked.row == data


def test_without_an_approver_the_keys_name_stands(api: Api, asked: Asked) -> None:
    data = api.data("POST", f"/approvals/{asked.id}/approve", {})

    assert (data["status"], data["decisions"][0]["approver"]) == ("approved", "admin")


def test_only_an_approver_may_decide(api: Api, asked: Asked) -> None:
    answer = api.post(f"/approvals/{asked.id}/approve", {"approver": "eve@example.com"})

    refused(answer, 403, "FORBIDDEN", "Access denied to this resource")
    assert asked.row["status"] == "pending"


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_a_decided_approval_stays_decided(api: Api, asked: Asked, verb: str) -> None:
    first = api.data("POST", f"/approvals/{asked.id}/reject", {"approver": ANA})

    again = api.post(f"/approvals/{asked.id}/{verb}", {"approver": BO})

    refused(again, 400, "INVALID_STATE", "Approval already decided")
    assert asked.row == first


def test_of_decisions_at_once_the_first_counts(api: Api, asked: Asked) -> None:
    with ThreadPoolExecutor(8) as many:
        paths = [f"/approvals/{asked.id}/{verb}" for verb in ("approve", "reject") * 4]
        answers = list(many.map(lambda path: api.post(path, {}), paths))

    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    (won,) = (answer.json()["data"] for answer in answers if answer.ok)
    assert asked.row == won


def test_where_all_must_approve_the_approver_is_named(api: Api, all_asked: Asked) -> None:
    details = refused(api.post(f"/approvals/{all_asked.id}/approve", {}), 400, "VALIDATION_ERROR")

    assert [fault["path"] for fault in details] == [["approver"]]


def test_where_all_must_approve_the_last_one_decides(api: Api, all_asked: Asked) -> None:
    first = api.data("POST", f"/approvals/{all_asked.id}/approve", {"approver": ANA})
    refused(api.post(f"/approvals/{all_asked.id}/approve", {"approver": ANA}), 400, "INVALID_STATE")
    last = api.data("POST", f"/approvals/{all_asked.id}/approve", {"approver": BO})

    assert (first["status"], last["status"]) == ("pending", "approved")
    assert [decision["approver"] for decision in last["decisions"]] == [ANA, BO]


def test_one_rejection_rejects(api: Api, all_asked: Asked) -> None:
    api.data("POST", f"/approvals/{all_asked.id}/approve", {"approver": ANA})

    assert api.data("POST", f"/approvals/{all_asked.id}/reject", {"approver": BO})["status"] == "rejected"


def test_of_approvals_by_all_at_once_none_is_lost(api: Api) -> None:
    people = tuple(f"p{number}" for number in range(8))
    asked = ask(api, require_all=True, approvers=people)

    with ThreadPoolExecutor(8) as many:
        answers = list(many.map(lambda who: api.post(f"/approvals/{asked.id}/approve", {"approver": who}), people))

    assert [answer.status_code for answer in answers] == [200] * 8
    assert asked.row["status"] == "approved"


# Decided by a link


def test_a_link_shows_a_page_and_changes_nothing(asked: Asked) -> None:
    pages = [open_link(asked) for _ in range(2)]

    for page in pages:
        assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        for part in ("Refund 120?", "&quot;amount&quot;: 120", ANA, '<form method="post">', 'name="comment"'):
            assert part in page.text
    assert asked.row["status"] == "pending"


def test_the_page_keeps_its_address_and_content_to_itself(asked: Asked) -> None:
    headers = open_link(asked).headers

    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_what_the_page_shows_is_escaped(api: Api) -> None:
    asked = ask(api, reason="<script>alert(1)</script>", context=b'"<img src=x>"')

    page = open_link(asked).text

    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_form_of_the_page_decides_and_is_answered_with_a_page(asked: Asked) -> None:
    page = open_link(asked, method="POST", data={"decision": "approve", "comment": "Fine & good"})

    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "You have approved this" in page.text
    row = asked.row
    assert (row["status"], row["decisions"][0]["approver"]) == ("approved", ANA)
    assert row["decisions"][0]["comment"] == "Fine & good"


def test_json_decides_and_is_answered_with_json(asked: Asked) -> None:
    answer = open_link(asked, BO, "POST", json={"decision": "reject"})

    assert (answer.status_code, answer.json()) == (200, {"success": True, "data": asked.row})
    assert asked.row["status"] == "rejected"


def test_an_empty_comment_is_none(asked: Asked) -> None:
    open_link(asked, method="POST", data={"decision": "reject", "comment": ""})

    assert asked.row["decisions"][0]["comment"] is None


@pytest.mark.parametrize("approver", [ANA, BO])
def test_no_link_decides_what_is_decided(asked: Asked, approver: str) -> None:
    open_link(asked, method="POST", json={"decision": "approve"})

    refused(open_link(asked, approver, "POST", json={"decision": "reject"}), 401, "UNAUTHORIZED")
    refused(open_link(asked, approver), 401, "UNAUTHORIZED")
    assert asked.row["status"] == "approved"


def test_where_all_must_approve_each_link_counts_once(all_asked: Asked) -> None:
    approve = {"method": "POST", "json": {"decision": "approve"}}

    assert open_link(all_asked, ANA, **approve).json()["data"]["status"] == "pending"
    refused(open_link(all_asked, ANA, **approve), 401, "UNAUTHORIZED")
    assert open_link(all_asked, BO).status_code == 200
    assert open_link(all_asked, BO, **approve).json()["data"]["status"] == "approved"


def test_who_decided_with_a_key_has_no_link_any_more(api: Api, all_asked: Asked) -> None:
    api.data("POST", f"/approvals/{all_asked.id}/approve", {"approver": ANA})

    refused(open_link(all_asked, ANA), 401, "UNAUTHORIZED")


@pytest.mark.parametrize("token", ["", "?token=", "?token=wrong", "?token=%F0%9F%92%A5", "?other=1"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_bad_token_is_refused(api: Api, asked: Asked, token: str, method: str) -> None:
    for id in (asked.id, UNKNOWN, "other"):
        url = f"{api.server.url}/api/v1/approvals/{id}/decide{token}"
        answer = requests.request(method, url, json={} if method == "POST" else None, timeout=10)
        refused(answer, 401, "UNAUTHORIZED", "This link is not valid, or was used already")


def test_a_token_decides_its_own_approval_only(api: Api, asked: Asked) -> None:
    token = ask(api).link(ANA).partition("?")[2]

    answer = requests.get(f"{api.server.url}/api/v1/approvals/{asked.id}/decide?{token}", timeout=10)

    refused(answer, 401, "UNAUTHORIZED")


def test_people_see_a_page_if_their_link_does_not_count(asked: Asked) -> None:
    open_link(asked, method="POST", json={"decision": "approve"})

    seen = open_link(asked, headers={"Accept": "text/html,*/*"})
    sent = open_link(asked, method="POST", data={"decision": "approve"})

    for page in (seen, sent):
        assert (page.status_code, page.headers["Content-Type"]) == (401, "text/html; charset=utf-8")
        assert "This link is not valid" in page.text


def test_links_are_counted_by_address(tmp_path: Path) -> None:
    settings = Settings(server=Server(data=tmp_path), rate_limit=RateLimit(read=2))
    with live(settings) as server:
        url = f"{server.url}/api/v1/approvals/{UNKNOWN}/decide?token=guessed"
        answers = [requests.get(url, timeout=10) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert answers[0].headers["X-RateLimit-Remaining"] == "1"


async def test_no_log_line_holds_a_token(tmp_path: Path) -> None:
    told: list[tuple[str, str]] = []
    settings = Settings(server=Server(data=tmp_path))
    scope = {
        "type": "http",
        "method": "GET",
        "path": f"/api/v1/approvals/{UNKNOWN}/decide",
        "query_string": b"token=hush-hush",
        "headers": [],
        "client": ("127.0.0.1", 1),
    }
    sent: list[object] = []

    async def send(message: object) -> None:
        sent.append(message)

    async with running(settings, (lambda name, fields: told.append((name, repr(fields))),)) as parts:
        await parts.app(scope, parts.app, send)  # type: ignore[arg-type]  # nothing is received

    assert "http.request" in [name for name, _ in told]
    assert not any("hush-hush" in line for line in (*[fields for _, fields in told], repr(sent)))


@pytest.mark.parametrize("body", [{}, {"decision": "maybe"}])
def test_a_decision_is_to_approve_or_to_reject(asked: Asked, body: dict[str, str]) -> None:
    details = refused(open_link(asked, method="POST", json=body), 400, "VALIDATION_ERROR")

    assert [fault["path"] for fault in details] == [["decision"]]
