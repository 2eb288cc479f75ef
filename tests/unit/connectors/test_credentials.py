"""What is sent of credentials, by each kind of auth, and what never shows."""

from typing import Any

import pytest

from stepwell.connectors.credentials import masking, sent
from stepwell.connectors.manifest import (
    Auth,
    Basic,
    Bearer,
    CookieKey,
    Credential,
    HeaderKey,
    Manifest,
    NoAuth,
    QueryKey,
)


@pytest.mark.parametrize(
    ("auth", "headers", "query", "cookies"),
    [
        (NoAuth(), {}, (), {}),
        (Bearer("key"), {"Authorization": "Bearer k=1;2"}, (), {}),
        (Basic("key", "other"), {"Authorization": "Basic az0xOzI6bzI="}, (), {}),
        (Basic("key"), {"Authorization": "Basic az0xOzI6"}, (), {}),
        (HeaderKey("X-Key", "key"), {"X-Key": "k=1;2"}, (), {}),
        (HeaderKey("Authorization", "key", prefix="API-Key "), {"Authorization": "API-Key k=1;2"}, (), {}),
        (QueryKey("api_key", "key"), {}, (("api_key", "k=1;2"),), {}),
        (CookieKey("sid", "key"), {}, (), {"sid": "k%3D1%3B2"}),
        (Bearer("absent"), {}, (), {}),
    ],
)
def test_each_kind_of_auth_is_sent_in_its_place(auth: Auth, headers: Any, query: Any, cookies: Any) -> None:
    found = sent([auth], {"key": "k=1;2", "other": "o2"})

    assert (found.headers, found.query, found.cookies) == (headers, query, cookies)


def test_several_auths_are_sent_together() -> None:
    found = sent([HeaderKey("X-Id", "id"), HeaderKey("X-Key", "key"), QueryKey("v", "id")], {"id": "i", "key": "k"})

    assert (found.headers, found.query) == ({"X-Id": "i", "X-Key": "k"}, (("v", "i"),))


def test_a_credential_never_shows_neither_as_it_is_nor_as_it_was_sent() -> None:
    manifest = Manifest(
        name="acme",
        title="Acme",
        credentials={"key": Credential("Key", secret=True), "user": Credential("User")},
        actions={},
        auth=(Basic("user", "key"), QueryKey("k", "key")),
    )
    mask = masking(manifest, {"key": "s3cr&t", "user": "ana"})

    assert mask("ana sent s3cr&t, s3cr%26t and YW5hOnMzY3ImdA==") == "ana sent [secret], [secret] and [secret]"
