"""The words for what a value did wrong. Source: LoopFour contract 4.2 and appendix A.6."""

from decimal import Decimal

from jsonschema_rs import ValidationError, ValidationErrorKind

from stepwell.errors import Fault
from stepwell.values import Json, Path, encode

_LIMITS = {
    "minimum": "Number must be greater than or equal to {}",
    "maximum": "Number must be less than or equal to {}",
    "exclusiveMinimum": "Number must be greater than {}",
    "exclusiveMaximum": "Number must be less than {}",
    "multipleOf": "Number must be a multiple of {}",
    "minLength": "String must contain at least {} character(s)",
    "maxLength": "String must contain at most {} character(s)",
    "minItems": "Array must contain at least {} element(s)",
    "maxItems": "Array must contain at most {} element(s)",
    "minProperties": "Object must contain at least {} field(s)",
    "maxProperties": "Object must contain at most {} field(s)",
}
_SENTENCES = {
    "pattern": "Invalid",
    "format": "Invalid",
    "uniqueItems": "Array elements must be unique",
    "contains": "Array lacks a required element",
    "propertyNames": "Invalid field name",
    "falseSchema": "Not allowed",
    "not": "Not allowed",
    "unevaluatedItems": "Not allowed",
    "unevaluatedProperties": "Not allowed",
    "oneOfMultipleValid": "Matches more than one of the allowed forms",
}


def worded(error: ValidationError, value: Json) -> list[Fault]:
    """The faults that one error of the validator stands for."""
    path = _path_in(value, error.instance_path)
    kind = error.kind
    match kind:
        case ValidationErrorKind.Required():
            return [Fault((*path, kind.property), "Required")]
        case ValidationErrorKind.Type():
            return [Fault(path, _expected(kind.types, error.instance))]
        case ValidationErrorKind.Enum():
            return [Fault(path, _enum(kind.options, error.instance))]
        case ValidationErrorKind.Constant():
            return [Fault(path, f"Invalid value. Expected {_shown(kind.expected_value)}")]
        case ValidationErrorKind.AdditionalProperties():
            return [Fault((*path, name), "Not allowed") for name in kind.unexpected]
        case ValidationErrorKind.AnyOf() | ValidationErrorKind.OneOfNotValid():
            if sole := _unless_null(kind.context, error):
                return [fault for each in sole for fault in worded(each, value)]
            return [Fault(path, _alternatives(kind.context, error))]
    if kind.name in _LIMITS:
        return [Fault(path, _LIMITS[kind.name].format(_shown(kind.value)))]
    return [Fault(path, _SENTENCES.get(kind.name, "Invalid"))]


def kind_of(value: Json) -> str:
    """The JSON type of a value by name."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float() | Decimal():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _expected(types: list[str], value: Json) -> str:
    names = sorted(types, key=lambda name: name == "null")
    return f"Expected {' or '.join(names)}, received {kind_of(value)}"


def _enum(options: list[Json], value: Json) -> str:
    listed = " | ".join(_shown(option) for option in options)
    return f"Invalid enum value. Expected {listed}, received {_shown(value)}"


def _unless_null(context: list[list[ValidationError]], whole: ValidationError) -> list[ValidationError]:
    """What is wrong with a value that might as well be null, and is of the type that it should be otherwise."""
    forms = [form for form in context if not _wants(form, "null")]
    if len(context) != 2 or len(forms) != 1:
        return []
    wrong = forms[0]
    here = [error.kind for error in wrong if error.instance_path == whole.instance_path]
    return [] if any(isinstance(kind, ValidationErrorKind.Type | ValidationErrorKind.Enum) for kind in here) else wrong


def _wants(form: list[ValidationError], type_: str) -> bool:
    kinds = [error.kind for error in form]
    return len(kinds) == 1 and isinstance(kinds[0], ValidationErrorKind.Type) and kinds[0].types == [type_]


def _alternatives(context: list[list[ValidationError]], whole: ValidationError) -> str:
    """One sentence for several forms: the types expected if only types differ, the choices if there are any."""
    here = [error.kind for form in context for error in form if error.instance_path == whole.instance_path]
    types = [name for kind in here if isinstance(kind, ValidationErrorKind.Type) for name in kind.types]
    if types and all(isinstance(form[0].kind, ValidationErrorKind.Type) for form in context if form):
        return _expected(list(dict.fromkeys(types)), whole.instance)
    options = [option for kind in here if isinstance(kind, ValidationErrorKind.Enum) for option in kind.options]
    return _enum(options, whole.instance) if options else "Does not match any of the allowed forms"


def _shown(value: Json) -> str:
    text = f"'{value}'" if isinstance(value, str) else encode(value).decode()
    return text if len(text) <= 100 else text[:97] + "..."


def _path_in(value: Json, reported: list[str | int]) -> Path:
    """The path of a fault in the value: the validator leaves out empty field names, and gives digits as an index."""
    path: list[str | int] = []
    for part in reported:
        if isinstance(value, list) and isinstance(part, int):
            path.append(part)
            value = value[part]
            continue
        name = str(part)
        while isinstance(value, dict) and name not in value and "" in value:
            path.append("")
            value = value[""]
        path.append(name)
        value = value.get(name) if isinstance(value, dict) else None
    return tuple(path)
