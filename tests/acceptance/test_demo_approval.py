"""`stepwell demo approval`: a decision, an event, and a restart from inside the loop."""

import re

import pytest

from acceptance.processes import command
from stepwell.values import decode


@pytest.fixture(scope="module")
def printed() -> str:
    done = command("demo", "approval", "--exit", "--port", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_run_waits_for_a_person_and_then_for_an_event(printed: str) -> None:
    told = (
        "Step approve waits for an approval by lead@example.com until",
        "approve  success",
        "Step payment waits for an event of type paid until",
        "payment  success",
    )
    places = [printed.index(each) for each in told]

    assert places == sorted(places)


def test_the_link_that_is_printed_leads_to_this_server(printed: str) -> None:
    server = re.search(r"^Server +(\S+?),", printed, re.MULTILINE)
    link = re.search(r"^ +open +(\S+)$", printed, re.MULTILINE)

    assert server is not None
    assert link is not None
    assert re.fullmatch(rf"{re.escape(server[1])}/api/v1/approvals/apr_[0-9a-f-]+/decide\?token=[\w-]+", link[1])


def test_the_preview_tells_what_would_be_reused_and_what_has_side_effects(printed: str) -> None:
    assert "  lines[0].price-line  reused\n" in printed
    assert "  lines[1].price-line  would run\n" in printed
    assert "  approve  would run  (has side effects)\n" in printed


def test_the_restart_reuses_the_other_turn_and_sees_the_edited_input(printed: str) -> None:
    ran = printed[printed.index("What was reused and what ran") :]

    assert re.findall(r"^  (\S+)  (\w+)$", ran, re.MULTILINE)[:5] == [
        ("total", "reused"),
        ("over-limit", "reused"),
        ("lines[0].price-line", "reused"),
        ("lines", "success"),
        ("lines[1].price-line", "success"),
    ]
    assert '"total": 3800' in printed
    assert decode(ran[ran.index("output {") + 7 :].strip().splitlines()[0].encode())["result"] == "paid"
