"""A provider on a loopback port: a real OAuth 2 server, and an API behind the tokens that it gives out."""

import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request, grants
from authlib.oauth2.rfc6749.models import AuthorizationCodeMixin, TokenMixin
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge

CLIENT_ID, CLIENT_SECRET = "client-one", "client-secret-of-the-provider"


@dataclass
class Client(ClientMixin):  # type: ignore[misc]
    """The one client that is registered."""

    redirect_uris: list[str] = field(default_factory=list)
    client_id: str = CLIENT_ID

    def get_client_id(self) -> str:
        return self.client_id

    def get_allowed_scope(self, scope: str) -> str:
        return " ".join(each for each in (scope or "").split() if each in ("read", "write"))

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.redirect_uris

    def get_default_redirect_uri(self) -> None:
        return None

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == CLIENT_SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in ("client_secret_basic", "client_secret_post")

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in ("authorization_code", "refresh_token", "client_credentials")


@dataclass
class Code(AuthorizationCodeMixin):  # type: ignore[misc]
    """A code that was given out."""

    code: str
    redirect_uri: str
    scope: str
    code_challenge: str | None
    code_challenge_method: str | None

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


@dataclass
class Token(TokenMixin):  # type: ignore[misc]
    """A token that was given out."""

    access_token: str
    refresh_token: str | None
    scope: str
    ends: float
    revoked: bool = False

    def check_client(self, client: Client) -> bool:
        return client.client_id == CLIENT_ID

    def get_scope(self) -> str:
        return self.scope

    def is_expired(self) -> bool:
        return self.ends <= time.monotonic()

    def is_revoked(self) -> bool:
        return self.revoked


@dataclass
class Provider:
    """The provider. `expires_in` is the life of its tokens in seconds; `down` makes the token endpoint answer 503."""

    url: str = ""
    client: Client = field(default_factory=Client)
    expires_in: int = 3600
    down: bool = False
    token_delay_s: float = 0
    codes: dict[str, Code] = field(default_factory=dict)
    tokens: list[Token] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)  # what the token endpoint was asked
    called: list[str] = field(default_factory=list)  # the access tokens of requests that the API took

    def revoke(self) -> None:
        """No token that was given out so far is worth anything any more."""
        for token in self.tokens:
            token.revoked = True

    def end_access(self) -> None:
        """The access tokens have ended; refresh tokens live."""
        for token in self.tokens:
            token.ends = 0

    def grants_asked(self) -> list[str]:
        """The kinds of grants, in the order asked for."""
        return [form["grant_type"] for form in self.asked]

    @property
    def secrets(self) -> list[str]:
        """Every token that was given out, and the client's secret."""
        tokens = [each for token in self.tokens for each in (token.access_token, token.refresh_token) if each]
        return [*tokens, CLIENT_SECRET]


class _Request(OAuth2Request):  # type: ignore[misc]
    def __init__(self, method: str, path: str, form: dict[str, str], headers: dict[str, str]) -> None:
        super().__init__(method, f"https://provider.test{path}", headers=headers)
        given = dict(parse_qsl(urlsplit(path).query)) | form
        self.payload = BasicOAuth2Payload(given)
        self._form, self._args = form, dict(parse_qsl(urlsplit(path).query))

    @property
    def args(self) -> dict[str, str]:
        return self._args

    @property
    def form(self) -> dict[str, str]:
        return self._form


class _Server(AuthorizationServer):  # type: ignore[misc]
    def __init__(self, provider: Provider) -> None:
        super().__init__(scopes_supported=["read", "write"])
        self.provider = provider
        made = BearerTokenGenerator(
            lambda *_, **__: f"at-{secrets.token_urlsafe(18)}",
            lambda *_, **__: f"rt-{secrets.token_urlsafe(18)}",
            lambda client, kind: provider.expires_in,
        )
        self.register_token_generator("default", made)
        self.register_grant(_CodeGrant, [CodeChallenge(required=True)])
        self.register_grant(_RefreshGrant)
        self.register_grant(_ClientGrant)

    def query_client(self, client_id: str) -> Client | None:
        return self.provider.client if client_id == CLIENT_ID else None

    def save_token(self, token: dict[str, Any], request: Any) -> None:
        ends = time.monotonic() + token["expires_in"]
        self.provider.tokens.append(
            Token(token["access_token"], token.get("refresh_token"), token.get("scope", ""), ends)
        )

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        pass

    def create_oauth2_request(self, request: _Request) -> _Request:
        return request

    def handle_response(self, status: int, body: Any, headers: Any) -> tuple[int, Any, Any]:
        return status, body, headers


class _CodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]  # noqa: RUF012

    def save_authorization_code(self, code: str, request: _Request) -> None:
        asked = request.payload.data
        self.server.provider.codes[code] = Code(
            code,
            asked["redirect_uri"],
            asked.get("scope", ""),
            asked.get("code_challenge"),
            asked.get("code_challenge_method"),
        )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        found: Code | None = self.server.provider.codes.get(code)
        return found

    def delete_authorization_code(self, authorization_code: Code) -> None:
        del self.server.provider.codes[authorization_code.code]

    def authenticate_user(self, authorization_code: Code) -> str:
        return "owner"


class _RefreshGrant(grants.RefreshTokenGrant):  # type: ignore[misc]
    INCLUDE_NEW_REFRESH_TOKEN = True
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]  # noqa: RUF012

    def authenticate_refresh_token(self, refresh_token: str) -> Token | None:
        tokens: list[Token] = self.server.provider.tokens
        return next((each for each in tokens if each.refresh_token == refresh_token and not each.revoked), None)

    def authenticate_user(self, refresh_token: Token) -> str:
        return "owner"

    def revoke_old_credential(self, refresh_token: Token) -> None:
        refresh_token.revoked = True


class _ClientGrant(grants.ClientCredentialsGrant):  # type: ignore[misc]
    TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]  # noqa: RUF012


@contextmanager
def oauth_provider() -> Iterator[Provider]:
    """A provider in a thread of its own."""
    provider = Provider()
    server = _Server(provider)
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length).decode()
            headers = dict(self.headers.items())
            path = urlsplit(self.path).path
            if path == "/authorize":
                request = _Request(self.command, self.path, {}, headers)
                denied = "deny" in request.args
                with turn:
                    grant = server.get_consent_grant(request, "owner")
                    answer = server.create_authorization_response(request, None if denied else "owner", grant)
                self._answer(*answer)
            elif path == "/token":
                form = dict(parse_qsl(body))
                provider.asked.append(form)
                leaving.wait(provider.token_delay_s)
                if provider.down:
                    self._answer(503, {"error": "temporarily_unavailable"}, [])
                    return
                with turn:
                    answer = server.create_token_response(_Request(self.command, self.path, form, headers))
                self._answer(*answer)
            else:
                self._api()

        do_POST = do_GET

        def _api(self) -> None:
            given = self.headers.get("Authorization", "").removeprefix("Bearer ")
            token = next((each for each in provider.tokens if each.access_token == given), None)
            if token is None or token.revoked or token.is_expired():
                self._answer(401, {"error": "invalid_token", "ok": False}, [])
                return
            provider.called.append(given)
            self._answer(200, {"ok": True, "ts": "1.1", "channel": "C1"}, [])

        def _answer(self, status: int, body: Any, headers: Any) -> None:
            text = body if isinstance(body, str) else json.dumps(body)
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            if not any(name.lower() == "content-type" for name, _ in headers):
                self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text.encode())))
            with suppress(ConnectionError):
                self.end_headers()
                self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    leaving = threading.Event()
    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{listening.server_port}"
    threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield provider
    finally:
        leaving.set()
        listening.shutdown()
        listening.server_close()
