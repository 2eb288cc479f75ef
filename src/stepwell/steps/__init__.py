"""Step types: what each type of step checks at save and does when it runs."""

from collections.abc import Mapping
from typing import Final

from stepwell.definitions import StepType
from stepwell.steps.action import ActionStep
from stepwell.steps.api import ApiStep
from stepwell.steps.condition import ConditionStep
from stepwell.steps.email import EmailStep
from stepwell.steps.end import EndStep
from stepwell.steps.ports import (
    Actions,
    Call,
    ChosenConnection,
    ConnectionNeed,
    DecidingType,
    EffectType,
    EndType,
    Http,
    HttpRequest,
    HttpResponse,
    Outbox,
    Ports,
    PureType,
    WaitType,
)
from stepwell.steps.slack import SlackStep
from stepwell.steps.transform import TransformStep
from stepwell.steps.wait import WaitStep

__all__ = [
    "STEP_TYPES",
    "Actions",
    "Call",
    "ChosenConnection",
    "ConnectionNeed",
    "DecidingType",
    "EffectType",
    "EndType",
    "Http",
    "HttpRequest",
    "HttpResponse",
    "Outbox",
    "Ports",
    "PureType",
    "WaitType",
]

_api = ApiStep()

STEP_TYPES: Final[Mapping[str, StepType]] = {
    "action": ActionStep(_api),
    "api": _api,
    "condition": ConditionStep(),
    "email": EmailStep(),
    "end": EndStep(),
    "slack": SlackStep(),
    "transform": TransformStep(),
    "wait": WaitStep(),
}
