"""approval: holds the run until people decide. Source: LoopFour contract 9.3."""

import re
from dataclasses import dataclass

from stepwell.clock import iso
from stepwell.definitions import Kind, Source
from stepwell.definitions.wording import kind_of
from stepwell.errors import StepError
from stepwell.expressions import Scope, Template
from stepwell.steps.fields import STEPS, flag_field, number_field, read_flag, read_number, read_text, text_field, unfit
from stepwell.values import Json

DAY_MS = 24 * 3600 * 1000
YEAR_MS = 365 * DAY_MS
MOST_APPROVERS = 50
_UNITS = {"m": 60_000, "h": 3_600_000, "d": DAY_MS}
_DURATION = re.compile(r"([0-9]{1,6})([mhd])")
_TEXTS: Json = {"type": ["string", "array"], "items": {"type": "string"}}
_NOT_SHOWN = ("then", "else")


@dataclass(frozen=True, slots=True)
class ApprovalProgram:
    """The config field by field, and what a timeout and a rejection do."""

    fields: dict[str, Template]
    timeout_action: str
    reject_fails: bool


@dataclass(frozen=True, slots=True)
class ApprovalWish:
    """The decision that a step asks for; `notify` maps channels (email, slack, slackThreadTs) to where they go."""

    approvers: tuple[str, ...]
    reason: str
    context: Json
    require_all: bool
    timeout_ms: int
    notify: dict[str, Json]
    escalate_to: tuple[str, ...]


class ApprovalStep:
    """Output `{approved, approvedBy, approvedAt, comment, timedOut, decisions}`; `then` or `else` may follow."""

    name = "approval"
    kind = Kind.APPROVAL
    default_timeout_ms: int | None = None
    config_schema: Json = {
        "type": "object",
        "required": ["approvers"],
        "properties": {
            "approvers": {**_TEXTS, "description": "Who may decide: an array or a comma list, mostly of addresses."},
            "reason": text_field("What is asked; required, also as `title`."),
            "title": text_field("The same as `reason`."),
            "description": text_field("More about it."),
            "context": {"description": "What is shown beside the question."},
            "requireAll": flag_field("All approvers must approve.", default=False),
            "timeoutMs": number_field("How long it waits.", minimum=1, maximum=YEAR_MS, default=DAY_MS),
            "timeoutHours": number_field("The same in hours.", exclusiveMinimum=0, maximum=8760),
            "timeout": text_field("The same as `7d`, `24h` or `30m`."),
            "timeoutAction": {
                "enum": ["reject", "fail", "approve"],
                "default": "reject",
                "description": "What happens if nobody decides.",
            },
            "onReject": {"enum": ["continue", "fail"], "default": "continue", "description": "What a rejection does."},
            "notifyChannels": {
                "type": ["object", "array"],
                "description": "{slack, slackThreadTs, email}, or a list of `email`, `slack` and #channels.",
            },
            "escalateTo": {**_TEXTS, "description": "Who is told when half the time is over."},
            "then": {**STEPS, "description": "Steps that run if it is approved."},
            "else": {**STEPS, "description": "Steps that run if it is not."},
        },
    }

    def compile(self, source: Source) -> ApprovalProgram:
        written = source.raw.get("config", {})
        if "then" in written or "else" in written:
            source.branches(("then",), ("else",))
        if "reason" not in written and "title" not in written:
            source.fault(("reason",), "Required")
        timeout = source.config.get("timeout")
        if timeout is not None and "{" not in timeout and not _DURATION.fullmatch(timeout):
            source.fault(("timeout",), "Expected a duration such as 7d, 24h or 30m")
        templates = {name: source.template(name) for name in source.config if name not in _NOT_SHOWN}
        fields = {name: template for name, template in templates.items() if template is not None}
        action = source.config.get("timeoutAction", "reject")
        return ApprovalProgram(fields, action, source.config.get("onReject") == "fail")

    def resolve(self, program: ApprovalProgram, scope: Scope) -> Json:
        return {name: template.render(scope) for name, template in program.fields.items()}

    def wish(self, config: dict[str, Json]) -> ApprovalWish:
        """What the resolved config asks for. Raises StepError."""
        approvers = _names(config, "approvers")
        if not 1 <= len(approvers) <= MOST_APPROVERS:
            raise unfit("approvers", f"Expected 1 to {MOST_APPROVERS}")
        reason = read_text(config, "reason") or read_text(config, "title")
        if not reason:
            raise unfit("reason", "Required")
        context = config.get("context")
        description = read_text(config, "description")
        if description:
            context = {"description": description, **(context if isinstance(context, dict) else {"context": context})}
        return ApprovalWish(
            approvers=approvers,
            reason=reason[:2000],
            context=context,
            require_all=read_flag(config, "requireAll", default=False),
            timeout_ms=_timeout_ms(config),
            notify=_channels(config.get("notifyChannels")),
            escalate_to=_names(config, "escalateTo"),
        )

    def decided(self, program: ApprovalProgram, status: str, decisions: list[dict[str, Json]], now_ms: int) -> Json:
        """The output; `decisions` are `{approver, decision, comment, at}`, `at` in epoch ms.

        Raises:
            StepError: APPROVAL_TIMEOUT, APPROVAL_REJECTED.
        """
        late = status == "expired"
        if late and program.timeout_action == "fail":
            raise StepError("Nobody decided in time", code="APPROVAL_TIMEOUT")
        approved = program.timeout_action == "approve" if late else status == "approved"
        last = decisions[-1] if decisions and not late else {}
        if not approved and program.reject_fails:
            by = f" by {last['approver']}" if last.get("approver") else ""
            comment = f": {last['comment']}" if last.get("comment") else ""
            raise StepError(f"Rejected{by}{comment}", code="APPROVAL_REJECTED")
        return {
            "approved": approved,
            "approvedBy": last.get("approver") if approved else None,
            "approvedAt": iso(last.get("at", now_ms)) if approved else None,
            "comment": last.get("comment"),
            "timedOut": late,
            "decisions": [{**decision, "at": iso(decision["at"])} for decision in decisions],
        }

    def decide(self, output: Json) -> bool:
        """Whether the `then` branch is taken."""
        return isinstance(output, dict) and output.get("approved") is True


def _names(config: dict[str, Json], name: str) -> tuple[str, ...]:
    given = config.get(name)
    parts = given.split(",") if isinstance(given, str) else [] if given is None else given
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
        raise unfit(name, f"Expected a list of texts, received {kind_of(given)}")
    return tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))


def _timeout_ms(config: dict[str, Json]) -> int:
    timeout = read_text(config, "timeout")
    hours, millis = read_number(config, "timeoutHours"), read_number(config, "timeoutMs")
    if timeout is not None:
        parsed = _DURATION.fullmatch(timeout.strip())
        if parsed is None:
            raise unfit("timeout", "Expected a duration such as 7d, 24h or 30m")
        chosen = int(parsed[1]) * _UNITS[parsed[2]]
    elif hours is not None:
        chosen = round(hours * _UNITS["h"])
    else:
        chosen = DAY_MS if millis is None else round(millis)
    if not 1 <= chosen <= YEAR_MS:
        raise unfit("timeoutMs", "At least 1 ms and at most 365 days")
    return chosen


def _channels(given: Json) -> dict[str, Json]:
    """`{email: true | addresses, slack: channel, slackThreadTs}` of either form."""
    if isinstance(given, dict):
        return {name: value for name, value in given.items() if value}
    channels: dict[str, Json] = {}
    for each in given if isinstance(given, list) else []:
        if each == "email" or (isinstance(each, str) and "@" in each):
            others = channels.get("email", [])
            channels["email"] = True if each == "email" or others is True else [*others, each]
        elif isinstance(each, str):
            channels["slack"] = each
    return channels
