"""A ticket's context: whole, in part, hostile, and as fast as its longest chain."""

import asyncio
import json

import httpx
import pytest

from flowpilot_desktop.core.errors import PsaForbidden, PsaNotFound, PsaUnreachable
from flowpilot_desktop.core.push import PushKind
from flowpilot_desktop.core.ticket import TEXT_LIMIT, RecordKind
from flowpilot_desktop.psa.connectwise import ConnectWisePsa, wire
from tests.psa.conftest import CONNECTION, KEYS
from tests.simulators.connectwise import ConnectWiseSite
from tests.simulators.exchange import answered, delayed, dropped, hanging, html
from tests.simulators.virtual import VirtualNetwork

TICKET = "1005"
PLACES = {
    "company": "companies/501",
    "contact": "company/contacts",
    "site": "companies/501/sites",
    "configurations": "company/configurations",
    "notes": "otes",
}


@pytest.mark.parametrize("part", ["contact", "site", "configurations", "notes"])
@pytest.mark.parametrize(
    "fault", [answered(403, stored=False), html(200), hanging(stored=False), dropped(stored=False)]
)
async def test_a_part_that_fails_is_named_and_the_others_stand(psa, site, part, fault):
    site.faults.plan(fault, path=PLACES[part], times=-1)
    context = await psa.context(TICKET)
    # Resolutions of related tickets are notes as well; they are a nicety and missed by nobody.
    assert context.missing == (part,)
    assert context.ticket.summary == "Reception printer offline again"
    assert context.company.name == "Alder Dental Group"
    if part == "contact":
        assert context.contact.name == "Marisol Vega"
        assert context.contact.email == "marisol@client.example"
    if part == "site":
        assert context.site.name == "Main Street"
    # Without the details, the ticket still says what its configurations are called.
    assert [device.name for device in context.configurations] == ["ALD-FRONT-02", "ALD-SRV-01"]
    assert bool(context.configurations[0].type) is (part != "configurations")
    if part != "notes":
        assert context.ticket.description


async def test_all_parts_may_fail(psa, site):
    site.deny("GET", "company/")
    site.deny("GET", "service/tickets/1005/")
    site.faults.plan(html(500), path="apis/3.0/service/tickets$", times=-1)
    context = await psa.context(TICKET)
    assert set(context.missing) == {
        "company",
        "configurations",
        "contact",
        "notes",
        "related tickets",
        "site",
    }
    assert context.ticket.id == TICKET


async def test_without_the_ticket_there_is_no_context(psa, site):
    site.deny("GET", "service/tickets")
    with pytest.raises(PsaForbidden):
        await psa.context(TICKET)
    site.denied.clear()
    with pytest.raises(PsaNotFound):
        await psa.context("31337")


async def test_a_project_that_may_not_be_seen_is_explained(psa, site):
    site.deny("GET", "project/")
    with pytest.raises(PsaNotFound) as failure:
        await psa.ticket("1004")
    assert "Project → Project Tickets: Inquire" in failure.value.hint


async def test_notes_of_time_entries_and_children_are_merged_with_a_fallback(psa, site):
    child = site.add_ticket(summary="Child", parentTicketId=1005)
    site.add_note(child, "From the child.", internalAnalysisFlag=True)
    texts = {note.text for note in (await psa.context(TICKET)).notes}
    assert "From the child." in texts
    site.options.has_all_notes = False
    context = await psa.context(TICKET)
    assert context.missing == ()
    assert "From the child." not in {note.text for note in context.notes}
    assert "Queue on the server is paused." in {note.text for note in context.notes}


async def test_many_notes_are_paged(psa, site):
    for number in range(600):
        site.add_note(1005, f"Note {number}", internalAnalysisFlag=True)
    notes = (await psa.context(TICKET)).notes
    assert len(notes) == 603
    assert len(site.requests_for("GET", "allNotes")) == 3


async def test_hundreds_of_records_are_all_looked_through(psa, site):
    for number in range(1200):
        site.add_note(1005, f"Note {number}", internalAnalysisFlag=True)
    found = await psa.records_above(TICKET, PushKind.NOTE, RecordKind.SERVICE, 0)
    assert len(found) == 1203
    assert len(site.requests_for("GET", "notes")) == 5


@pytest.mark.parametrize("count", [249, 250, 251, 500, 777])
async def test_a_server_that_ignores_forward_only_is_still_looked_through(
    psa, site, monkeypatch, count
):
    """It answers by page number in its own order, whatever the header says."""
    for number in range(count - 3):
        site.add_note(1005, f"Note {number}", internalAnalysisFlag=True)
    listed = ConnectWiseSite._listed

    def stubborn(self, request, records, kind, conditions=""):
        request.headers.pop("pagination-type", None)
        return listed(self, request, records, kind, conditions)

    monkeypatch.setattr(ConnectWiseSite, "_listed", stubborn)
    found = await psa.records_above(TICKET, PushKind.NOTE, RecordKind.SERVICE, 0)
    assert len({record.id for record in found}) == count


async def test_a_server_that_turns_no_pages_at_all_is_an_error(psa, site, monkeypatch):
    for number in range(300):
        site.add_note(1005, f"Note {number}", internalAnalysisFlag=True)
    listed = ConnectWiseSite._listed

    def stuck(self, request, records, kind, conditions=""):
        request.headers.pop("pagination-type", None)
        request.query["page"] = "1"
        return listed(self, request, records, kind, conditions)

    monkeypatch.setattr(ConnectWiseSite, "_listed", stuck)
    with pytest.raises(PsaUnreachable, match="looked through"):
        await psa.records_above(TICKET, PushKind.NOTE, RecordKind.SERVICE, 0)


async def test_filters_that_are_ignored_change_nothing(psa, site, monkeypatch):
    listed = ConnectWiseSite._listed

    def careless(self, request, records, kind, conditions=""):
        request.query.pop("conditions", None)
        return listed(self, request, records, kind, "")

    monkeypatch.setattr(ConnectWiseSite, "_listed", careless)
    context = await psa.context(TICKET)
    assert {related.id for related in context.related} == {"1001", "1002"}
    assert [device.id for device in context.configurations] == [801, 851]
    assert context.site.name == "Main Street"
    assert context.related[0].resolution == "Replaced the WSD port by a TCP/IP port."
    highest = await psa.highest_record(TICKET, PushKind.NOTE, RecordKind.SERVICE)
    assert await psa.records_above(TICKET, PushKind.NOTE, RecordKind.SERVICE, highest) == ()


async def test_a_merged_ticket_says_into_which(psa, site):
    site.merge(1005, into=1002)
    assert (await psa.ticket(TICKET)).merged_into == "1002"


async def test_a_moved_ticket_shows_its_board_at_that_moment(psa, site):
    assert (await psa.ticket(TICKET)).board.id == 1
    site.move(1005, board=2)
    ticket = await psa.ticket(TICKET)
    assert (ticket.board.name, ticket.status.name) == ("Network & Security", "New")


async def test_a_ticket_that_became_a_project_ticket_is_found_again(psa, site):
    assert (await psa.ticket(TICKET)).kind is RecordKind.SERVICE
    site.tables.tickets[1005]["recordType"] = "ProjectTicket"
    assert (await psa.ticket(TICKET)).kind is RecordKind.PROJECT
    assert (await psa.context(TICKET)).missing == ()
    site.tables.tickets[1005]["recordType"] = "ServiceTicket"
    assert (await psa.ticket(TICKET)).kind is RecordKind.SERVICE


async def test_hundreds_of_configurations_are_all_hydrated_in_short_addresses(psa, site):
    front = site.tables.configurations[801]
    many = range(700_001, 700_451)
    for ident in many:
        site.tables.configurations[ident] = {**front, "id": ident, "name": f"PC-{ident}"}
    ticket_id = site.add_ticket(summary="Patch them all", configurations=list(many))
    context = await psa.context(str(ticket_id))
    assert context.missing == ()
    assert [device.id for device in context.configurations] == list(many)
    assert all(device.type for device in context.configurations)
    assert max(len(request.target) for request in site.requests) < wire.URL_LIMIT


async def test_of_thousands_of_notes_the_first_and_the_newest_are_kept_and_it_is_said(psa, site):
    """An alert that repeats itself writes a note each time."""
    for number in range(2_000):
        site.add_note(1005, f"Alert {number}", internalAnalysisFlag=True)
    site.add_note(1005, "The client calls.", detailDescriptionFlag=True)
    context = await psa.context(TICKET)
    assert [note.text for note in context.notes[-2:]] == ["Alert 1999", "The client calls."]
    assert len({note.id for note in context.notes}) == len(context.notes)
    assert context.ticket.description.startswith("Labels pile up")
    assert context.missing == ("older notes",)


# Bad input


async def test_a_ticket_of_two_megabytes_is_cut_and_says_so(psa, site):
    ticket_id = site.add_ticket(summary="Huge", description="log line\n" * 233_000)
    context = await psa.context(str(ticket_id))
    assert context.missing == ()
    assert TEXT_LIMIT <= len(context.ticket.description) < TEXT_LIMIT + 100
    assert context.ticket.description.endswith("more characters were cut]")


async def test_html_and_tricks_of_unicode_are_data(psa, site):
    hostile = (
        "<script>alert(1)</script> \u202egnp.exe \u200bzero\u200bwidth\ufeff \x00 nul \x07 bell "
        "a\u0308 \ud83d lone"
    )
    ticket_id = site.add_ticket(
        summary=hostile, description=hostile, contactName=hostile, siteName=hostile
    )
    site.tables.tickets[ticket_id]["contact"] = None
    site.tables.tickets[ticket_id]["site"] = {"id": None, "name": hostile}
    site.options.escapes_markdown = False
    # A lone surrogate comes as an escape: the wire is UTF-8.
    raw = json.dumps(site.tables.tickets[ticket_id]).encode()
    notes = json.dumps(site.notes_of(ticket_id)).encode()
    site.faults.plan(answered(200, stored=False, body=notes), path="allNotes", times=-1)
    site.faults.plan(
        answered(200, stored=False, body=raw), path=f"service/tickets/{ticket_id}", times=1
    )
    context = await psa.context(str(ticket_id))
    expected = "<script>alert(1)</script> gnp.exe zerowidth \u2400 nul  bell \u00e4 \ufffd lone"
    assert context.ticket.summary == expected
    assert context.ticket.description == expected
    assert context.contact.name == expected
    assert context.site.name == expected


async def test_an_empty_ticket_is_a_ticket(psa, site):
    body = '{"id": 1005, "summary": null}'
    site.faults.plan(answered(200, stored=False, body=body), path="tickets/1005", times=1)
    site.faults.plan(answered(200, stored=False, body="[]"), path="tickets/1005/", times=-1)
    context = await psa.context(TICKET)
    assert context.missing == ()
    assert context.ticket.id == TICKET
    assert (context.ticket.summary, context.ticket.description) == ("", "")
    assert (context.notes, context.configurations, context.related) == ((), (), ())


@pytest.mark.parametrize(
    "body", ["null", "[]", '"text"', '{"id": null}', '{"id": "1006"}', "<html></html>", ""]
)
async def test_something_else_than_the_ticket_is_an_error(psa, site, body):
    site.faults.plan(answered(200, stored=False, body=body), path="tickets/1005", times=-1)
    with pytest.raises(PsaUnreachable):
        await psa.context(TICKET)


async def test_an_answer_beyond_the_limit_is_a_missing_part(psa, site):
    for _ in range(10):
        site.add_note(1005, "x" * 1_000_000, internalAnalysisFlag=True)
    context = await psa.context(TICKET)
    assert context.missing == ("notes",)


# Time


async def test_a_hanging_part_does_not_hold_up_the_others(psa, site, clock):
    site.faults.plan(hanging(stored=False), path="company/contacts", times=-1)
    began = clock.monotonic()
    context = await psa.context(TICKET)
    assert context.missing == ("contact",)
    assert clock.monotonic() - began < 30


async def test_a_slow_part_is_waited_for(psa, site, clock):
    site.faults.plan(delayed(5), path="company/contacts")
    assert (await psa.context(TICKET)).missing == ()


class Waves(httpx.AsyncBaseTransport):
    """Holds every request back until nothing else can happen, then lets all go at once."""

    def __init__(self, network: VirtualNetwork) -> None:
        self.sizes: list[int] = []
        self._network = network
        self._waiting: list[asyncio.Event] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        gate = asyncio.Event()
        self._waiting.append(gate)
        await gate.wait()
        return await self._network.handle_async_request(request)

    async def drive(self) -> None:
        while True:
            for _ in range(100):
                await asyncio.sleep(0)
            waiting, self._waiting = self._waiting, []
            if waiting:
                self.sizes.append(len(waiting))
            for gate in waiting:
                gate.set()


async def test_a_context_is_three_waves_of_requests(site, clock):
    """So it takes three times as long as one request, however much belongs to the ticket."""
    for number in range(20):
        site.add_ticket(summary=f"Printer {number}", status=17, configurations=[801])
    waves = Waves(VirtualNetwork(site, clock))
    psa = ConnectWisePsa(CONNECTION, KEYS, clock, transport=waves)
    driver = asyncio.create_task(waves.drive())
    await psa.me()  # companyinfo is known from here on
    waves.sizes.clear()
    context = await psa.context(TICKET)
    driver.cancel()
    await psa.aclose()
    assert len(context.related) == 7
    assert all(related.resolution == "" for related in context.related if not related.closed)
    assert context.missing == ()
    # The ticket; its six parts; the configurations in full, and of seven tickets both
    # configurations and resolution.
    assert waves.sizes == [1, 6, 15]


async def test_many_contexts_at_once_never_ask_more_than_the_limit_allows(site, clock):
    """A site counts requests, and so many tickets opened at once must not be a burst."""
    waves = Waves(VirtualNetwork(site, clock))
    psa = ConnectWisePsa(CONNECTION, KEYS, clock, transport=waves)
    driver = asyncio.create_task(waves.drive())
    await psa.me()
    waves.sizes.clear()
    contexts = await asyncio.gather(*(psa.context(TICKET) for _ in range(2 * wire.CONCURRENCY)))
    driver.cancel()
    await psa.aclose()
    assert all(context.missing == () for context in contexts)
    assert max(waves.sizes) == wire.CONCURRENCY  # all of it is used, and never more


class Silence(httpx.AsyncBaseTransport):
    """Answers the first requests, then nothing any more."""

    def __init__(self, network: VirtualNetwork, answers: int) -> None:
        self.reached = asyncio.Event()
        self._network = network
        self._answers = answers

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._answers:
            self._answers -= 1
            return await self._network.handle_async_request(request)
        self.reached.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody wakes this up")


@pytest.mark.parametrize("answers", [0, 1, 2, 5, 8])
async def test_a_context_that_nobody_wants_any_more_leaves_nothing_behind(site, clock, answers):
    silence = Silence(VirtualNetwork(site, clock), answers)
    psa = ConnectWisePsa(CONNECTION, KEYS, clock, transport=silence)
    before = asyncio.all_tasks()
    pulling = asyncio.create_task(psa.context(TICKET))
    await silence.reached.wait()
    pulling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pulling
    assert asyncio.all_tasks() == before
    await psa.aclose()
