"""A second connection, on a thread of its own, that waits for nudges.

A nudge says "poll now" and nothing else. Whether they come at all is nobody's promise: a pooler
may swallow them, and a lost connection is opened again at its leisure.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import selectors
import threading
import time
from typing import TYPE_CHECKING

import psycopg
from psycopg import pq

from sync.connection import SLICE, Connection, Dialer, OutOfTimeError

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)


class Listener:
    """A second connection on a thread of its own that waits for nudges."""

    def __init__(
        self,
        dialer: Dialer,
        channel: str,
        loop: asyncio.AbstractEventLoop,
        on_nudge: Callable[[], None],
        connect_timeout: float,
    ) -> None:
        self._dialer = dialer
        self._channel = channel
        self._loop = loop
        self._on_nudge = on_nudge
        self._connect_timeout = connect_timeout
        self._abandoned = threading.Event()
        self._stopped = threading.Event()
        self._first: asyncio.Future[bool] = loop.create_future()
        self._thread = threading.Thread(target=self._work, name="team queue nudges", daemon=True)
        self._thread.start()

    async def started(self) -> bool:
        """Wait until the first connection listens or has failed."""
        return await self._first

    def reconnect(self) -> None:
        """Drop the socket and open another."""
        self._abandoned.set()

    def stop(self) -> None:
        """End the thread; it notices within a moment."""
        self._stopped.set()
        self._abandoned.set()

    def _tell(self, call: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone
            self._loop.call_soon_threadsafe(call)

    def _started(self, *, listening: bool) -> None:
        def settle() -> None:
            if not self._first.done():
                self._first.set_result(listening)

        self._tell(settle)

    def _work(self) -> None:
        pause = 1.0
        while not self._stopped.is_set():
            self._abandoned.clear()
            if self._stopped.is_set():  # stop() may have come between the two lines above
                break
            try:
                self._listen()
                pause = 1.0
            except psycopg.Error as error:
                log.debug("no nudges for now: %s", type(error).__name__)
                self._started(listening=False)
            self._stopped.wait(random.uniform(0, pause))  # noqa: S311  # jitter, not a secret
            pause = min(pause * 2, 60.0)
        self._started(listening=False)

    def _listen(self) -> None:
        connection = self._dialer.connect(self._connect_timeout)
        with connection:
            connection.abandoned = self._abandoned
            connection.deadline = time.monotonic() + self._connect_timeout
            connection.execute(
                psycopg.sql.SQL("listen {}").format(psycopg.sql.Identifier(self._channel))
            )
            self._started(listening=True)
            while connection.pgconn.status == pq.ConnStatus.OK:
                connection.deadline = float("inf")
                for _ in self._notifies(connection):
                    self._tell(self._on_nudge)
                # Half a minute of silence: ask whether anybody is there.
                connection.deadline = time.monotonic() + self._connect_timeout
                connection.execute("select 1")

    @staticmethod
    def _notifies(connection: Connection) -> list[psycopg.Notify]:
        quiet_until = time.monotonic() + 30.0
        while time.monotonic() < quiet_until:
            ready = selectors.DefaultSelector()
            with ready:
                ready.register(connection.pgconn.socket, selectors.EVENT_READ)
                if ready.select(timeout=SLICE):
                    connection.pgconn.consume_input()
                    found = []
                    while (notify := connection.pgconn.notifies()) is not None:
                        found.append(psycopg.Notify(notify.relname.decode(), "", notify.be_pid))
                    if found:
                        return found
            if connection.abandoned is not None and connection.abandoned.is_set():
                connection.pgconn.finish()
                raise OutOfTimeError("the connection was given up")
        return []
