"""Where a command works: in a data directory itself, or, while a server holds it, over HTTP."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

import typer

from stepwell.cli.directory import DataDirectory
from stepwell.cli.options import DEFAULT_URL, settings_of
from stepwell.client import Client
from stepwell.clock import SystemClock
from stepwell.core import Core
from stepwell.errors import StartupRefused
from stepwell.events import Events
from stepwell.server import open_core

T = TypeVar("T")

ServerUrlOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--url", envvar="STEPWELL_URL", help=f"Address of the server.  [default: {DEFAULT_URL}]"),
]


class Place:
    """A data directory, or a server."""

    def __init__(self, data: Path | None, config: Path | None, url: str | None, api_key: str | None) -> None:
        self._data_is_named = data is not None
        self._settings = settings_of(data, config)
        self._url = url
        self._api_key = api_key

    def do(
        self,
        over_http: Callable[[Client], T],
        directly: Callable[[Core, str], Awaitable[T]],
        *,
        existing: bool = False,
    ) -> T:
        """Do the one or the other; what works directly gets the first workspace. `existing` wants a database that is
        there already.

        Raises:
            StartupRefused: a server holds the directory and no key to call it with was given.
        """
        directory = DataDirectory(self._settings)
        if self._url is not None and self._api_key is not None and not self._data_is_named:
            return over_http(Client(self._url, self._api_key))
        if (held := directory.held()) is not None:
            if self._api_key is None:
                raise StartupRefused(
                    f"{held} Or call that server: give the key of an admin by --api-key (STEPWELL_API_KEY) and its "
                    f"address by --url if it is not {DEFAULT_URL}."
                )
            return over_http(Client(self._url or DEFAULT_URL, self._api_key))
        if existing:
            directory.existing_database()
        return asyncio.run(self._do_directly(directly))

    async def _do_directly(self, directly: Callable[[Core, str], Awaitable[T]]) -> T:
        async with open_core(self._settings, Events(), SystemClock()) as (core, workspace):
            return await directly(core, workspace)
