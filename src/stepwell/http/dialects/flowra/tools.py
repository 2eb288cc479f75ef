"""The catalogue by the vendor's slugs: toolkits, tools and trigger tools. Source: Flowra contract 4.3, 5.1, 7.1."""

import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from stepwell.connectors import Connectors
from stepwell.values import Json

SCHEDULE, WEBHOOK = "schedule", "webhook"
OWN_TRIGGERS = {"schedule": SCHEDULE, "cron": SCHEDULE, "webhook": WEBHOOK}  # which no connector offers
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """Something a connector does (`action`) or tells of (`poll`, `webhook`). `name` is the core's:
    `stripe.createInvoice`; `params` and `output` are JSON Schemas, the latter empty if it is not known. `account` is
    required, optional or none."""

    name: str
    toolkit: str
    type: Literal["action", "poll", "webhook"]
    title: str
    description: str | None
    params: Json
    output: Json
    account: str

    @property
    def slug(self) -> str:
        """What the vendor calls it: `STRIPE_CREATE_INVOICE`."""
        return slug_of(self.name)


def slug_of(name: str) -> str:
    """The slug of a core name: `stripe.createInvoice` is `STRIPE_CREATE_INVOICE`."""
    return _WORD.sub("_", name).upper()


def stored_slug(connectors: Connectors, slug: str) -> str:
    """What the core calls a trigger slug: `github.push`; what is not known stays as it is, in lower case."""
    own = OWN_TRIGGERS.get(slug.lower())
    if own is not None:
        return own
    tool = event(connectors, slug)
    return slug.lower() if tool is None else tool.name


def shown_slug(stored: str) -> str:
    """The slug of a trigger as it is shown: `github_push`."""
    return slug_of(stored).lower()


def action(connectors: Connectors, slug: str) -> Tool | None:
    """The action of a slug, whatever its letter case; a core name is accepted as well."""
    return next((each for each in actions(connectors) if _is(each, slug)), None)


def event(connectors: Connectors, slug: str) -> Tool | None:
    """The event of a slug, likewise."""
    return next((each for each in events(connectors) if _is(each, slug)), None)


def actions(connectors: Connectors) -> Iterator[Tool]:
    """Every action of every connector."""
    for name in connectors.connectors():
        connector = connectors.get(name)
        if connector is None:
            continue
        for short, found in connector.actions.items():
            written = connector.manifest.actions[short]
            yield Tool(
                name=f"{name}.{short}",
                toolkit=name,
                type="action",
                title=written.title,
                description=written.description,
                params=found.params,
                output={},
                account="required" if connector.manifest.credentials else "none",
            )


def events(connectors: Connectors) -> Iterator[Tool]:
    """Every event of every connector."""
    for spec in connectors.events():
        yield Tool(
            name=spec.name,
            toolkit=spec.provider,
            type="poll" if spec.kind == "poll" else "webhook",
            title=spec.title,
            description=spec.description,
            params=spec.params,
            output=spec.output,
            account=spec.connection,
        )


def _is(tool: Tool, slug: str) -> bool:
    return tool.slug == slug.upper() or tool.name == slug
