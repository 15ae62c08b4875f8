"""What this desktop still has to tell the team's queue: durable, in order, once in effect.

An operation is a row with an id of its own before anything is sent. The queue answers a repeat of
that id with its first answer, so whatever is unclear is simply sent again::

    waiting ──connect──▶ reached? ──tries + 1, commit──▶ sent ─┬─ answered ─▶ consequences, commit
       ▲  └─ not reached: costs nothing, nothing left         ├─ refused  ─▶ told, the next goes on
       └───────────── no clear answer: the same id again ─────┘

Operations of one escalation go in their order; one that waits holds back those behind it and no
others. ``tries`` above zero means that it may have left: only what never left can be dropped. The
rows are the truth: a restart goes on where the last commit was. The clock is a port; nothing
sleeps here.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from flowpilot_desktop.core.errors import QueueError, QueueNotOpen, QueueRefused
from flowpilot_desktop.core.escalation import OperationKind, OperationState, QueueOperation
from flowpilot_desktop.core.events import EscalationsChanged, Events
from flowpilot_desktop.core.ports import Clock
from flowpilot_desktop.core.session import new_id
from flowpilot_desktop.services.queue import Answer, QueueLink, TeamQueue
from flowpilot_desktop.store import Store
from flowpilot_desktop.store.tables import Record

log = logging.getLogger(__name__)

PROBE = timedelta(seconds=15)
"""How soon the queue is tried again while it can't be reached."""

Consequences = Callable[[QueueOperation, Answer, TeamQueue], Awaitable[tuple[Record, ...]]]
"""Returns what follows from an answer, for the transaction that records it."""
Refusal = Callable[[QueueOperation, QueueRefused], Awaitable[tuple[Record, ...]]]
"""Returns what follows from a no."""


class QueueOutbox:
    """Sends what is due."""

    def __init__(
        self,
        *,
        store: Store,
        link: QueueLink,
        clock: Clock,
        events: Events,
        consequences: Consequences,
        refused: Refusal,
    ) -> None:
        self._store = store
        self.link = link
        self._clock = clock
        self._events = events
        self._consequences = consequences
        self._refused = refused
        self._last_number = 0
        self.sending = asyncio.Lock()
        """Held while an operation is on its way; whoever drops or edits one holds it too."""

    async def open(self) -> None:
        """Learn where the numbers stand; call before the first operation."""
        every = await self._store.queue_operations(OperationState)
        self._last_number = max((one.number for one in every), default=0)

    def operation(
        self,
        kind: OperationKind,
        session_id: str,
        escalation_id: str,
        body: Mapping[str, Any],
        *,
        next_try_at: datetime | None = None,
    ) -> QueueOperation:
        """Return a new operation, the last in order, for the caller's transaction."""
        self._last_number += 1
        return QueueOperation(
            id=new_id(),
            session_id=session_id,
            escalation_id=escalation_id,
            kind=kind,
            body=json.dumps(body, ensure_ascii=False),
            created_at=self._clock.now(),
            number=self._last_number,
            next_try_at=next_try_at,
        )

    async def waiting(
        self, escalation_id: str, *kinds: OperationKind
    ) -> tuple[QueueOperation, ...]:
        """Return what waits for an escalation, in order; only of these kinds if any are named."""
        return tuple(
            one
            for one in await self._store.queue_operations()
            if one.escalation_id == escalation_id and (not kinds or one.kind in kinds)
        )

    async def next_due(self) -> datetime | None:
        """Return when something can be sent next, or None when nothing waits."""
        now = self._clock.now()
        heads: dict[str, QueueOperation] = {}
        for one in await self._store.queue_operations():
            heads.setdefault(one.escalation_id, one)
        return min((one.next_try_at or now for one in heads.values()), default=None)

    async def run_due(self) -> None:
        """Send everything that is due; the first that finds the queue away ends the round."""
        async with self.sending:
            held_back: set[str] = set()
            done: set[str] = set()
            while (one := await self._next(held_back, done)) is not None:
                done.add(one.id)
                try:
                    await self._advance(one)
                except QueueRefused as error:
                    log.info("Operation %s (%s) was refused: %s", one.id, one.kind, error.why)
                except QueueError as error:
                    self.link.note(error)
                    await self._put_off(one, error)
                    return

    async def network_is_back(self) -> None:
        """Send at once what only waits for the queue."""
        for one in await self._store.queue_operations():
            if one.error and one.next_try_at is not None:
                await self._store.save(replace(one, next_try_at=None))
        await self.run_due()

    async def now(self, operation: QueueOperation) -> QueueOperation:
        """Send an operation that needs the queue at this moment, after what waits before it.

        Raises the queue's error. One that surely did not leave is dropped; one that may have left
        stays and is settled by a repeat.
        """
        async with self.sending:
            await self._store.save(operation)
            try:
                for before in await self.waiting(operation.escalation_id):
                    if before.number < operation.number:
                        await self._advance(before)
                return await self._advance(operation)
            except QueueRefused:
                await self._drop_unsent(operation, "What came before it was refused.")
                raise
            except QueueError as error:
                self.link.note(error)
                # A queue that takes no changes from us has done nothing: no click of today comes
                # into effect on the day when it takes them again.
                is_no = isinstance(error, QueueNotOpen) and error.why == "version"
                await self._drop_unsent(operation, error.message, tries=1 if is_no else 0)
                raise

    async def _drop_unsent(self, operation: QueueOperation, why: str, tries: int = 0) -> None:
        for one in await self.waiting(operation.escalation_id):
            if one.id == operation.id and one.tries <= tries:
                await self._store.save(self.dropped(one, why))

    def dropped(self, operation: QueueOperation, why: str) -> QueueOperation:
        """Return an operation as one that never leaves, for the caller's transaction."""
        return replace(
            operation,
            state=OperationState.DROPPED,
            error=why,
            next_try_at=None,
            answered_at=self._clock.now(),
        )

    # One operation

    async def _next(self, held_back: set[str], done: set[str]) -> QueueOperation | None:
        now = self._clock.now()
        for one in await self._store.queue_operations():
            if one.escalation_id in held_back:
                continue
            if one.id in done or (one.next_try_at is not None and one.next_try_at > now):
                held_back.add(one.escalation_id)
                continue
            return one
        return None

    async def _advance(self, one: QueueOperation) -> QueueOperation:
        queue = await self.link.queue()
        await queue.connect()  # until here nothing has left
        one = replace(one, tries=one.tries + 1, next_try_at=None, error="")
        await self._store.save(one)
        try:
            answer = await queue.send(one)
            records = await self._consequences(one, answer, queue)
        except QueueRefused as error:
            one = replace(
                one,
                state=OperationState.REFUSED,
                error=error.message,
                answer=error.why,
                answered_at=self._clock.now(),
            )
            await self._store.save(one, *await self._refused(one, error))
            self._events.publish(EscalationsChanged())
            raise
        self.link.note(None)
        one = replace(
            one,
            state=OperationState.ANSWERED,
            answered_at=self._clock.now(),
            answer=json.dumps({"state": answer.state, "fence": answer.fence}),
        )
        await self._store.save(one, *records)
        self._events.publish(EscalationsChanged())
        return one

    async def _put_off(self, one: QueueOperation, error: QueueError) -> None:
        """Keep an operation for later; ``_advance`` may have counted a try meanwhile."""
        for kept in await self.waiting(one.escalation_id):
            if kept.id == one.id:
                later = self._clock.now() + PROBE
                await self._store.save(replace(kept, next_try_at=later, error=error.message))
        self._events.publish(EscalationsChanged())
