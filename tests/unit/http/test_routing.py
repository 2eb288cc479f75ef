"""Routing: which dialect a path leads to."""

from typing import Any

import pytest

from stepwell.http import DIALECTS
from stepwell.http.errors import MethodNotAllowed, RouteNotFound
from stepwell.http.routing import Routing

NATIVE, FLOWRA = DIALECTS[0], DIALECTS[3]
NATIVE_KEY, FLOWRA_KEY = "wfk_x", "flw_x"


@pytest.fixture
def routing() -> Routing[str]:
    routing: Routing[str] = Routing(DIALECTS)
    routing.add(NATIVE, "GET", "/a/{id}", "native")
    routing.add(FLOWRA, "GET", "/a/{name}", "flowra")
    routing.add(NATIVE, "GET", "/b/c", "native b")
    routing.add(FLOWRA, "POST", "/b/{id}/d", "flowra b")
    routing.add(None, "GET", "/common", "common")
    routing.close(NATIVE, "/a/closed")
    return routing


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (NATIVE_KEY, ("native", {"id": "1"})),
        (FLOWRA_KEY, ("flowra", {"name": "1"})),
        ("ask_x", ("native", {"id": "1"})),
        (None, ("native", {"id": "1"})),
    ],
)
def test_on_a_shared_path_the_key_decides_and_else_the_first(
    routing: Routing[str], key: str | None, found: Any
) -> None:
    assert routing.find("GET", "/a/1", key) == found


@pytest.mark.parametrize("key", [NATIVE_KEY, FLOWRA_KEY, None])
def test_a_path_of_one_dialect_needs_no_key_of_it(routing: Routing[str], key: str | None) -> None:
    assert routing.find("GET", "/b/c", key) == ("native b", {})
    assert routing.find("POST", "/b/c/d", key) == ("flowra b", {"id": "c"})
    assert routing.find("GET", "/a/closed", key) == ("flowra", {"name": "closed"})
    assert routing.find("GET", "/common", key) == ("common", {})


@pytest.mark.parametrize(
    ("path", "key", "dialect", "refusal"),
    [
        ("/b/c", FLOWRA_KEY, NATIVE, MethodNotAllowed),
        ("/b/c/d", NATIVE_KEY, FLOWRA, MethodNotAllowed),
        ("/b/x/e", NATIVE_KEY, FLOWRA, RouteNotFound),
        ("/nothing", FLOWRA_KEY, FLOWRA, RouteNotFound),
        ("/nothing", NATIVE_KEY, NATIVE, RouteNotFound),
        ("/nothing", None, NATIVE, RouteNotFound),
        ("/common", FLOWRA_KEY, NATIVE, MethodNotAllowed),
    ],
)
def test_what_leads_nowhere_is_refused_by_the_dialect_that_knows_most_of_it(
    routing: Routing[str], path: str, key: str | None, dialect: object, refusal: type[Exception]
) -> None:
    who, why = routing.refused(path, key)

    assert who is dialect
    assert isinstance(why, refusal)


def test_only_a_path_that_several_serve_is_shared_and_only_for_keys_of_none_of_them(routing: Routing[str]) -> None:
    assert routing.sharing("GET", "/a/1", None) == [NATIVE, FLOWRA]
    assert routing.sharing("GET", "/a/1", "ask_x") == [NATIVE, FLOWRA]
    assert routing.sharing("GET", "/a/1", FLOWRA_KEY) == []
    assert routing.sharing("GET", "/b/c", None) == []
