"""What leaves for a ticket, field by field, and that the site refuses or punishes anything else."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from flowpilot_desktop.core.errors import PsaError, PsaRefused, PsaUnclear
from flowpilot_desktop.core.push import (
    NotePayload,
    NoteVisibility,
    PushKind,
    StatusPayload,
    TimePayload,
    marker_for,
)
from flowpilot_desktop.core.redaction import RedactedText, Redactor
from flowpilot_desktop.core.ticket import RecordKind, Reference
from tests.psa.conftest import CONNECTION
from tests.simulators.connectwise import ConnectWiseSite
from tests.simulators.exchange import Exchange, Fault, Request, Response, answered

SERVICE = RecordKind.SERVICE
TICKET = "1005"
MARKER = marker_for("an operation")


def redacted(text: str) -> RedactedText:
    return Redactor().redact(text)


def a_note(
    text: str = "Found it.",
    visibility: NoteVisibility = NoteVisibility.INTERNAL,
    member: str = "pnair",
) -> NotePayload:
    return NotePayload(redacted(text), visibility, member)


def a_time(**changed: Any) -> TimePayload:
    start = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
    fields: dict[str, Any] = {
        "member_identifier": "pnair",
        "start": start,
        "end": start + timedelta(hours=2),
        "hours_deduct": 0.5,
        "actual_hours": 1.5,
        "notes": redacted("Looked at the printer."),
        "internal_notes": redacted(f"The queue was paused. {MARKER}"),
        **changed,
    }
    return TimePayload(**fields)


def a_status(to: int) -> StatusPayload:
    return StatusPayload(Reference(to, ""), Reference(1, ""), Reference(12, ""))


def post(site: ConnectWiseSite, path: str, body: Any, method: str = "POST") -> Response:
    """Send what no adapter of ours sends."""
    headers = next(r.headers for r in reversed(site.requests) if "authorization" in r.headers)
    target = f"/{site.options.codebase}apis/3.0/{path}"
    request = Request(0, method, target, {}, headers, json.dumps(body).encode())
    return site.land(Exchange(request, Fault()))


# Notes


async def test_an_internal_note_names_all_flags_and_tells_nobody(psa, site):
    note_id = await psa.add_note(TICKET, SERVICE, a_note(f"Found it.\n{MARKER}"))
    (request,) = site.requests_for("POST")
    assert request.path == "/v2026_1/apis/3.0/service/tickets/1005/notes"
    assert request.json == {
        "text": f"Found it.\n{MARKER}",
        "internalAnalysisFlag": True,
        "detailDescriptionFlag": False,
        "resolutionFlag": False,
        "processNotifications": False,
        "member": {"identifier": "pnair"},
    }
    stored = site.notes_of(1005)[-1]
    assert (stored["id"], stored["member"]["identifier"]) == (note_id, "pnair")
    assert site.mails == []


@pytest.mark.parametrize("status", [400, 403, 500])
async def test_an_internal_note_that_is_refused_never_becomes_part_of_the_discussion(
    psa, site, status
):
    said = '{"code":"Refused","message":"no internal notes here","errors":null}'
    site.faults.plan(answered(status, stored=False, body=said), method="POST", times=-1)
    with pytest.raises(PsaError):
        await psa.add_note(TICKET, SERVICE, a_note())
    (request,) = site.requests_for("POST")
    assert request.json["internalAnalysisFlag"] is True
    assert request.json["detailDescriptionFlag"] is False
    assert site.mails == []


async def test_an_external_note_is_internal_as_well_and_mails_nobody(psa, site):
    await psa.add_note(TICKET, SERVICE, a_note(visibility=NoteVisibility.INTERNAL_AND_EXTERNAL))
    body = site.requests_for("POST")[0].json
    assert (body["internalAnalysisFlag"], body["detailDescriptionFlag"]) == (True, True)
    assert body["resolutionFlag"] is False
    assert body["processNotifications"] is False
    assert site.mails == []


async def test_without_a_member_the_field_is_left_out_and_the_keys_are_the_author(psa, site):
    await psa.add_note(TICKET, SERVICE, a_note(member=""))
    assert "member" not in site.requests_for("POST")[0].json
    assert site.notes_of(1005)[-1]["member"]["identifier"] == site.options.me


async def test_the_site_refuses_a_note_without_a_flag(psa, site):
    await psa.me()
    answer = post(site, "service/tickets/1005/notes", {"text": "No flag"})
    assert answer.status == 400
    assert "At least one" in answer.json["errors"][0]["message"]
    assert all(note["text"] != "No flag" for note in site.notes_of(1005))


async def test_the_site_mails_the_client_when_notifications_are_left_to_it(psa, site):
    await psa.me()
    post(site, "service/tickets/1005/notes", {"text": "Hi", "detailDescriptionFlag": True})
    assert [mail.to for mail in site.mails] == ["contact"]


async def test_a_project_ticket_has_its_own_path_and_charge(psa, site):
    await psa.add_note("1004", RecordKind.PROJECT, a_note())
    await psa.add_time("1004", RecordKind.PROJECT, a_time())
    note, entry = site.requests_for("POST")
    assert note.path.endswith("/project/tickets/1004/notes")
    assert entry.json["chargeToType"] == "ProjectTicket"


async def test_markers_survive_the_escaping_of_markdown(psa, site):
    text = f"Session: 1a2b-3c4d\n*done* [x] #1 {MARKER}"
    note_id = await psa.add_note(TICKET, SERVICE, a_note(text))
    (found,) = await psa.records_above(TICKET, PushKind.NOTE, SERVICE, note_id - 1)
    shown = post(site, f"service/tickets/{TICKET}/notes", None, "GET").json[-1]["text"]
    assert MARKER not in shown
    assert MARKER.replace("-", "\\-") in shown
    assert MARKER in found.text
    assert "Session: 1a2b-3c4d" in found.text


# Time


async def test_a_time_entry_leaves_exactly(psa, site):
    entry_id = await psa.add_time(TICKET, SERVICE, a_time())
    (request,) = site.requests_for("POST")
    assert request.path == "/v2026_1/apis/3.0/time/entries"
    assert request.json == {
        "chargeToType": "ServiceTicket",
        "chargeToId": 1005,
        "member": {"identifier": "pnair"},
        "timeStart": "2026-09-01T12:00:00Z",
        "timeEnd": "2026-09-01T14:00:00Z",
        "hoursDeduct": 0.5,
        "actualHours": 1.5,
        "notes": "Looked at the printer.",
        "internalNotes": f"The queue was paused. {MARKER}",
        "addToDetailDescriptionFlag": False,
        "addToInternalAnalysisFlag": False,
        "addToResolutionFlag": False,
        "emailContactFlag": False,
        "emailResourceFlag": False,
        "emailCcFlag": False,
    }
    assert site.entries_of(1005)[0]["id"] == entry_id
    assert site.mails == []
    assert all(MARKER not in note["text"] for note in site.notes_of(1005))


async def test_what_was_chosen_leaves_too(psa, site):
    chosen = a_time(
        work_type=Reference(2, "On-site"), work_role=Reference(1, "Technician"), billable="NoCharge"
    )
    await psa.add_time(TICKET, SERVICE, chosen)
    body = site.requests_for("POST")[0].json
    assert (body["workType"], body["workRole"]) == ({"id": 2}, {"id": 1})
    assert body["billableOption"] == "NoCharge"


async def test_times_are_utc_whole_seconds_with_z(psa, site):
    chicago = timezone(timedelta(hours=-5))
    start = datetime(2026, 9, 1, 7, 30, 15, 999_999, tzinfo=chicago)
    await psa.add_time(TICKET, SERVICE, a_time(start=start, end=start + timedelta(hours=1)))
    body = site.requests_for("POST")[0].json
    assert (body["timeStart"], body["timeEnd"]) == ("2026-09-01T12:30:15Z", "2026-09-01T13:30:15Z")


async def test_a_time_without_a_zone_never_leaves(psa, site):
    with pytest.raises(ValueError, match="aware"):
        await psa.add_time(TICKET, SERVICE, a_time(start=datetime(2026, 9, 1, 12)))  # noqa: DTZ001
    assert site.requests_for("POST") == []


@pytest.mark.parametrize(
    "moment", ["2026-09-01T12:00:00.123Z", "2026-09-01T12:00:00", "2026-09-01T12:00:00+00:00"]
)
async def test_the_site_refuses_other_times(psa, site, moment):
    await psa.add_time(TICKET, SERVICE, a_time())
    body = {**site.requests_for("POST")[0].json, "timeStart": moment}
    answer = post(site, "time/entries", body)
    assert (answer.status, answer.json["code"]) == (400, "UnsupportedFormat")


@pytest.mark.parametrize(
    ("left_out", "consequence"),
    [
        ("addToDetailDescriptionFlag", "discussion"),
        ("emailContactFlag", "contact"),
        ("emailResourceFlag", "resources"),
        ("emailCcFlag", "cc"),
    ],
)
async def test_the_site_falls_back_to_telling_when_a_flag_is_left_out(
    psa, site, left_out, consequence
):
    await psa.add_time(TICKET, SERVICE, a_time())
    body = site.requests_for("POST")[0].json
    del body[left_out]
    assert post(site, "time/entries", body).status == 201
    told = [mail.to for mail in site.mails]
    told += ["discussion"] if MARKER in site.notes_of(1005)[-1]["text"] else []
    assert told == [consequence]


async def test_a_time_entry_without_a_member_never_leaves(psa, site):
    with pytest.raises(PsaRefused, match="needs a ConnectWise member"):
        await psa.add_time(TICKET, SERVICE, a_time(member_identifier=""))
    assert site.requests == []


async def test_the_server_derives_and_rounds_hours_and_that_is_fine(psa, site):
    start = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
    entry_id = await psa.add_time(
        TICKET,
        SERVICE,
        a_time(start=start, end=start + timedelta(minutes=50), hours_deduct=0.0, actual_hours=0.83),
    )
    assert site.entries_of(1005)[0]["actualHours"] == 0.75
    (found,) = await psa.records_above(TICKET, PushKind.TIME, SERVICE, entry_id - 1)
    assert (found.start, found.end) == (start, start + timedelta(minutes=50))


async def test_a_submitted_time_sheet_refuses_in_its_own_words(psa, site):
    site.submit_time_sheet("pnair", datetime(2026, 9, 1, tzinfo=UTC))
    with pytest.raises(PsaRefused, match="already been submitted") as refusal:
        await psa.add_time(TICKET, SERVICE, a_time())
    assert refusal.value.status == 400
    assert site.entries_of(1005) == []
    await psa.add_time(TICKET, SERVICE, a_time(member_identifier="tortega"))


async def test_a_work_role_of_another_place_is_refused_with_the_field(psa):
    with pytest.raises(PsaRefused, match="workRole: The work role is not valid"):
        await psa.add_time(TICKET, SERVICE, a_time(work_role=Reference(77, "Elsewhere")))


# Status


async def test_a_status_change_is_one_replace_of_the_bare_path(psa, site):
    reported = await psa.change_status(TICKET, SERVICE, a_status(16))
    (request,) = site.requests_for("PATCH")
    assert request.json == [{"op": "replace", "path": "status", "value": {"id": 16}}]
    assert reported == Reference(16, "Escalated")
    assert site.requests_for("PUT") == []


@pytest.mark.parametrize("path", ["status/id", "Status", "/status"])
async def test_the_site_answers_200_to_other_paths_and_changes_nothing(psa, site, path):
    await psa.me()
    answer = post(
        site,
        "service/tickets/1005",
        [{"op": "replace", "path": path, "value": {"id": 16}}],
        "PATCH",
    )
    assert answer.status == 200
    assert site.tables.tickets[1005]["status"]["id"] == 12


async def test_a_change_that_is_ignored_silently_is_seen(psa, site):
    site.options.ignores_status_changes = True
    assert (await psa.change_status(TICKET, SERVICE, a_status(16))).id == 12


async def test_a_board_that_needs_a_type_says_so(psa, site):
    site.options.needs_type_to_close = True
    site.tables.tickets[1005]["type"] = None
    with pytest.raises(PsaRefused, match="type: The type is required"):
        await psa.change_status(TICKET, SERVICE, a_status(17))


async def test_an_answer_without_a_status_is_unclear(psa, site):
    site.faults.plan(answered(200, stored=True, body='{"id": 1005}'), method="PATCH")
    with pytest.raises(PsaUnclear):
        await psa.change_status(TICKET, SERVICE, a_status(16))


# Every request


async def test_every_request_is_signed_and_pinned(psa, site):
    await psa.context(TICKET)
    first, *others = site.requests
    assert first.path == "/login/companyinfo/harborpine"
    assert "authorization" not in first.headers
    for request in others:
        assert request.headers["authorization"].startswith("Basic ")
        assert len(request.headers["clientid"]) == 36
        assert request.headers["accept"] == ("application/vnd.connectwise.com+json; version=2025.1")
        assert request.headers["host"] == "api-na.myconnectwise.net"


async def test_client_id_and_version_can_be_others(adapter, site):
    psa = adapter(replace(CONNECTION, client_id="my-own"), api_version="2026.4")
    await psa.me()
    assert site.requests[-1].headers["clientid"] == "my-own"
    assert site.requests[-1].headers["accept"].endswith("version=2026.4")
