"""Names: those of actions and parameters, made of whatever a document calls them."""

import re
from collections.abc import Container

MAX_NAME = 100

_WORD = re.compile(r"[A-Za-z0-9_]+")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOT_IN_PARAMETER = re.compile(r"[^A-Za-z0-9_-]+")


def action_name(operation_id: object, method: str, path: str, taken: Container[str]) -> str:
    """`repos/list-for-user` is `reposListForUser`; without an operationId `GET /pets/{id}` is `getPetsById`. A name
    that is taken gets a number."""
    name = _joined(_WORD.findall(operation_id)) if isinstance(operation_id, str) else ""
    if not name:
        name = _joined([method.lower(), *_words_of(path)])
    name = name if _IDENTIFIER.match(name) else f"op{name}"
    return free(name[:MAX_NAME], taken)


def parameter_name(name: str, where: str, taken: Container[str]) -> str:
    """`filter[name]` is `filter_name`. One that is taken, or that a step's config has a use for, gets the place of the
    parameter, then a number."""
    plain = _NOT_IN_PARAMETER.sub("_", name).strip("_")[:MAX_NAME] or where
    return plain if plain not in taken else free(f"{plain}_{where}", taken)


def free(name: str, taken: Container[str]) -> str:
    """The name, or the first of `name2`, `name3` and so on that is not taken."""
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}{number}"
    return found


def read(name: str, root: str = "params") -> str:
    """The expression that reads a member: `params.limit`, `params["X-Trace"]`."""
    return f"{root}.{name}" if _IDENTIFIER.fullmatch(name) else f'{root}["{name}"]'


def _words_of(path: str) -> list[str]:
    words: list[str] = []
    for segment in path.split("/"):
        inner = _WORD.findall(segment)
        words += [word for each in inner for word in (["by", each] if "{" in segment else [each])]
    return words


def _joined(words: list[str]) -> str:
    return "".join([words[0], *(word[0].upper() + word[1:] for word in words[1:])]) if words else ""
