"""Frozen rows of budgets. Amounts are millionths of a cent."""

from typing import Literal, TypeAlias

import msgspec

OverBudget: TypeAlias = Literal["stop", "ask"]
"""What happens where a budget does not suffice: no further step starts, or somebody is asked first."""


class Budget(msgspec.Struct, frozen=True):
    """What may be spent in a calendar month (UTC). `subject` is the id of the workspace itself or of a key of it."""

    workspace: str
    subject: str
    amount: int
    action: OverBudget
