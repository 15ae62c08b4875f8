"""Keeps a desktop's picture of the queue fresh.

    tick (1 s) ─┬─ the clocks jumped: we slept ─▶ drop sockets, wait a little, read everything
                ├─ a poll is due, or somebody poked ─▶ changes(cursor) ─▶ deliver(feed)
                └─ else nothing

Polling every few seconds is the truth; nudges only make it sooner. Intervals are jittered, so
that a thousand desktops that lost the server together don't come back together. After a sleep
`current` is False until a fresh picture was delivered: claims may have been taken over
meanwhile, and nothing should be resolved on old knowledge.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from sync.errors import QueueError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sync.port import Cursor, Feed, Queue, Welcome

log = logging.getLogger(__name__)

TICK = 1.0
JUMP = 5.0
"""Seconds between two ticks, or of disagreement between the clocks, that mean we slept."""
_SOONEST = 0.25
"""Seconds between two polls, however often we are poked."""
_SLOWEST = 60.0
_UPKEEP = 600.0
"""Seconds between sweeps of overdue escalations and tries to listen."""


class Clock(Protocol):
    """Time as the poller sees it."""

    def monotonic(self) -> float:
        """Return seconds that never go back; may stand still during sleep."""
        ...

    def wall(self) -> float:
        """Return seconds since the epoch, as the computer believes."""
        ...

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Wait until the event is set or the time is over."""
        ...


class SystemClock:
    """The computer's own time."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def wall(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        """Wait until the event is set or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()


@dataclass(frozen=True, slots=True)
class Contact:
    """How the last try went."""

    online: bool
    error: QueueError | None = None
    welcome: Welcome | None = None


class Poller:
    """Polls one queue and delivers what changed; `deliver` stores it before it returns."""

    def __init__(
        self,
        queue: Queue,
        deliver: Callable[[Feed], Awaitable[None]],
        *,
        cursor: Cursor | None = None,
        interval: float = 5.0,
        idle_interval: float = 30.0,
        jitter: float = 0.2,
        accelerate: bool = True,
        on_contact: Callable[[Contact], None] | None = None,
        clock: Clock | None = None,
        dice: random.Random | None = None,
    ) -> None:
        self._queue = queue
        self._deliver = deliver
        self._cursor = cursor
        self._everything = False
        self._interval = interval
        self._idle_interval = idle_interval
        self._jitter = jitter
        self._accelerate = accelerate
        self._on_contact = on_contact
        self._clock = clock or SystemClock()
        self._dice = dice or random.Random()  # noqa: S311  # jitter, not a secret
        self._poked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._idle = False
        self._failures = 0
        self._due = 0.0
        self._last_poll = float("-inf")
        self._upkeep_due = 0.0
        self._listening = False
        self.contact = Contact(online=False)
        self.current = False
        """Whether the delivered picture is younger than the last sleep or failure."""

    @property
    def idle(self) -> bool:
        """Whether the screen is locked or nobody is there: polls are then rarer."""
        return self._idle

    @idle.setter
    def idle(self, value: bool) -> None:
        if self._idle and not value:
            self.poke()
        self._idle = value

    def start(self) -> None:
        """Begin polling on the running loop."""
        assert self._task is None
        self._task = asyncio.get_running_loop().create_task(self._run(), name="queue poller")

    def poke(self) -> None:
        """Ask for a poll now."""
        self._poked.set()

    async def aclose(self) -> None:
        """Stop polling; the queue stays open."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    # --- the loop ---------------------------------------------------------------------

    async def _run(self) -> None:
        monotonic, wall = self._clock.monotonic(), self._clock.wall()
        self._due = monotonic
        while True:
            now, now_wall = self._clock.monotonic(), self._clock.wall()
            gap, wall_gap = now - monotonic, now_wall - wall
            monotonic, wall = now, now_wall
            if gap > JUMP or abs(wall_gap - gap) > JUMP:
                self._woke(now)
            if self._poked.is_set():
                self._poked.clear()
                # After a failure a poke is still worth a try, but not a storm of them.
                self._due = min(self._due, max(now, self._last_poll + _SOONEST))
            if now >= self._due:
                await self._poll()
                # A slow answer is not a sleep.
                monotonic, wall = self._clock.monotonic(), self._clock.wall()
                continue
            await self._clock.wait(self._poked, min(TICK, self._due - now))

    def _woke(self, now: float) -> None:
        log.info("the clocks jumped: reading the team queue anew")
        self.current = False
        self._everything = True
        self._queue.drop()
        self._due = now + self._dice.uniform(0.0, 3.0)

    async def _poll(self) -> None:
        self._last_poll = self._clock.monotonic()
        try:
            welcome = await self._queue.connect()
            feed = await self._queue.changes(None if self._everything else self._cursor)
            await self._deliver(feed)
            self._cursor, self._everything, self.current = feed.cursor, False, True
            if not self._idle:
                await self._queue.heartbeat()
            await self._upkeep()
        except QueueError as error:
            self._failed(error)
        else:
            self._failures = 0
            self._due = self._clock.monotonic() + self._spread(
                self._idle_interval if self._idle else self._interval
            )
            self._tell(Contact(online=True, welcome=welcome))

    def _failed(self, error: QueueError) -> None:
        self._failures += 1
        self.current = False
        base = self._interval * 2.0 ** min(self._failures - 1, 6)
        if not isinstance(error, UnreachableError):
            base = _SLOWEST  # a wrong password doesn't mend itself in seconds
        # Full jitter above one second: whoever lost the server together comes back apart.
        self._due = self._clock.monotonic() + self._dice.uniform(1.0, min(base, _SLOWEST))
        self._tell(Contact(online=False, error=error))

    async def _upkeep(self) -> None:
        now = self._clock.monotonic()
        if now < self._upkeep_due:
            return
        self._upkeep_due = now + self._spread(_UPKEEP)
        await self._queue.sweep()
        if self._accelerate and not self._listening:
            self._listening = await self._queue.listen(self.poke)

    def _spread(self, seconds: float) -> float:
        return seconds * self._dice.uniform(1.0 - self._jitter, 1.0 + self._jitter)

    def _tell(self, contact: Contact) -> None:
        changed = (contact.online, type(contact.error)) != (
            self.contact.online,
            type(self.contact.error),
        ) or (contact.welcome != self.contact.welcome and contact.online)
        self.contact = contact
        if changed and self._on_contact is not None:
            self._on_contact(contact)
