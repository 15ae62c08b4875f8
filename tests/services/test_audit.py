"""What left is told and can be taken along, without secrets and without formulas."""

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flowpilot_desktop.core.errors import InvalidInput
from flowpilot_desktop.core.push import (
    NotePayload,
    NoteVisibility,
    PushItem,
    PushKind,
    PushPayload,
    PushState,
    StatusPayload,
    TimePayload,
    marker_for,
)
from flowpilot_desktop.core.redaction import Redactor
from flowpilot_desktop.core.session import Intake
from flowpilot_desktop.core.ticket import RecordKind, Reference, Ticket, TicketStatus
from flowpilot_desktop.services.audit import (
    HEADINGS,
    Audit,
    AuditRow,
    as_csv,
    content,
    member,
    with_span,
    with_status,
    with_text,
)
from flowpilot_desktop.services.documentation import DocumentationChoices
from tests.services.desk import CONNECTION, diagnose, open_desk

AT = datetime(2026, 3, 27, 8, 0, tzinfo=UTC)


def item(payload: PushPayload, kind: PushKind = PushKind.NOTE, **changes: Any) -> PushItem:
    made = PushItem(
        id="one",
        session_id="session",
        kind=kind,
        connection_id="c",
        ticket_id="12352",
        record_kind=RecordKind.SERVICE,
        payload=payload,
        marker=marker_for("one"),
        engineer_id="me",
        created_at=AT,
    )
    return replace(made, **changes)


def note(text: str) -> NotePayload:
    return NotePayload(Redactor().redact(text), NoteVisibility.INTERNAL, "jblake")


def time_entry() -> TimePayload:
    return TimePayload(
        "jblake", AT, AT + timedelta(hours=1), 0.5, 0.5, Redactor().redact("Fixed"),
        Redactor().redact("FP-X"),
    )  # fmt: skip


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_the_record_says_what_left_when_as_whom_and_under_which_id(tmp_path):
    async with open_desk(tmp_path / "desk") as desk:
        started = await desk.engine.start_session(Intake("", CONNECTION.id, "12352"))
        session_id = started.session.id
        await diagnose(desk, session_id)
        await desk.engine.resolve_session(session_id, "Cleared the queue")
        await desk.push.run_due()
        await Audit(desk.store).export(tmp_path / "sent.csv")
        items = (await desk.engine.session(session_id)).push_items
    raw = (tmp_path / "sent.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = read(raw.decode("utf-8-sig"))
    assert {row["What"] for row in rows} == {"note", "time"}
    by_marker = {one.marker: one for one in items}
    assert {row["Marker"] for row in rows} == set(by_marker)
    for row in rows:
        sent = by_marker[row["Marker"]]
        assert row["Remote id"] == sent.remote_id != ""
        assert row["Sent (UTC)"] == f"{sent.sent_at:%Y-%m-%d %H:%M:%S}"
        assert row["Engineer"] == "Sam Reyes"
        assert row["ConnectWise member"] == member(sent.payload) != ""
        assert (row["Ticket"], row["State"], row["Tries"]) == ("12352", "sent", "1")
    assert any("Cleared the queue" in row["Content"] for row in rows)


async def test_what_was_never_sent_is_told_as_such(tmp_path):
    async with open_desk(tmp_path) as desk:
        started = await desk.engine.start_session(Intake("", CONNECTION.id, "12352"))
        await diagnose(desk, started.session.id)
        choices = DocumentationChoices(push=False)
        await desk.engine.resolve_session(started.session.id, "Fixed", choices=choices)
        rows = read(await Audit(desk.store).csv())
    assert {(row["State"], row["Sent (UTC)"], row["Remote id"]) for row in rows} == {
        ("skipped", "", "")
    }


async def test_many_pages_come_whole_and_in_order(tmp_path):
    async with open_desk(tmp_path) as desk:
        started = await desk.engine.start_session(Intake("", CONNECTION.id, "12352"))
        made = [
            item(
                note(f"number {n}"),
                id=f"{n:04}",
                marker=marker_for(str(n)),
                session_id=started.session.id,
                created_at=AT + timedelta(seconds=n),
            )
            for n in range(1203)
        ]
        await desk.store.save(*made)
        rows = read(await Audit(desk.store).csv())
    assert [row["Content"] for row in rows] == [f"number {n}" for n in reversed(range(1203))]


@pytest.mark.parametrize(
    "text",
    [
        '=HYPERLINK("http://evil","x")',
        "+1+1",
        "-2+3",
        "@SUM(A1)",
        "\t=1+1",
        "\r=1+1",
        "  =1+1",
        "\u00a0=1+1",
        "\uff1d1+1",
        "\ufeff=1+1",
        '=1+1";=2+2',
    ],
)
def test_nothing_that_a_spreadsheet_would_run(text):
    made = item(note("x"), error=text, remote_id=text, ticket_id=text)
    table = as_csv([AuditRow(made, text)])
    (row,) = read(table)
    assert list(row) == list(HEADINGS)
    for cell in (row["Engineer"], row["Remark"], row["Remote id"], row["Ticket"]):
        assert cell.startswith("'")
    assert len(list(csv.reader(io.StringIO(table, newline="")))) == 2


def test_secrets_in_servers_words_and_old_payloads_do_not_get_into_the_file():
    made = item(note("x"), error="Refused: password is Sunshine-77! for admin")
    assert "Sunshine-77" not in as_csv([AuditRow(made, "")])


def test_an_edited_note_is_redacted_again_and_keeps_its_marker():
    failed = item(note("old"), state=PushState.FAILED)
    payload = with_text(failed, "Fixed. The admin password is Sunshine-77!")
    assert isinstance(payload, NotePayload)
    assert "Sunshine-77" not in payload.text.text
    assert payload.text.text.endswith(failed.marker)
    assert payload.visibility is NoteVisibility.INTERNAL
    with pytest.raises(InvalidInput):
        with_text(failed, "  \n")


def test_an_edited_time_entry_bills_its_span():
    payload = with_span(time_entry(), AT, AT + timedelta(minutes=45, microseconds=5))
    assert (payload.actual_hours, payload.hours_deduct) == (0.75, 0.0)
    assert payload.end.microsecond == 0
    with pytest.raises(InvalidInput):
        with_span(time_entry(), AT, AT)
    with pytest.raises(InvalidInput):
        with_span(time_entry(), AT, AT + timedelta(days=1, seconds=1))


def test_another_status_is_chosen_while_looking_at_the_ticket_as_it_is():
    seen = Ticket("12352", "Printer", board=Reference(1, "Help"), status=Reference(5, "New"))
    payload = with_status(TicketStatus(17, "Closed"), seen)
    assert payload == StatusPayload(Reference(17, "Closed"), seen.board, seen.status)
    assert content(payload) == "New → Closed"
