import pytest

from stepwell.connectors import OpenConnection
from stepwell.errors import StepError
from stepwell.values import Json
from unit.connectors.servers import Act, Scripted, Serve


async def slack(serve: Serve, server: Scripted) -> OpenConnection:
    return OpenConnection("c1", "slack", "live", await serve(server.handle), {"botToken": "xoxb-12345"})


async def hubspot(serve: Serve, server: Scripted) -> OpenConnection:
    return OpenConnection("c2", "hubspot", "live", await serve(server.handle), {"accessToken": "pat-12345"})


async def resend(serve: Serve, server: Scripted) -> OpenConnection:
    credentials = {"apiKey": "re_12345", "from": "Shop <shop@example.com>"}
    return OpenConnection("c3", "resend", "live", await serve(server.handle), credentials)


POSTED: Json = {"ok": True, "ts": "1.000001", "channel": "C1"}


async def test_slack_send_message_posts_what_is_given_and_nothing_else(act: Act, serve: Serve) -> None:
    server = Scripted({"/chat.postMessage": (200, POSTED, {})})

    output = await act(
        await slack(serve, server),
        "slack.sendMessage",
        {"channel": "#finance", "text": "Hi", "threadTs": "1.0", "unfurlLinks": False},
    )

    assert output == POSTED
    seen = server.seen[0]
    assert seen.body == {"channel": "#finance", "text": "Hi", "thread_ts": "1.0", "unfurl_links": False}
    assert seen.headers["authorization"] == "Bearer xoxb-12345"
    assert seen.headers["idempotency-key"] == "run_1:step"


async def test_slack_direct_message_finds_the_user_opens_a_conversation_and_posts(act: Act, serve: Serve) -> None:
    server = Scripted(
        {
            "/users.lookupByEmail": (200, {"ok": True, "user": {"id": "U1"}}, {}),
            "/conversations.open": (200, {"ok": True, "channel": {"id": "D1"}}, {}),
            "/chat.postMessage": (200, POSTED | {"channel": "D1"}, {}),
        }
    )

    output = await act(
        await slack(serve, server), "slack.sendDirectMessage", {"userEmail": "ana+x@example.com", "text": "Hi"}
    )

    assert output["channel"] == "D1"
    lookup, opened, post = server.seen
    assert lookup.query == {"email": "ana+x@example.com"}
    assert (opened.body, post.body) == ({"users": "U1"}, {"channel": "D1", "text": "Hi"})
    assert post.headers["idempotency-key"] == "run_1:step:post"


async def test_slack_update_message_names_the_message(act: Act, serve: Serve) -> None:
    server = Scripted({"/chat.update": (200, POSTED, {})})

    await act(await slack(serve, server), "slack.updateMessage", {"channel": "C1", "ts": "1.0", "text": "New"})

    assert server.seen[0].body == {"channel": "C1", "ts": "1.0", "text": "New"}


async def test_a_slack_message_needs_text_or_blocks(act: Act, serve: Serve) -> None:
    connection = await slack(serve, Scripted({}))

    with pytest.raises(StepError) as error:
        await act(connection, "slack.sendMessage", {"channel": "C1"})

    assert error.value.message == "Invalid parameters of slack.sendMessage: one of text, blocks is required"


async def test_slack_failures_hide_behind_a_success_status(act: Act, serve: Serve) -> None:
    server = Scripted({"/chat.postMessage": (200, {"ok": False, "error": "channel_not_found"}, {})})
    connection = await slack(serve, server)

    with pytest.raises(StepError) as error:
        await act(connection, "slack.sendMessage", {"channel": "C9", "text": "Hi"})

    assert (error.value.message, error.value.kind) == ("channel_not_found", "provider")
    assert (error.value.retryable, error.value.code) == (False, "STEP_ERROR")


async def test_slack_rate_limits_are_told_in_words_and_retried_when_slack_says(act: Act, serve: Serve) -> None:
    server = Scripted({"/chat.postMessage": (429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "30"})})
    connection = await slack(serve, server)

    with pytest.raises(StepError) as error:
        await act(connection, "slack.sendMessage", {"channel": "C1", "text": "Hi"})

    assert (error.value.message, error.value.http_status) == ("API rate limit exceeded", 429)
    assert (error.value.retryable, error.value.retry_after_ms) == (True, 30_000)


async def test_slack_failures_that_pass_are_retried(act: Act, serve: Serve) -> None:
    server = Scripted({"/chat.postMessage": (200, {"ok": False, "error": "service_unavailable"}, {})})
    connection = await slack(serve, server)

    with pytest.raises(StepError) as error:
        await act(connection, "slack.sendMessage", {"channel": "C1", "text": "Hi"})

    assert error.value.retryable


async def test_a_direct_message_to_nobody_stops_at_the_lookup(act: Act, serve: Serve) -> None:
    server = Scripted({"/users.lookupByEmail": (200, {"ok": False, "error": "users_not_found"}, {})})
    connection = await slack(serve, server)

    with pytest.raises(StepError, match="users_not_found"):
        await act(connection, "slack.sendDirectMessage", {"userEmail": "no@example.com", "text": "Hi"})

    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("action", "params", "method", "path", "body"),
    [
        (
            "createContact",
            {"email": "a@x.test", "firstName": "Ana", "properties": {"lifecyclestage": "lead"}},
            "POST",
            "/crm/v3/objects/contacts",
            {"properties": {"email": "a@x.test", "firstname": "Ana", "lifecyclestage": "lead"}},
        ),
        (
            "updateContact",
            {"contactId": "7", "phone": "1", "properties": {"nickname": None}},
            "PATCH",
            "/crm/v3/objects/contacts/7",
            {"properties": {"phone": "1", "nickname": None}},
        ),
        (
            "searchContacts",
            {"email": "a@x.test"},
            "POST",
            "/crm/v3/objects/contacts/search",
            {
                "filterGroups": [{"filters": [{"propertyName": "email", "operator": "EQ", "value": "a@x.test"}]}],
                "limit": 10,
            },
        ),
        (
            "searchContacts",
            {"filterGroups": [{"filters": []}], "limit": 5},
            "POST",
            "/crm/v3/objects/contacts/search",
            {"filterGroups": [{"filters": []}], "limit": 5},
        ),
        (
            "createDeal",
            {"name": "Big", "amount": 100, "contactId": "7"},
            "POST",
            "/crm/v3/objects/deals",
            {
                "properties": {"dealname": "Big", "amount": 100},
                "associations": [
                    {
                        "to": {"id": "7"},
                        "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 3}],
                    }
                ],
            },
        ),
        (
            "createCompany",
            {"name": "Acme", "domain": "acme.test"},
            "POST",
            "/crm/v3/objects/companies",
            {"properties": {"name": "Acme", "domain": "acme.test"}},
        ),
    ],
)
async def test_a_hubspot_action_is_the_providers_request(
    act: Act, serve: Serve, action: str, params: Json, method: str, path: str, body: Json
) -> None:
    server = Scripted({path: (200, {"id": "51"}, {})})

    output = await act(await hubspot(serve, server), f"hubspot.{action}", params)

    seen = server.seen[0]
    assert (seen.method, seen.body) == (method, body)
    assert seen.headers["authorization"] == "Bearer pat-12345"
    assert output == {"id": "51"}


async def test_a_hubspot_failure_is_told_in_its_words(act: Act, serve: Serve) -> None:
    answer = {"status": "error", "message": "Contact already exists. Existing ID: 7", "category": "CONFLICT"}
    server = Scripted({"/crm/v3/objects/contacts": (409, answer, {})})
    connection = await hubspot(serve, server)

    with pytest.raises(StepError) as error:
        await act(connection, "hubspot.createContact", {"email": "a@x.test"})

    assert error.value.as_json() == {
        "code": "STEP_ERROR",
        "message": "Contact already exists. Existing ID: 7",
        "details": {"providerCode": "CONFLICT", "kind": "http", "retryable": False, "httpStatus": 409},
    }


async def test_resend_sends_a_mail_from_the_connections_sender(act: Act, serve: Serve) -> None:
    server = Scripted({"/emails": (200, {"id": "49a3"}, {})})

    output = await act(
        await resend(serve, server),
        "resend.sendEmail",
        {
            "to": ["ana@example.com"],
            "subject": "Hi",
            "html": "<p>x</p>",
            "attachments": [{"filename": "a.txt", "content": "YQ==", "contentType": "text/plain"}],
        },
    )

    assert output == {"messageId": "49a3", "status": "sent"}
    assert server.seen[0].body == {
        "from": "Shop <shop@example.com>",
        "to": ["ana@example.com"],
        "subject": "Hi",
        "html": "<p>x</p>",
        "attachments": [{"filename": "a.txt", "content": "YQ==", "content_type": "text/plain"}],
    }
    assert server.seen[0].headers["idempotency-key"] == "run_1:step"


async def test_resend_uses_the_sender_of_the_mail_if_it_names_one(act: Act, serve: Serve) -> None:
    server = Scripted({"/emails": (200, {"id": "49a3"}, {})})

    await act(
        await resend(serve, server),
        "resend.sendEmail",
        {"from": "me@example.com", "to": "ana@example.com", "subject": "Hi", "text": "x"},
    )

    assert server.seen[0].body["from"] == "me@example.com"
