"""Schedules: when workflows start by themselves next, and what came of the times before."""

from urllib.parse import quote

from stepwell.client.records import Firing, Page, Schedule
from stepwell.client.transport import Transport


class Schedules:
    """The calls on schedules. A workflow is named by its id or slug, with or without `wf_`."""

    def __init__(self, transport: Transport) -> None:
        self._call = transport.call

    def next(self, workflow: str, *, count: int = 5) -> Schedule:
        """The next times, at most 100, and what is to be known of them."""
        return self._call("GET", f"{_path(workflow)}/next", query={"count": count}).one(Schedule)

    def history(self, workflow: str, *, limit: int = 50, cursor: str | None = None) -> Page[Firing]:
        """What came of each time, newest first: a run, or why there is none."""
        return self._call("GET", f"{_path(workflow)}/history", query={"limit": limit, "cursor": cursor}).page(Firing)


def _path(workflow: str) -> str:
    return f"/workflows/{quote(workflow, safe='')}/schedule"
