"""What happens to documentation, by clicks: retried by itself or by hand, changed, skipped."""

import csv
import io
import re
from typing import Any

from PySide6.QtWidgets import QFileDialog

from flowpilot_desktop.core.push import PushItem, PushKind, PushState
from tests.e2e.conftest import TICKET, OpenDesk, Served, closes, verified
from tests.e2e.driver import Technician, until
from tests.simulators.exchange import answered

BUSY = answered(500, stored=False, body='{"code":"Busy","message":"busy","errors":null}')


def ours(served: Served) -> list[dict[str, Any]]:
    return [note for note in served.site.notes_of(TICKET) if "FlowPilot" in note["text"]]


async def test_a_failed_push_is_retried_by_the_scheduler_and_lands(
    connected, served, quick_retries
):
    async with connected() as technician:
        session_id = await verified(technician)
        served.site.faults.plan(BUSY, method="POST", path="/notes$", times=2)
        await closes(technician, session_id)
        await technician.reads("will sync shortly")
        await technician.reads(f"Documentation pushed to ticket #{TICKET}")
        items = await all_sent(technician)
        assert next(item for item in items if item.kind is PushKind.NOTE).tries == 3
    assert len(ours(served)) == 1
    assert "── Session Timing ──" in ours(served)[0]["text"].replace("\\", "")
    assert len(served.site.entries_of(TICKET)) == 1


async def test_offline_costs_no_try_and_it_lands_when_connectwise_is_back(
    connected, served, quick_retries
):
    async with connected() as technician:
        session_id = await verified(technician)
        served.server.away()
        await closes(technician, session_id)
        await technician.reads(f"Documentation for ticket #{TICKET} is queued, will sync shortly")
        await technician.reads("Waiting")
        assert tone(technician) == "amber"
        assert not technician._buttons("Retry")  # only what failed is tried again by hand
        await until(
            lambda: any("next try" in text for text in shown(technician)), "the next try in words"
        )
        served.server.back()
        await technician.reads(f"Documentation pushed to ticket #{TICKET}")
        assert {item.tries for item in await all_sent(technician)} == {1}
    assert len(ours(served)) == 1


async def all_sent(technician: Technician) -> tuple[PushItem, ...]:
    model = technician.app.closed_push_model
    await until(lambda: {item.state for item in model.items} == {PushState.SENT}, "all sent")
    return model.items


def tone(technician: Technician) -> str:
    """Return the tone of the words in which the resolve page tells of the push."""
    return str(technician.app.resolve_page.words.property("tone"))


def shown(technician: Technician) -> list[str]:
    return [row.words.text() for row in technician.app.resolve_page.items._rows]


async def test_exhausted_it_fails_and_a_retry_by_hand_lands(connected, served, quick_retries):
    async with connected() as technician:
        app = technician.app
        session_id = await verified(technician)
        served.site.faults.plan(BUSY, method="POST", path="/notes$", times=-1)
        await closes(technician, session_id)
        await technician.reads(f"Documentation did not reach ticket #{TICKET}: ")
        assert "busy" in app.resolve_page.words.text()  # in the server's own words
        assert tone(technician) == "red"
        model = app.closed_push_model
        await until(lambda: model.items[0].state is PushState.FAILED, "the row to say so too")
        assert model.items[0].tries == 4
        assert not ours(served)
        served.site.faults.clear()
        await technician.clicks("Retry")
        await technician.reads(f"Documentation pushed to ticket #{TICKET}")
        assert tone(technician) == "green"
    assert len(ours(served)) == 1
    assert len(served.site.entries_of(TICKET)) == 1


async def test_without_a_ticket_nothing_is_said_of_a_push(connected, served):
    async with connected() as technician:
        app = technician.app
        session_id = await verified(technician, ticket=0, words="No sound in the meeting room")
        await closes(technician, session_id)
        await technician.reads("Resolved. The note is in the history.")
        assert not app.resolve_page.pushed.isVisible()
        app.open_session(session_id)
        await until(lambda: app.session_model.view is not None, "the session")
        await technician.reads("Restarted it.")
        for words in ("Documentation", "queued", "did not reach", "Retry"):
            assert not technician.sees(words), words
        assert await app.desk.store.push_items(session_id) == ()
    assert not served.site.requests_for("POST", "/notes")


async def test_what_was_refused_is_changed_or_skipped_in_the_history(connected, served):
    refusal = answered(400, stored=False, body='{"code":"InvalidObject","message":"Period closed"}')
    async with connected() as technician:
        app = technician.app
        session_id = await verified(technician)
        served.site.faults.plan(refusal, method="POST", path="/notes$")
        served.site.faults.plan(refusal, method="POST", path="/time/entries$")
        await closes(technician, session_id)
        await technician.reads("did not reach")
        await technician.clicks("History")
        await until(lambda: app.history_model.sessions.rowCount() == 1, "the history")
        app.history_page.list.chosen.emit(app.history_model.sessions.rows[0])
        await technician.reads("Period closed")
        await until(lambda: len(app.history_push_model.items) == 2, "both items")
        note, entry = app.history_page.items._rows
        await until(entry.skip.isVisible, "a Skip")
        entry.skip.click()
        await technician.reads("Not sent")
        await until(note.edit.isEnabled, "an Edit")
        note.edit.click()
        await until(app.history_page.items.editor.isVisible, "the editor")
        editor = app.history_page.items.text
        assert "FlowPilot Session Documentation" in editor.text
        assert "FP-" not in editor.text
        editor.show_text("Changed by hand. The admin password is Sunshine-77!")
        await technician.clicks("Send")
        await until(lambda: ours_changed(served), "the changed note")
        await until(
            lambda: (
                [i.state for i in app.history_push_model.items]
                == [PushState.SENT, PushState.SKIPPED]
            ),
            "both settled",
        )
    (note,) = ours_changed(served)
    assert "Sunshine-77" not in note["text"]
    assert re.search(r"FP-[0-9A-Z]{10}$", note["text"].replace("\\", ""))
    assert not served.site.entries_of(TICKET)


def ours_changed(served: Served) -> list[dict[str, Any]]:
    return [n for n in served.site.notes_of(TICKET) if "Changed by hand" in n["text"]]


async def test_a_refused_time_entry_is_given_other_times_and_another_kind_of_work(
    connected, served
):
    refusal = answered(
        400, stored=False, body='{"code":"TimeEntryApi","message":"Sheet submitted"}'
    )
    async with connected() as technician:
        app = technician.app
        session_id = await verified(technician)
        served.site.faults.plan(refusal, method="POST", path="/time/entries$")
        await closes(technician, session_id)
        await technician.reads("Sheet submitted")
        await technician.clicks("Edit")
        panel = app.resolve_page.items
        await until(panel.editor.isVisible, "the editor")
        panel.span.end.setDateTime(panel.span.start.dateTime().addSecs(45 * 60))
        await until(lambda: panel.work.work_role.count() > 1, "the site's work roles")
        panel.work.work_role.setCurrentText("Technician")
        panel.work.billable.setCurrentText("No charge")
        await technician.clicks("Send")
        await technician.reads(f"Documentation pushed to ticket #{TICKET}")
    (entry,) = served.site.entries_of(TICKET)
    posted = served.site.requests_for("POST", "/time/entries")[-1].json
    assert posted["actualHours"] == 0.75
    assert posted["hoursDeduct"] == 0
    assert posted["workRole"] == {"id": 1}
    assert posted["billableOption"] == "NoCharge"
    assert entry["member"]["identifier"] == "jblake"


async def test_a_status_that_connectwise_keeps_silently_is_said_and_chosen_again(connected, served):
    served.site.options.ignores_status_changes = True
    async with connected() as technician:
        app = technician.app
        await app.settings.change(type(app.settings).status_on_resolution, True)
        session_id = await verified(technician)
        app._open_resolve(session_id)
        await until(lambda: app.resolve_model.statuses, "the statuses of the board")
        page = app.resolve_page
        assert page.status.isVisible()
        names = [page.status.itemText(n) for n in range(page.status.count())]
        assert names[1:] == [s.name for s in app.resolve_model.statuses]
        assert "DO NOT USE" not in " ".join(names)
        wanted = app.resolve_model.statuses[-1]
        page.status.setCurrentIndex(len(names) - 1)
        page.status.activated.emit(len(names) - 1)
        await technician.types("Solution in a sentence", "Restarted it.")
        await until(lambda: app.resolve_model.can_resolve, "a complete page")
        await technician.clicks("Resolve")
        await technician.reads("kept the status")
        assert len(ours(served)) == 1  # note and time went first
        served.site.options.ignores_status_changes = False
        await technician.clicks("Edit")
        await until(lambda: app.closed_push_model.statuses, "the statuses to choose from")
        page.items.status.setCurrentIndex(page.items.status.findText(wanted.name))
        await technician.clicks("Send")
        await technician.reads(f"Documentation pushed to ticket #{TICKET}")
    assert served.site.tables.tickets[TICKET]["status"]["id"] == wanted.id


async def test_the_record_of_what_left_is_shown_and_taken_along(connected, served, tmp_path):
    async with connected() as technician:
        app = technician.app
        await closes(technician, await verified(technician))
        await technician.reads(f"Documentation pushed to ticket #{TICKET}")
        await technician.clicks("History")
        tabs = app.history_page.tabs
        names = [tabs.tabText(n) for n in range(tabs.count())]
        tabs.setCurrentIndex(names.index("Sent to tickets"))
        await until(lambda: app.audit_model.rows.rowCount() == 2, "both operations")
        await technician.clicks("Export CSV")
        dialog = app.history_page.audit.findChild(QFileDialog)
        dialog.setDirectory(str(tmp_path))
        dialog.selectFile(str(tmp_path / "sent.csv"))
        dialog.accept()
        await until((tmp_path / "sent.csv").exists, "the file")
        await technician.reads("Written to")
        remote = {item.remote_id for item in app.closed_push_model.items}
    rows = list(csv.DictReader(io.StringIO((tmp_path / "sent.csv").read_text("utf-8-sig"))))
    assert {row["Remote id"] for row in rows} == remote
    assert {row["Engineer"] for row in rows} == {"Jordan Blake"}


async def test_a_long_note_leaves_in_parts_that_fit(connected: OpenDesk, served: Served):
    limit = 500
    async with connected() as technician:
        app = technician.app
        await app.settings.change(type(app.settings).note_limit, limit)
        session_id = await verified(technician)
        await closes(technician, session_id, "Restarted it." + " Then tried each tray." * 40)
        await technician.reads(f"Documentation pushed to ticket #{TICKET}")
    sent = [request.json["text"] for request in served.site.requests_for("POST", "/notes")]
    assert len(sent) > 3
    assert [text.split("\n")[0] for text in sent] == [
        f"({number}/{len(sent)})" for number in range(1, len(sent) + 1)
    ]
    assert all(len(text) <= limit for text in sent)
    markers = [re.findall(r"^FP-[0-9A-Z]{10}$", text, re.MULTILINE) for text in sent]
    assert all(len(found) == 1 for found in markers)
    assert len({found[0] for found in markers}) == len(sent)
    whole = " ".join(
        text.split("\n", 1)[1].replace(f[0], "") for text, f in zip(sent, markers, strict=True)
    )
    assert " ".join(whole.split()).count("Then tried each tray.") == 40
    stored = [note["text"] for note in served.site.notes_of(TICKET)][-len(sent) :]
    assert [text.split("\n")[0] for text in stored] == [text.split("\n")[0] for text in sent]
