"""What the fast model adds to a hand-off: asked once, waited for by nobody.

Whoever escalates asks while the escalation waits in the outbox, ``BRIEFING_SECONDS`` at most. A
package that left without the model's words says so, and the desktop that picks it up asks in its
turn.
"""

from __future__ import annotations

import logging

from flowpilot_desktop.core.errors import ModelError
from flowpilot_desktop.core.ports import BriefingDraft
from flowpilot_desktop.core.usage import UsageRecord
from flowpilot_desktop.llm.conversation import briefing_consultation
from flowpilot_desktop.services.model_access import ModelAccess
from flowpilot_desktop.services.sessions import Sessions

log = logging.getLogger(__name__)

BRIEFING_SECONDS = 15.0
"""How long an escalation waits for the fast model at most."""


class BriefingWriter:
    """Asks the fast model what a teammate should look at."""

    def __init__(self, sessions: Sessions, access: ModelAccess) -> None:
        self._sessions = sessions
        self._access = access

    async def draft(
        self, session_id: str, reason: str
    ) -> tuple[BriefingDraft | None, tuple[UsageRecord, ...]]:
        """Return what the model says and what it was paid; nothing when it can't be asked."""
        sessions = self._sessions
        session = await sessions.session(session_id)
        case = await sessions.case(session, await sessions.store.steps(session_id))
        flow = await sessions.assistant.flow(session.flow_id)
        try:
            model = await self._access.model_about(session)
            record = sessions.assistant.record(case, flow)
            draft = await model.briefing(briefing_consultation(record, reason))
        except ModelError as error:
            self._access.failed(error)
            log.info("No briefing from the model: %s", type(error).__name__)
            return None, ()
        spent = self._access.usage_record(session_id, draft.model, draft.usage)
        return draft, (spent,)
