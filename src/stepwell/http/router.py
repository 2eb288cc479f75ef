"""Which route a path leads to: a tree, a segment a level."""

from typing import Generic, TypeVar

from stepwell.http.errors import MethodNotAllowed, RouteNotFound

T = TypeVar("T")


class _Node(Generic[T]):
    __slots__ = ("children", "methods", "parameter")

    def __init__(self) -> None:
        self.children: dict[str, _Node[T]] = {}
        self.parameter: _Node[T] | None = None
        self.methods: dict[str, tuple[T, tuple[str, ...]]] = {}


class Router(Generic[T]):
    """Paths such as `/runs/{id}/logs`; a literal segment wins over a parameter."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()

    def add(self, method: str, path: str, target: T) -> None:
        """Let a method on a path lead to the target."""
        node, names = self._reach(path)
        if method in node.methods:
            raise ValueError(f"two routes for {method} {path}")
        node.methods[method] = (target, names)

    def close(self, path: str) -> None:
        """Let a path lead nowhere, though a parameter would match it."""
        self._reach(path)

    def match(self, method: str, path: str) -> tuple[T, dict[str, str]]:
        """The target, and the values of the path's parameters.

        Raises:
            RouteNotFound, MethodNotAllowed.
        """
        found = self.find(method, path)
        if found is None:
            raise self.refused(path)
        return found

    def find(self, method: str, path: str) -> tuple[T, dict[str, str]] | None:
        """The same, None if there is no target."""
        node, values, _ = self._follow(path)
        found = node.methods.get(method) if node is not None else None
        if found is None:
            return None
        target, names = found
        return target, dict(zip(names, values, strict=True)) if names else {}

    def refused(self, path: str) -> RouteNotFound | MethodNotAllowed:
        """Why a path led nowhere."""
        node, _, _ = self._follow(path)
        if node is None or not node.methods:
            return RouteNotFound()
        return MethodNotAllowed(tuple(sorted(node.methods)))

    def depth(self, path: str) -> int:
        """How many segments of a path lead somewhere."""
        return self._follow(path)[2]

    def _follow(self, path: str) -> tuple[_Node[T] | None, list[str], int]:
        """The node of a path, None if there is none; the values of parameters, and how many segments were found."""
        node: _Node[T] = self._root
        values: list[str] = []
        depth = 0
        for segment in path[1:].split("/"):
            child = node.children.get(segment)
            if child is None:
                child = node.parameter
                if child is None or not segment:
                    return None, values, depth
                values.append(segment)
            node = child
            depth += 1
        return node, values, depth

    def _reach(self, path: str) -> tuple[_Node[T], tuple[str, ...]]:
        node, names = self._root, []
        for segment in path[1:].split("/"):
            if segment.startswith("{"):
                names.append(segment[1:-1])
                if node.parameter is None:
                    node.parameter = _Node()
                node = node.parameter
            else:
                node = node.children.setdefault(segment, _Node())
        return node, tuple(names)
