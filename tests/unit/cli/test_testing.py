"""`stepwell test`: cases played on the real engine, and what is told of them."""

import re
from pathlib import Path
from textwrap import dedent, indent
from xml.etree import ElementTree

import pytest
from typer.testing import Result

from stepwell.cli.testing import text
from stepwell.values import decode
from unit.cli.conftest import Run

ROOT = Path(__file__).parents[3]

ASKING = """
{id: ask, type: api, config: {url: "https://crm.example.com/{{input.id}}"}, retryConfig: {maxAttempts: 3}}
"""
PURE = """{id: pure, type: transform, config: {mapping: {name: Ana}}}"""
SHAPE = """{id: shape, type: transform, config: {mapping: {name: "{{steps.ask.output.data.name}}"}}}"""


class Play:
    """Writes a file of cases and plays it."""

    def __init__(self, run: Run, folder: Path) -> None:
        self._run = run
        self.file = folder / "some.test.yaml"

    def __call__(self, steps: str, cases: str, *options: str, **fields: str) -> Result:
        """`steps` are lines of YAML flow mappings, `cases` a list; both in any indentation."""
        lines = [f"    - {line}" for line in steps.strip().splitlines()]
        more = [f"  {name}: {value}" for name, value in fields.items()]
        head = ["workflow:", "  name: Some", "  trigger: {type: api}", *more, "  steps:", *lines, "cases:"]
        self.file.write_text("\n".join(head) + "\n" + indent(dedent(cases), "  "))
        return self._run("test", self.file, *options)


@pytest.fixture
def play(run: Run, tmp_path: Path) -> Play:
    return Play(run, tmp_path)


def test_a_case_that_is_as_expected_passes(play: Play) -> None:
    done = play(
        ASKING + SHAPE,
        """
        - name: asks and shapes
          input: {id: 7}
          mocks: {ask: {output: {data: {name: Ana, age: 30}}}}
          expect:
            output: {name: Ana}
            path: [ask, shape]
            steps: {ask: {status: success, input: {url: "https://crm.example.com/7"}}}
        """,
    )

    assert (done.exit_code, "passed  asks and shapes" in done.stdout) == (0, True), done.output
    assert "1 passed in" in done.stdout


def test_a_case_that_is_not_as_expected_shows_the_difference_and_nothing_else(play: Play) -> None:
    done = play(
        ASKING + SHAPE,
        """
        - name: wrong
          mocks: {ask: {output: {data: {name: Bo}}}}
          expect: {output: {name: Ana}, path: [ask, shape]}
        """,
    )

    changed = [line.strip() for line in done.stdout.splitlines() if line.strip()[:1] in "+-"]
    assert done.exit_code == 1
    assert changed == ["--- expected", "+++ actual", '-    "name": "Ana"', '+    "name": "Bo"']
    assert "1 failed" in done.stdout


def test_maps_are_matched_as_subsets_unless_exact_is_said(play: Play) -> None:
    case = "- {{name: a, expect: {{output: {{x: 1}}, exact: {exact}}}}}"
    step = "{id: more, type: transform, config: {mapping: {x: 1, y: {z: 2}}}}"

    assert play(step, case.format(exact="false")).exit_code == 0
    exact = play(step, case.format(exact="true"))

    assert exact.exit_code == 1
    assert '+      "z": 2' in exact.stdout


@pytest.mark.parametrize("expected", ["[1, 2]", "[1, 2, 3, 4]", "[1, 3, 2]", "'1, 2, 3'", "null"])
def test_lists_must_be_equal(play: Play, expected: str) -> None:
    step = "{id: a, type: transform, config: {mapping: {list: [1, 2, 3]}}}"

    assert play(step, f"- {{name: a, expect: {{output: {{list: {expected}}}}}}}").exit_code == 1


@pytest.mark.parametrize(("expected", "code"), [("1.0", 0), ("1.50", 1), ("true", 1), ("'1'", 1)])
def test_numbers_are_compared_as_numbers_and_as_nothing_else(play: Play, expected: str, code: int) -> None:
    step = "{id: a, type: transform, config: {mapping: {n: 1}}}"

    assert play(step, f"- {{name: a, expect: {{output: {{n: {expected}}}}}}}").exit_code == code


def test_a_run_is_expected_to_complete(play: Play) -> None:
    failed = play(ASKING, "- {name: a, mocks: {ask: {error: {httpStatus: 404}}}}")

    assert failed.exit_code == 1
    assert "The run's error at ask: HTTP 404 Not Found (STEP_ERROR)" in failed.stdout


def test_an_expected_failure_passes(play: Play) -> None:
    done = play(
        ASKING + SHAPE,
        """
        - name: refused
          mocks: {ask: {error: {httpStatus: 404, message: No such customer}}}
          expect:
            status: failed
            error: {code: STEP_ERROR, message: No such customer, stepId: ask}
            steps:
              ask: {status: error, attempt: 1, error: {details: {httpStatus: 404, retryable: false}}}
              shape: null
        """,
    )

    assert done.exit_code == 0, done.output


def test_a_list_of_mocks_gives_one_to_each_attempt(play: Play) -> None:
    done = play(
        ASKING + SHAPE,
        """
        - name: third time lucky
          mocks: {ask: [{error: {httpStatus: 503}}, {error: {kind: network}}, {output: {data: {name: Ana}}}]}
          expect: {output: {name: Ana}, steps: {ask: {attempt: 3}}}
        """,
    )

    assert done.exit_code == 0, done.output
    assert "3 s on its clock" in done.stdout


def test_a_list_of_mocks_that_is_too_short_fails_the_case(play: Play) -> None:
    done = play(
        ASKING,
        """
        - {name: short, mocks: {ask: [{error: {httpStatus: 503}}]}, expect: {status: failed}}
        """,
    )

    assert done.exit_code == 1
    assert "ask is call 2 of mocks.ask, for which 1 answer is given" in done.stdout


def test_a_mock_that_takes_longer_than_the_step_may_is_a_timeout(play: Play) -> None:
    done = play(
        "{id: ask, type: api, timeoutMs: 5000, config: {url: 'https://x.example.com'}}",
        """
        - {name: in time, mocks: {ask: {output: 1, after: 4s}}}
        - name: too late
          mocks: {ask: {output: 1, after: 6s}}
          expect: {status: failed, error: {message: Connection timeout}}
        """,
    )

    assert done.exit_code == 0, done.output
    assert "4 s on its clock" in done.stdout
    assert "5 s on its clock" in done.stdout


def test_mocks_that_take_their_time_run_beside_each_other(play: Play) -> None:
    done = play(
        """
        {id: slow, type: api, needs: [], config: {url: 'https://a.example.com'}}
        {id: fast, type: api, needs: [], config: {url: 'https://b.example.com'}}
        {id: last, type: transform, needs: [fast], config: {mapping: {at: "{{now}}"}}}
        """,
        """
        - name: beside
          clock: 2024-03-01T00:00:00Z
          mocks: {slow: {output: 1, after: 20s}, fast: {output: 2, after: 10s}}
          expect: {steps: {last: {output: {at: 2024-03-01T00:00:10.000Z}}}}
        """,
    )

    assert done.exit_code == 0, done.output
    assert "20 s on its clock" in done.stdout


@pytest.mark.parametrize(("handling", "status"), [("fail", "failed"), ("continue", "completed")])
def test_an_effect_without_a_mock_fails_the_case_and_says_how(play: Play, handling: str, status: str) -> None:
    step = f"{{id: ask, type: api, config: {{url: 'https://x.example.com'}}, errorHandling: {{strategy: {handling}}}}}"

    done = play(step, f"- {{name: forgotten, expect: {{status: {status}}}}}")

    assert done.exit_code == 1
    assert "ask (api) reaches outside and has no mock. Add to the case:  mocks: {ask: {output: ...}}" in done.stdout


def test_a_wait_of_days_takes_no_time_and_is_seen_by_the_clock(play: Play) -> None:
    done = play(
        """
        {id: rest, type: wait, config: {duration: 3, unit: days}}
        {id: shape, type: transform, config: {mapping: {at: "{{now}}"}}}
        """,
        "- {name: rests, clock: 2024-02-27T12:00:00Z, expect: {output: {at: 2024-03-01T12:00:00.000Z}}}",
    )

    assert done.exit_code == 0, done.output
    assert "3 d on its clock" in done.stdout


def test_the_limit_of_a_run_counts_on_the_cases_clock(play: Play) -> None:
    done = play(
        "{id: rest, type: wait, config: {duration: 3, unit: days}}",
        "- {name: late, expect: {status: timeout, error: {code: TIMEOUT}}}",
        settings="{timeoutMs: 3600000}",
    )

    assert done.exit_code == 0, done.output
    assert "1 h on its clock" in done.stdout


def test_a_template_that_cannot_be_rendered_fails_as_on_a_server(play: Play) -> None:
    done = play(
        '{id: a, type: transform, config: {mapping: {n: "{{input.text | plus: 1}}"}}}',
        "- {name: a, input: {text: word}, expect: {status: failed, error: {code: TEMPLATE_ERROR, stepId: a}}}",
    )

    assert done.exit_code == 0, done.output


def test_an_input_that_does_not_fit_is_refused_and_defaults_are_filled_in(play: Play) -> None:
    schema = "{type: object, required: [id], properties: {id: {type: number}, n: {default: 5}}}"
    step = '{id: a, type: transform, config: {mapping: {n: "{{input.n}}"}}}'

    done = play(
        step,
        """
        - {name: default, input: {id: 1}, expect: {output: {n: 5}}}
        - name: refused
          input: {id: x}
          expect: {status: refused, error: {code: VALIDATION_ERROR, fields: {id: "Expected number, received string"}}}
        """,
        inputSchema=schema,
    )

    assert done.exit_code == 0, done.output


def test_secrets_are_given_by_the_case_and_shown_masked(play: Play) -> None:
    step = """{id: ask, type: api, config: {url: "https://x.example.com", headers: {k: "{{secrets.KEY}}"}}}"""

    given = play(
        step,
        """
        - name: with
          secrets: {KEY: sesame}
          mocks: {ask: {output: {echo: sesame}}}
          expect: {steps: {ask: {input: {headers: {k: "[secret]"}}, output: {echo: "[secret]"}}}}
        """,
    )
    missing = play(step, "- {name: without, mocks: {ask: {output: 1}}}")

    assert given.exit_code == 0, given.output
    assert missing.exit_code == 1
    assert "secrets: {KEY: ...}" in missing.stdout


def test_variables_of_a_case_stand_for_those_of_the_definition(play: Play) -> None:
    step = '{id: a, type: transform, config: {mapping: {x: "{{variables.x}}", y: "{{variables.y}}"}}}'

    done = play(step, "- {name: a, variables: {x: 2}, expect: {output: {x: 2, y: 1}}}", variables="{x: 1, y: 1}")

    assert done.exit_code == 0, done.output


def test_an_action_needs_no_connection_but_is_checked(play: Play) -> None:
    invoice = "{id: invoice, type: action, action: stripe.createInvoice, config: {customerId: c, amount: 5}}"

    done = play(invoice, "- {name: a, mocks: {invoice: {output: {number: INV-1}}}, expect: {output: {number: INV-1}}}")
    unknown = play(invoice.replace("createInvoice", "makeCoffee"), "- {name: a}")

    assert done.exit_code == 0, done.output
    assert unknown.exit_code == 2
    assert "workflow.steps[0].action: Unknown action: stripe.makeCoffee" in unknown.stdout


LOOP = """
{id: each, type: loop, config: {collection: "{{input.ids}}", steps: [{id: ask, type: api, config: {url: "https://x.example.com/{{item}}"}}]}}
"""
APPROVAL = """
{id: allow, type: approval, config: {approvers: [ana@example.com], reason: Fine, timeout: 7d, notifyChannels: [email]}}
"""
PAID = "{id: paid, type: wait_for_event, config: {eventType: paid, match: {id: 5}, timeoutMs: 864000000}}"
CHILD = "{id: sub, type: subworkflow, config: {workflowId: wf_child, inputMapping: {x: 1}}}"


def test_a_list_of_mocks_gives_one_to_each_turn_and_a_path_has_its_own(play: Play) -> None:
    done = play(
        LOOP,
        """
        - name: in turn
          input: {ids: [a, b, c]}
          mocks: {ask: [{output: {n: 1}}, {output: {n: 3}}], "each[1].ask": {output: {n: 2}}}
          expect:
            path: [each, "each[0].ask", "each[1].ask", "each[2].ask"]
            output: {results: [{n: 1}, {n: 2}, {n: 3}]}
            steps: {"each[2].ask": {input: {url: "https://x.example.com/c"}}}
        """,
    )

    assert done.exit_code == 0, done.output


def test_an_approval_is_decided_on_the_cases_clock_by_whom_it_says(play: Play) -> None:
    done = play(
        APPROVAL,
        """
        - name: approved
          approvals: {allow: {decision: approve, by: ana@example.com, comment: go, after: 2d}}
          expect:
            output: {approved: true, approvedBy: ana@example.com, comment: go, timedOut: false}
            notified: [{step: allow, to: [ana@example.com], escalated: false}]
        - name: rejected
          approvals: {allow: {decision: reject}}
          expect: {output: {approved: false, timedOut: false}}
        - name: nobody decides
          expect: {output: {approved: false, timedOut: true}}
        """,
    )

    assert done.exit_code == 0, done.output
    assert ["2 d on" in done.stdout, "7 d on" in done.stdout] == [True, True]


def test_a_decision_by_somebody_who_was_not_asked_fails_the_case(play: Play) -> None:
    done = play(APPROVAL, "- {name: a, approvals: {allow: {decision: approve, by: bo@example.com}}}")

    assert done.exit_code == 1
    assert "The decision by bo@example.com on allow was refused" in done.stdout


def test_events_come_at_their_time_or_after_a_step(play: Play) -> None:
    done = play(
        PAID
        + "\n{id: rest, type: wait, config: {duration: 1, unit: hours}}\n"
        + PAID.replace("id: paid,", "id: again,"),
        """
        - name: in time
          events:
            - {at: +1d, type: paid, payload: {id: 4}}
            - {at: +2d, type: paid, payload: {id: 5}}
            - {after: rest, at: +3d, type: paid, payload: {id: 5, last: true}}
          expect: {steps: {paid: {output: {payload: {id: 5}}}, again: {output: {payload: {last: true}}}}}
        - name: too late
          events: [{at: +20d, type: paid, payload: {id: 5}}]
          expect: {status: failed, error: {code: EVENT_TIMEOUT, stepId: paid}}
        """,
    )

    assert done.exit_code == 0, done.output
    assert "5 d 1 h on its clock" in done.stdout
    assert "10 d on its clock" in done.stdout


def test_a_run_that_nothing_reaches_stays_suspended_and_says_what_was_not_sent(play: Play) -> None:
    waiting = "{id: paid, type: wait_for_event, config: {eventType: paid}}\n" + PURE
    event = "events: [{after: pure, type: paid}]"

    expected = play(waiting, f"- {{name: waits, {event}, expect: {{status: suspended}}}}")
    surprising = play(waiting, f"- {{name: waits, {event}}}")

    assert expected.exit_code == 0, expected.output
    assert surprising.exit_code == 1
    assert "The event paid was not sent: pure never ended" in surprising.stdout


def test_a_subworkflow_comes_to_what_its_mock_says(play: Play) -> None:
    done = play(
        CHILD,
        """
        - name: completes
          subworkflows: {child: {output: {y: 2}, after: 3h}}
          expect: {output: {result: {y: 2}, status: completed, durationMs: 10800000}}
        - name: by the step
          mocks: {sub: {output: {y: 3}}}
          expect: {output: {result: {y: 3}}}
        - name: fails
          subworkflows: {wf_child: {error: {message: It broke}}}
          expect: {status: failed, error: {code: SUBWORKFLOW_FAILED, stepId: sub}}
        """,
    )

    assert done.exit_code == 0, done.output


def test_a_subworkflow_may_really_run_with_mocks_of_its_own(play: Play) -> None:
    child = """
    - name: real
      subworkflows:
        child:
          workflow:
            name: Child
            trigger: {type: api}
            steps: [{id: deep, type: api, config: {url: "https://c.example.com/{{input.x}}"}}]
          mocks: %s
      expect: {output: {result: {z: 1}}}
    """

    done = play(CHILD, child % "{deep: {output: {z: 1}}}")
    forgotten = play(CHILD, child % "{}")

    assert done.exit_code == 0, done.output
    assert "subworkflows.child.mocks: {deep: {output: ...}}" in forgotten.stdout


def test_a_subworkflow_without_a_mock_fails_the_case_and_says_how(play: Play) -> None:
    done = play(CHILD, "- {name: forgotten}")

    assert done.exit_code == 1
    assert "Add to the case:  subworkflows: {child: {output: ...}}" in done.stdout


def test_the_faster_branch_wins_a_race(play: Play) -> None:
    ask = "{{id: {0}, type: api, config: {{url: 'https://{0}.example.com'}}}}".format
    race = f"{{id: r, type: race, config: {{branches: [[{ask('a')}], [{ask('b')}]]}}}}"

    done = play(
        race,
        """
        - name: b is faster
          mocks: {a: {output: 1, after: 2s}, b: {output: 2, after: 1s}}
          expect: {output: {branch: 1, value: 2}}
        """,
    )

    assert done.exit_code == 0, done.output
    assert ", 1 s on its clock" in done.stdout


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("a: [1\nb: 2", "line 2: Not YAML: "),
        ("", "line 1: The file is empty"),
        ("cases: [{name: a}]", "line 1: workflow: Required"),
        ("workflow: &x\n  a: [*x, *x]", "line 1: workflow.a[0]: Nested deeper than 128"),
        ("workflow: w.json\ncases: [{name: a}]\nname: n\nname: m", "line 4: name: This key stands here twice"),
        ("workflow: none.json\ncases: [{name: a}]", "line 1: workflow: none.json cannot be read"),
        ("workflow: w.json\ncases:\n- name: a\n  inputs: {}", "line 4: cases[0].inputs: Not allowed"),
        (
            "workflow: w.json\ncases:\n- name: a\n  mocks:\n    b: {output: 1}",
            "line 5: cases[0].mocks.b: The workflow has no",
        ),
        ("workflow: w.json\ncases:\n- name: a\n  mocks: {s: {output: 1}}", "which really runs; it takes no mock"),
        ("workflow: w.json\ncases:\n- name: a\n  mocks: {ask: {after: 1s}}", "mocks.ask: Say either output or error"),
        ("workflow: w.json\ncases:\n- name: a\n  expect: {steps: {x: null}}", "The workflow has no step x"),
        ("workflow: w.json\ncases:\n- name: a\n  expect: {path: [x]}", "The workflow has no step x"),
        ("workflow: w.json\ncases:\n- name: a\n  events: [{type: t, after: x}]", "The workflow has no step x"),
        ("workflow: w.json\ncases:\n- name: a\n  clock: 2024-13-01", "line 4: cases[0].clock: No time: 2024-13-01"),
        ("workflow: w.json\ncases:\n- name: a\n  clock: !!binary aGk=", "have no form in JSON"),
        ("workflow: bad.json\ncases:\n- name: a", "line 1: bad.json: steps[0].type: Unknown step type: nope"),
    ],
)
def test_a_malformed_file_is_told_with_line_and_field(run: Run, tmp_path: Path, file: str, told: str) -> None:
    steps = (
        '[{"id": "s", "type": "transform", "config": {"mapping": {}}},'
        ' {"id": "ask", "type": "api", "config": {"url": "https://x.example.com"}}]'
    )
    (tmp_path / "w.json").write_text(f'{{"name": "W", "trigger": {{"type": "api"}}, "steps": {steps}}}')
    (tmp_path / "bad.json").write_text(
        '{"name": "B", "trigger": {"type": "api"}, "steps": [{"id": "a", "type": "nope"}]}'
    )
    (tmp_path / "a.test.yaml").write_text(file)

    refused = run("test", tmp_path)

    assert refused.exit_code == 2
    assert told in refused.stdout


def test_all_faults_of_a_file_are_told_in_the_order_of_its_lines(play: Play) -> None:
    done = play(
        ASKING, "- name: a\n  expect: {steps: {y: null}}\n  mocks: {x: {output: 1}}\n- {name: b, clock: 2024-00-00}\n"
    )

    lines = [line.strip() for line in done.stdout.splitlines() if "malformed  " in line]
    assert lines == [
        "malformed  line 8: cases[0].expect.steps.y: The workflow has no step y",
        "malformed  line 9: cases[0].mocks.x: The workflow has no step x",
        "malformed  line 10: cases[1].clock: No time: 2024-00-00",
    ]


def test_a_malformed_file_does_not_keep_others_from_being_played(run: Run, play: Play) -> None:
    play(PURE, "- {name: fine}")
    (play.file.parent / "broken.test.yaml").write_text("cases: 1")

    done = run("test", play.file.parent)

    assert done.exit_code == 2
    assert "1 passed, 1 malformed file in" in done.stdout


def test_junit_has_a_suite_for_each_file_and_survives_any_text(run: Run, play: Play, tmp_path: Path) -> None:
    play(
        PURE,
        """
        - {name: "good <&> \\x01"}
        - {name: bad, expect: {output: {name: "]]> \\x02"}}}
        """,
    )
    (tmp_path / "broken.test.yaml").write_text("cases: 1")

    run("test", tmp_path, "--junit", tmp_path / "out.xml")

    suites = {suite.get("name"): suite for suite in ElementTree.parse(tmp_path / "out.xml").getroot()}
    some, broken = suites["some.test.yaml"], suites["broken.test.yaml"]
    assert (some.get("tests"), some.get("failures"), some.get("errors")) == ("2", "1", "0")
    assert [case.get("name") for case in some] == ["good <&> \N{REPLACEMENT CHARACTER}", "bad"]
    assert '-    "name": "]]> \\u0002"' in (some[1][0].text or "")
    assert (broken.get("errors"), broken[0][0].tag) == ("1", "error")


def test_filter_picks_cases_by_part_of_a_name(play: Play) -> None:
    cases = "- {name: one, expect: {status: failed}}\n- {name: The Other}"

    assert play(PURE, cases).exit_code == 1
    picked = play(PURE, cases, "--filter", "other")
    none = play(PURE, cases, "--filter", "nothing like it")

    assert (picked.exit_code, "1 passed in" in picked.stdout) == (0, True)
    assert (none.exit_code, "No case has nothing like it in its name." in none.stdout) == (2, True)


def test_a_directory_is_searched_and_one_without_cases_refused(run: Run, play: Play, tmp_path: Path) -> None:
    play(PURE, "- {name: deep}")
    (tmp_path / "down" / "there").mkdir(parents=True)
    play.file.rename(tmp_path / "down" / "there" / "x.test.yml")

    assert "1 passed" in run("test", tmp_path).stdout
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "none"):
        assert run("test", place).exit_code == 2
    assert run("test").exit_code == 2


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "yes",
        "true",
        "1e5",
        "1.50",
        "0x1f",
        "2024-01-01",
        "12:30",
        "~",
        "",
        " a\nb ",
        "a\n\nb\n",
        "é <<",
        "<<",
    ],
)
def test_what_is_written_is_read_as_the_same_value(value: object) -> None:
    assert text.read(text.write({"a": [value]})).value == {"a": [value]}


def test_numbers_keep_their_digits_when_written() -> None:
    value = decode('{"a": 19.90, "b": 1e-7, "c": 12345678901234567890, "d": -0.5}')

    assert text.read(text.write(value)).value == value


def test_yaml_of_a_case_has_the_values_of_json() -> None:
    read = text.read(
        "a: 2024-01-01T00:00:00Z\nb: yes\nc: 0777\nd: 1.10\ne: null\nf: &x {g: 1}\nh: {<<: *x, i: 2}\n1: 2"
    )

    assert read.value["a"] == "2024-01-01T00:00:00Z"
    assert (read.value["b"], read.value["c"], str(read.value["d"]), read.value["e"]) == ("yes", 777, "1.10", None)
    assert (read.value["h"], read.value["1"]) == ({"g": 1, "i": 2}, 2)
    assert read.line(("h", "i")) == 7


DOCUMENTED = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "testing.md").read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("block", DOCUMENTED)
def test_every_file_of_the_documentation_passes(run: Run, tmp_path: Path, block: str) -> None:
    (tmp_path / "documented.test.yaml").write_text(block)
    order = ROOT / "examples" / "process-customer-order.json"
    (tmp_path / "process-customer-order.json").write_bytes(order.read_bytes())

    done = run("test", tmp_path)

    assert done.exit_code == 0, done.output
