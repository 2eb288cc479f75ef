"""A town with schedules: what tests of the use cases and of the service share."""

from kit import NoActions, World, effect, transform, wait
from stepwell import values
from stepwell.auth import Vault
from stepwell.core import Firings, Plans, Schedules, Triggers, Workflows
from stepwell.core.runs import Runs
from stepwell.definitions import Plan
from stepwell.events import Events
from stepwell.store import Firing, Run, RunFilter, Trigger
from stepwell.values import Json

MINUTE_S = 60.0
EACH_MINUTE = {"type": "schedule", "cron": "* * * * *"}
QUICK = transform("tick", at="{{input.scheduledAt}}")
SLOW = wait("long", 3_600_000)
FAILING = effect("no", {"fail": 99, "status": 400})


class Town(World):
    """A world with schedules. Its clock begins 20 s after a full minute."""

    async def open(self) -> None:
        await self.boot()
        await self.wire()

    async def wire(self) -> None:
        """What a process has besides its engine."""
        self.told: list[str] = []
        self.compiled = Plans(self.store.workflows, self.step_types, NoActions())
        self.triggers = Triggers(self.store, self.compiled, Vault(bytes(32)), self.clock, self.ids)
        self.workflows = Workflows(self.store, self.compiled, self.triggers, self.clock, self.ids)
        self.runs = Runs(self.store, self.engine, self.compiled, self.ids, self.clock, 1 << 20)
        self.firings = Firings(self.store, self.runs, self.ids, self.clock)
        self.schedules = self.scheduler()
        await self.schedules.begin()

    def scheduler(self) -> Schedules:
        events = Events((lambda name, fields: self.told.append(name),))
        return Schedules(self.store, self.triggers, self.firings, self.engine, self.clock, events)

    async def reopen(self) -> None:
        """The process dies and another begins."""
        self.kill()
        await self.open()

    async def plan(self, workspace: str, workflow: str, version: int) -> Plan:
        return await self.compiled.get(workspace, workflow, version)

    async def scheduled(self, trigger: Json, step: Json = QUICK, **fields: Json) -> str:
        document = {"name": "Tick", "trigger": {"type": "schedule", **trigger}, "steps": [step], **fields}
        id = (await self.workflows.create(self.workspace, document, "test")).workflow.id
        await self.workflows.activate(self.workspace, id)
        return id

    async def tick(self) -> None:
        """Fire what is due now."""
        await self.schedules.run(await self.schedules.due())
        await self.settle()

    async def pass_minutes(self, count: int) -> None:
        """Let minutes pass, looking at what is due in each."""
        for _ in range(count):
            self.clock.advance(MINUTE_S)
            await self.tick()

    async def trigger(self, id: str) -> Trigger:
        found = await self.store.triggers.get(self.workspace, id)
        assert found is not None
        return found

    async def history(self, id: str) -> list[Firing]:
        """Oldest first."""
        return (await self.store.triggers.history(self.workspace, id, None, 1000))[::-1]

    async def fired_runs(self, id: str) -> list[Run]:
        """Oldest first."""
        wanted = RunFilter(workspace=self.workspace, workflow=id, limit=1000)
        return (await self.store.runs.page(wanted))[::-1]

    async def inputs(self, id: str) -> list[Json]:
        return [values.decode((await self.load(run.id)).run.input) for run in await self.fired_runs(id)]

    async def instants(self, id: str) -> list[str]:
        """The minutes of which there are runs."""
        return [each["scheduledAt"][11:16] for each in await self.inputs(id)]
