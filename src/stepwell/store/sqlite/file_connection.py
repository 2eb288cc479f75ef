"""A connection to the file; the one that writes also keeps what its transactions have to know of endpoints."""

import apsw

Listeners = dict[bytes, list[tuple[bytes, frozenset[str]]]]
"""By workspace: its enabled endpoints and the events that each is told of."""


class FileConnection(apsw.Connection):
    """One connection. A transaction that changes endpoints forgets the listeners, and so does one that is rolled back:
    they are read again when they are next needed."""

    listeners: Listeners | None = None
    emitted = False  # the transaction told endpoints of something

    def forget_listeners(self) -> None:
        """Who listens may have changed."""
        self.listeners = None
