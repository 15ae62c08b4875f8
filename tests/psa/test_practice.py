"""The practice company: lively, complete, lasting, and away when it is told to be."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from flowpilot_desktop import assets
from flowpilot_desktop.core.errors import PsaRefused, PsaUnreachable
from flowpilot_desktop.core.push import (
    NotePayload,
    NoteVisibility,
    PushKind,
    StatusPayload,
    TimePayload,
)
from flowpilot_desktop.core.redaction import Redactor
from flowpilot_desktop.core.ticket import RecordKind, Reference, TicketQuery, TicketScope
from flowpilot_desktop.psa.practice import (
    AWAY_FILE,
    PRACTICE_CONNECTION,
    PracticePsa,
    practice_members,
)
from flowpilot_desktop.psa.registry import PsaOptions, create
from tests.simulators.virtual import VirtualClock

SERVICE = RecordKind.SERVICE
TICKET = "12345"


def a_note(text: str) -> NotePayload:
    return NotePayload(Redactor().redact(text), NoteVisibility.INTERNAL, "jblake")


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def psa(clock):
    return PracticePsa(clock=clock)


async def test_it_has_problems_of_every_kind(psa):
    page = await psa.search(TicketQuery(page_size=100))
    assert len(page.tickets) >= 16
    assert len({ticket.company.id for ticket in page.tickets}) == 5
    told = " ".join(f"{t.type} {t.subtype} {t.summary}".lower() for t in page.tickets)
    for problem in (
        "no internet",
        "wi-fi",
        "vpn",
        "dns",
        "outlook",
        "mailbox full",
        "teams",
        "printer",
        "performance",
        "disk",
        "blue screen",
        "mfa",
        "mapped drive",
        "remote desktop",
        "update",
        "phishing",
    ):
        assert problem in told
    late = [ticket for ticket in page.tickets if "(missed)" in ticket.sla_status]
    assert 1 <= len(late) < len(page.tickets) / 2
    assert any(not ticket.owner for ticket in page.tickets)


async def test_every_ticket_is_complete(psa, clock):
    page = await psa.search(TicketQuery(scope=TicketScope.ALL, page_size=100))
    seen: Counter[str] = Counter()
    for found in page.tickets:
        context = await psa.context(found.id)
        assert context.ticket.description
        assert context.company.name
        assert context.contact.email
        assert context.site.name
        assert context.ticket.created_at < clock.now()
        assert all(note.created_at <= clock.now() for note in context.notes)
        assert all(related.resolution for related in context.related if related.closed)
        status = {status.id for status in await psa.statuses(found.board.id)}
        assert found.status.id in status
        seen["notes"] += len(context.notes)
        seen["configurations"] += len(context.configurations)
        seen["solved"] += any(related.resolution for related in context.related)
    assert seen["notes"] > len(page.tickets)
    assert seen["configurations"] > len(page.tickets)
    assert seen["solved"] > len(page.tickets) / 2


def test_numbers_are_unique_and_hosts_are_nobodys():
    text = assets.path("practice", "company.yaml").read_text(encoding="utf-8")
    facts = yaml.safe_load(text)
    idents = [ticket["id"] for ticket in facts["tickets"]]
    assert len(idents) == len(set(idents))
    assert all(len(ticket.get("notes", ())) <= 3 for ticket in facts["tickets"])
    for word in text.replace('"', " ").split():
        if "@" in word:
            assert ".example" in word


def test_the_technician_comes_first_and_has_two_teammates():
    members = practice_members()
    assert members[0].identifier == "jblake"
    assert len(members) >= 3
    assert not any(member.is_api_only for member in members)


async def test_what_was_pushed_outlives_a_restart(clock, tmp_path):
    options = PsaOptions(state_file=tmp_path / "practice" / "state.json")
    first = create(PRACTICE_CONNECTION, None, clock, options)
    note_id = await first.add_note(TICKET, SERVICE, a_note("Solved. FP-0123456789"))
    start = datetime(2026, 9, 1, 12, tzinfo=UTC)
    redacted = Redactor().redact
    entry = TimePayload(
        "jblake", start, start + timedelta(hours=1), 0.0, 1.0, redacted("Mail"), redacted("FP-1")
    )
    entry_id = await first.add_time(TICKET, SERVICE, entry)
    status = StatusPayload(Reference(17, ""), Reference(1, ""), Reference(12, ""))
    await first.change_status(TICKET, SERVICE, status)
    before = await first.ticket(TICKET)
    await first.aclose()

    clock.advance(86_400)
    second = create(PRACTICE_CONNECTION, None, clock, options)
    after = await second.ticket(TICKET)
    assert after.created_at == before.created_at
    assert after.status.name == "Resolved"
    (note,) = await second.records_above(TICKET, PushKind.NOTE, SERVICE, note_id - 1)
    assert (note.id, "FP-0123456789" in note.text) == (note_id, True)
    (found,) = await second.records_above(TICKET, PushKind.TIME, SERVICE, entry_id - 1)
    assert (found.start, found.end, found.member_identifier) == (start, entry.end, "jblake")
    assert await second.add_note(TICKET, SERVICE, a_note("Again")) > entry_id


@pytest.mark.parametrize("content", ["", "{", "[]", '{"began_at": "yesterday"}', '{"x": 1}'])
async def test_a_damaged_state_begins_anew_and_is_kept_aside(clock, tmp_path, content):
    path = tmp_path / "state.json"
    path.write_text(content)
    psa = PracticePsa(clock=clock, state_file=path)
    assert (await psa.ticket(TICKET)).status.name == "Assigned"
    assert (tmp_path / "state.damaged").read_text() == content
    await psa.add_note(TICKET, SERVICE, a_note("Hello"))
    assert json.loads(path.read_text())["notes"][0]["text"] == "Hello"


async def test_nothing_is_written_before_something_is_pushed(clock, tmp_path):
    path = tmp_path / "state.json"
    psa = PracticePsa(clock=clock, state_file=path)
    await psa.context(TICKET)
    assert not path.exists()


async def test_the_switch_plays_an_outage(psa):
    psa.away = True
    with pytest.raises(PsaUnreachable):
        await psa.add_note(TICKET, SERVICE, a_note("Hello"))
    psa.away = False
    highest = await psa.highest_record(TICKET, PushKind.NOTE, SERVICE)
    assert await psa.add_note(TICKET, SERVICE, a_note("Hello")) > highest


async def test_a_file_plays_an_outage_from_outside(clock, tmp_path):
    psa = PracticePsa(clock=clock, state_file=tmp_path / "practice.json")
    assert (await psa.ticket(TICKET)).id == TICKET
    (tmp_path / AWAY_FILE).touch()
    with pytest.raises(PsaUnreachable):
        await psa.ticket(TICKET)
    (tmp_path / AWAY_FILE).unlink()
    assert (await psa.ticket(TICKET)).id == TICKET


async def test_time_that_ends_before_it_begins_is_refused(psa):
    start = datetime(2026, 9, 1, 12, tzinfo=UTC)
    text = Redactor().redact("x")
    with pytest.raises(PsaRefused, match="after its start"):
        await psa.add_time(
            TICKET, SERVICE, TimePayload("jblake", start, start, 0.0, 0.0, text, text)
        )


async def test_a_deadline_that_passes_is_missed(psa, clock):
    assert "(missed)" not in (await psa.ticket(TICKET)).sla_status
    clock.advance(4 * 3600)
    assert "(missed)" in (await psa.ticket(TICKET)).sla_status
