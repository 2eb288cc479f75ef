"""Sources: workflows that are written apart from their definitions, in versions, and deployed. What a version means
is the matter of the dialect that it is written in. Source: AwaitStep contract 1, 4.2, 7."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from stepwell.clock import Clock
from stepwell.core.secrets import Secrets
from stepwell.core.variables import Variables
from stepwell.core.workflows import Document, Workflows
from stepwell.errors import AlreadyExists, Fault, NotFound, StepwellError, ValidationFailed
from stepwell.ids import Ids
from stepwell.states import WorkflowStatus
from stepwell.store import Deployment, SourceVersion, SourceWorkflow, Store, Workflow
from stepwell.values import Json, decode, encode

BULLETS: Final = "•" * 8
"""What a secret value is shown as; sent back it keeps the value."""
_GLOBAL = re.compile(r"\{\{\s*global\.env\.([A-Z][A-Z0-9_]*)\s*\}\}")


class VersionRefused(StepwellError):
    """What was asked of a version cannot be done with it."""

    code = "BAD_REQUEST"


class Resolved(msgspec.Struct, frozen=True):
    """The environment of a deploy: values, secrets, and the names that have no value."""

    variables: dict[str, str]
    secrets: dict[str, str]
    missing: tuple[str, ...]


class Sources:
    """The use cases on sources. `workflow` is an id of the core; who calls has made sure that it is there."""

    def __init__(
        self, store: Store, workflows: Workflows, secrets: Secrets, variables: Variables, clock: Clock, ids: Ids
    ) -> None:
        self._store = store.sources
        self._workflows = workflows
        self._secrets = secrets
        self._variables = variables
        self._clock = clock
        self._ids = ids

    async def create(self, workspace: str, kind: str, draft: Document, created_by: str, dialect: str) -> Workflow:
        """Make a workflow without a version: a draft without steps."""
        body = {**draft, "trigger": {"type": "api"}, "steps": []}
        made = await self._workflows.create(workspace, body, created_by, {"dialect": dialect})
        id = made.workflow.id
        await self._store.put(
            SourceWorkflow(workspace=workspace, workflow=id, kind=kind, updated_at=made.workflow.updated_at)
        )
        return made.workflow

    async def get(self, workspace: str, workflow: str) -> SourceWorkflow | None:
        """A workflow as it was written; None if that is not kept apart."""
        return await self._store.get(workspace, workflow)

    async def change(
        self,
        source: SourceWorkflow,
        *,
        trigger_code: str | None,
        deploy_config: Document,
        env_vars: Sequence[Mapping[str, Json]] | None,
    ) -> SourceWorkflow:
        """Give a workflow these settings; environment variables only if there are such, each `{name, value, secret}`.
        A secret's value is sealed, and read by the next deploy; BULLETS keeps it.

        Raises:
            ValidationFailed: a secret that is too short, or one to be kept that has no value.
        """
        listed = source.env_vars
        if env_vars is not None:
            listed = encode(await self._kept(source, env_vars))
        changed = msgspec.structs.replace(
            source,
            trigger_code=trigger_code,
            deploy_config=encode(deploy_config),
            env_vars=listed,
            updated_at=self._clock.now_ms(),
        )
        await self._store.put(changed)
        return changed

    async def delete(self, workspace: str, workflow: str) -> None:
        """Forget a workflow's versions, deployments and address, and put it away."""
        await self._workflows.archive(workspace, workflow)
        await self._store.delete(workspace, workflow)

    # -- versions

    async def versions(
        self, workspace: str, workflow: str, *, before: str | None = None, limit: int = 50
    ) -> list[SourceVersion]:
        """Versions, newest first, after the one with the id `before`."""
        return await self._store.versions(workspace, workflow, before=before, limit=limit)

    async def version(self, workspace: str, workflow: str, id: str) -> SourceVersion:
        """One version. Raises NotFound."""
        found = await self._store.version(workspace, workflow, id)
        if found is None:
            raise NotFound("Version not found")
        return found

    async def save(self, source: SourceWorkflow, body: bytes, by: str) -> tuple[SourceVersion, bool]:
        """Keep what was written, and whether that is a new version: the newest one is overwritten unless it is deployed
        or locked; with the same text it stays."""
        return await self._store.save_version(self._new(source, body, by), fresh=False)

    async def lock(self, workspace: str, workflow: str, id: str, *, locked: bool) -> SourceVersion:
        """Keep a version from being changed, or let it be. Raises NotFound."""
        version = await self.version(workspace, workflow, id)
        changed = msgspec.structs.replace(version, locked=locked, updated_at=self._clock.now_ms())
        await self._store.put_version(changed)
        return changed

    async def revert(self, source: SourceWorkflow, id: str, by: str) -> SourceVersion:
        """A new version of what an old one says. Raises NotFound."""
        old = await self.version(source.workspace, source.workflow, id)
        made, _ = await self._store.save_version(self._new(source, old.body, by), fresh=True)
        return made

    async def delete_version(self, source: SourceWorkflow, id: str) -> None:
        """Remove a version. Raises NotFound; VersionRefused if it is locked, deployed or the current one."""
        version = await self.version(source.workspace, source.workflow, id)
        if version.locked:
            raise VersionRefused("Version is locked")
        if version.id in (source.deployed_version, source.current_version):
            raise VersionRefused("Version is active or deployed")
        await self._store.delete_version(source.workspace, source.workflow, id)

    # -- deploys

    async def check_unlocked(self, source: SourceWorkflow) -> None:
        """Raise VersionRefused if the deployed version is locked."""
        deployed = source.deployed_version
        found = await self._store.version(source.workspace, source.workflow, deployed) if deployed else None
        if found is not None and found.locked:
            raise VersionRefused("Currently deployed version is locked - unlock it before deploying")

    async def resolve(self, source: SourceWorkflow) -> Resolved:
        """The environment of a deploy: the workspace's variables, and the workflow's own above them."""
        shared = await self._variables.values(source.workspace)
        variables = {name: value for name, (value, secret) in shared.items() if not secret}
        secrets = {name: value for name, (value, secret) in shared.items() if secret}
        own = await self._secrets.open(source.workspace, source.workflow, map(_stored, _own_secrets(source)))
        missing = []
        for each in decode(source.env_vars):
            name, value = str(each["name"]), each.get("value")
            for known in (variables, secrets):
                known.pop(name, None)
            pointed = _GLOBAL.fullmatch(value) if isinstance(value, str) else None
            if pointed is not None and pointed[1] in shared:
                value, secret = shared[pointed[1]]
                (secrets if secret else variables)[name] = value
            elif each.get("secret") and pointed is None:
                if _stored(name) in own:
                    secrets[name] = own[_stored(name)]
                else:
                    missing.append(name)
            elif pointed is not None or not isinstance(value, str):
                missing.append(name)
            else:
                variables[name] = value
        return Resolved(variables, secrets, tuple(missing))

    async def deploy(
        self, source: SourceWorkflow, version: SourceVersion, body: Document, made_of: Document, by: str
    ) -> None:
        """Make a version the one that runs: `body` are the fields that it was compiled to, `made_of` what its document
        keeps of it. Raises as Workflows.update and activate do."""
        workspace, workflow = source.workspace, source.workflow
        await self._workflows.update(workspace, workflow, body, by, made_of)
        await self._workflows.activate(workspace, workflow)
        await self._store.set_deployed(workspace, workflow, version.id, self._clock.now_ms())

    async def keep_secrets(self, workspace: str, workflow: str, wanted: Mapping[str, str]) -> None:
        """Give the workflow the secrets that its deployed version uses."""
        for name, value in wanted.items():
            await self._put_secret(workspace, workflow, name, value)

    async def set_route(self, source: SourceWorkflow, pattern: str | None) -> None:
        """Let an address below `/fn/` lead to the workflow, in place of the one it had; None takes that away.

        Raises:
            AlreadyExists: it leads to another.
        """
        if not await self._store.set_route(source.workspace, source.workflow, pattern):
            raise AlreadyExists("Route already in use")

    async def take_down(self, source: SourceWorkflow) -> None:
        """Take no more runs; those in progress go on."""
        row = await self._workflows.row(source.workspace, source.workflow)
        if row.status is WorkflowStatus.ACTIVE:
            await self._workflows.pause(source.workspace, source.workflow)
        await self._store.set_deployed(source.workspace, source.workflow, None, self._clock.now_ms())
        await self.set_route(source, None)

    async def note(self, deployment: Deployment) -> Deployment:
        """Keep what came of a deploy under a new id."""
        made = msgspec.structs.replace(deployment, id=self._ids.new())
        await self._store.put_deployment(made)
        return made

    async def deployments(
        self, workspace: str, *, workflow: str | None, before: str | None, limit: int
    ) -> list[Deployment]:
        """Deployments, of one workflow or all, newest first."""
        return await self._store.deployments(workspace, workflow=workflow, before=before, limit=limit)

    def _new(self, source: SourceWorkflow, body: bytes, by: str) -> SourceVersion:
        """A version whose number the store gives."""
        return SourceVersion(
            workspace=source.workspace,
            workflow=source.workflow,
            id=self._ids.new(),
            number=0,
            body=body,
            created_by=by,
            updated_at=self._clock.now_ms(),
        )

    async def _kept(self, source: SourceWorkflow, wanted: Sequence[Mapping[str, Json]]) -> list[Document]:
        workspace, workflow = source.workspace, source.workflow
        before = _own_secrets(source)
        listed: list[Document] = []
        for index, each in enumerate(wanted):
            name, value, secret = str(each["name"]), each["value"], bool(each.get("secret"))
            sealed = secret and isinstance(value, str) and _GLOBAL.fullmatch(value) is None
            if sealed and value == BULLETS:
                if name not in before:
                    raise _fault(index, "There is no value to keep")
            elif sealed:
                try:
                    await self._put_secret(workspace, workflow, _stored(name), str(value))
                except ValidationFailed as error:
                    raise _fault(index, error.faults[0].message) from None
            listed.append({"name": name, "value": None if sealed else value, "secret": secret})
        await self._forget(workspace, workflow, before - {each["name"] for each in listed if _sealed(each)})
        return listed

    async def _forget(self, workspace: str, workflow: str, names: Collection[str]) -> None:
        for name in names:
            try:
                await self._secrets.delete(workspace, workflow, _stored(name))
            except NotFound:
                continue

    async def _put_secret(self, workspace: str, workflow: str, name: str, value: str) -> None:
        known = {each.name for each in await self._secrets.names(workspace, workflow)}
        put = self._secrets.replace if name in known else self._secrets.create
        await put(workspace, workflow, name, value)


def _stored(name: str) -> str:
    """The name under which a workflow's own secret is stored, beside the copy that its deployed version reads."""
    return f"env-{name}"


def _own_secrets(source: SourceWorkflow) -> set[str]:
    return {str(each["name"]) for each in decode(source.env_vars) if _sealed(each)}


def _sealed(each: Mapping[str, Json]) -> bool:
    return bool(each.get("secret")) and each.get("value") is None


def _fault(index: int, message: str) -> ValidationFailed:
    return ValidationFailed("Invalid request", [Fault(("envVars", index, "value"), message)], within="body")
