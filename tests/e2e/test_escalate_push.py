"""What ConnectWise holds of an escalation: the note, the time and the status as the page left."""

import re

from flowpilot_desktop.core.push import PsaPushStatus
from flowpilot_desktop.settings import Settings
from tests.e2e.conftest import TICKET, OpenDesk, Served, verified
from tests.e2e.driver import until
from tests.e2e.test_hand_off import joins
from tests.e2e.test_resolve import chooses
from tests.simulators.postgres import shared_server

NAME = "Jordan Blake"
SECRET = "Blue-Tiger-88"


async def test_an_escalation_leaves_as_it_was_edited_and_the_status_last(
    connected: OpenDesk, served: Served
):
    with shared_server("plain").database() as database:
        invitation = database.invite(database.add_team("Helpdesk"), NAME).token()
        async with connected() as technician:
            await joins(technician, invitation)
            app = technician.app
            model, page = app.hand_off.escalate_model, app.hand_off.escalate_page
            await app.settings.change(Settings.status_on_escalation, True)
            session_id = await verified(technician)
            app.open_session(session_id)
            await until(lambda: app.session_model.view is not None, "the session")
            await technician.clicks("Escalate")
            await until(lambda: model.preview is not None, "the preview")
            await technician.types("Reason for escalating", f"Stuck. The password is {SECRET}")
            await until(lambda: "Stuck." in page.note.toPlainText(), "the note to follow")
            await until(lambda: "password (line" in page.masked.text(), "what is masked")
            assert SECRET not in page.note.toPlainText()
            await technician.types("The note as it will leave", "Call before ten. ")
            page.minutes.setValue(30)
            await until(lambda: page.status.isVisible() and page.status.count() > 1, "statuses")
            chooses(page.status, "Escalated")
            await technician.clicks("Escalate & Update Ticket")
            await technician.reads("Your team sees it")
            await app.desk.push.run_due()
            view = await app.desk.engine.session(session_id)
            assert view.push_status is PsaPushStatus.SENT
    site = served.site
    writes = [
        request
        for request in site.requests
        if request.method in ("POST", "PATCH") and not request.path.endswith("/search")
    ]
    paths = [re.sub(".*/3.0", "", request.path) for request in writes]
    assert paths == [
        f"/service/tickets/{TICKET}/notes",
        "/time/entries",
        f"/service/tickets/{TICKET}",
    ]
    note, entry, status = (request.json for request in writes)
    assert "═══ FlowPilot Escalation Documentation ═══" in note["text"]
    assert "Call before ten." in note["text"]
    assert "Stuck." in note["text"]
    assert note["internalAnalysisFlag"] is True
    assert note["detailDescriptionFlag"] is False
    assert (entry["actualHours"], entry["member"]) == (0.5, {"identifier": "jblake"})
    assert status[0]["value"] == {"id": site.tables.tickets[TICKET]["status"]["id"]}
    assert site.tables.tickets[TICKET]["status"]["name"] == "Escalated"
    assert all(SECRET.encode() not in request.body for request in site.requests if request.body)
