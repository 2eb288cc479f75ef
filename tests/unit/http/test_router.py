"""Routing: paths to targets."""

import pytest

from stepwell.http.errors import MethodNotAllowed, RouteNotFound
from stepwell.http.router import Router


@pytest.fixture
def router() -> Router[str]:
    router: Router[str] = Router()
    for method, path in (
        ("GET", "/runs"),
        ("GET", "/runs/{id}"),
        ("DELETE", "/runs/{id}"),
        ("GET", "/runs/{id}/steps/{step}"),
    ):
        router.add(method, path, f"{method} {path}")
    router.close("/runs/bulk")
    return router


def test_parameters_are_named_as_the_route_names_them(router: Router[str]) -> None:
    assert router.match("GET", "/runs/7/steps/a") == ("GET /runs/{id}/steps/{step}", {"id": "7", "step": "a"})


@pytest.mark.parametrize(
    "path", ["/", "", "/run", "/runs/", "/runs//steps/a", "/runs/1/steps", "/runs/1/", "/runs/bulk"]
)
def test_a_path_without_a_route_is_not_found(router: Router[str], path: str) -> None:
    with pytest.raises(RouteNotFound):
        router.match("GET", path)


def test_another_method_is_refused_with_those_that_are_allowed(router: Router[str]) -> None:
    with pytest.raises(MethodNotAllowed) as refusal:
        router.match("POST", "/runs/1")

    assert refusal.value.allowed == ("DELETE", "GET")


def test_two_routes_for_one_path_are_a_fault(router: Router[str]) -> None:
    with pytest.raises(ValueError, match="two routes"):
        router.add("GET", "/runs/{run}", "again")
