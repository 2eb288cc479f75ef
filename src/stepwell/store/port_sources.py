"""What a store offers of what workflows were written as; see store.port for the rules of all verbs."""

from typing import Protocol

from stepwell.store.rows_sources import Answered, Deployment, SourceVersion, SourceWorkflow, StoredVariable


class Sources(Protocol):
    """Workflows as they were written, their versions, deployments and addresses; variables; repeated answers."""

    async def get(self, workspace: str, workflow: str) -> SourceWorkflow | None:
        """A workflow as it was written."""
        ...

    async def put(self, source: SourceWorkflow) -> None:
        """Write it, whether or not it was there; its kind stays, and which versions are current and deployed."""
        ...

    async def set_deployed(self, workspace: str, workflow: str, version: str | None, at: int) -> None:
        """Note which version is deployed, and since when (epoch ms)."""
        ...

    async def delete(self, workspace: str, workflow: str) -> None:
        """Forget it with its versions, deployments and address."""
        ...

    async def versions(self, workspace: str, workflow: str, *, before: str | None, limit: int) -> list[SourceVersion]:
        """Versions, newest first, `before` being the id after which the page starts."""
        ...

    async def version(self, workspace: str, workflow: str, id: str) -> SourceVersion | None:
        """One version."""
        ...

    async def save_version(self, version: SourceVersion, *, fresh: bool) -> tuple[SourceVersion, bool]:
        """Write a body as the workflow's current version; as stored, and whether that is a new one. The newest one
        stays if its body is the same, and is written over unless it is locked or deployed. A new one, which it always
        is if `fresh`, has the number that follows."""
        ...

    async def put_version(self, version: SourceVersion) -> None:
        """Write a version; of one that is there its body, its lock and its time."""
        ...

    async def delete_version(self, workspace: str, workflow: str, id: str) -> bool:
        """Forget a version; False if there is none."""
        ...

    async def put_deployment(self, deployment: Deployment) -> None:
        """Write a deployment; of one that is there its address, status and error."""
        ...

    async def deployments(
        self, workspace: str, *, workflow: str | None, before: str | None, limit: int
    ) -> list[Deployment]:
        """Deployments, of one workflow or all, newest first."""
        ...

    async def variables(self, workspace: str) -> list[StoredVariable]:
        """The variables of a workspace by name."""
        ...

    async def put_variable(self, variable: StoredVariable) -> bool:
        """Write a variable; False if another one has its name."""
        ...

    async def delete_variable(self, workspace: str, id: str) -> bool:
        """Forget a variable; False if there is none."""
        ...

    async def route(self, pattern: str) -> tuple[str, str] | None:
        """The workspace and workflow that have an address."""
        ...

    async def set_route(self, workspace: str, workflow: str, pattern: str | None) -> bool:
        """Give a workflow this address and no other; False, with nothing changed, if another workflow has it."""
        ...

    async def repeat(self, workspace: str, place: str, key: str, since: int) -> Answered | None:
        """What a key of a place was answered after a time (epoch ms)."""
        ...

    async def put_repeat(self, workspace: str, place: str, key: str, at: int, answered: Answered) -> None:
        """Keep what a key was answered."""
        ...

    async def forget_repeats(self, before: int, limit: int) -> int:
        """Forget answers of this time and before; how many."""
        ...
