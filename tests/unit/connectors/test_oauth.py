"""The exchange with a token endpoint: what is sent, what is taken, what is refused."""

from collections.abc import AsyncIterator, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from answering import Answering, answering
from stepwell.connectors import Challenge, GrantRefused, GuardedHttp, OAuth, OAuthClient, TokenEndpoint, authorize_url
from stepwell.errors import StepError

NOW = 1_700_000_000_000


@pytest.fixture
def server() -> Iterator[Answering]:
    with answering() as server:
        yield server


@pytest.fixture
async def endpoint() -> AsyncIterator[TokenEndpoint]:
    http = GuardedHttp(allow_private=True)
    yield TokenEndpoint(http)
    await http.close()


def client(server: Answering, **rules: object) -> OAuthClient:
    made = OAuth(token_url=f"{server.url}/token", **rules)  # type: ignore[arg-type]
    return OAuthClient("Acme", made, made.token_url, "https://acme.example/agree?x=1", "id:1", "s&cret", ("a", "b"))


async def test_the_client_is_named_in_the_body(server: Answering, endpoint: TokenEndpoint) -> None:
    server.body = b'{"access_token":"at","refresh_token":"rt","expires_in":"60","scope":"a"}'

    tokens = await endpoint.of_code("w", client(server), "code", "verifier", "https://us.example/back", NOW)

    sent = parse_qs(server.seen[0].body.decode())
    assert (sent["client_id"], sent["client_secret"], sent["code_verifier"]) == (["id:1"], ["s&cret"], ["verifier"])
    assert (tokens.access_token, tokens.refresh_token, tokens.expires_at) == ("at", "rt", NOW + 60_000)


async def test_or_in_a_header_with_its_parts_escaped(server: Answering, endpoint: TokenEndpoint) -> None:
    server.body = b'{"access_token":"at"}'

    await endpoint.of_client("w", client(server, token_auth="basic", scope_separator=","), NOW)

    assert server.seen[0].headers["authorization"] == "Basic aWQlM0ExOnMlMjZjcmV0"
    sent = parse_qs(server.seen[0].body.decode())
    assert sent == {"grant_type": ["client_credentials"], "scope": ["a,b"]}


async def test_a_refresh_token_goes_on_if_there_is_no_other(server: Answering, endpoint: TokenEndpoint) -> None:
    server.body = b"access_token=at&expires_in=soon"  # a form, as some providers answer

    tokens = await endpoint.of_refresh("w", client(server), "rt-old", NOW)

    assert (tokens.access_token, tokens.refresh_token, tokens.expires_at) == ("at", "rt-old", None)


async def test_a_grant_that_is_refused_is_no_failure_to_be_tried_again(
    server: Answering, endpoint: TokenEndpoint
) -> None:
    server.statuses, server.body = [400], b'{"error":"invalid_grant"}'

    with pytest.raises(GrantRefused, match="no longer accepts"):
        await endpoint.of_refresh("w", client(server), "rt", NOW)


@pytest.mark.parametrize(
    ("status", "body", "retryable", "message"),
    [
        (503, b"", True, "gave no token: status 503"),
        (429, b"{}", True, "gave no token: status 429"),
        (401, b'{"error":"invalid_client"}', False, "gave no token: invalid_client"),
        (200, b'{"error":"unsupported"}', False, "gave no token: unsupported"),
        (200, b"{}", False, "gave no access token"),
        (200, b'{"access_token":"a\\r\\nb"}', False, "gave no access token"),
        (400, b'{"error":"<s&cret of the client>"}', False, "gave no token: status 400"),
        (302, b"", False, "gave no token: status 302"),
    ],
)
async def test_other_answers_are_errors_of_the_step(
    server: Answering, endpoint: TokenEndpoint, status: int, body: bytes, retryable: bool, message: str
) -> None:
    server.statuses, server.body = [status], body

    with pytest.raises(StepError, match=message) as raised:
        await endpoint.of_refresh("w", client(server), "rt", NOW)

    assert raised.value.retryable is retryable


async def test_an_answer_that_is_too_large_is_refused(server: Answering, endpoint: TokenEndpoint) -> None:
    server.body = b'{"access_token":"' + b"a" * 70_000 + b'"}'

    with pytest.raises(StepError, match="larger than 65536 bytes"):
        await endpoint.of_client("w", client(server), NOW)


async def test_tokens_are_asked_for_behind_the_egress_guard(server: Answering) -> None:
    http = GuardedHttp(allow_private=False)

    with pytest.raises(StepError, match="loopback address"):
        await TokenEndpoint(http).of_client("w", client(server), NOW)

    assert server.seen == []
    await http.close()


def test_the_page_keeps_its_query_and_what_we_ask_wins(server: Answering) -> None:
    rules = {"authorize_params": {"prompt": "consent", "state": "theirs"}}
    challenge = Challenge()

    url = authorize_url(client(server, **rules), challenge, "https://us.example/back")

    asked = parse_qs(urlsplit(url).query)
    assert (asked["x"], asked["prompt"], asked["state"]) == (["1"], ["consent"], [challenge.state])
    assert asked["code_challenge"] == [challenge.code_challenge]


def test_without_pkce_no_challenge_is_sent(server: Answering) -> None:
    assert "code_challenge" not in authorize_url(client(server, pkce=False), Challenge(), "https://us.example/back")


def test_a_challenge_tells_nothing_of_its_secrets() -> None:
    challenge = Challenge()

    assert challenge.state not in repr(challenge) and challenge.verifier not in repr(challenge)
    assert 43 <= len(challenge.verifier) <= 128
