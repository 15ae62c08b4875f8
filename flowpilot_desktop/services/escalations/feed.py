"""The line to the queue: news as they come, claims renewed, and how long ago it was heard of.

The poller delivers what changed; each row goes to the ``Follower``, and the cursor is remembered
only after the rows that it brought. When the queue comes back from a backup, acknowledged
operations of the last 30 days are offered again; nothing local is deleted because something
remote is empty.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from flowpilot_desktop.core.errors import FlowPilotError, QueueError, QueueNotOpen, QueueRefused
from flowpilot_desktop.core.escalation import OperationState
from flowpilot_desktop.core.events import EscalationsChanged
from flowpilot_desktop.services.escalations.follower import Follower
from flowpilot_desktop.services.escalations.roster import Roster
from flowpilot_desktop.services.queue import News, TeamQueue
from flowpilot_desktop.services.sessions import Sessions
from flowpilot_desktop.services.sharing import Share

RENEW_SECONDS = 240.0
"""How often a claim is renewed while FlowPilot runs."""
OFFERED_AGAIN = timedelta(days=30)
"""Acknowledged operations that are offered again when the queue came back from a backup."""
_CURSOR, _SEEN = "queue cursor", "queue seen"


class Feed:
    """Follows the queue."""

    def __init__(
        self,
        sessions: Sessions,
        share: Share,
        roster: Roster,
        follower: Follower,
        poll_seconds: Callable[[], float],
    ) -> None:
        self._sessions = sessions
        self._store = sessions.store
        self._share = share
        self._outbox = share.outbox
        self._link = share.link
        self._roster = roster
        self._follower = follower
        self._poll_seconds = poll_seconds
        self._poller: Any = None
        self._is_idle = False
        self._is_following = False
        self._changing = asyncio.Lock()  # there is one poller, whoever begins or ends it
        self._renewed: dict[str, float] = {}
        self.error: FlowPilotError | None = None
        """Why the queue can't be heard now."""

    async def is_set_up(self) -> bool:
        """Return whether there is a queue to hear; a locked keyring knows of none."""
        try:
            return await self._link.is_set_up()
        except QueueNotOpen:
            return False

    async def last_heard(self) -> datetime | None:
        """Return when the queue was last heard of, or None for never."""
        seen = await self._store.remembered(_SEEN)
        return datetime.fromisoformat(seen) if seen else None

    async def follow(self) -> None:
        """Begin to poll, anew if it was polled already, and send what waits."""
        async with self._changing:
            await self._end()
            self._is_following = True  # also while nothing can be heard: ``tend`` begins then
            await self._begin()

    async def _begin(self) -> None:
        try:
            queue = await self._link.queue()
        except QueueError as error:
            self._noted(error)
            return
        with suppress(QueueError):
            await self._roster.learn(queue)
        self._poller = queue.poller(
            self._deliver,
            cursor=await self._store.remembered(_CURSOR) or "",
            interval=self._poll_seconds(),
            noted=self._contact,
        )
        self._poller.idle = self._is_idle
        self._poller.start()
        await self._outbox.run_due()

    async def follow_another(self) -> None:
        """Follow another invitation's queue: what was known of the former is forgotten."""
        await self._store.remember(_CURSOR, "")
        await self._roster.forget()
        await self.follow()

    async def stop(self) -> None:
        """Poll no more."""
        self._is_following = False
        async with self._changing:
            await self._end()

    async def _end(self) -> None:
        poller, self._poller = self._poller, None
        if poller is not None:
            await poller.aclose()

    def set_idle(self, *, idle: bool) -> None:
        """Look at the queue more rarely while nobody is there."""
        self._is_idle = idle
        if self._poller is not None:
            self._poller.idle = idle

    async def refresh(self) -> None:
        """Read the queue now. Raises QueueUnreachable, QueueNotOpen."""
        try:
            queue = await self._link.queue()
            await self._roster.learn(queue)
            await self._deliver(await queue.changes(await self._store.remembered(_CURSOR) or ""))
        except QueueError as error:
            self._noted(error)
            raise
        self._noted(None)

    # Claims

    def renewed(self, escalation_id: str) -> None:
        """Count a claim as renewed now."""
        self._renewed[escalation_id] = self._sessions.clock.monotonic()

    async def tend(self) -> None:
        """Renew claims, send what is due, learn who is there; to be called every few seconds."""
        await self._outbox.run_due()
        async with self._changing:
            if self._is_following and self._poller is None:
                await self._begin()
        try:
            queue = await self._link.queue()
            await self._roster.learn(queue)
            self._noted(None)
            await self._renew_claims(queue)
        except QueueError as error:
            self._noted(error)

    async def _renew_claims(self, queue: TeamQueue) -> None:
        now = self._sessions.clock.monotonic()
        for row in await self._store.escalations(live_only=True):
            session = await self._store.session(row.session_id)
            if session is None or not self._share.is_held(session) or session.status.is_final:
                continue
            if now - self._renewed.get(row.id, float("-inf")) < RENEW_SECONDS:
                continue
            try:
                await queue.renew(row.id, session.fence)
                self._renewed[row.id] = now
            except QueueRefused:
                with suppress(QueueError):
                    await self._follower.take(await queue.escalation(row.id))
                    self._sessions.events.publish(EscalationsChanged())

    # News

    def _contact(self, error: FlowPilotError | None) -> None:
        was_away = self.error is not None
        self._noted(error)
        if error is None and was_away:
            self._share.background.begin(self._outbox.network_is_back())

    def _noted(self, error: FlowPilotError | None) -> None:
        self._link.note(error if error is not None else self._roster.limit)
        is_news = type(error) is not type(self.error)
        self.error = error
        if is_news:
            self._sessions.events.publish(EscalationsChanged())

    async def _deliver(self, news: News) -> None:
        """Take over what changed; the cursor is remembered after the rows it brought."""
        if news.resync:
            await self._forget_vanished({row.id for row in news.rows})
        if news.restored:
            await self._offer_again()
        await self._roster.learn_everybody_in(news.rows)
        for row in news.rows:
            await self._follower.take(row)
        if news.cursor != await self._store.remembered(_CURSOR):
            await self._store.remember(_CURSOR, news.cursor)
        await self._store.remember(_SEEN, self._sessions.clock.now().isoformat())
        if news.rows or news.resync:
            self._sessions.events.publish(EscalationsChanged())

    async def _forget_vanished(self, present: set[str]) -> None:
        waiting = {one.escalation_id for one in await self._store.queue_operations()}
        gone = [
            row
            for row in await self._store.escalations(live_only=True)
            if row.id not in present and row.id not in waiting
        ]
        await self._store.forget(*gone)

    async def _offer_again(self) -> None:
        since = self._sessions.clock.now() - OFFERED_AGAIN
        for one in await self._store.queue_operations((OperationState.ANSWERED,)):
            if one.answered_at is not None and one.answered_at > since:
                again = replace(one, state=OperationState.WAITING, next_try_at=None)
                await self._store.save(again)
        self._share.wake()
