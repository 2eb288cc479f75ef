"""Step types: what each type of step checks at save and does when it runs."""

from collections.abc import Mapping
from typing import Final

from stepwell.definitions import StepType
from stepwell.steps.action import ActionStep
from stepwell.steps.api import ApiStep
from stepwell.steps.approval import ApprovalProgram, ApprovalStep, ApprovalWish
from stepwell.steps.code import CodeStep
from stepwell.steps.condition import ConditionStep
from stepwell.steps.email import EmailStep
from stepwell.steps.end import BreakStep, EndStep
from stepwell.steps.function import FunctionStep
from stepwell.steps.loop import LoopProgram, LoopStep, too_many
from stepwell.steps.parallel import Arms, ParallelStep, RaceStep
from stepwell.steps.ports import (
    Actions,
    Call,
    ChosenConnection,
    Code,
    ConnectionNeed,
    DecidingType,
    EffectType,
    EndType,
    Http,
    HttpRequest,
    HttpResponse,
    Outbox,
    Ports,
    Price,
    PricedType,
    PureType,
    Script,
    WaitType,
)
from stepwell.steps.slack import SlackStep
from stepwell.steps.subworkflow import ChildWish, SubworkflowStep
from stepwell.steps.task import TaskStep, TaskWish
from stepwell.steps.transform import TransformStep
from stepwell.steps.try_ import CATCH_BODY, FINALLY_BODY, STEPS_BODY, TryStep
from stepwell.steps.wait import WaitStep
from stepwell.steps.wait_for_event import WaitForEventStep

__all__ = [
    "CATCH_BODY",
    "FINALLY_BODY",
    "STEPS_BODY",
    "STEP_TYPES",
    "Actions",
    "ApprovalProgram",
    "ApprovalStep",
    "ApprovalWish",
    "Arms",
    "Call",
    "ChildWish",
    "ChosenConnection",
    "Code",
    "ConnectionNeed",
    "DecidingType",
    "EffectType",
    "EndType",
    "Http",
    "HttpRequest",
    "HttpResponse",
    "LoopProgram",
    "Outbox",
    "Ports",
    "Price",
    "PricedType",
    "PureType",
    "Script",
    "SubworkflowStep",
    "TaskStep",
    "TaskWish",
    "WaitForEventStep",
    "WaitType",
    "too_many",
]

_api = ApiStep()
_code = CodeStep()

STEP_TYPES: Final[Mapping[str, StepType]] = {
    "action": ActionStep(_api),
    "api": _api,
    "approval": ApprovalStep(),
    "break": BreakStep(),
    "code": _code,
    "condition": ConditionStep(),
    "email": EmailStep(),
    "end": EndStep(),
    "function": FunctionStep(),
    "loop": LoopStep(),
    "parallel": ParallelStep(),
    "race": RaceStep(),
    "slack": SlackStep(),
    "subworkflow": SubworkflowStep(),
    "task": TaskStep(),
    "transform": TransformStep(_code),
    "try": TryStep(),
    "wait": WaitStep(),
    "wait_for_event": WaitForEventStep(),
}
