"""Instances of polled events beside the workflows' documents."""

from collections.abc import Iterator

import pytest

from contract.providers import Place, has_looked, inputs, provider, trigger_when
from live import Api, transform
from stepwell.core import Wanted
from stepwell.store import FiringFilter, Trigger
from stepwell.values import Json

OLD = b'<rss version="2.0"><channel></channel></rss>'
NEW = b'<rss version="2.0"><channel><item><guid>1</guid><title>one</title></item></channel></rss>'


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place(body=OLD)
    with provider(made.answer) as url:
        made.url = url
        yield made


def make(api: Api, place: Place, workflow: str | None, **fields: Json) -> Trigger:
    """An instance whose first look was dealt with."""
    core = api.server.parts.core
    config = {"type": "event", "event": "rss.new_item", "params": {"url": place.url}, **fields}
    wanted = Wanted(slug="rss.new_item", config=config, workflow=None if workflow is None else workflow[3:])
    made, _ = api.server.call(core.triggers.upsert(api.workspace, wanted))
    return trigger_when(api, made.id, has_looked)


def poll(api: Api, instance: Trigger) -> Trigger:
    core = api.server.parts.core
    api.server.call(core.polls.poll(api.server.call(core.triggers.get(api.workspace, instance.id))))
    return api.server.call(core.triggers.get(api.workspace, instance.id))


def test_a_run_is_given_the_instances_input_the_trigger_and_the_item(api: Api, place: Place) -> None:
    workflow = api.workflow(transform())
    instance = make(api, place, workflow, input={"team": "a"})
    place.body = NEW

    poll(api, instance)

    (given,) = inputs(api, workflow)
    assert (given["team"], given["payload"]["title"]) == ("a", "one")
    assert {**given["trigger"], "firedAt": ""} == {
        "id": instance.id,
        "slug": "rss_new_item",
        "type": "poll",
        "firedAt": "",
    }


def test_an_instance_without_a_workflow_starts_all_that_name_it(api: Api, place: Place) -> None:
    workflows = [api.workflow(transform()) for _ in range(2)]
    store = api.server.parts.core.store
    for workflow in workflows:
        api.server.call(store.triggers.link(api.workspace, workflow[3:], ("rss.new_item",)))
    instance = make(api, place, None)
    place.body = NEW

    poll(api, instance)
    poll(api, instance)

    assert [len(inputs(api, workflow)) for workflow in workflows] == [1, 1]


def test_what_was_found_is_kept_with_the_firing(api: Api, place: Place) -> None:
    instance = make(api, place, api.workflow(transform()))
    place.body = NEW

    polled = poll(api, instance)

    wanted = FiringFilter(workspace=api.workspace, triggers=(instance.id,))
    (fired,), _ = api.server.call(api.server.parts.core.store.triggers.firings(wanted))
    assert (fired.source, fired.status, polled.fired) == ("poll", "started", 1)
    assert b'"title":"one"' in (fired.payload or b"")


def test_the_same_instance_with_the_same_config_goes_on_where_it_was(api: Api, place: Place) -> None:
    workflow = api.workflow(transform())
    instance = make(api, place, workflow)
    place.body = NEW

    again = make(api, place, workflow)
    poll(api, again)

    assert again.id == instance.id
    assert len(inputs(api, workflow)) == 1
