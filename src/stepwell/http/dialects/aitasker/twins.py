"""Paths in two forms that do the same: in the workspace of the key, and below a workspace. Source: AITasker contract
4.1, 4.2."""

from dataclasses import replace

from stepwell.http.routes import Route

IN_WORKSPACE = "/workspaces/{workspace_id}"


def twins(*routes: Route) -> tuple[Route, ...]:
    """Routes of the key's workspace, after each the one below a workspace."""
    return tuple(form for route in routes for form in (route, replace(route, path=IN_WORKSPACE + route.path)))
