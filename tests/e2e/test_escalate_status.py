"""The setting "Prompt for ticket status on escalation": what it asks, and what the ticket gets."""

from pathlib import Path

import pytest

from flowpilot_desktop.core.push import PushKind, StatusPayload
from flowpilot_desktop.core.session import Intake, SessionStatus
from flowpilot_desktop.profile import Profile
from flowpilot_desktop.settings import Settings
from tests.e2e.driver import at_the_desk, until
from tests.e2e.test_hand_off import REASON, joins
from tests.simulators.postgres import shared_server

NAME = "Jordan Blake"
TICKET = "12352"


@pytest.mark.parametrize("is_asked", [True, False], ids=["on", "off"])
async def test_the_status_is_asked_for_only_where_the_setting_says_so(
    tmp_path: Path, is_asked: bool
):
    with shared_server("plain").database() as database:
        invitation = database.invite(database.add_team("Helpdesk"), NAME).token()
        profile = Profile(tmp_path / NAME, is_demo=True, latency=0.0)
        async with at_the_desk(tmp_path, profile=profile) as sam:
            await joins(sam, invitation)
            app = sam.app
            await app.settings.change(Settings.status_on_escalation, is_asked)
            engine = app.desk.engine
            session_id = (await engine.start_session(Intake("", "practice", TICKET))).session.id
            before = (await (await app.desk.tickets.psa()).ticket(TICKET)).status
            app.open_session(session_id)
            await until(lambda: app.session_model.view is not None, "the session")
            await sam.clicks("Escalate")
            await until(lambda: app.window.current_page == "escalate", "the escalate page")
            await sam.types("Reason for escalating", REASON)
            model, choice = app.hand_off.escalate_model, app.hand_off.escalate_page.status
            if is_asked:
                await until(lambda: choice.isVisible() and choice.count() > 1, "the statuses")
                names = [choice.itemText(place) for place in range(choice.count())]
                assert names[0] == "Leave as it is"
                wanted = next(name for name in names[1:] if name != before.name)
                choice.setCurrentIndex(names.index(wanted))
                choice.activated.emit(names.index(wanted))
            else:
                await until(lambda: model.preview is not None and not model.tasks.names, "the page")
                assert not choice.isVisible()
                wanted = before.name
            await sam.clicks("Escalate & Update Ticket")
            await sam.reads("Your team sees it")
            view = await engine.session(session_id)
            assert view.session.status is SessionStatus.REQUESTING_ESCALATION
            changes = [item.payload for item in view.push_items if item.kind is PushKind.STATUS]
            assert [one.status.name for one in changes if isinstance(one, StatusPayload)] == (
                [wanted] if is_asked else []
            )
            await app.desk.push.run_due()
            after = (await (await app.desk.tickets.psa()).ticket(TICKET)).status
            assert after.name == wanted
