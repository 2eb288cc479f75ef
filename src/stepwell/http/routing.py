"""Which dialect answers a request. Source: LoopFour contract 1.1, AwaitStep contract 14, AITasker contract
13."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from stepwell.auth import DIALECTS as KEYS
from stepwell.http.errors import MethodNotAllowed, RouteNotFound
from stepwell.http.router import Router
from stepwell.http.routes import Dialect

T = TypeVar("T")


class Routing(Generic[T]):
    """The routes of all dialects, each in a tree of its own, and the paths that are no dialect's."""

    def __init__(self, dialects: Sequence[Dialect]) -> None:
        self._dialects = [(dialect, Router[T]()) for dialect in dialects]
        self._common: Router[T] = Router()

    def add(self, dialect: Dialect | None, method: str, path: str, target: T) -> None:
        """Let a method on a path of a dialect lead to the target; None for a path that is no dialect's."""
        self._tree(dialect).add(method, path, target)

    def close(self, dialect: Dialect, path: str) -> None:
        """Let a path lead nowhere in a dialect, though a parameter would match it."""
        self._tree(dialect).close(path)

    def find(self, method: str, path: str, key: str | None) -> tuple[T, dict[str, str]] | None:
        """The target, and the values of the path's parameters. A path that several dialects serve is the one's whose
        key was sent, else the first's."""
        found = [(dialect, target) for dialect, tree in self._dialects if (target := tree.find(method, path))]
        if not found:
            return self._common.find(method, path)
        if len(found) > 1:
            found = [each for each in found if _is_of(key, each[0])] or found
        return found[0][1]

    def sharing(self, method: str, path: str, key: str | None) -> list[Dialect]:
        """The dialects that serve a path, if several do and the key is of none of them; else nobody shares it."""
        found = [dialect for dialect, tree in self._dialects if tree.find(method, path) is not None]
        return found if len(found) > 1 and not any(_is_of(key, dialect) for dialect in found) else []

    def refused(self, path: str, key: str | None) -> tuple[Dialect, RouteNotFound | MethodNotAllowed]:
        """Why a path led nowhere, and the dialect that says so: one that serves the path with another method, else
        the one that knows most of it; among equals the one whose key was sent, else the first."""
        refusal = self._common.refused(path)
        if isinstance(refusal, MethodNotAllowed):
            return self._dialects[0][0], refusal
        judged = [(dialect, tree.refused(path), tree.depth(path)) for dialect, tree in self._dialects]
        dialect, refusal, _ = max(
            judged, key=lambda each: (isinstance(each[1], MethodNotAllowed), each[2], _is_of(key, each[0]))
        )
        return dialect, refusal

    def _tree(self, dialect: Dialect | None) -> Router[T]:
        return next((tree for each, tree in self._dialects if each is dialect), self._common)


def _is_of(key: str | None, dialect: Dialect) -> bool:
    return key is not None and key.startswith(KEYS[dialect.name].prefix)
