"""`stepwell budget`: monthly budgets, in the data directory itself or, while a server holds it, over HTTP."""

from typing import Annotated, Literal

import typer

from stepwell import cost
from stepwell.cli.options import STYLE, ApiKeyOption, ConfigOption, DataOption, JsonOption
from stepwell.cli.output import say, show_json
from stepwell.cli.place import Place, ServerUrlOption
from stepwell.client import Budget
from stepwell.core import Core, MonthlyBudget

commands = typer.Typer(
    help="Show, set and clear what the workspace, or a key of it, may spend in a calendar month (UTC).",
    no_args_is_help=True,
    **STYLE,
)

_Key = Annotated[str | None, typer.Option("--key", help="Id of a key whose budget is meant, not the workspace's.")]


@commands.command()
def show(
    key: _Key = None,
    data: DataOption = None,
    config: ConfigOption = None,
    url: ServerUrlOption = None,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a budget, and what was spent of it in this month."""
    found = Place(data, config, url, api_key).do(
        lambda client: client.budgets.get(key),
        lambda core, workspace: _stored(core, workspace, key),
        existing=True,
    )
    _tell(found, as_json=as_json)


@commands.command("set")
def set_budget(
    amount: Annotated[int, typer.Argument(metavar="CENTS", min=0, help="What may be spent in a month.")],
    over_budget: Annotated[
        Literal["stop", "ask"], typer.Option(help="What happens beyond it: nothing starts, or somebody is asked.")
    ] = "stop",
    key: _Key = None,
    data: DataOption = None,
    config: ConfigOption = None,
    url: ServerUrlOption = None,
    api_key: ApiKeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set a budget; what was spent before in this month counts."""

    async def directly(core: Core, workspace: str) -> Budget:
        return _record(await core.budgets.put(workspace, _bare(key), cost.of_cents(amount), over_budget))

    made = Place(data, config, url, api_key).do(
        lambda client: client.budgets.set(amount, over_budget=over_budget, key=key), directly, existing=True
    )
    _tell(made, as_json=as_json)


@commands.command()
def clear(
    key: _Key = None,
    data: DataOption = None,
    config: ConfigOption = None,
    url: ServerUrlOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """Remove a budget."""
    Place(data, config, url, api_key).do(
        lambda client: client.budgets.clear(key),
        lambda core, workspace: core.budgets.delete(workspace, _bare(key)),
        existing=True,
    )
    say("The budget is removed.")


async def _stored(core: Core, workspace: str, key: str | None) -> Budget:
    return _record(await core.budgets.get(workspace, _bare(key)))


def _bare(key: str | None) -> str | None:
    return None if key is None else key.removeprefix("key_")


def _record(budget: MonthlyBudget) -> Budget:
    amount, spent = cost.number(budget.amount), cost.number(budget.spent)
    return Budget(
        amount_cents=amount, over_budget=budget.action, month=cost.month_name(budget.month), spent_cents=spent
    )


def _tell(budget: Budget, *, as_json: bool) -> None:
    if as_json:
        show_json(budget)
    else:
        then = "then nothing more starts" if budget.over_budget == "stop" else "then somebody is asked"
        say(f"{budget.spent_cents} of {budget.amount_cents} cents spent in {budget.month}; {then}.")
