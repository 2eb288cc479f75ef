"""Monthly budgets of the workspace and of its keys."""

from collections.abc import Sequence

from starlette.responses import Response

from stepwell import cost
from stepwell.core import MonthlyBudget
from stepwell.http.dialects.loopfour import requests, wire
from stepwell.http.dialects.loopfour.answers import success
from stepwell.http.routes import Answer, AnyCall, Call, Rate, Route


async def key_exists(call: AnyCall) -> None:
    """Raise NotFound unless the key of the path exists."""
    await call.core.budgets.check_key(call.workspace, _key(call))


async def get_budget(call: Call[None, None]) -> Response:
    """GET /admin/budget, GET /admin/keys/{id}/budget."""
    return success(_shown(await call.core.budgets.get(call.workspace, _key(call))))


async def put_budget(call: Call[None, requests.BudgetBody]) -> Response:
    """PUT /admin/budget, PUT /admin/keys/{id}/budget."""
    amount = cost.of_cents(call.body.amount_cents)
    return success(_shown(await call.core.budgets.put(call.workspace, _key(call), amount, call.body.over_budget)))


async def delete_budget(call: Call[None, None]) -> Response:
    """DELETE /admin/budget, DELETE /admin/keys/{id}/budget."""
    key = _key(call)
    await call.core.budgets.delete(call.workspace, key)
    return success(wire.Deleted(id=f"ws_{call.workspace}" if key is None else f"key_{key.lower()}"))


def _key(call: AnyCall) -> str | None:
    id = call.params.get("id")
    return None if id is None else id.removeprefix("key_")


def _shown(budget: MonthlyBudget) -> wire.BudgetItem:
    return wire.BudgetItem(
        amount_cents=cost.number(budget.amount),
        over_budget=budget.action,
        month=cost.month_name(budget.month),
        spent_cents=cost.number(budget.spent),
    )


def _routes(path: str, of: str, *, key: bool) -> tuple[Route, ...]:
    exists = key_exists if key else None
    not_found = ("NOT_FOUND",)
    answer = (Answer(status=200, data=wire.BudgetItem),)
    return (
        Route(
            method="GET",
            path=path,
            handler=get_budget,
            scope="admin",
            rate=Rate.READ,
            summary=f"Read the monthly budget of {of}, and what was spent of it",
            answers=answer,
            errors=not_found,
        ),
        Route(
            method="PUT",
            path=path,
            handler=put_budget,
            scope="admin",
            rate=Rate.WRITE,
            summary=f"Set the monthly budget of {of}",
            answers=answer,
            body=requests.BudgetBody,
            errors=("VALIDATION_ERROR", *(not_found if key else ())),
            exists=exists,
        ),
        Route(
            method="DELETE",
            path=path,
            handler=delete_budget,
            scope="admin",
            rate=Rate.WRITE,
            summary=f"Remove the monthly budget of {of}",
            answers=(Answer(status=200, data=wire.Deleted),),
            errors=not_found,
        ),
    )


ROUTES: Sequence[Route] = (
    *_routes("/admin/budget", "the workspace", key=False),
    *_routes("/admin/keys/{id}/budget", "a key", key=True),
)
