"""Definitions: a workflow's document, checked as a whole and compiled into a plan."""

from stepwell.definitions.compiler import compile_definition
from stepwell.definitions.document import document_schema
from stepwell.definitions.inputs import InputSchema
from stepwell.definitions.plan import (
    ActionSpec,
    Block,
    Body,
    Bounds,
    Branches,
    Catalogue,
    ContainerType,
    Form,
    Kind,
    OnError,
    Plan,
    RetryPolicy,
    RunSettings,
    Source,
    Step,
    StepType,
)
from stepwell.definitions.schemas import Schema

__all__ = [
    "ActionSpec",
    "Block",
    "Body",
    "Bounds",
    "Branches",
    "Catalogue",
    "ContainerType",
    "Form",
    "InputSchema",
    "Kind",
    "OnError",
    "Plan",
    "RetryPolicy",
    "RunSettings",
    "Schema",
    "Source",
    "Step",
    "StepType",
    "compile_definition",
    "document_schema",
]
