"""Whose time runs, on which session.

An engineer works on one session at a time: beginning on one ends the stretch on another, so no
minute is counted twice. Each change of a stretch is returned as records for the verb's own
transaction. While the app runs, ``beat`` stretches the open segment once a minute; a gap between
beats longer than ``SLEEP`` (a closed lid, a jumped clock) ends the stretch where it was and begins
a new one. After a crash the stretch ends at the last beat or verb that reached the disk.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from flowpilot_desktop.core.ports import Clock
from flowpilot_desktop.core.session import Session, SessionStatus, new_id
from flowpilot_desktop.core.timing import Segment, closed, closed_after_crash, opened
from flowpilot_desktop.store import Store

BEAT = timedelta(seconds=60)
SLEEP = timedelta(minutes=5)


class Timekeeping:
    """Opens, stretches and closes segments."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def recover(self) -> int:
        """Close what a crash left open, at its last sign of life; return how many there were."""
        stale = await self._store.open_segments()
        ended = []
        for segment in stale:
            # What was typed last was kept within half a second, the time once a minute.
            typed = [one.updated_at for one in await self._store.drafts(segment.session_id)]
            at = max([segment.last_activity_at, *typed])
            if not _slept(segment, at):
                segment = _stretched(segment, at)  # noqa: PLW2901 - the same stretch, longer
            ended.append(closed_after_crash(segment))
        if ended:
            await self._store.save(*ended)
        return len(ended)

    async def begun(self, session: Session, engineer_id: str) -> tuple[Segment, ...]:
        """Return what makes the engineer's time run on the session, and on no other."""
        now = self._clock.now()
        changed: list[Segment] = []
        runs_here = False
        for segment in await self._store.open_segments():
            if segment.engineer_id != engineer_id:
                continue
            if segment.session_id == session.id and not _slept(segment, now):
                runs_here = True
                changed.append(_stretched(segment, now))
            else:
                changed.append(_ended(segment, now))
        if not runs_here and session.status is SessionStatus.ACTIVE:
            changed.append(opened(new_id(), session.id, engineer_id, now))
        return tuple(changed)

    async def ended(self, session_id: str) -> tuple[Segment, ...]:
        """Return the session's open segments, closed now."""
        now = self._clock.now()
        return tuple(
            _ended(segment, now)
            for segment in await self._store.open_segments()
            if segment.session_id == session_id
        )

    async def beat(self) -> None:
        """Stretch what is open; after a sleep, end it where it was and begin anew."""
        now = self._clock.now()
        changed: list[Segment] = []
        for segment in await self._store.open_segments():
            if _slept(segment, now):
                changed.append(closed_after_crash(segment))
                changed.append(opened(new_id(), segment.session_id, segment.engineer_id, now))
            else:
                changed.append(_stretched(segment, now))
        if changed:
            await self._store.save(*changed)

    async def end_all(self) -> None:
        """Close everything; the app is quitting."""
        now = self._clock.now()
        open_now = await self._store.open_segments()
        if open_now:
            await self._store.save(*(_ended(segment, now) for segment in open_now))


def _slept(segment: Segment, now: datetime) -> bool:
    gap = now - segment.last_activity_at
    return gap > SLEEP or gap < -SLEEP


def _stretched(segment: Segment, now: datetime) -> Segment:
    return replace(segment, last_activity_at=max(segment.last_activity_at, now))


def _ended(segment: Segment, now: datetime) -> Segment:
    if _slept(segment, now):
        return closed_after_crash(segment)
    return closed(_stretched(segment, now), max(now, segment.started_at))
