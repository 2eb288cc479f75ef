"""What calls of actions cost: by a price list, or by the usage that an answer tells of."""

from decimal import Decimal

from stepwell import cost
from stepwell.connectors.connector import Action
from stepwell.connectors.manifest import Usage
from stepwell.values import Json

MILLION = 1_000_000


def price_of(action: Action, output: Json) -> int:
    """What a call of an action has cost that came to this output, in millionths of a cent; 0 if nobody knows."""
    if action.price is not None:
        return action.price
    return 0 if action.usage is None else _by_usage(action.usage, output)


def _by_usage(usage: Usage, output: Json) -> int:
    rates = _rates(usage, _at(output, usage.model))
    if rates is None:
        return 0
    tokens = (_count(_at(output, usage.input)), _count(_at(output, usage.output)))
    cents = sum(Decimal(str(rate)) * count / MILLION for rate, count in zip(rates, tokens, strict=True))
    return cost.of_cents(Decimal(cents))


def _rates(usage: Usage, model: Json) -> tuple[float, float] | None:
    """The entry of a model by its name, with or without the date or number of a version (`-2024-07-18`)."""
    if not isinstance(model, str):
        return None
    while model not in usage.models:
        model, _, version = model.rpartition("-")
        if not version.isdigit():
            return None
    return usage.models[model]


def _at(output: Json, path: str) -> Json:
    for name in path.split("."):
        output = output.get(name) if isinstance(output, dict) else None
    return output


def _count(value: Json) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**12 else 0
