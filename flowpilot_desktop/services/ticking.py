"""The clock of everything that happens by itself; the rows in the store are the truth.

APScheduler wakes the documentation push every five minutes and at the very moment when the next
item is due, stretches the running time once a minute, and does whatever else ``every`` was told.
Whoever finds that ConnectWise is back wakes the push as well.
A job that is still running is not started again, and missed runs collapse into one.

APScheduler only says when; the work is a task of ours, so that closing can wait for its end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from flowpilot_desktop.core.events import Events, PushChanged, Reach, ReachChanged, System
from flowpilot_desktop.services.documentation_push import DocumentationPush
from flowpilot_desktop.services.timekeeping import BEAT, Timekeeping

log = logging.getLogger(__name__)

PUSH_EVERY = timedelta(minutes=5)
_DUE = "documentation is due"


class Ticking:
    """Starts what is due; stops with ``aclose``."""

    def __init__(self, push: DocumentationPush, timekeeping: Timekeeping, events: Events) -> None:
        self._push = push
        self._is_pushing = False
        self._running: set[asyncio.Future[object]] = set()
        self._latest: dict[str, asyncio.Future[object]] = {}
        self._scheduler = AsyncIOScheduler(
            timezone="UTC",
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self.every(PUSH_EVERY, "documentation push", self.push_now)
        self.every(BEAT, "working time", timekeeping.beat)
        self._end_listening = (
            events.listen(PushChanged, self._push_changed),
            events.listen(ReachChanged, self._reach_changed),
        )

    def start(self) -> None:
        """Begin ticking on the running loop, and look at once what is due."""
        self._scheduler.start()
        self.wake()

    def every(self, span: timedelta, name: str, job: Callable[[], Awaitable[object]]) -> None:
        """Run the job every so often, unless it still runs."""

        async def begin() -> None:
            latest = self._latest.get(name)
            if latest is None or latest.done():
                self._latest[name] = self._begin(job())

        self._scheduler.add_job(
            begin, "interval", seconds=span.total_seconds(), id=name, replace_existing=True
        )

    def wake(self) -> None:
        """Look now what is due: at the start, after a verb."""
        self._begin(self.push_now())

    async def push_now(self) -> None:
        """Push what is due and plan the next time."""
        await self._pushing(self._push.run_due)

    async def aclose(self) -> None:
        """Stop; what is on its way is cancelled and stays in its row."""
        for end in self._end_listening:
            end()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        for task in tuple(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    async def _pushing(self, work: Callable[[], Awaitable[None]]) -> None:
        self._is_pushing = True
        try:
            await work()
        finally:
            self._is_pushing = False
        await self._plan()

    async def _plan(self) -> None:
        due = await self._push.next_due()
        if due is not None and self._scheduler.running:
            self._run_at(due)

    def _run_at(self, due: datetime) -> None:
        self._scheduler.add_job(self._due, "date", run_date=due, id=_DUE, replace_existing=True)

    async def _due(self) -> None:
        """Begin a push and end at once: planned from within itself, a job would be dropped."""
        self.wake()

    def _push_changed(self, _: PushChanged) -> None:
        if self._scheduler.running and not self._is_pushing:
            self._begin(self._plan())

    def _reach_changed(self, event: ReachChanged) -> None:
        is_back = event.system is System.PSA and event.reach is Reach.REACHABLE
        if is_back and self._scheduler.running:
            self._begin(self._pushing(self._push.network_is_back))

    def _begin(self, work: Awaitable[object]) -> asyncio.Future[object]:
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Future[object]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("A scheduled job failed", exc_info=error)
