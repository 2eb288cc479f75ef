"""Which route a path leads to: one tree over all dialects, a segment a level."""

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
        node: _Node[T] | None = self._root
        values: list[str] = []
        for segment in path[1:].split("/"):
            assert node is not None
            child = node.children.get(segment)
            if child is None:
                child = node.parameter
                if child is None or not segment:
                    raise RouteNotFound
                values.append(segment)
            node = child
        assert node is not None
        found = node.methods.get(method)
        if found is None:
            if not node.methods:
                raise RouteNotFound
            raise MethodNotAllowed(tuple(sorted(node.methods)))
        target, names = found
        return target, dict(zip(names, values, strict=True)) if names else {}

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
