"""OAuth 2 at a provider: where a user is sent, and the exchange with the token endpoint. Source: RFC 6749, 7636."""

import base64
import hashlib
import re
import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from stepwell.connectors.failures import retry_after_ms
from stepwell.connectors.manifest import OAuth
from stepwell.errors import StepError
from stepwell.expressions import compile_template
from stepwell.steps.ports import Http, HttpRequest, HttpResponse
from stepwell.values import InvalidJson, Json, decode

TIMEOUT_S = 15.0
LARGEST_ANSWER = 64 * 1024
LONGEST_LIFE_S = 10 * 365 * 86_400
_CODE = re.compile(r"[a-zA-Z0-9_.-]{1,60}")
_REFUSED = frozenset({"invalid_grant", "bad_refresh_token", "token_expired", "invalid_refresh_token"})


class GrantRefused(Exception):
    """The provider no longer accepts the code or refresh token: whoever owns the account must connect it again."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """As whom the server asks a provider for tokens, and where."""

    title: str  # of the provider
    rules: OAuth
    token_url: str
    authorize_url: str
    client_id: str
    client_secret: str | None = field(repr=False)
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a token endpoint gave. Times in epoch ms; None if the provider does not say when the token ends."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: int | None = None
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class Challenge:
    """A new authorization: the state that comes back, and the verifier that proves who asked (PKCE, S256)."""

    state: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)

    @property
    def hash(self) -> bytes:
        """The SHA-256 of the state, which is all that is stored of it."""
        return hashlib.sha256(self.state.encode()).digest()

    @property
    def code_challenge(self) -> str:
        """What is sent of the verifier beforehand."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()


def endpoint_url(template: str, fields: Mapping[str, Json]) -> str:
    """An endpoint's address with the connection's open fields filled in."""
    return str(compile_template(template).render({"connection": dict(fields)}))


def authorize_url(client: OAuthClient, challenge: Challenge, redirect_uri: str) -> str:
    """The page of the provider at which the owner of an account agrees."""
    asked = {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": redirect_uri,
        "state": challenge.state,
    }
    if client.scopes:
        asked["scope"] = client.rules.scope_separator.join(client.scopes)
    if client.rules.pkce:
        asked |= {"code_challenge": challenge.code_challenge, "code_challenge_method": "S256"}
    parts = urlsplit(client.authorize_url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True)) | client.rules.authorize_params | asked
    return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote)))


class TokenEndpoint:
    """Asks providers for tokens, through the egress guard."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def of_code(
        self, workspace: str, client: OAuthClient, code: str, verifier: str, redirect_uri: str, now_ms: int
    ) -> Tokens:
        """The tokens for a code that came back. Raises GrantRefused, StepError."""
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        if client.rules.pkce:
            form["code_verifier"] = verifier
        return await self._ask(workspace, client, form, now_ms)

    async def of_refresh(self, workspace: str, client: OAuthClient, refresh_token: str, now_ms: int) -> Tokens:
        """New tokens for a refresh token; the same one goes on if the provider gives no other. Raises GrantRefused,
        StepError."""
        tokens = await self._ask(
            workspace, client, {"grant_type": "refresh_token", "refresh_token": refresh_token}, now_ms
        )
        if tokens.refresh_token is not None:
            return tokens
        return Tokens(tokens.access_token, refresh_token, tokens.expires_at, tokens.scope)

    async def of_client(self, workspace: str, client: OAuthClient, now_ms: int) -> Tokens:
        """A token of the client itself. Raises GrantRefused, StepError."""
        form = {"grant_type": "client_credentials"}
        if client.scopes:
            form["scope"] = client.rules.scope_separator.join(client.scopes)
        return await self._ask(workspace, client, form, now_ms)

    async def _ask(self, workspace: str, client: OAuthClient, form: dict[str, str], now_ms: int) -> Tokens:
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        form = {**client.rules.extra, **form}
        if client.rules.token_auth == "basic" and client.client_secret is not None:
            pair = f"{quote(client.client_id, safe='')}:{quote(client.client_secret, safe='')}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            form["client_id"] = client.client_id
            if client.client_secret is not None:
                form["client_secret"] = client.client_secret
        request = HttpRequest(
            "POST",
            client.token_url,
            headers=headers,
            body=urlencode(form).encode(),
            timeout_s=TIMEOUT_S,
            max_response_bytes=LARGEST_ANSWER,
            max_redirects=0,  # a secret is sent to the address that was given and no other
        )
        return _tokens(client, await self._http.send(workspace, request), now_ms)


def _tokens(client: OAuthClient, response: HttpResponse, now_ms: int) -> Tokens:
    answer = _fields(response.body)
    error = answer.get("error")
    if not 200 <= response.status < 300 or (isinstance(error, str) and "access_token" not in answer):
        raise _failure(client, response, answer, now_ms)
    token = answer.get("access_token")
    if not isinstance(token, str) or not token or any(ord(char) < 33 or ord(char) > 126 for char in token):
        raise StepError(f"{client.title} gave no access token", kind="provider")
    refresh, scope = answer.get("refresh_token"), answer.get("scope")
    return Tokens(
        token,
        refresh if isinstance(refresh, str) and refresh else None,
        _ends(answer.get("expires_in"), now_ms),
        scope if isinstance(scope, str) else None,
    )


def _failure(
    client: OAuthClient, response: HttpResponse, answer: dict[str, Json], now_ms: int
) -> GrantRefused | StepError:
    error = answer.get("error")
    code = error if isinstance(error, str) and _CODE.fullmatch(error) else None
    if code in _REFUSED:
        return GrantRefused(f"{client.title} no longer accepts the authorization ({code})")
    status = response.status
    return StepError(
        f"{client.title} gave no token: {code or f'status {status}'}",
        kind="http",
        http_status=status,
        retryable=status >= 500 or status in (408, 425, 429),
        retry_after_ms=retry_after_ms(response.headers.get("retry-after"), now_ms),
    )


def _fields(body: bytes) -> dict[str, Json]:
    """The answer's fields: JSON, or a form as some providers send it."""
    try:
        answer = decode(body)
    except InvalidJson:
        return dict(parse_qsl(body.decode("utf-8", "replace")))
    return answer if isinstance(answer, dict) else {}


def _ends(life: Json, now_ms: int) -> int | None:
    try:
        seconds = float(life)
    except (TypeError, ValueError):
        return None
    return now_ms + int(seconds * 1000) if 0 < seconds <= LONGEST_LIFE_S else None
