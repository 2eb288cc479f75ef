"""`stepwell demo triggers`: a signed webhook, a schedule, and a trigger instance through its life."""

import re

import pytest

from acceptance.processes import command


@pytest.fixture(scope="module")
def printed() -> str:
    done = command("demo", "triggers", "--exit", "--port", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_signed_webhook_starts_one_run_and_its_repeat_none(printed: str) -> None:
    assert re.search(r'200 \{"received": true, "eventId": "evt_[0-9a-f-]+", "workflowsTriggered": 1\}', printed)
    assert re.search(r'run run_\S+: completed, output .*"amount": 48.6', printed)
    assert re.search(r'the same again: .*"workflowsTriggered": 0, "duplicate": true', printed)


def test_a_webhook_signed_by_somebody_else_is_rejected_and_kept(printed: str) -> None:
    kept = printed[printed.index("deliveries, newest first") :]

    assert "with another secret: 401" in printed
    assert re.findall(r"^    evt_\S+  (\w+)", kept, re.MULTILINE)[:3] == ["rejected", "duplicate", "processed"]


def test_the_schedule_tells_its_next_ten_firings_and_fires(printed: str) -> None:
    told = printed[printed.index("its next ten firings") :]

    assert len(re.findall(r"^    \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0[12]:00$", told, re.MULTILINE)) == 10
    assert len(re.findall(r'^  fired: run_\S+  \{"at": ', told, re.MULTILINE)) == 2


def test_the_instance_is_one_row_however_often_it_is_upserted(printed: str) -> None:
    assert re.findall(r"upsert \S.*?: (Trigger \w+),", printed) == ["Trigger created", "Trigger updated"]
    assert "active: 1 row, one id for both: yes" in printed


def test_the_instance_is_disabled_enabled_and_deleted_once(printed: str) -> None:
    assert re.findall(r"^  (disable|enable): (\w+)$", printed, re.MULTILINE) == [
        ("disable", "DISABLED"),
        ("enable", "ACTIVE"),
    ]
    assert "  delete: Trigger deleted\n  delete again: 404 Trigger instance not found\n" in printed
