"""The reference of the HTTP API, made from the dialects' route tables."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import get_origin

from stepwell.cli.docs.fields import field_table, table
from stepwell.cli.docs.regions import Regions
from stepwell.http import DIALECTS, openapi_document
from stepwell.http.routes import Answer, Dialect, Route
from stepwell.values import Json


def regions() -> Regions:
    """The regions of the pages of all dialects; those of the native one are called `api-...`."""
    made: dict[str, Callable[[], str]] = {}
    for dialect in DIALECTS:
        name = "api" if dialect is DIALECTS[0] else dialect.name
        for what, make in (("overview", overview), ("routes", routes), ("objects", objects), ("codes", codes)):
            made[f"{name}-{what}"] = partial(make, dialect)
    return made


def overview(dialect: Dialect) -> str:
    """Every route of a dialect, a line each."""
    rows = [
        (f"`{route.method} {dialect.base}{route.path}`", route.summary, _scope(route), f"`{route.rate}`")
        for route in dialect.routes
    ]
    return table(("Route", "", "Scope", "Rate category"), rows)


def routes(dialect: Dialect) -> str:
    """Every route with what it takes, answers and refuses."""
    schemas = _schemas(dialect)
    return "\n\n".join(_route(dialect, route, schemas) for route in dialect.routes)


def objects(dialect: Dialect) -> str:
    """What the answers consist of."""
    inlined = {type_.__name__ for type_ in _inlined(dialect)}
    return "\n\n".join(
        f"### {name}\n\n{schema.get('description', '')}\n\n{field_table(schema)}"
        for name, schema in sorted(_schemas(dialect).items())
        if name not in inlined
    )


def codes(dialect: Dialect) -> str:
    """The code of every refusal, with its status."""
    return table(("Code", "Status"), [(f"`{code}`", str(status)) for code, status in dialect.statuses.items()])


def _scope(route: Route) -> str:
    if not route.scope:
        return "no key" if route.scope is None else "any key"
    return f"`{route.scope}`"


def _schemas(dialect: Dialect) -> dict[str, Json]:
    schemas: dict[str, Json] = openapi_document((dialect,))["components"]["schemas"]
    return schemas


def _inlined(dialect: Dialect) -> Iterator[type]:
    for route in dialect.routes:
        yield from (type_ for type_ in (route.query, route.body) if type_ is not None)


def _route(dialect: Dialect, route: Route, schemas: dict[str, Json]) -> str:
    parts = [f"### {route.method} {dialect.base}{route.path}", f"{route.summary}."]
    if route.headers:
        parts.append(f"Headers: {', '.join(f'`{name}`' for name in route.headers)}.")
    if route.query is not None:
        parts += ["Query:", field_table(schemas[route.query.__name__])]
    if route.body is dict:
        parts.append("Body: a [definition](workflows.md), or the fields of it that are to change.")
    elif route.body is not None:
        parts += ["Body:", field_table(schemas[route.body.__name__])]
    parts.append(f"Answers {' or '.join(map(_answer, route.answers))}.")
    if route.errors:
        refused = ", ".join(f"`{code}` ({dialect.statuses[code]})" for code in route.errors)
        parts.append(f"Refuses with {refused}{'; sheds load' if route.sheds else ''}.")
    return "\n\n".join(parts)


def _answer(answer: Answer) -> str:
    if answer.content != "application/json":
        return f"`{answer.status}` with `{answer.content}`"
    if answer.data is None:
        return f"`{answer.status}`"
    if answer.data is dict or get_origin(answer.data) is dict:
        return f"`{answer.status}` with {'a page of objects' if answer.listed else 'an object'}"
    name = answer.data.__name__
    link = f"[{name}](#{name.lower()})"
    return f"`{answer.status}` with {f'a page of {link}' if answer.listed else link}"
