"""`stepwell schedule next` without a server."""

import json

from unit.cli.conftest import Run


def test_a_cron_is_tried_out_without_a_server(run: Run) -> None:
    shown = run("schedule", "next", "--cron", "0 9 * * 1", "--timezone", "Asia/Kolkata", "--count", "2", "--json")

    told = json.loads(shown.stdout)
    assert told["timezone"] == "Asia/Kolkata"
    assert [each["local"][11:] for each in told["next"]] == ["09:00:00+05:30"] * 2


def test_a_cron_that_is_none_is_wrong_use_and_says_why(run: Run) -> None:
    shown = run("schedule", "next", "--cron", "61 * * * *", "--timezone", "Europe/Berln")

    assert shown.exit_code == 2
    assert "cron: minute 61: 61 is not between 0 and 59" in shown.stderr
    assert "did you mean Europe/Berlin?" in shown.stderr


def test_either_a_workflow_or_a_cron_is_asked_for(run: Run) -> None:
    assert run("schedule", "next").exit_code == 2
    assert run("schedule", "next", "mine", "--cron", "* * * * *").exit_code == 2


def test_warnings_follow_the_table(run: Run) -> None:
    shown = run("schedule", "next", "--cron", "30 2 25-31 3 *", "--timezone", "Europe/Berlin", "--count", "14")

    assert "02:30 does not exist and fires at 03:00 instead." in shown.stdout
