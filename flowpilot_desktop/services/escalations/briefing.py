"""What the fast model adds to a hand-off: asked once, waited for by nobody.

Whoever escalates asks while the escalation waits in the outbox, ``BRIEFING_SECONDS`` at most. A
package that left without the model's words says so, and the desktop that picks it up asks in its
turn.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace

from flowpilot_desktop.core.errors import ModelError
from flowpilot_desktop.core.escalation import QueueOperation
from flowpilot_desktop.core.ports import BriefingDraft
from flowpilot_desktop.core.session import Usage
from flowpilot_desktop.core.usage import UsageRecord
from flowpilot_desktop.llm.conversation import briefing_consultation
from flowpilot_desktop.services.hand_off import with_briefing
from flowpilot_desktop.services.model_access import ModelAccess
from flowpilot_desktop.services.queue_outbox import QueueOutbox
from flowpilot_desktop.services.sessions import Sessions

log = logging.getLogger(__name__)

BRIEFING_SECONDS = 15.0
"""How long an escalation waits for the fast model at most."""


class BriefingWriter:
    """Asks the fast model what a teammate should look at."""

    def __init__(self, sessions: Sessions, access: ModelAccess, outbox: QueueOutbox) -> None:
        self._sessions = sessions
        self._access = access
        self._outbox = outbox

    async def complete(self, operation: QueueOperation) -> None:
        """Add the model's words to an escalation that has not left yet, and let it leave."""
        reason = json.loads(operation.body)["reason"]
        try:
            draft, spent = await self.draft(operation.session_id, reason)
        except Exception:
            await self._let_go(operation.id, None)
            raise
        await self._sessions.store.save(*spent)
        await self._let_go(operation.id, draft)

    async def _let_go(self, operation_id: str, draft: BriefingDraft | None) -> None:
        store = self._sessions.store
        async with self._outbox.sending:
            for one in await store.queue_operations():
                if one.id == operation_id and not one.tries:
                    body = json.loads(one.body)
                    if draft is not None:
                        body["package"] = with_briefing(
                            body["package"], draft.hypotheses, draft.next_steps
                        )
                    text = json.dumps(body, ensure_ascii=False)
                    await store.save(replace(one, body=text, next_try_at=None))
        await self._outbox.run_due()

    async def draft(
        self, session_id: str, reason: str
    ) -> tuple[BriefingDraft | None, tuple[UsageRecord, ...]]:
        """Return what the model says and what it was paid; nothing when it can't be asked."""
        sessions = self._sessions
        session = await sessions.session(session_id)
        case = await sessions.case(session, await sessions.store.steps(session_id))
        flow = await sessions.assistant.flow(session.flow_id)
        try:
            model = await self._access.model_about(session, case.told())
            record = sessions.assistant.record(case, flow)
            draft = await model.briefing(briefing_consultation(record, reason))
        except ModelError as error:
            self._access.failed(error)
            log.info("No briefing from the model: %s", type(error).__name__)
            if error.usage is None or error.usage == Usage():
                return None, ()
            return None, (self._access.usage_record(session_id, error.model, error.usage),)
        spent = self._access.usage_record(session_id, draft.model, draft.usage)
        return draft, (spent,)
