"""The definitions of the node types, as editors list them. Source: AwaitStep contract 4.3, 10."""

from typing import Final

from stepwell.values import Json


def _field(name: str, type: str, description: str, *, required: bool = False, **more: Json) -> Json:
    return {"name": name, "type": type, "required": required, "description": description, **more}


def _node(id: str, name: str, category: str, *fields: Json) -> Json:
    return {"id": id, "name": name, "category": category, "config": list(fields)}


_CODE: Final = "code"
_TEXT: Final = "text"
_DURATION: Final = "duration"
_RETRIES: Final = (
    _field("retryLimit", "number", "Further attempts after a failed one, 0 to 19."),
    _field("retryDelay", _DURATION, "Delay before the next attempt.", default="10 seconds"),
    _field("backoff", "choice", "How the delay grows.", choices=["constant", "linear", "exponential"]),
)

DEFINITIONS: Final[tuple[Json, ...]] = (
    _node(
        "step",
        "Step",
        "code",
        _field("code", _CODE, "JavaScript function body; what it returns is the value.", required=True),
        _field("inline", "boolean", "Not tried again."),
        *_RETRIES,
    ),
    _node("sleep", "Sleep", "time", _field("duration", _DURATION, "How long, at most 365 days.", required=True)),
    _node("sleep_until", "Sleep until", "time", _field("timestamp", _TEXT, "An ISO 8601 time.", required=True)),
    _node(
        "branch",
        "Branch",
        "flow",
        _field("branches", "list", "`{label, condition}`; an empty condition, the last, is else.", required=True),
    ),
    _node("parallel", "Parallel", "flow"),
    _node("race", "Race", "flow"),
    _node(
        "http_request",
        "HTTP request",
        "network",
        _field("url", _TEXT, "http or https address.", required=True),
        _field(
            "method",
            "choice",
            "The method.",
            required=True,
            choices=["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"],
        ),
        _field("headers", "object", "Headers, also as JSON text."),
        _field("queryParams", "object", "Query parameters, also as JSON text."),
        _field("body", "json", "JSON; other text is JavaScript."),
        _field("responseMode", "choice", "What the value is.", choices=["body", "full"], default="body"),
        _field("failOnError", "boolean", "Whether a status of 400 and above fails.", default=True),
        *_RETRIES,
    ),
    _node(
        "wait_for_event",
        "Wait for event",
        "events",
        _field("eventType", _TEXT, "The type of event.", required=True),
        _field("timeout", _DURATION, "How long it waits.", default="24 hours"),
    ),
    _node("try_catch", "Try and catch", "flow"),
    _node(
        "loop",
        "Loop",
        "flow",
        _field("loopType", "choice", "What decides how often it runs.", choices=["forEach", "times", "while"]),
        _field("collection", _CODE, "Of forEach: the items."),
        _field("count", _CODE, "Of times: how many turns."),
        _field("condition", _CODE, "Of while: looked at before each turn."),
        _field("itemVar", _TEXT, "Name of the item.", default="item"),
        _field("indexVar", _TEXT, "Name of the turn's number, from 0.", default="i"),
    ),
    _node("break", "Break", "flow", _field("condition", _CODE, "It counts only if this holds.")),
    _node(
        "sub_workflow",
        "Workflow",
        "workflows",
        _field("workflowId", _TEXT, "The workflow.", required=True),
        _field("workflowName", _TEXT, "Its name.", required=True),
        _field("input", _CODE, "Its params."),
        _field("waitForCompletion", "boolean", "Whether the node ends with the run.", default=True),
        _field("timeout", _DURATION, "Limit of the wait.", default="5 minutes"),
    ),
    _node(
        "sub_script",
        "Function",
        "workflows",
        _field("workerName", _TEXT, "Id, name or route of the function.", required=True),
        _field("payload", _CODE, "Its payload."),
        *_RETRIES,
    ),
)
"""The thirteen node definitions."""
