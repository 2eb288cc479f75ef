"""Settings of a deploy: what they may be, told at once when they are stored and when they are sent. Source: AwaitStep
contract 4.2, 7."""

import pytest

from awaitstep_client import AwaitstepApi, awaitstep, simple
from live import Api
from stepwell.values import Json, decode

SECRET = {"type": "secret", "secretName": "CALLER"}


@pytest.fixture
def client(api: Api) -> AwaitstepApi:
    return awaitstep(api)


FAULTS = [
    ({"nonsense": 1}, ["nonsense: Unknown setting"]),
    ({"cronTriggers": "* * * * *"}, ["cronTriggers: Expected array"]),
    ({"cronTriggers": [5]}, ["cronTriggers[0]: Expected a cron expression"]),
    ({"cronTriggers": ["* * * * *", "* * * * *"]}, ["cronTriggers[1]: Stands here twice"]),
    ({"cronTriggers": ["61 * * * *"]}, ["cronTriggers[0]: minute 61: 61 is not between 0 and 59"]),
    ({"cronTriggers": [f"{n % 60} {n // 60} * * *" for n in range(101)]}, ["cronTriggers: At most 100 schedules"]),
    ({"auth": "key"}, ["auth: Expected object"]),
    ({"auth": {"type": "basic"}}, ["auth.type: Expected key or secret"]),
    ({"auth": {"type": "secret"}}, ["auth.secretName: Required"]),
    ({"auth": {**SECRET, "secretName": "a b"}}, ["auth.secretName: Expected the name of a secret variable"]),
    ({"auth": {**SECRET, "header": "a b"}}, ["auth.header: Expected the name of a header"]),
    ({"nonsense": 1, "auth": {}}, ["nonsense: Unknown setting", "auth.type: Expected key or secret"]),
]


def told(answer: Json, place: str) -> list[str]:
    assert answer["error"] == "Invalid deployment config"
    return [f"{each['path'].removeprefix(f'{place}.')}: {each['message']}" for each in answer["details"]]


@pytest.mark.parametrize(("config", "faults"), FAULTS)
def test_settings_are_checked_when_they_are_stored(client: AwaitstepApi, config: Json, faults: list[str]) -> None:
    path = f"/api/workflows/{client.create()}"

    answer = client.answer("PATCH", path, {"deployConfig": config}, 422)

    assert told(answer, "deployConfig") == faults
    assert client.answer("GET", path)["deployConfig"] == "{}"


@pytest.mark.parametrize(("config", "faults"), FAULTS)
def test_settings_are_checked_when_they_are_sent(client: AwaitstepApi, config: Json, faults: list[str]) -> None:
    workflow = client.create()
    client.save(workflow, simple())

    assert told(client.deploy(workflow, 422, config=config), "config") == faults


def test_a_function_has_no_schedules(client: AwaitstepApi) -> None:
    function = client.create(kind="script")

    answer = client.answer(
        "PATCH", f"/api/workflows/{function}", {"deployConfig": {"cronTriggers": ["* * * * *"]}}, 422
    )

    assert told(answer, "deployConfig") == ["cronTriggers: A function has no runs, and so no schedules"]


def test_stored_settings_are_read_back_as_text(client: AwaitstepApi) -> None:
    config = {"cronTriggers": ["0 9 * * *"], "limits": {"cpuMs": 5}, "auth": None}

    changed = client.answer("PATCH", f"/api/workflows/{client.create()}", {"deployConfig": config})

    assert decode(changed["deployConfig"].encode()) == config


def test_settings_without_a_meaning_here_are_kept_and_named_in_the_warnings(client: AwaitstepApi) -> None:
    workflow = client.create()
    client.save(workflow, simple())
    client.answer("PATCH", f"/api/workflows/{workflow}", {"deployConfig": {"limits": {}, "placement": "smart"}})

    warnings = client.deploy(workflow)["warnings"]

    assert warnings == [
        "deployConfig.limits has no meaning here",
        "deployConfig.placement has no meaning here",
    ]


def test_what_is_sent_stands_above_what_is_stored(client: AwaitstepApi) -> None:
    workflow = client.create()
    client.save(workflow, simple())
    client.answer("PATCH", f"/api/workflows/{workflow}", {"deployConfig": {"limits": {}}})

    assert client.deploy(workflow, config={"placement": "smart"})["warnings"] == [
        "deployConfig.limits has no meaning here",
        "deployConfig.placement has no meaning here",
    ]


def test_the_secret_that_callers_must_send_has_to_be_there(client: AwaitstepApi) -> None:
    workflow = client.create()
    client.save(workflow, simple())

    refused = client.deploy(workflow, 400, config={"auth": SECRET})

    assert refused == {"error": "Missing or unresolved environment variables: CALLER"}
