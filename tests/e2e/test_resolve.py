"""The page that ends a session, by clicks: what is masked, what is billed, what the board wants."""

import re

from PySide6.QtCore import QDateTime
from PySide6.QtWidgets import QComboBox

from flowpilot_desktop.core.session import Intake
from flowpilot_desktop.core.ticket import Reference
from flowpilot_desktop.ui.spans import SpanEdit
from tests.e2e.conftest import TICKET, OpenDesk, Served, closes, verified
from tests.e2e.driver import Technician, at_the_desk, until
from tests.simulators.exchange import answered


def chooses(box: QComboBox, words: str) -> None:
    place = box.findText(words)
    assert place >= 0, [box.itemText(n) for n in range(box.count())]
    assert box.isVisible()
    box.setCurrentIndex(place)
    box.activated.emit(place)


def changes(span: SpanEdit, start: QDateTime, end: QDateTime) -> None:
    span.start.setDateTime(start)
    span.end.setDateTime(end)
    span.end.editingFinished.emit()


async def opens(technician: Technician, session_id: str) -> None:
    app = technician.app
    app._open_resolve(session_id)
    await until(lambda: app.resolve_model.preview is not None, "the preview")


async def test_what_is_masked_is_said_with_its_places_also_in_an_edited_note(
    connected: OpenDesk, served: Served
):
    async with connected() as technician:
        app = technician.app
        session_id = await verified(technician)
        await opens(technician, session_id)
        await technician.types("Solution in a sentence", "Reset it; the password is Blue-Tiger-88")
        await until(lambda: app.resolve_model.masked, "what is masked")
        words = app.resolve_page.masked.text()
        line = re.search(r"password \(line (\d+)\)", words)
        assert line is not None, words
        shown = app.resolve_page.note.toPlainText().split("\n")[int(line[1]) - 1]
        assert "[password 1]" in shown
        assert "Blue-Tiger-88" not in app.resolve_page.note.toPlainText()
        # By hand something else is typed: it is found before it leaves, and told.
        await technician.types(
            "The note as it will leave", "api_key=sk-ant-api03-abcdefghijklmnopqrstuvwxyz012345 "
        )
        await until(
            lambda: {mask.kind for mask in app.resolve_model.masked} not in (set(), {"password"}),
            "the key to be found",
        )
        assert app.resolve_page.masked.text() != words
        await technician.clicks("Resolve")
        await technician.reads(f"Documentation pushed to ticket #{TICKET}")
    sent = "".join(note["text"] for note in served.site.notes_of(TICKET))
    assert "Blue-Tiger-88" not in sent
    assert "abcdefghijklmnopqrstuvwxyz012345" not in sent


async def test_start_and_end_are_changed_and_leave_so(connected: OpenDesk, served: Served):
    async with connected() as technician:
        app = technician.app
        session_id = await verified(technician)
        await opens(technician, session_id)
        page = app.resolve_page
        assert page.span.isVisible()
        assert page.minutes.value() == 15
        begins = page.span.start.dateTime().addSecs(-3600)
        changes(page.span, begins, begins.addSecs(-60))
        await technician.types("Solution in a sentence", "Restarted it.")
        await until(lambda: app.resolve_model.can_resolve, "a complete page")
        await technician.clicks("Resolve")
        await technician.reads("The time ends before it begins.")
        assert not served.site.requests_for("POST", "/notes")
        changes(page.span, begins, begins.addSecs(40 * 60))
        await until(lambda: page.minutes.value() == 40, "the minutes to follow")
        await technician.clicks("Resolve")
        await technician.reads(f"Documentation pushed to ticket #{TICKET}")
    entry = served.site.requests_for("POST", "/time/entries")[-1].json
    start = begins.toUTC().toString("yyyy-MM-ddTHH:mm:ssZ")
    assert entry["timeStart"] == start
    assert entry["actualHours"] == 0.67
    assert entry["hoursDeduct"] == 0


async def test_no_time_entry_is_a_choice(connected: OpenDesk, served: Served):
    async with connected() as technician:
        session_id = await verified(technician)
        await opens(technician, session_id)
        technician.app.resolve_page.minutes.setValue(0)
        await closes(technician, session_id)
        await technician.reads(f"Documentation pushed to ticket #{TICKET}")
        assert not served.site.entries_of(TICKET)


async def test_work_type_role_and_billing_leave_and_the_board_remembers_them(
    connected: OpenDesk, served: Served
):
    async with connected() as technician:
        app, page = technician.app, technician.app.resolve_page
        session_id = await verified(technician)
        await opens(technician, session_id)
        assert not page.options.isVisible()
        assert not served.site.requests_for("GET", "/time/workTypes")  # nobody asked yet
        await technician.clicks("More")
        await until(
            lambda: page.options.work_type.count() > 1 and page.options.work_role.count() > 1,
            "choices",
        )
        assert page.options.work_type.itemText(0) == "Usual work type"
        chooses(page.options.work_type, "Remote")
        chooses(page.options.work_role, "Technician")
        chooses(page.options.billable, "No charge")
        await technician.types("Solution in a sentence", "Restarted it.")
        await until(lambda: app.resolve_model.can_resolve, "a complete page")
        await technician.clicks("Resolve")
        await technician.reads(f"Documentation pushed to ticket #{TICKET}")
        entry = served.site.requests_for("POST", "/time/entries")[-1].json
        assert entry["workType"] == {"id": 1}
        assert entry["workRole"] == {"id": 1}
        assert entry["billableOption"] == "NoCharge"
        await opens(technician, await verified(technician))
        await until(lambda: app.resolve_model.time_choice.billable == "NoCharge", "the memory")
        assert app.resolve_model.time_choice.work_type == Reference(1, "Remote")
        # Another board has its own memory.
        served.site.move(1003, board=2)
        await opens(technician, await verified(technician, ticket=1003))
        await until(lambda: app.resolve_model.seen is not None, "the ticket")
        assert app.resolve_model.time_choice.work_type == Reference()


async def test_a_status_that_takes_no_time_is_explained_before_it_hurts(
    connected: OpenDesk, served: Served
):
    async with connected() as technician:
        app = technician.app
        closed = next(s for s in served.site.tables.statuses[1] if s["timeEntryNotAllowed"])
        session_id = await verified(technician)
        served.site.move(TICKET, status=closed["id"])
        await opens(technician, session_id)
        await technician.reads("takes no time entries: ConnectWise will refuse the time.")
        app.resolve_page.minutes.setValue(0)
        await until(lambda: not technician.sees("takes no time entries"), "the warning to go")


async def test_without_connectwise_the_page_says_so_and_resolves(
    connected: OpenDesk, served: Served
):
    async with connected() as technician:
        app = technician.app
        await app.settings.change(type(app.settings).status_on_resolution, True)
        session_id = await verified(technician)
        served.site.faults.plan(
            answered(503, stored=False, body='{"code":"Busy","message":"busy","errors":null}'),
            method="GET",
            path="/statuses$",
            times=-1,
        )
        await opens(technician, session_id)
        await until(lambda: app.resolve_model.status_error is not None, "the reason")
        assert app.resolve_page.status_words.isVisible()
        await closes(technician, session_id)
        await technician.reads(f"Documentation pushed to ticket #{TICKET}")


async def test_the_status_is_asked_for_only_when_the_setting_says_so(
    connected: OpenDesk, served: Served
):
    async with connected() as technician:
        await opens(technician, await verified(technician))
        assert not technician.app.resolve_page.status.isVisible()


async def test_what_was_typed_and_not_sent_is_said_before_the_session_ends(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app, engine = technician.app, technician.app.desk.engine
        session_id = (await engine.start_session(Intake("printer"))).session.id
        step = await engine.next_step(session_id)
        assert step is not None
        await engine.save_draft(session_id, step.id, "The display is dark")
        await engine.save_draft(session_id, "note", "Half a <b>note</b>")
        words = "not in the note: “Half a <b>note</b>”, “The display is dark”."
        app._open_resolve(session_id)
        await technician.reads(words)
        app.hand_off.escalate(session_id)
        await until(lambda: app.window.current_page == "escalate", "the escalation")
        await technician.reads(words)
        await engine.save_draft(session_id, "note", "")
        await engine.save_draft(session_id, step.id, "")
        app._open_resolve(session_id)
        await until(lambda: app.resolve_model.preview is not None, "the note")
        assert not technician.sees("not sent")
