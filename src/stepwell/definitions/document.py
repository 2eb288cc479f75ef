"""The definition document as JSON Schema: what the compiler checks and what editors complete."""

from collections.abc import Iterator, Mapping

from stepwell.cost import LARGEST_CENTS
from stepwell.definitions.plan import Catalogue, StepType
from stepwell.values import Json, Path

MAX_STEPS = 500  # of an editor's schema; the server's settings may say otherwise
YEAR_MS = 365 * 24 * 3600 * 1000

STEP_ID = "^[A-Za-z0-9_][A-Za-z0-9_-]{0,127}$"
SLUG = "^[A-Za-z0-9_-]{1,64}$"

_DRAFT = "https://json-schema.org/draft/2020-12/schema"

RETRY: Json = {
    "type": "object",
    "description": "How often and after what delay a failed attempt is repeated.",
    "properties": {
        "maxAttempts": {
            "type": "integer",
            "minimum": 1,
            "maximum": 20,
            "default": 3,
            "description": "Attempts, the first one included.",
        },
        "initialDelayMs": {"type": "integer", "minimum": 0, "maximum": YEAR_MS, "default": 1000},
        "maxDelayMs": {"type": "integer", "minimum": 0, "maximum": YEAR_MS, "default": 30000},
        "backoff": {
            "enum": ["exponential", "linear", "fixed"],
            "default": "exponential",
            "description": "Whether delays grow by `backoffMultiplier`, by `initialDelayMs` each time, or not at all.",
        },
        "backoffMultiplier": {"type": "number", "minimum": 1, "maximum": 100, "default": 2},
        "jitter": {"type": "boolean", "default": False, "description": "Wait a uniform random part of the delay."},
        "retryOn": {
            "enum": ["transient", "any"],
            "default": "transient",
            "description": "Which errors: those that may pass, or every one.",
        },
    },
}

ERROR_HANDLING: Json = {
    "type": "object",
    "description": "What the step's final failure does to the run.",
    "properties": {
        "strategy": {"enum": ["fail", "continue", "retry"], "default": "fail"},
        "fallback": {"description": "The step's output after a failure that does not stop the run."},
    },
}

STEP: Json = {
    "type": "object",
    "required": ["id", "type"],
    "properties": {
        "id": {"type": "string", "pattern": STEP_ID, "description": "Unique in the workflow."},
        "type": {"type": "string", "description": "What the step does."},
        "name": {"type": "string", "maxLength": 255, "description": "Shown to people; the id if absent."},
        "action": {"type": "string", "description": "`<connector>.<actionName>` of an action step."},
        "config": {"type": "object", "description": "What the step type needs; texts may hold {{ templates }}."},
        "retryConfig": RETRY,
        "errorHandling": ERROR_HANDLING,
        "timeoutMs": {
            "type": "integer",
            "minimum": 1,
            "maximum": YEAR_MS,
            "description": "Limit of one attempt in milliseconds.",
        },
        "needs": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Steps of the same block that must be final first; turns the block into a graph.",
        },
        "when": {"type": ["string", "object"], "description": "A condition; the step is skipped if it is false."},
        "requires": {
            "type": "array",
            "maxItems": 1000,
            "description": "Values that must be there when the step begins, or it fails.",
            "items": {
                "type": "object",
                "required": ["path"],
                "properties": {
                    "path": {
                        "type": "array",
                        "minItems": 1,
                        "items": {"type": ["string", "integer"]},
                        "description": "Where the value stands, such as ['input', 'amount'].",
                    },
                    "as": {"type": "string", "maxLength": 500, "description": "How the error calls it."},
                },
            },
        },
        "costCents": {
            "type": "number",
            "minimum": 0,
            "maximum": LARGEST_CENTS,
            "description": "What an attempt that succeeds costs, in cents, unless it reports something else.",
        },
        "idempotent": {
            "type": "boolean",
            "default": True,
            "description": "Whether an attempt that a crash cut off may be sent again.",
        },
    },
}

TRIGGER: Json = {
    "type": "object",
    "description": "What starts runs besides the API.",
    "required": ["type"],
    "properties": {"type": {"type": "string", "description": "api, manual, webhook, schedule or event."}},
    "additionalProperties": True,
}

SETTINGS: Json = {
    "type": "object",
    "properties": {
        "timeoutMs": {
            "type": "integer",
            "minimum": 1,
            "maximum": YEAR_MS,
            "description": "Limit of a run in milliseconds, waiting included.",
        },
        "maxConcurrentRuns": {
            "type": "integer",
            "minimum": 1,
            "description": "Runs at the same time; further ones stay pending.",
        },
        "idempotencyConflict": {"enum": ["return", "reject"], "default": "return"},
        "budgetCents": {
            "type": "integer",
            "minimum": 0,
            "maximum": LARGEST_CENTS,
            "description": "What each run may cost, in cents; fixed at its start.",
        },
        "overBudget": {
            "enum": ["stop", "ask"],
            "default": "stop",
            "description": "What happens before a step for which the budget does not suffice: the run ends, or it is "
            "paused and somebody decides.",
        },
    },
}

INLINE: Json = {
    "type": ["boolean", "object"],
    "description": "Makes the workflow a function: its one code step is called over HTTP, in memory, and has no runs.",
    "properties": {
        "auth": {
            "type": "object",
            "description": "What callers must show: a key of the workspace, or a secret of the workflow in a header.",
            "required": ["type"],
            "properties": {
                "type": {"enum": ["key", "secret"]},
                "header": {"type": "string", "default": "x-function-secret"},
                "secretName": {"type": "string"},
            },
        },
        "secrets": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Names of the workflow's secrets that the code sees in `input.env`.",
        },
        "triggerCode": {
            "type": "boolean",
            "default": False,
            "description": "The code gets requests of every method and returns {status, headers, body}.",
        },
    },
}

DOCUMENT: Json = {
    "type": "object",
    "required": ["name", "trigger", "steps"],
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 255},
        "description": {"type": "string"},
        "slug": {"type": "string", "pattern": SLUG, "description": "A name for addresses: wf_<slug>."},
        "trigger": TRIGGER,
        "inputSchema": {"type": "object", "description": "JSON Schema (draft 2020-12) of the run input."},
        "outputSchema": {"type": "object", "description": "JSON Schema (draft 2020-12) of the run output."},
        "variables": {"type": "object", "description": "Constants, read as variables.<name>."},
        "steps": {"type": "array", "description": "Run in order, or by `needs`."},
        "output": {"type": "object", "description": "Templates that make the run's output."},
        "settings": SETTINGS,
        "inline": INLINE,
        "canvasState": {"description": "Stored for editors as sent."},
        "source": {
            "type": "object",
            "description": "What the steps were made of, if another dialect's; only answered.",
        },
    },
}


def document_schema(step_types: Mapping[str, StepType], catalogue: Catalogue) -> Json:
    """The JSON Schema (2020-12) of a definition document, for editors."""
    step = {**STEP, "properties": dict(STEP["properties"])}
    step["properties"]["type"] = {**step["properties"]["type"], "enum": sorted(step_types)}
    step["properties"]["action"] = {
        **step["properties"]["action"],
        "pattern": rf"^({'|'.join(sorted({'api', *catalogue.connectors()}))})\.",
    }
    step["allOf"] = [_config_of(step_types[name]) for name in sorted(step_types)]
    properties = dict(DOCUMENT["properties"])
    properties["steps"] = {**properties["steps"], "items": {"$ref": "#/$defs/step"}, "maxItems": MAX_STEPS}
    properties["inputSchema"] = {**properties["inputSchema"], "$ref": _DRAFT}
    properties["outputSchema"] = {**properties["outputSchema"], "$ref": _DRAFT}
    properties["trigger"] = {
        **TRIGGER,
        "properties": {"type": {"enum": ["api", "manual", "webhook", "schedule", "event"]}},
    }
    return {
        "$schema": _DRAFT,
        "title": "Stepwell workflow",
        **DOCUMENT,
        "properties": properties,
        "$defs": {"step": step},
    }


def unknown_fields(value: Json, schema: Json) -> Iterator[Path]:
    """The paths of members, at any depth, that a schema with `properties` does not name."""
    if isinstance(value, dict) and "properties" in schema and not schema.get("additionalProperties"):
        for name, child in value.items():
            if name in schema["properties"]:
                yield from ((name, *path) for path in unknown_fields(child, schema["properties"][name]))
            else:
                yield (name,)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, child in enumerate(value):
            yield from ((index, *path) for path in unknown_fields(child, schema["items"]))


def _config_of(step_type: StepType) -> Json:
    schema = step_type.config_schema
    needed = {"required": ["config"]} if schema.get("required") else {}
    return {
        "if": {"properties": {"type": {"const": step_type.name}}, "required": ["type"]},
        "then": {"properties": {"config": schema}, **needed},
    }
