"""What every ticketing system promises, asked of the practice company and of ConnectWise alike.

A new provider joins by one more function in `COMPANIES`, which yields its adapter and says which
of its tickets, statuses and members play which part.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from flowpilot_desktop.core.errors import PsaNotFound, PsaRefused, PsaUnreachable
from flowpilot_desktop.core.ports import Psa
from flowpilot_desktop.core.push import (
    NotePayload,
    NoteVisibility,
    PushKind,
    StatusPayload,
    TimePayload,
    marker_for,
)
from flowpilot_desktop.core.redaction import Redactor
from flowpilot_desktop.core.ticket import (
    PsaConnection,
    RecordKind,
    Reference,
    TicketQuery,
    TicketScope,
)
from flowpilot_desktop.psa.practice import PRACTICE_CONNECTION, PracticePsa
from flowpilot_desktop.psa.registry import PROVIDERS, PsaKeys, create
from tests.simulators.connectwise import COMPANY_ID, PRIVATE_KEY, PUBLIC_KEY, ConnectWiseSite
from tests.simulators.http_server import HttpServer

SERVICE = RecordKind.SERVICE
STRANGE = "Grüße 👩‍💻 — “quoted” & <b>bold</b> *stars* _lines_ #1 [x] C:\\temp\\_a\nline two"


class SystemClock:
    """The real time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class Company:
    """An adapter and the parts that its records play."""

    psa: Psa
    ticket: str  # open, mine, with description, notes, configurations and a solved related one
    project_ticket: str
    word: str  # stands in the ticket's summary, in another case
    company_word: str
    next_status: int
    closed_status: int
    no_time_status: int
    other_boards_status: int
    inactive_status: int
    me: str
    leave: Callable[[], None]


@asynccontextmanager
async def practice() -> AsyncIterator[Company]:
    psa = create(PRACTICE_CONNECTION, None, SystemClock())
    assert isinstance(psa, PracticePsa)

    def leave() -> None:
        psa.away = True

    yield Company(
        psa=psa,
        ticket="12352",
        project_ticket="12361",
        word="PRINTER",
        company_word="alder",
        next_status=14,
        closed_status=17,
        no_time_status=18,
        other_boards_status=22,
        inactive_status=19,
        me="jblake",
        leave=leave,
    )
    await psa.aclose()


@asynccontextmanager
async def connectwise() -> AsyncIterator[Company]:
    with HttpServer(ConnectWiseSite()) as server:
        connection = PsaConnection(
            "contract", "connectwise", site=server.url, company_id=COMPANY_ID
        )
        psa = create(connection, PsaKeys(PUBLIC_KEY, PRIVATE_KEY), SystemClock())
        yield Company(
            psa=psa,
            ticket="1005",
            project_ticket="1004",
            word="PRINTER",
            company_word="alder",
            next_status=16,
            closed_status=17,
            no_time_status=18,
            other_boards_status=22,
            inactive_status=19,
            me="jblake",
            leave=server.away,
        )
        await psa.aclose()


COMPANIES: dict[str, Callable[[], AbstractAsyncContextManager[Company]]] = {
    "connectwise": connectwise,
    "practice": practice,
}


@pytest.fixture(params=sorted(COMPANIES))
async def company(request: pytest.FixtureRequest) -> AsyncIterator[Company]:
    async with COMPANIES[request.param]() as opened:
        yield opened


def redacted(text: str):
    return Redactor().redact(text)


def a_note(company: Company, text: str, visibility=NoteVisibility.INTERNAL) -> NotePayload:
    return NotePayload(redacted(text), visibility, company.me)


def a_time(company: Company, marker: str, hours: float = 1.5) -> TimePayload:
    end = datetime.now(UTC).replace(microsecond=0)
    return TimePayload(
        member_identifier=company.me,
        start=end - timedelta(hours=2),
        end=end,
        hours_deduct=0.5,
        actual_hours=hours,
        notes=redacted("Worked on the printer."),
        internal_notes=redacted(f"Details inside. {marker}"),
    )


def a_status(to: int) -> StatusPayload:
    return StatusPayload(Reference(to, ""), Reference(1, ""), Reference(12, ""))


def test_every_provider_takes_part():
    assert set(COMPANIES) == set(PROVIDERS)


async def test_keys_prove_themselves_and_every_right_is_named(company):
    found = await company.psa.self_test()
    assert found.member is not None
    assert found.member.identifier == company.me
    assert found.server
    assert found.version
    assert found.clock_skew_seconds is not None
    assert abs(found.clock_skew_seconds) < 5
    assert len(found.checks) >= 4
    assert all(check.passed and not check.fix for check in found.checks)


async def test_me_and_members(company):
    me = await company.psa.me()
    assert (me.identifier, me.name) == (company.me, "Jordan Blake")
    assert "@" in me.email
    everybody = await company.psa.members()
    assert company.me in {member.identifier for member in everybody}
    assert any(member.is_api_only for member in everybody)
    assert [m.identifier for m in await company.psa.members("oRTeg")] == ["tortega"]
    assert await company.psa.members("nobody at all") == ()


@pytest.mark.parametrize("by", ["number", "hash", "summary", "company"])
async def test_search_finds_by_number_summary_and_company(company, by):
    text = {
        "number": company.ticket,
        "hash": f"#{company.ticket}",
        "summary": company.word,
        "company": company.company_word.upper(),
    }[by]
    page = await company.psa.search(TicketQuery(text=text))
    assert company.ticket in {ticket.id for ticket in page.tickets}
    if by in ("number", "hash"):
        assert len(page.tickets) == 1


async def test_search_finds_a_project_ticket_by_its_number(company):
    number = company.project_ticket
    page = await company.psa.search(TicketQuery(text=f"#{number}", scope=TicketScope.ALL))
    assert [(ticket.id, ticket.kind) for ticket in page.tickets] == [(number, RecordKind.PROJECT)]
    mine = TicketQuery(text=number, scope=TicketScope.MINE, member_identifier="tortega")
    assert (await company.psa.search(mine)).tickets == ()
    elsewhere = TicketQuery(text=number, scope=TicketScope.ALL, board="No such board")
    assert (await company.psa.search(elsewhere)).tickets == ()


async def test_search_finds_by_contact(company):
    contact = (await company.psa.ticket(company.ticket)).contact.name
    page = await company.psa.search(TicketQuery(text=contact.split()[-1].upper()))
    assert company.ticket in {ticket.id for ticket in page.tickets}
    assert {ticket.contact.name for ticket in page.tickets} == {contact}


async def test_every_word_of_a_search_counts(company):
    both = await company.psa.search(TicketQuery(text=f"{company.word} {company.company_word}"))
    assert company.ticket in {ticket.id for ticket in both.tickets}
    neither = await company.psa.search(TicketQuery(text=f"{company.word} zzzznowhere"))
    assert neither.tickets == ()


async def test_scopes_narrow(company):
    ids = {}
    for scope in TicketScope:
        page = await company.psa.search(TicketQuery(scope=scope, page_size=100))
        ids[scope] = {ticket.id for ticket in page.tickets}
        if scope is not TicketScope.ALL:
            assert not any(ticket.is_closed for ticket in page.tickets)
    assert ids[TicketScope.MINE] < ids[TicketScope.ALL_OPEN] < ids[TicketScope.ALL]
    assert company.ticket in ids[TicketScope.MINE]
    theirs = await company.psa.search(
        TicketQuery(scope=TicketScope.MINE, member_identifier="tortega")
    )
    assert theirs.tickets
    assert company.ticket not in {ticket.id for ticket in theirs.tickets}


async def test_board_and_status_narrow(company):
    ticket = await company.psa.ticket(company.ticket)
    query = TicketQuery(board=ticket.board.name, status=ticket.status.name)
    page = await company.psa.search(query)
    assert company.ticket in {found.id for found in page.tickets}
    assert {(found.board, found.status) for found in page.tickets} == {
        (ticket.board, ticket.status)
    }


async def test_pages_are_newest_first_and_do_not_overlap(company):
    scope = TicketScope.ALL
    whole = await company.psa.search(TicketQuery(scope=scope, page_size=100))
    assert not whole.has_more
    pages = []
    for number in (1, 2):
        page = await company.psa.search(TicketQuery(scope=scope, page=number, page_size=2))
        pages += page.tickets
        assert page.has_more or number * 2 >= len(whole.tickets)
    assert [ticket.id for ticket in pages] == [ticket.id for ticket in whole.tickets[:4]]
    made_at = [ticket.created_at for ticket in whole.tickets]
    assert made_at == sorted(made_at, reverse=True)
    past_the_end = await company.psa.search(TicketQuery(scope=scope, page=99))
    assert past_the_end.tickets == ()
    assert not past_the_end.has_more


@pytest.mark.parametrize(
    "text", ['"', "'", "\"'", "%", "(", "[2026-01-01]", "\x00", "\u202e", "a" * 3000, "é" * 900]
)
async def test_no_search_text_breaks_a_search(company, text):
    page = await company.psa.search(TicketQuery(text=text))
    assert len(page.tickets) <= 50


async def test_a_ticket_has_its_fields(company):
    ticket = await company.psa.ticket(company.ticket)
    assert ticket.id == company.ticket
    assert ticket.kind is SERVICE
    assert company.word.lower() in ticket.summary.lower()
    assert "label" in f"{ticket.description} {ticket.summary}".lower()
    for reference in (ticket.status, ticket.board, ticket.priority, ticket.company, ticket.contact):
        assert reference.id > 0
        assert reference.name
    assert ticket.created_at is not None
    assert ticket.created_at.utcoffset() == timedelta(0)
    assert ticket.owner == "Jordan Blake"
    assert ticket.sla_status
    assert not ticket.is_closed


async def test_a_project_ticket_is_found_without_being_asked_for(company):
    ticket = await company.psa.ticket(company.project_ticket)
    assert ticket.kind is RecordKind.PROJECT
    assert ticket.description
    context = await company.psa.context(company.project_ticket)
    assert context.ticket.kind is RecordKind.PROJECT
    assert context.missing == ()


@pytest.mark.parametrize("ticket_id", ["999999", "0", "-1", "abc", "", "1005/notes", "9" * 40])
async def test_a_ticket_that_is_none_is_not_found(company, ticket_id):
    with pytest.raises(PsaNotFound):
        await company.psa.ticket(ticket_id)
    with pytest.raises(PsaNotFound):
        await company.psa.context(ticket_id)
    with pytest.raises(PsaNotFound):
        await company.psa.add_note(ticket_id, SERVICE, a_note(company, "Hello"))


async def test_the_context_holds_everything(company):
    context = await company.psa.context(company.ticket)
    assert context.missing == ()
    assert context.ticket == await company.psa.ticket(company.ticket)
    assert company.company_word in context.company.name.lower()
    assert context.company.types
    assert context.contact.name
    assert "@" in context.contact.email
    assert context.site.address
    assert len(context.configurations) >= 2
    assert all(device.name and device.type for device in context.configurations)
    described = [note for note in context.notes if note.is_description]
    assert [note.text for note in described] == [context.ticket.description]
    moments = [note.created_at for note in context.notes]
    assert moments == sorted(moments)
    solved = [related for related in context.related if related.closed and related.resolution]
    assert solved
    assert solved[0].why_related == "Same configuration"
    assert company.ticket not in {related.id for related in context.related}


async def test_statuses_are_active_sorted_and_tell_what_they_mean(company):
    board = (await company.psa.ticket(company.ticket)).board.id
    statuses = await company.psa.statuses(board)
    by_id = {status.id: status for status in statuses}
    assert company.inactive_status not in by_id
    assert by_id[company.closed_status].is_closed
    assert not by_id[company.no_time_status].time_entry_allowed
    assert by_id[company.next_status].time_entry_allowed
    assert [status.sort_order for status in statuses] == sorted(s.sort_order for s in statuses)
    with pytest.raises(PsaNotFound):
        await company.psa.statuses(4711)


async def test_boards_are_named_sorted_and_have_statuses(company):
    boards = await company.psa.boards()
    assert boards
    assert all(board.id and board.name for board in boards)
    names = [board.name.casefold() for board in boards]
    assert names == sorted(names)
    own = (await company.psa.ticket(company.ticket)).board
    assert own.name in {board.name for board in boards}
    assert await company.psa.statuses(own.id)


async def test_work_types_and_roles(company):
    assert (1, "Remote") in {(kind.id, kind.name) for kind in await company.psa.work_types()}
    assert (1, "Technician") in {(role.id, role.name) for role in await company.psa.work_roles()}


@pytest.mark.parametrize("visibility", list(NoteVisibility))
async def test_a_note_lands_and_is_found_by_its_marker(company, visibility):
    psa, marker = company.psa, marker_for(f"operation {visibility}")
    before = await psa.highest_record(company.ticket, PushKind.NOTE, SERVICE)
    note_id = await psa.add_note(
        company.ticket, SERVICE, a_note(company, f"{STRANGE}\n{marker}", visibility)
    )
    assert note_id > before
    above = await psa.records_above(company.ticket, PushKind.NOTE, SERVICE, before)
    assert [(record.id, marker in record.text) for record in above] == [(note_id, True)]
    assert above[0].member_identifier == company.me
    assert await psa.highest_record(company.ticket, PushKind.NOTE, SERVICE) == note_id
    assert await psa.records_above(company.ticket, PushKind.NOTE, SERVICE, note_id) == ()
    shown = {note.id: note for note in (await psa.context(company.ticket)).notes}[note_id]
    assert shown.is_internal is (visibility is NoteVisibility.INTERNAL)
    assert not shown.is_resolution
    assert not shown.is_description
    assert shown.author == "Jordan Blake"


async def test_a_time_entry_lands_and_is_found_by_marker_member_and_times(company):
    psa, marker = company.psa, marker_for("time")
    before = await psa.highest_record(company.ticket, PushKind.TIME, SERVICE)
    entry = a_time(company, marker)
    entry_id = await psa.add_time(company.ticket, SERVICE, entry)
    (found,) = await psa.records_above(company.ticket, PushKind.TIME, SERVICE, before)
    assert found.id == entry_id > before
    assert marker in found.text
    assert (found.member_identifier, found.start, found.end) == (company.me, entry.start, entry.end)
    assert await psa.highest_record(company.ticket, PushKind.TIME, SERVICE) == entry_id


async def test_records_of_other_tickets_and_kinds_stay_out(company):
    psa, marker = company.psa, marker_for("elsewhere")
    note = await psa.highest_record(company.ticket, PushKind.NOTE, SERVICE)
    time_entry = await psa.highest_record(company.ticket, PushKind.TIME, SERVICE)
    project = RecordKind.PROJECT
    await psa.add_note(company.project_ticket, project, a_note(company, f"There. {marker}"))
    await psa.add_time(company.project_ticket, project, a_time(company, marker))
    assert await psa.records_above(company.ticket, PushKind.NOTE, SERVICE, note) == ()
    assert await psa.records_above(company.ticket, PushKind.TIME, SERVICE, time_entry) == ()
    assert await psa.records_above(company.project_ticket, PushKind.TIME, project, 0)


async def test_a_status_change_is_reported_and_stays(company):
    reported = await company.psa.change_status(
        company.ticket, SERVICE, a_status(company.next_status)
    )
    assert reported.id == company.next_status
    ticket = await company.psa.ticket(company.ticket)
    assert ticket.status.id == company.next_status
    assert not ticket.is_closed
    await company.psa.change_status(company.ticket, SERVICE, a_status(company.closed_status))
    assert (await company.psa.ticket(company.ticket)).is_closed


async def test_a_status_of_another_board_is_refused(company):
    with pytest.raises(PsaRefused) as refusal:
        await company.psa.change_status(
            company.ticket, SERVICE, a_status(company.other_boards_status)
        )
    assert refusal.value.status == 400
    assert refusal.value.words
    assert (await company.psa.ticket(company.ticket)).status.id != company.other_boards_status


async def test_a_status_without_time_refuses_time_in_its_own_words(company):
    psa = company.psa
    await psa.change_status(company.ticket, SERVICE, a_status(company.no_time_status))
    with pytest.raises(PsaRefused, match="Please update the status of this ticket") as refusal:
        await psa.add_time(company.ticket, SERVICE, a_time(company, "FP-0000000000"))
    assert refusal.value.status == 400
    assert await psa.records_above(company.ticket, PushKind.TIME, SERVICE, 0) == ()


async def test_an_empty_note_and_an_unknown_member_are_refused(company):
    psa = company.psa
    before = await psa.highest_record(company.ticket, PushKind.NOTE, SERVICE)
    with pytest.raises(PsaRefused):
        await psa.add_note(company.ticket, SERVICE, a_note(company, "  \n"))
    stranger = NotePayload(redacted("Hello"), NoteVisibility.INTERNAL, "nobody")
    with pytest.raises(PsaRefused):
        await psa.add_note(company.ticket, SERVICE, stranger)
    assert await psa.highest_record(company.ticket, PushKind.NOTE, SERVICE) == before


async def test_time_without_a_member_is_refused(company):
    entry = a_time(company, "FP-0000000000")
    nobody = TimePayload(
        member_identifier="",
        start=entry.start,
        end=entry.end,
        hours_deduct=0.0,
        actual_hours=2.0,
        notes=entry.notes,
        internal_notes=entry.internal_notes,
    )
    with pytest.raises(PsaRefused):
        await company.psa.add_time(company.ticket, SERVICE, nobody)


async def test_a_ticket_of_the_other_table_is_not_found_for_writing(company):
    with pytest.raises(PsaNotFound):
        await company.psa.add_note(company.project_ticket, SERVICE, a_note(company, "Hello"))
    with pytest.raises(PsaNotFound):
        await company.psa.highest_record(company.ticket, PushKind.NOTE, RecordKind.PROJECT)


async def test_away_is_unreachable_for_everything(company):
    psa = company.psa
    await psa.me()
    company.leave()
    calls = [
        psa.self_test,
        psa.me,
        psa.members,
        lambda: psa.search(TicketQuery()),
        lambda: psa.ticket(company.ticket),
        lambda: psa.context(company.ticket),
        lambda: psa.statuses(1),
        psa.work_types,
        psa.work_roles,
        lambda: psa.highest_record(company.ticket, PushKind.NOTE, SERVICE),
        lambda: psa.records_above(company.ticket, PushKind.TIME, SERVICE, 0),
        lambda: psa.add_note(company.ticket, SERVICE, a_note(company, "Hello")),
        lambda: psa.add_time(company.ticket, SERVICE, a_time(company, "FP-0000000000")),
        lambda: psa.change_status(company.ticket, SERVICE, a_status(company.next_status)),
    ]
    for call in calls:
        with pytest.raises(PsaUnreachable) as failure:
            await call()
        assert failure.value.retryable
        assert failure.value.title
        assert failure.value.hint


async def test_an_address_for_people_has_the_number_or_is_empty(company):
    url = company.psa.ticket_url(company.ticket)
    assert not url or (url.startswith("http") and company.ticket in url)
    assert company.psa.ticket_url("1; drop") == ""


async def test_closing_twice_is_harmless(company):
    await company.psa.aclose()
    await company.psa.aclose()
