"""The thread on which all talk with the server happens.

Calls are jobs with a deadline, carried out one after the other. A job whose deadline passes
takes its connection with it, because nothing that arrives late on it could be told from an
answer to the next job. Whether it took effect is then unknown; the caller repeats it with the
same operation id, and one such repeat, on a fresh connection after a short random pause, is
made here when the time allows.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import random
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

from sync import errors, wire
from sync.connection import Connection, Dialer, OutOfTimeError, Session
from sync.port import Receipt

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

log = logging.getLogger(__name__)

_HELLO_AGAIN = 600.0
"""Seconds after which an open connection asks again what the server is and allows."""


class Job:
    """One call on its way to the worker."""

    def __init__(
        self,
        work: Callable[[Session], Any],
        deadline: float,
        loop: asyncio.AbstractEventLoop,
        *,
        fresh: bool = False,
        nudge: bool = False,
    ) -> None:
        self.work = work
        self.deadline = deadline
        self.loop = loop
        self.answer: asyncio.Future[Any] = loop.create_future()
        self.fresh = fresh
        self.nudge = nudge

    def deliver(self, result: Any, error: BaseException | None) -> None:
        """Hand the outcome to whoever waits; nobody may."""

        def settle() -> None:
            if self.answer.done():
                return
            if error is not None:
                self.answer.set_exception(error)
            else:
                self.answer.set_result(result)

        with contextlib.suppress(RuntimeError):  # the loop is gone, and so is the caller
            self.loop.call_soon_threadsafe(settle)


class Worker:
    """One daemon thread, at most one connection; belongs to one event loop."""

    def __init__(
        self,
        dialer: Dialer,
        *,
        deadline: float,
        connect_timeout: float,
        api_versions: tuple[int, ...],
        nudge: bool,
    ) -> None:
        self._dialer = dialer
        self._deadline = deadline
        self._connect_timeout = connect_timeout
        self._api_versions = api_versions
        self._nudge = nudge
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._session: Session | None = None
        self._thread: threading.Thread | None = None
        self._abandoned = threading.Event()
        self._closed = False

    async def run(
        self, work: Callable[[Session], T], *, fresh: bool = False, nudge: bool = False
    ) -> T:
        """Carry out one job on the thread and return its result."""
        if self._closed:
            raise errors.ClosedError
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="team queue", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        job = Job(
            work, time.monotonic() + self._deadline, loop, fresh=fresh, nudge=nudge and self._nudge
        )
        self._jobs.put(job)
        try:
            # The worker keeps the deadline; this one is for what it can't interrupt (look-ups).
            async with asyncio.timeout(self._deadline + 1.0):
                result: T = await job.answer
                return result
        except TimeoutError:
            raise errors.DeadlineError from None

    def drop(self) -> None:
        """Abandon the connection, under a running job too; the next job opens another."""
        self._abandoned.set()

    async def aclose(self) -> None:
        """End the thread; idempotent. Jobs under way end unreachable."""
        if self._closed:
            return
        self._closed = True
        self._abandoned.set()
        self._jobs.put(None)
        if self._thread is not None:
            # A name look-up can't be interrupted; a daemon thread may outlive us for its sake.
            await asyncio.to_thread(self._thread.join, 2.0)

    # --- on the thread ----------------------------------------------------------------

    def _work(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                if job.answer.done():
                    continue  # nobody waits any more and nothing was sent
                result, error = None, None
                try:
                    result = self._perform(job)
                except BaseException as raised:  # noqa: BLE001  # it belongs to the caller
                    error = raised
                job.deliver(result, error)
                if job.nudge and error is None:
                    self._nudge_teammates(result)
        finally:
            self._hang_up()
            while True:
                with contextlib.suppress(queue.Empty):
                    left = self._jobs.get_nowait()
                    if left is not None:
                        left.deliver(None, errors.ClosedError())
                    continue
                break

    def _perform(self, job: Job) -> Any:
        if time.monotonic() >= job.deadline:
            raise errors.DeadlineError  # it waited too long behind others; nothing was sent
        tried_before = False
        while True:
            had_session = self._session is not None and not job.fresh
            try:
                session = self._connected(job)
                session.connection.deadline = job.deadline
                return job.work(session)
            except psycopg.Error as error:
                translated = wire.translate(error, out_of_time=isinstance(error, OutOfTimeError))
                if error.sqlstate is None or isinstance(translated, errors.ServerTooOldError):
                    # Whatever arrives on it next could be the answer to this call.
                    self._hang_up()
                elif self._session is not None and self._session.connection.closed:
                    self._hang_up()
                pause = random.uniform(0.05, 0.25)  # noqa: S311  # jitter, not a secret
                again = (
                    isinstance(translated, errors.UnreachableError)
                    or (had_session and isinstance(translated, errors.ServerTooOldError))
                ) and not (tried_before or self._closed)
                if not again or time.monotonic() + pause >= job.deadline:
                    raise translated from error
                tried_before = True
                time.sleep(pause)

    def _connected(self, job: Job) -> Session:
        if self._session is not None and (job.fresh or self._abandoned.is_set()):
            self._hang_up()
        if self._closed:
            raise errors.ClosedError
        self._abandoned.clear()
        if self._session is None:
            self._session = self._open(job.deadline)
        elif time.monotonic() - self._session.since > _HELLO_AGAIN:
            connection = self._session.connection
            connection.deadline = job.deadline
            self._session = self._introduce(connection)  # the schema may have moved on
        return self._session

    def _open(self, deadline: float) -> Session:
        timeout = min(self._connect_timeout, deadline - time.monotonic())
        connection = self._dialer.connect(timeout)
        connection.deadline = deadline
        connection.abandoned = self._abandoned
        try:
            return self._introduce(connection)
        except BaseException:
            connection.close()
            raise

    def _introduce(self, connection: Connection) -> Session:
        for api in self._api_versions:
            before = datetime.now(UTC)
            with contextlib.suppress(
                psycopg.errors.UndefinedFunction, psycopg.errors.InvalidSchemaName
            ):
                session = Session(connection, api, {}, timedelta(0), time.monotonic())
                session.hello = session.json("hello")
                after = datetime.now(UTC)
                session.skew = wire.moment(session.hello["now"]) - (before + (after - before) / 2)
                return session
        raise errors.ServerTooOldError("This database holds no team queue this version knows.")

    def _hang_up(self) -> None:
        if self._session is not None:
            self._session.connection.close()
            self._session = None

    def _nudge_teammates(self, result: object) -> None:
        """Tell listeners to poll; in a transaction of its own, and no matter if it fails."""
        if self._session is None or (isinstance(result, Receipt) and result.replayed):
            return
        try:
            self._session.connection.deadline = time.monotonic() + 2.0
            self._session.call("nudge", "")
        except psycopg.Error as error:
            log.debug("nudge failed: %s", type(error).__name__)
            if self._session.connection.closed:
                self._hang_up()
