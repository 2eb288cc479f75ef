"""Trigger instances: made, listed, switched, removed. Source: Flowra contract 4.1, 5, 12."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from msgspec.structs import replace

from flowra_client import TRIGGERS, FlowraApi, bare, flowra, refused
from live import Api, NewApi, transform
from stepwell.values import Json, decode

ROW = {
    *("id", "slug", "triggerName", "toolSlug", "toolkitSlug", "type", "status", "isDisabled", "statusReason", "eUID"),
    *("username", "projectId", "workflowId", "connectedAccountId", "authConfigId", "triggerConfig", "webhookUrl"),
    *("invocationCount", "invocationErrors", "lastInvokedAt", "nextRunAt", "disabledAt", "createdAt", "updatedAt"),
}
UNKNOWN = "01890000-0000-7000-8000-000000000000"


@pytest.fixture
def client(api: Api) -> FlowraApi:
    return flowra(api)


@pytest.fixture
def workflow(api: Api) -> str:
    return bare(api.workflow(transform()))


def test_an_upsert_makes_a_row_of_exactly_the_listed_fields(client: FlowraApi, workflow: str) -> None:
    config = {"cron": "0 9 * * *", "timezone": "Europe/Berlin"}

    made = client.answer(
        "POST", f"{TRIGGERS}/schedule/upsert", {"workflowId": workflow, "triggerConfig": config}, status=201
    )

    row = made["data"]
    assert (made["success"], made["message"]) == (True, "Trigger created")
    assert set(row) == ROW | {"triggerId"}
    assert row["triggerId"] == row["id"]
    assert (row["slug"], row["triggerName"], row["toolSlug"], row["toolkitSlug"]) == (*["schedule"] * 3, None)
    assert (row["type"], row["status"], row["isDisabled"], row["statusReason"]) == ("schedule", "ACTIVE", False, None)
    assert (row["username"], row["eUID"], row["projectId"]) == ("project_default_user", *[client.workspace] * 2)
    assert (row["workflowId"], row["triggerConfig"]) == (workflow, config)
    assert row["nextRunAt"].endswith(("T07:00:00.000Z", "T08:00:00.000Z"))
    assert client.answer("GET", f"{TRIGGERS}/active")["data"] == [{name: row[name] for name in row if name in ROW}]


def test_the_same_identity_is_the_same_row_with_another_config(client: FlowraApi, workflow: str) -> None:
    first = client.upsert(workflowId=workflow, status=201)

    second = client.answer(
        "POST",
        f"{TRIGGERS}/schedule/upsert",
        {"workflowId": f"wf_{workflow.upper()}", "triggerConfig": {"cron": "0 8 * * *"}},
    )

    assert second["message"] == "Trigger updated"
    assert second["data"]["id"] == first["id"]
    assert second["data"]["triggerConfig"] == {"cron": "0 8 * * *"}
    assert second["data"]["nextRunAt"] != first["nextRunAt"]
    assert client.listed() == [first["id"]]


def test_twenty_upserts_at_once_make_one_row(client: FlowraApi, workflow: str) -> None:
    with ThreadPoolExecutor(20) as pool:
        rows = list(pool.map(lambda _: client.upsert(workflowId=workflow), range(20)))

    assert len({row["id"] for row in rows}) == 1
    assert len(client.listed()) == 1


def test_each_user_and_each_workflow_has_a_row_of_its_own(client: FlowraApi, api: Api, workflow: str) -> None:
    other = bare(api.workflow(transform()))

    rows = [
        client.upsert(workflowId=workflow),
        client.upsert(workflowId=other),
        client.upsert(),
        client.user("ada").upsert(workflowId=workflow),
        client.user("bob").upsert(workflowId=workflow),
    ]

    assert len({row["id"] for row in rows}) == 5
    assert [row["username"] for row in rows[2:]] == ["project_default_user", "ada", "bob"]
    assert client.user("ada").listed() == [rows[3]["id"]]
    assert len(client.listed()) == 5


def test_an_update_leaves_the_row_on_or_off_unless_it_says_so(client: FlowraApi) -> None:
    assert client.upsert(enabled=False)["status"] == "DISABLED"

    assert client.upsert(triggerConfig={"cron": "0 8 * * *"})["status"] == "DISABLED"
    assert client.upsert(enabled=True)["status"] == "ACTIVE"
    assert client.upsert()["status"] == "ACTIVE"
    assert client.upsert(enabled=False)["status"] == "DISABLED"


@pytest.mark.parametrize(
    ("config", "meant"),
    [
        ({"schedule": {"cron": "0 9 * * *"}}, {"cron": "0 9 * * *"}),
        ({"cron": {"interval": "15m"}}, {"interval": "15m"}),
        ({"interval": "2h", "note": "kept"}, {"interval": "2h", "note": "kept"}),
        ({"interval": {"value": 1, "unit": "days"}}, {"interval": {"value": 1, "unit": "days"}}),
    ],
)
def test_configs_are_flat_and_keep_what_is_not_known(client: FlowraApi, config: Json, meant: Json) -> None:
    row = client.upsert("cron", triggerConfig=config)

    assert (row["slug"], row["triggerConfig"]) == ("schedule", meant)


@pytest.mark.parametrize(
    ("config", "fields"),
    [
        ({}, ["triggerConfig.cron"]),
        ({"cron": "61 * * * *"}, ["triggerConfig.cron"]),
        ({"cron": "every day"}, ["triggerConfig.cron"]),
        ({"cron": "0 0 9 * * *"}, ["triggerConfig.cron"]),
        ({"cron": "0 9 * * *", "interval": "15m"}, ["triggerConfig.cron"]),
        ({"cron": "0 9 * * *", "timezone": "Europe/Atlantis"}, ["triggerConfig.timezone"]),
        ({"interval": "30s"}, ["triggerConfig.interval"]),
        ({"interval": "0m"}, ["triggerConfig.interval.value"]),
        ({"interval": {"value": 5}}, ["triggerConfig.interval.unit"]),
        ({"cron": "0 9 * * *", "input": 7}, ["triggerConfig.input"]),
        ({"cron": 5, "timezone": 5}, ["triggerConfig.cron", "triggerConfig.timezone"]),
        ({"cron": "0 9 * * *", "workflowId": 5}, ["triggerConfig.workflowId"]),
    ],
)
def test_faults_of_a_schedule_name_their_field(client: FlowraApi, config: Json, fields: list[str]) -> None:
    response = client("POST", f"{TRIGGERS}/schedule/upsert", {"triggerConfig": config})

    assert refused(response, 400) == fields
    assert client.listed("showDisabled=true") == []


def test_unknown_slugs_workflows_and_accounts_are_not_found(client: FlowraApi, new_api: NewApi) -> None:
    foreign = bare(new_api().workflow(transform()))

    def upsert(slug: str, **body: Json) -> list[str]:
        return refused(client("POST", f"{TRIGGERS}/{slug}/upsert", body), 404)

    upsert("nope")
    upsert("nope", triggerConfig=5)
    for each in (UNKNOWN, foreign, "x"):
        upsert("schedule", workflowId=each, triggerConfig={"cron": "0 9 * * *"})
        upsert("schedule", connectedAccountId=each, triggerConfig={"cron": "0 9 * * *"})


def test_the_workflow_may_stand_in_the_config(client: FlowraApi, api: Api, workflow: str) -> None:
    other = bare(api.workflow(transform()))
    config = {"cron": "0 9 * * *", "workflowId": workflow}

    row = client.upsert(triggerConfig=config)
    response = client("POST", f"{TRIGGERS}/schedule/upsert", {"workflowId": other, "triggerConfig": config})

    assert (row["workflowId"], row["triggerConfig"]) == (workflow, config)
    assert refused(response, 400) == ["triggerConfig.workflowId"]


@pytest.mark.parametrize(
    "body",
    [{"triggerConfig": []}, {"enabled": "yes"}, {"workflowId": 7}, {"connectedAccountId": {}}, []],
)
def test_wrong_bodies_are_refused(client: FlowraApi, body: Json) -> None:
    fields = refused(client("POST", f"{TRIGGERS}/schedule/upsert", body), 400)

    assert fields == ([*body] if isinstance(body, dict) else [""])


def test_a_config_over_64_kib_is_refused(client: FlowraApi) -> None:
    config = {"cron": "0 9 * * *", "note": "x" * 65_536}

    response = client("POST", f"{TRIGGERS}/schedule/upsert", {"triggerConfig": config})

    assert refused(response, 400) == ["triggerConfig"]


# -- webhooks


def test_an_unsigned_webhook_has_an_address_that_nobody_can_guess(client: FlowraApi) -> None:
    row = client.upsert("webhook")
    again = client.upsert("WEBHOOK", triggerConfig={"events": ["invoice.*"]})

    path = row["webhookUrl"].partition(f"/webhooks/custom/{client.workspace}/")[2]
    assert (row["type"], row["slug"]) == ("webhook", "webhook")
    assert len(path) >= 32 and "/" not in path
    assert again["webhookUrl"] == row["webhookUrl"]
    assert "hasSecret" not in row["triggerConfig"]


def test_a_secret_is_made_and_shown_once(client: FlowraApi) -> None:
    row = client.upsert("webhook", triggerConfig={"verification": "standard_webhooks"})
    again = client.upsert("webhook", triggerConfig={"verification": "standard_webhooks"})

    made = row["triggerConfig"]["secret"]
    assert made.startswith("whsec_")
    assert row["webhookUrl"].endswith(f"/webhooks/t/{row['id']}")
    assert again["triggerConfig"] == {"verification": "standard_webhooks", "hasSecret": True}
    assert made not in client("GET", f"{TRIGGERS}/active").text


def test_a_secret_that_is_sent_is_never_shown(client: FlowraApi) -> None:
    secret = "0123456789abcdef"

    response = client("POST", f"{TRIGGERS}/webhook/upsert", {"triggerConfig": {"secret": secret}})

    assert response.status_code == 201
    assert secret not in response.text
    assert decode(response.content)["data"]["triggerConfig"] == {"hasSecret": True}


def test_a_row_that_is_sent_back_stays_as_it_is(client: FlowraApi) -> None:
    signed = client.upsert("webhook", triggerConfig={"secret": "0123456789abcdef"})
    again = client.upsert("webhook", triggerConfig=signed["triggerConfig"])
    opened = client.upsert("webhook", triggerConfig={**signed["triggerConfig"], "verification": "none"})

    assert again["webhookUrl"] == signed["webhookUrl"]
    assert again["triggerConfig"] == {"hasSecret": True}
    assert opened["triggerConfig"] == {"verification": "none"}
    assert "/webhooks/custom/" in opened["webhookUrl"]


def test_a_secret_of_another_scheme_is_no_public_key(client: FlowraApi) -> None:
    client.upsert("webhook", triggerConfig={"verification": "github"})
    path, config = f"{TRIGGERS}/webhook/upsert", {"verification": "ed25519"}

    assert refused(client("POST", path, {"triggerConfig": config}), 400) == ["triggerConfig.secret"]
    assert client.upsert("webhook", triggerConfig={**config, "secret": "0a" * 32})["triggerConfig"]["hasSecret"] is True


def test_a_workflow_that_was_archived_is_not_found(client: FlowraApi, api: Api, workflow: str) -> None:
    api.data("POST", f"/workflows/{workflow}/archive")

    response = client("POST", f"{TRIGGERS}/webhook/upsert", {"workflowId": workflow})

    refused(response, 404, "Workflow not found")


def test_a_workflow_has_at_most_500_instances(client: FlowraApi, api: Api, workflow: str) -> None:
    first = client.user("u0").upsert(workflowId=workflow)
    core = api.server.parts.core

    async def fill() -> None:
        stored = await core.store.triggers.get(client.workspace, first["id"])
        assert stored is not None
        for _ in range(499):
            id = core.firings.run_id()
            await core.store.triggers.upsert(replace(stored, id=id, end_user=id))

    api.server.call(fill())

    refused(client.user("one-more")("POST", f"{TRIGGERS}/webhook/upsert", {"workflowId": workflow}), 409)
    assert client.user("u0").upsert(workflowId=workflow)["id"] == first["id"]  # those that are there can be changed


@pytest.mark.parametrize(
    ("config", "fields"),
    [
        ({"secret": "short"}, ["triggerConfig.secret"]),
        ({"secret": "x" * 257}, ["triggerConfig.secret"]),
        ({"verification": "none", "secret": "0123456789abcdef"}, ["triggerConfig.secret"]),
        ({"verification": "rot13"}, ["triggerConfig.verification"]),
        ({"verification": 5}, ["triggerConfig.verification"]),
        ({"verification": "ed25519"}, ["triggerConfig.secret"]),
        ({"verification": "github", "signatureHeader": "X-Own"}, ["triggerConfig.signatureHeader"]),
        ({"events": "invoice.paid"}, ["triggerConfig.events"]),
        ({"filters": {"amount": {"$like": 5}}}, ["triggerConfig.filters.amount.$like"]),
    ],
)
def test_faults_of_a_webhook_name_their_field(client: FlowraApi, config: Json, fields: list[str]) -> None:
    assert refused(client("POST", f"{TRIGGERS}/webhook/upsert", {"triggerConfig": config}), 400) == fields


# -- the list


def test_each_filter_narrows_the_list_and_several_intersect(client: FlowraApi, api: Api, workflow: str) -> None:
    hook = client.upsert("webhook")["id"]
    daily = client.upsert()["id"]
    bound = client.upsert(workflowId=workflow)["id"]

    for name in ("triggerIds", "trigger_ids", "triggerIds[]", "trigger_ids[]"):
        assert client.listed(f"{name}={hook}") == [hook]
        assert client.listed(f"{name}=trg_{hook.upper()}") == [hook]
    for name in ("triggerNames", "trigger_names"):
        assert client.listed(f"{name}=WebHook") == [hook]
        assert client.listed(f"{name}=cron") == [bound, daily]
    assert client.listed(f"triggerIds={hook}&trigger_ids={daily}") == [daily, hook]
    assert client.listed("triggerNames=webhook&trigger_names=schedule") == [bound, daily, hook]
    assert client.listed(f"triggerIds={hook},{daily}&triggerNames=schedule") == [daily]
    assert client.listed(f"workflowIds={workflow}") == [bound]
    for name in ("triggerIds", "connectedAccountIds", "authConfigIds", "workflowIds"):
        assert client.listed(f"{name}={UNKNOWN}") == client.listed(f"{name}=x") == []


def test_lists_are_written_in_any_mix(client: FlowraApi) -> None:
    ids = [client.user(name).upsert()["id"] for name in ("a", "b", "c", "d")]
    one, two, three, _ = ids
    wanted = [three, two, one]

    for query in (
        f"triggerIds={one}&triggerIds={two}&triggerIds={three}",
        f"triggerIds={one},{two},{three}",
        f"triggerIds[]={one}&triggerIds[]={two}&triggerIds[]={three}",
        f"triggerIds={one}&triggerIds[]={two},{three}",
    ):
        assert client.listed(query) == wanted


@pytest.mark.parametrize("text", ["true", "True", "TRUE", "1"])
def test_disabled_rows_are_shown_on_demand(client: FlowraApi, text: str) -> None:
    row = client.upsert(enabled=False)["id"]

    assert client.listed() == client.listed("showDisabled=False") == client.listed("showDisabled=0") == []
    assert client.listed(f"showDisabled={text}") == [row]


def test_pages_agree_with_their_numbers(client: FlowraApi) -> None:
    ids = [client.user(f"u{number}").upsert()["id"] for number in range(5)][::-1]
    path, cursor = f"{TRIGGERS}/active?limit=2", None

    for page in (1, 2, 3):
        by_page = client.answer("GET", f"{path}&page={page}")
        by_offset = client.answer("GET", f"{path}&offset={2 * page - 2}")
        by_cursor = client.answer("GET", path if cursor is None else f"{path}&cursor={cursor}&page=9")
        expected = ids[2 * page - 2 : 2 * page]
        for found in (by_page, by_offset, by_cursor):
            assert [row["id"] for row in found["data"]] == expected
            assert (found["total"], found["limit"], found["totalPages"]) == (5, 2, 3)
            assert (found["hasNextPage"], found["hasPreviousPage"]) == (page < 3, page > 1)
        assert by_page["nextCursor"] == by_offset["nextCursor"] == by_cursor["nextCursor"]
        assert (by_page["page"], by_offset["page"], by_page["message"]) == (page, page, "OK")
        cursor = by_cursor["nextCursor"]
    assert cursor is None


def test_the_list_is_ordered_and_projected_as_asked(client: FlowraApi) -> None:
    first, second = client.user("a").upsert()["id"], client.user("b").upsert()["id"]
    client.user("a").upsert(triggerConfig={"cron": "1 2 3 4 *"})

    assert client.listed("sortOrder=ASC") == [first, second]
    assert client.listed("sortBy=updatedAt") == [first, second]
    assert client.listed("sortBy=updatedAt&sortOrder=ASC&limit=1") == [second]
    assert client.listed("q=1 2 3") == [first]
    rows = client.answer("GET", f"{TRIGGERS}/active?fields=slug,status")["data"]
    assert rows[0] == {"id": second, "slug": "schedule", "status": "ACTIVE"}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=101", "limit"),
        ("limit=0", "limit"),
        ("page=0", "page"),
        ("page=two", "page"),
        ("offset=-1", "offset"),
        ("showDisabled=maybe", "showDisabled"),
        ("sortBy=name", "sortBy"),
        ("sortOrder=down", "sortOrder"),
        ("cursor=x", "cursor"),
        ("cursor=", "cursor"),
    ],
)
def test_bad_values_of_a_query_are_refused(client: FlowraApi, query: str, field: str) -> None:
    assert refused(client("GET", f"{TRIGGERS}/active?{query}"), 400) == [field]


def test_a_field_that_rows_do_not_have_is_refused(client: FlowraApi) -> None:
    client.upsert()

    assert refused(client("GET", f"{TRIGGERS}/active?fields=slug,colour"), 400) == ["fields"]


# -- status and removal


def test_a_patch_without_body_switches_over(client: FlowraApi) -> None:
    row = client.upsert()
    path = f"{TRIGGERS}/manage/{row['id']}/status"

    off = client.answer("PATCH", path)["data"]
    on = client.answer("PATCH", path, {})["data"]

    assert set(off) == ROW
    assert (off["status"], off["isDisabled"], off["nextRunAt"]) == ("DISABLED", True, None)
    assert off["disabledAt"] is not None
    assert (on["status"], on["disabledAt"], on["nextRunAt"]) == ("ACTIVE", None, row["nextRunAt"])


@pytest.mark.parametrize(
    ("off", "on"),
    [
        ({"status": "disable"}, {"status": "enable"}),
        ({"status": "DISABLED"}, {"status": "Enabled"}),
        ({"status": "inactive"}, {"status": "ACTIVE"}),
        ({"enabled": False}, {"enabled": True}),
        ({"isDisabled": True}, {"isDisabled": False}),
        ({"isDisabled": True, "status": "disable"}, {"enabled": True, "isDisabled": False}),
    ],
)
def test_a_status_that_is_said_is_set_however_often(client: FlowraApi, off: Json, on: Json) -> None:
    path = f"{TRIGGERS}/manage/{client.upsert()['id']}/status"

    said = [client.answer("PATCH", path, body)["data"]["status"] for body in (on, off, off, on, on)]

    assert said == ["ACTIVE", "DISABLED", "DISABLED", "ACTIVE", "ACTIVE"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"enabled": True, "isDisabled": True}, "isDisabled"),
        ({"status": "disable", "enabled": True}, "enabled"),
        ({"status": "off"}, "status"),
        ({"status": True}, "status"),
        ({"enabled": "no"}, "enabled"),
    ],
)
def test_contradictions_and_other_words_are_refused(client: FlowraApi, body: Json, field: str) -> None:
    row = client.upsert()["id"]

    assert refused(client("PATCH", f"{TRIGGERS}/manage/{row}/status", body), 400) == [field]
    assert client.listed() == [row]


def test_a_removed_trigger_is_gone(client: FlowraApi) -> None:
    path = f"{TRIGGERS}/manage/{client.upsert()['id']}"

    assert client.answer("DELETE", path) == {"success": True, "message": "Trigger deleted"}
    assert client.listed("showDisabled=1") == []
    again = client("DELETE", path)
    refused(again, 404, "Trigger instance not found")
    assert decode(again.content)["error"] == "Not Found"
    refused(client("PATCH", f"{path}/status"), 404, "Trigger instance not found")
    refused(client("PATCH", f"{TRIGGERS}/manage/{UNKNOWN}/status", {"enabled": 5}), 404)


def test_a_trigger_of_a_workflow_document_is_no_instance(client: FlowraApi, api: Api) -> None:
    trigger = {"type": "schedule", "cron": "0 9 * * *"}
    workflow = bare(api.workflow({**transform(), "trigger": trigger}))

    assert client.listed("showDisabled=1") == []
    refused(client("DELETE", f"{TRIGGERS}/manage/{workflow}"), 404)
    refused(client("PATCH", f"{TRIGGERS}/manage/{workflow}/status"), 404)


def test_of_another_user_or_workspace_nothing_exists(client: FlowraApi, new_api: NewApi) -> None:
    row = client.user("ada").upsert()["id"]
    stranger = flowra(new_api())

    for other in (client.user("bob"), stranger):
        assert other.listed("showDisabled=1") == other.listed(f"triggerIds={row}") == []
        refused(other("PATCH", f"{TRIGGERS}/manage/{row}/status"), 404)
        refused(other("DELETE", f"{TRIGGERS}/manage/{row}"), 404)
    assert client.answer("PATCH", f"{TRIGGERS}/manage/{row}/status")["data"]["username"] == "ada"


def test_a_trigger_of_an_inactive_workflow_has_nothing_due(client: FlowraApi, api: Api) -> None:
    workflow = api.workflow(transform(), active=False)

    row = client.upsert(workflowId=bare(workflow))
    api.data("POST", f"/workflows/{workflow}/activate")
    (active,) = client.answer("GET", f"{TRIGGERS}/active")["data"]

    assert (row["status"], row["nextRunAt"]) == ("ACTIVE", None)
    assert active["nextRunAt"] is not None
