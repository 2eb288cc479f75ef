"""What tests of endpoints share: endpoints and messages to store."""

import msgspec

from conformance.runs import NOW, Story
from stepwell.store import Endpoint, EndpointMessage

EVENTS = ("run.started", "run.completed", "run.failed", "run.cancelled", "run.suspended")
MOST = 50


def an_endpoint(story: Story, **fields: object) -> Endpoint:
    endpoint = Endpoint(
        workspace=story.workspace,
        id=story.ids.new(),
        url="https://example.com/hooks",
        description=None,
        events=EVENTS,
        enabled=True,
        disabled_reason=None,
        sealed=b"sealed",
        updated_at=NOW,
    )
    return msgspec.structs.replace(endpoint, **fields)


async def listening(story: Story, *events: str, **fields: object) -> Endpoint:
    """An endpoint that is told of these events, of all if none are named."""
    endpoint = an_endpoint(story, events=events or EVENTS, **fields)
    assert await story.store.endpoints.create(endpoint, MOST)
    return endpoint


def a_message(endpoint: Endpoint, story: Story, **fields: object) -> EndpointMessage:
    message = EndpointMessage(
        workspace=endpoint.workspace, id=story.ids.new(), endpoint=endpoint.id, type="run.failed", at=NOW, due=NOW
    )
    return msgspec.structs.replace(message, **fields)


async def told(story: Story, endpoint: Endpoint) -> list[EndpointMessage]:
    """What an endpoint is to be sent, oldest first."""
    found = await story.store.endpoints.due_messages(endpoint.id, NOW + 1000, 100)
    return sorted(found, key=lambda message: (message.at, message.type != "run.started"))


async def types(story: Story, endpoint: Endpoint) -> list[str]:
    """The events in what an endpoint is to be sent, oldest first."""
    return [message.type for message in await told(story, endpoint)]
