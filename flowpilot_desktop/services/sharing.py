"""What a session that was handed over needs beside the store: its share of every commit.

Whoever handles a session that was picked up tells the team of each step and of how it ended. The
telling is an operation of the queue's outbox in the verb's own transaction, so no step is saved
here that the team never hears of.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from flowpilot_desktop.core.errors import ClaimLost, QueueError
from flowpilot_desktop.core.escalation import OperationKind, QueueOperation
from flowpilot_desktop.core.push import PushItem, TimePayload
from flowpilot_desktop.core.redaction import Redactor
from flowpilot_desktop.core.session import Session, Step
from flowpilot_desktop.core.timing import Segment
from flowpilot_desktop.services.background import Background
from flowpilot_desktop.services.hand_off import Addition, BilledTime, sealed
from flowpilot_desktop.services.queue_outbox import QueueOutbox
from flowpilot_desktop.services.sessions import Sessions

log = logging.getLogger(__name__)

CLAIM_CHECK_SECONDS = 3.0
"""How long resolving waits to learn whether the claim still holds."""
OUTCOME_LIMIT = 20_000


class Share:
    """The share that sessions held by this technician have in their commits."""

    def __init__(
        self,
        sessions: Sessions,
        outbox: QueueOutbox,
        look: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        self.outbox = outbox
        self.link = outbox.link
        self.background = Background()
        self._sessions = sessions
        self._look = look

    def is_held(self, session: Session) -> bool:
        """Return whether this technician handles a session that was picked up."""
        me = self._sessions.me.id
        return bool(session.escalation_id) and session.fence > 0 and session.handler_id == me

    def told(
        self, session: Session, *steps: Step, set_aside: tuple[str, ...] = ()
    ) -> tuple[QueueOperation, ...]:
        """Return what tells the team of these steps."""
        if not self.is_held(session):
            return ()
        additions = [Addition(step=step) for step in steps]
        if set_aside:
            additions.append(Addition(set_aside=set_aside))
        return (self._appended(session, *additions),)

    async def still_held(self, session: Session) -> None:
        """Raise ClaimLost when somebody else has taken the session over meanwhile."""
        if not self.is_held(session):
            return
        try:
            async with asyncio.timeout(CLAIM_CHECK_SECONDS):
                queue = await self.link.queue()
                await queue.renew(session.escalation_id, session.fence)
        except ClaimLost:
            self.background.begin(self._look())
            raise
        except (TimeoutError, QueueError) as error:
            log.info("The claim could not be checked: %s", type(error).__name__)

    def ended(
        self,
        session: Session,
        outcome: str,
        segments: Iterable[Segment],
        items: tuple[PushItem, ...],
    ) -> tuple[QueueOperation, ...]:
        """Return what tells the team how it ended: the time worked first, then the outcome."""
        if not self.is_held(session):
            return ()
        me = session.handler_id
        own = tuple(s for s in latest(segments) if s.engineer_id == me and not s.is_open)
        billed = tuple(
            BilledTime(me, item.payload.start, item.payload.end, item.created_at)
            for item in items
            if isinstance(item.payload, TimePayload)
        )
        text = Redactor().redact(outcome).text[:OUTCOME_LIMIT]
        body = {"fence": session.fence, "outcome": text}
        return (
            self._appended(session, Addition(segments=own, billed=billed)),
            self.outbox.operation(OperationKind.RESOLVE, session.id, session.escalation_id, body),
        )

    def wake(self) -> None:
        """Send, in the background, what a commit has just made."""
        self.background.begin(self.outbox.run_due())

    def _appended(self, session: Session, *additions: Addition) -> QueueOperation:
        body = {"fence": session.fence, "steps": [sealed(one) for one in additions]}
        return self.outbox.operation(OperationKind.APPEND, session.id, session.escalation_id, body)


def latest(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    """Return the last word on each segment."""
    return tuple({segment.id: segment for segment in segments}.values())
