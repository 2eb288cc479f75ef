"""Nodes that hold nothing: what steps of the core each becomes. Source: AwaitStep contract 10.2."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from stepwell.clock import iso, parse_iso
from stepwell.http.dialects.awaitstep.ir import durations, expressions
from stepwell.http.dialects.awaitstep.ir.durations import YEAR_MS, duration_fault, duration_ms
from stepwell.http.dialects.awaitstep.ir.native_js import CHILD_OUT, EVENT_OUT
from stepwell.http.dialects.awaitstep.ir.shape import Node
from stepwell.http.dialects.awaitstep.ir.workshop import Args, Code, Place, Step, Workshop, written
from stepwell.http.dialects.awaitstep.ir.written import Written, written_body, written_input, written_pairs
from stepwell.values import Json, Path

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
EVENT_TYPE: Final = r"[A-Za-z0-9_-]{1,100}"
STEP_MS: Final = 30_000
SUB_NAMES: Final = {"sub_workflow": ("workflowId", "workflowName"), "sub_script": ("workerName", "workflowId")}
"""The fields in which nodes name what they start or call; any of them may do."""
_DAY_MS = 86_400_000
_CHILD_MS = 5 * 60_000
_MAX_DATA_LEVELS = 32

ValuePath = tuple[str | int, ...]
Compiled = tuple[list[Step], ValuePath]
"""The steps of a node, and the core's path to its value."""


def step(shop: Workshop, node: Node, place: Place) -> Compiled:
    """`code` that returns `{"value": ...}`."""
    code = node.data.get("code")
    if not isinstance(code, str) or not code.strip():
        shop.fault(node, "Required", "data", "code")
        code = "return null"
    if "fetch(" in code:
        shop.warn(node, "fetch is not available in step code; use an http_request")
    made = Code(shop, node, place)
    body = made.script(code, ("data", "code"))
    core = made.step(
        node.step,
        lambda: (
            f"return (async () => {{{body}\n}})().then((value) => ({{value: value === undefined ? null : value}}));"
        ),
    )
    limit = _timeout(shop, node, STEP_MS)
    if limit > STEP_MS:
        shop.warn(node, "A timeout of a step is at most 30 seconds")
    core["timeoutMs"] = min(limit, STEP_MS)
    if node.data.get("inline") is not True:
        core |= _retry(shop, node, 5)
    return [core], ("steps", node.step, "output", "value")


def sleep(shop: Workshop, node: Node, place: Place) -> Compiled:
    """`wait` with a duration."""
    args = Args(shop, node, place)
    duration = _duration(shop, node, place, "duration", args)
    return [*args.steps(), _core(node, "wait", duration=0 if duration is None else duration)], _nothing(node)


def sleep_until(shop: Workshop, node: Node, place: Place) -> Compiled:
    """`wait` until a time."""
    args = Args(shop, node, place)
    field = "until" if "timestamp" not in node.data and "until" in node.data else "timestamp"
    given = node.data.get(field)
    until: Json = "1970-01-01T00:00:00.000Z"
    if isinstance(given, str) and ("{{" in given or expressions.is_literal(given)):
        until = args.made(f"new Date({args.text(given, ('data', field))}).toISOString()")
    elif isinstance(given, str) and (found := parse_iso(given.strip())) is not None:
        until = iso(found)
    elif isinstance(given, int | Decimal) and not isinstance(given, bool) and 0 <= given < 253_370_764_800_000:
        until = iso(round(given))
    else:
        shop.fault(node, "Required" if given is None else "Expected an ISO 8601 time", "data", field)
    return [*args.steps(), _core(node, "wait", until=until)], _nothing(node)


def http_request(shop: Workshop, node: Node, place: Place, *, out: bool) -> Compiled:
    """`api`; `out` says that its value is wanted by itself."""
    data, args = node.data, Args(shop, node, place)
    config: Step = {}
    url = data.get("url")
    if not isinstance(url, str) or not url.strip():
        shop.fault(node, "Required", "data", "url")
    else:
        config["url"] = shop.value(url.strip(), node, place, ("data", "url"), args)
        if "{{" not in url and "${" not in url and not url.strip().lower().startswith(("http://", "https://")):
            shop.fault(node, "Expected an http or https address", "data", "url")
    method = data.get("method")
    if not isinstance(method, str) or method.upper() not in METHODS:
        shop.fault(node, "Required" if method is None else f"Expected one of {', '.join(METHODS)}", "data", "method")
        method = "GET"
    config["method"] = method.upper()
    for field, own in (("headers", "headers"), ("queryParams", "params")):
        if data.get(field) not in (None, "", {}):
            config[own] = _pairs(shop, node, place, field, args)
    if data.get("body") not in (None, ""):
        config["body"] = _value(shop, node, place, "body", args, written_body(node))
    if data.get("failOnError") is False:
        config["failOnError"] = False
    config["retryNonIdempotent"] = True
    mode = data.get("responseMode", "body")
    if mode not in ("body", "full"):
        shop.fault(node, "Expected body or full", "data", "responseMode")
    core = {"id": node.step, "type": "api", "config": config, "timeoutMs": _timeout(shop, node, STEP_MS)}
    core |= _retry(shop, node, 5)
    output = f"steps.{node.step}.output"
    if mode == "full":
        full = {"status": f"{{{{{output}.status}}}}", "headers": f"{{{{{output}.headers}}}}"}
        return [*args.steps(), core, _out(node, {**full, "body": f"{{{{{output}.data}}}}"})], _of_out(node)
    if out:
        return [*args.steps(), core, _out(node, f"{{{{{output}.data}}}}")], _of_out(node)
    return [*args.steps(), core], ("steps", node.step, "output", "data")


def wait_for_event(shop: Workshop, node: Node, place: Place) -> Compiled:
    """`wait_for_event`, and `__out` with the payload's members beside it."""
    args = Args(shop, node, place)
    event = node.data.get("eventType")
    if not isinstance(event, str) or not event:
        shop.fault(node, "Required", "data", "eventType")
        event = "event"
    dynamic = "{{" in event or expressions.is_literal(event)
    if not dynamic and not _is_event_type(event):
        shop.fault(node, "Expected 1 to 100 letters, digits, _ or -", "data", "eventType")
    config: Step = {"eventType": shop.value(event, node, place, ("data", "eventType"), args)}
    if node.data.get("timeout") is None and "timeout" in node.config:
        config["timeoutMs"] = max(1, _timeout(shop, node, _DAY_MS))
    else:
        config["timeoutMs"] = _duration(shop, node, place, "timeout", args, default=_DAY_MS, least=1)
    core = {"id": node.step, "type": "wait_for_event", "config": config}
    code = {"language": "javascript", "code": EVENT_OUT, "input": {"event": f"{{{{steps.{node.step}.output}}}}"}}
    return [*args.steps(), core, {"id": f"{node.step}__out", "type": "code", "config": code}], _of_out(node)


def break_(shop: Workshop, node: Node, place: Place) -> Compiled:
    """`break` in a loop, else `end`."""
    condition = node.data.get("condition")
    kind = "break" if place.breaks else "end"
    if condition is not None and not isinstance(condition, str):
        shop.fault(node, "Expected string", "data", "condition")
    if not isinstance(condition, str) or not condition.strip():
        return [_core(node, kind)], _nothing(node)
    made = Code(shop, node, place)
    code = made.script(condition, ("data", "condition"), expression=True)
    before = "" if place.before is None else f", value: {made.template(f'{{{{{written(place.before)}}}}}')}"
    held = made.step(f"{node.step}__cond", lambda: f"return {{cond: Boolean((\n{code}\n)){before}}};")
    return [held, _core(node, kind, condition=f'steps["{node.step}__cond"].output.cond == true')], _nothing(node)


def sub_workflow(shop: Workshop, node: Node, place: Place) -> Compiled:
    """`subworkflow`."""
    data, args = node.data, Args(shop, node, place)
    for field in SUB_NAMES["sub_workflow"]:
        if not isinstance(data.get(field), str) or not data[field]:
            shop.fault(node, "Required", "data", field)
    target = _target(shop, node, shop.around.workflows, "workflow")
    given = _value(shop, node, place, "input", args, written_input(node, "input"))
    config: Step = {"workflowId": target}
    if isinstance(given, dict) or (isinstance(given, str) and "{{" in given):
        config["inputMapping"] = given
    elif given is not None:
        shop.fault(node, "Expected an object", "data", "input")
    waits = data.get("waitForCompletion", data.get("wait", True)) is not False
    core = {"id": node.step, "type": "subworkflow", "config": config}
    output = f"steps.{node.step}.output"
    if waits:
        limit = _duration(shop, node, place, "timeout", args, default=_timeout(shop, node, _CHILD_MS), least=1)
        if not isinstance(limit, int):
            shop.fault(node, "The timeout of a sub_workflow is written out", "data", "timeout")
            limit = _CHILD_MS
        config["timeoutMinutes"] = Decimal(limit) / 60_000
        code = {"language": "javascript", "code": CHILD_OUT, "input": {"result": f"{{{{{output}.result}}}}"}}
        return [*args.steps(), core, {"id": f"{node.step}__out", "type": "code", "config": code}], _of_out(node)
    config["waitForCompletion"] = False
    run = f"{{{{{output}.runId}}}}"
    started = {"instanceId": f'{{{{{output}.runId | remove_first: "run_"}}}}', "runId": run}
    return [*args.steps(), core, _out(node, started)], _of_out(node)


def sub_script(shop: Workshop, node: Node, place: Place) -> Compiled:
    """`function`."""
    args = Args(shop, node, place)
    if not isinstance(node.data.get("workerName"), str) or not node.data["workerName"]:
        shop.fault(node, "Required", "data", "workerName")
    target = _target(shop, node, shop.around.functions, "function")
    field = "payload" if "input" not in node.data else "input"
    payload = _value(shop, node, place, field, args, written_input(node, field))
    config = {"function": target, "payload": payload}
    core = {"id": node.step, "type": "function", "config": config} | _retry(shop, node, 3)
    return [*args.steps(), core], ("steps", node.step, "output", "value")


def too_deep(value: Json, level: int = 0) -> bool:
    """Whether the data of a node is nested deeper than is allowed."""
    if level > _MAX_DATA_LEVELS:
        return True
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(too_deep(child, level + 1) for child in children)


LEAVES: Final[Mapping[str, Callable[[Workshop, Node, Place], Compiled]]] = {
    "step": step,
    "sleep": sleep,
    "sleep_until": sleep_until,
    "wait_for_event": wait_for_event,
    "break": break_,
    "sub_workflow": sub_workflow,
    "sub_script": sub_script,
}


def evaluated(shop: Workshop, node: Node, place: Place, field: str, args: Args) -> Json:
    """A field that is JavaScript unless it is wholly one expression or is no text."""
    given = node.data[field]
    if not isinstance(given, str) or expressions.whole(given) is not None:
        return shop.value(given, node, place, ("data", field), args)
    return args.expression(given, ("data", field))


def _core(node: Node, type: str, **config: Json) -> Step:
    return {"id": node.step, "type": type, "config": config}


def _out(node: Node, value: Json) -> Step:
    return {"id": f"{node.step}__out", "type": "transform", "config": {"mapping": {"value": value}}}


def _of_out(node: Node) -> ValuePath:
    return ("steps", f"{node.step}__out", "output", "value")


def _nothing(node: Node) -> ValuePath:
    return ("steps", node.step, "output", "value")  # its output has no such member, so that it reads as null


def _is_event_type(text: str) -> bool:
    return 1 <= len(text) <= 100 and all(char.isascii() and (char.isalnum() or char in "_-") for char in text)


def _duration(
    shop: Workshop, node: Node, place: Place, field: str, args: Args, *, default: int | None = None, least: int = 0
) -> int | str | None:
    """The milliseconds of a field, or the template that gives them."""
    given = node.data.get(field)
    if given is None:
        if default is None:
            shop.fault(node, "Required", "data", field)
        return default
    if isinstance(given, str) and ("{{" in given or expressions.is_literal(given)):
        return args.made(f"__ms({args.text(given, ('data', field))})", durations.SCRIPT)
    if (wrong := duration_fault(given, least=least)) is not None:
        shop.fault(node, wrong, "data", field)
        return default
    return duration_ms(given)


def _timeout(shop: Workshop, node: Node, default: int) -> int:
    """The limit of `config.timeout` in ms."""
    given = node.config.get("timeout")
    if given is None:
        return default
    if (wrong := duration_fault(given, least=1)) is not None:
        shop.fault(node, wrong, "config", "timeout")
        return default
    return duration_ms(given) or default


def _retry(shop: Workshop, node: Node, default: int) -> Step:
    """`retryConfig` of a node that is tried again."""
    given = node.config.get("retries") or {}
    known = {"limit": "retryLimit", "delay": "retryDelay", "backoff": "backoff"}
    found: dict[str, Json] = {"limit": default, "delay": 10_000, "backoff": "exponential"}
    for name, own in known.items():
        field: Path = ("config", "retries", name) if given.get(name) is not None else ("data", own)
        value = given.get(name) if given.get(name) is not None else node.data.get(own)
        if value is None:
            continue
        wrong = _retry_fault(name, value)
        if wrong is None:
            found[name] = value
        else:
            shop.fault(node, wrong, *field)
    config: Step = {
        "maxAttempts": int(found["limit"]) + 1,
        "initialDelayMs": duration_ms(found["delay"]),
        "maxDelayMs": YEAR_MS,
        "backoffMultiplier": 2 if found["backoff"] == "exponential" else 1,
        "retryOn": "any",
    }
    if found["backoff"] == "linear":
        config["backoff"] = "linear"
    return {"retryConfig": config}


def _retry_fault(name: str, value: Json) -> str | None:
    if name == "limit":
        whole = isinstance(value, int) and not isinstance(value, bool)
        return None if whole and 0 <= value <= 19 else "Expected a whole number from 0 to 19"
    if name == "delay":
        return duration_fault(value)
    return None if value in ("constant", "linear", "exponential") else "Expected constant, linear or exponential"


def _pairs(shop: Workshop, node: Node, place: Place, field: str, args: Args) -> Json:
    found = written_pairs(node, field)
    if found is None:
        shop.fault(node, "Expected an object, or JSON text of one", "data", field)
    return shop.value(found or {}, node, place, ("data", field), args)


def _value(shop: Workshop, node: Node, place: Place, field: str, args: Args, written: Written) -> Json:
    if written.code:
        return args.expression(str(written.value), ("data", field))
    return shop.value(written.value, node, place, ("data", field), args)


def _target(shop: Workshop, node: Node, known: Mapping[str, str] | None, what: str) -> str:
    """The core's workflow that a node names."""
    fields = SUB_NAMES[node.type]
    given = [node.data[field] for field in fields if isinstance(node.data.get(field), str) and node.data[field]]
    if known is None:
        return given[0] if given else "unknown"
    for name in given:
        if name in known:
            return known[name]
    shop.fault(node, f"No such {what}: {given[0] if given else ''}", "data", fields[0])
    return "unknown"
