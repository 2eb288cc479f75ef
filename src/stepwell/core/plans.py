"""Compiled plans, kept for the versions that run."""

from collections import OrderedDict
from collections.abc import Mapping

from stepwell.definitions import Bounds, Catalogue, Plan, StepType, compile_definition
from stepwell.errors import Fault, NotFound, ValidationFailed
from stepwell.store import Workflows
from stepwell.triggers import EventCatalogue, NoEvents, trigger_faults, trigger_kind
from stepwell.values import Json, decode


class Plans:
    """Plans by version, the ones used last. Only for workflows that were active once: their versions do not change."""

    def __init__(
        self,
        workflows: Workflows,
        step_types: Mapping[str, StepType],
        catalogue: Catalogue,
        bounds: Bounds | None = None,
        events: EventCatalogue | None = None,
        *,
        limit: int = 500,
    ) -> None:
        self._workflows = workflows
        self._step_types = step_types
        self._catalogue = catalogue
        self._bounds = bounds or Bounds()
        self._events = events or NoEvents()
        self._limit = limit
        self._plans: OrderedDict[tuple[str, str, int], Plan] = OrderedDict()

    def compile(self, document: Json) -> Plan:
        """The plan of a document that is not stored yet, or may still change.

        Raises:
            ValidationFailed: with every fault of the document.
        """
        return compile_definition(document, self._step_types, self._catalogue, self._bounds, self._check_trigger)

    def kind_of(self, trigger: dict[str, Json]) -> str | None:
        """schedule, webhook or poll; None of triggers that nothing fires."""
        return trigger_kind(trigger, self._events)

    def check_trigger(self, trigger: dict[str, Json]) -> None:
        """Raise ValidationFailed with every fault of a trigger that stands in no definition."""
        if faults := self._check_trigger(trigger):
            raise ValidationFailed("Invalid request", faults)

    def _check_trigger(self, trigger: dict[str, Json]) -> list[Fault]:
        return trigger_faults(trigger, self._events)

    async def get(self, workspace: str, workflow: str, version: int) -> Plan:
        """The plan of a version.

        Raises:
            NotFound: there is no such version.
            ValidationFailed: this server no longer knows something that the version uses.
        """
        key = (workspace, workflow, version)
        plan = self._plans.get(key)
        if plan is not None:
            self._plans.move_to_end(key)
            return plan
        stored = await self._workflows.version(workspace, workflow, version)
        if stored is None:
            raise NotFound("Version not found")
        plan = self._plans[key] = self.compile(decode(stored.document))
        if len(self._plans) > self._limit:
            self._plans.popitem(last=False)
        return plan
