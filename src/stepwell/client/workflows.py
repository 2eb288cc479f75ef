"""Workflows: found, written, moved through their life."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from stepwell.client.errors import ApiError, ClientError
from stepwell.client.records import Page, Workflow, WorkflowDetail
from stepwell.client.transport import Answer, Transport

_OPTIONAL = ("description", "inputSchema", "outputSchema", "output", "variables", "settings")


class Applied(NamedTuple):
    """What `apply` did: `created`, `updated` (a new definition) or `unchanged`."""

    workflow: WorkflowDetail
    outcome: str


class Workflows:
    """The calls on workflows. A workflow is named by its id or slug, with or without `wf_`."""

    def __init__(self, transport: Transport) -> None:
        self._call = transport.call

    def list(
        self, *, status: str | None = None, search: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Workflow]:
        """Workflows, newest first; archived ones only with `status="archived"`."""
        query = {"status": status, "search": search, "limit": limit, "cursor": cursor}
        return self._call("GET", "/workflows", query=query).page(Workflow)

    def get(self, workflow: str) -> WorkflowDetail:
        """A workflow with its definition."""
        return _detail(self._call("GET", f"/workflows/{_part(workflow)}"))

    def version(self, workflow: str, number: int) -> dict[str, Any]:
        """One version's definition, as the server tells it."""
        answer = self._call("GET", f"/workflows/{_part(workflow)}/versions/{number}")
        return dict(answer.data)

    def find(self, text: str) -> WorkflowDetail:
        """The workflow with this id, slug or exact name.

        Raises:
            ClientError: there is none, or several have the name.
        """
        try:
            return self.get(text)
        except ApiError as error:
            if error.code != "NOT_FOUND":
                raise
        named = self._named(text)
        if named is None:
            raise ClientError(f"No workflow has the id, slug or name {text}. `stepwell workflow list` shows all.")
        return named

    def create(self, document: Mapping[str, Any]) -> WorkflowDetail:
        """A new draft of a definition."""
        return _detail(self._call("POST", "/workflows", document))

    def update(self, workflow: str, changes: Mapping[str, Any]) -> WorkflowDetail:
        """Replace the top-level fields that are given; None removes an optional one."""
        return _detail(self._call("PUT", f"/workflows/{_part(workflow)}", changes))

    def apply(self, document: Mapping[str, Any]) -> Applied:
        """Make the server's definition equal to this one: of the workflow with its slug, else with its name; a new
        draft if there is none. Optional fields that the document has not are removed."""
        current = self._current(document)
        if current is None:
            return Applied(self.create(document), "created")
        removed = {name: None for name in _OPTIONAL if name not in document and current.document.get(name) is not None}
        edited = self.update(current.id, {**document, **removed})
        changed = any(current.document.get(name) != edited.document.get(name) for name in (*document, *removed))
        return Applied(edited, "updated" if changed else "unchanged")

    def activate(self, workflow: str) -> WorkflowDetail:
        """Let a workflow take runs."""
        return _detail(self._call("POST", f"/workflows/{_part(workflow)}/activate"))

    def pause(self, workflow: str) -> WorkflowDetail:
        """Take no new runs; runs in progress go on."""
        return _detail(self._call("POST", f"/workflows/{_part(workflow)}/pause"))

    def archive(self, workflow: str) -> WorkflowDetail:
        """Put a workflow away for good."""
        return _detail(self._call("POST", f"/workflows/{_part(workflow)}/archive"))

    def _current(self, document: Mapping[str, Any]) -> WorkflowDetail | None:
        slug, name = document.get("slug"), document.get("name")
        if isinstance(slug, str):
            try:
                return self.get(f"wf_{slug}")
            except ApiError as error:
                if error.code != "NOT_FOUND":
                    raise
            return None
        return self._named(name) if isinstance(name, str) else None

    def _named(self, name: str) -> WorkflowDetail | None:
        found: dict[str, Workflow] = {}
        cursor = None
        while True:
            page = self.list(search=name, limit=100, cursor=cursor)
            found |= {workflow.id: workflow for workflow in page.items if workflow.name == name}
            cursor = page.cursor
            if cursor is None:
                break
        if len(found) > 1:
            raise ClientError(f"{len(found)} workflows are named {name}: {', '.join(found)}. Name one by its id.")
        return self.get(next(iter(found))) if found else None


def _detail(answer: Answer) -> WorkflowDetail:
    answer.data = {**answer.data, "document": answer.data}
    return answer.one(WorkflowDetail)


def _part(text: str) -> str:
    return quote(text, safe="")
