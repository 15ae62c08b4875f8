"""A mistake of ours with one session's documentation holds up no other, and loses nothing."""

import pytest

from flowpilot_desktop.core.push import PsaPushStatus, PushState
from flowpilot_desktop.core.session import Intake
from flowpilot_desktop.psa.practice import PracticePsa
from tests.clock import VirtualClock
from tests.services.desk import CONNECTION, diagnose, open_desk


class Clumsy(PracticePsa):
    """Breaks on one ticket: before a note is stored, or after it was."""

    breaks_after = False
    broken_ticket = "12352"

    async def add_note(self, ticket_id, record_kind, note):
        if ticket_id != self.broken_ticket:
            return await super().add_note(ticket_id, record_kind, note)
        if self.breaks_after:
            await super().add_note(ticket_id, record_kind, note)
        raise ValueError("a mistake in reading the answer")


async def resolved(desk, ticket: str) -> str:
    started = await desk.engine.start_session(Intake("", CONNECTION.id, ticket))
    await diagnose(desk, started.session.id)
    await desk.engine.resolve_session(started.session.id, "Fixed")
    return str(started.session.id)


@pytest.mark.parametrize("after", [False, True])
async def test_one_sessions_mistake_holds_up_no_other(tmp_path, logged_errors, after):
    clock = VirtualClock()
    psa = Clumsy(CONNECTION, clock=clock)
    psa.breaks_after = after
    async with open_desk(tmp_path, clock=clock, psa=psa) as desk:
        broken = await resolved(desk, "12352")
        sound = await resolved(desk, "12345")
        await desk.push.run_due()
        assert (await desk.engine.session(sound)).push_status is PsaPushStatus.SENT
        assert "could not be worked on" in logged_errors[0].getMessage()
        items = (await desk.engine.session(broken)).push_items
        assert PushState.SENDING not in {item.state for item in items}
        psa.broken_ticket = ""
        for _ in range(6):
            clock.advance(minutes=6)
            await desk.push.run_due()
        assert (await desk.engine.session(broken)).push_status is PsaPushStatus.SENT
        notes = [n for n in (await psa.context("12352")).notes if broken in n.text]
        assert len(notes) == 1
