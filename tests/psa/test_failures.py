"""Every way in which an exchange fails, and the one thing that matters: may it be repeated?"""

from datetime import timedelta
from email.utils import format_datetime

import pytest

from flowpilot_desktop.core.errors import (
    PsaError,
    PsaForbidden,
    PsaNotFound,
    PsaNotSent,
    PsaRateLimited,
    PsaRefused,
    PsaSignInRefused,
    PsaUnclear,
    PsaUnreachable,
)
from flowpilot_desktop.core.push import NotePayload, NoteVisibility, PushKind
from flowpilot_desktop.core.redaction import Redactor
from flowpilot_desktop.core.ticket import PsaConnection, RecordKind, TicketQuery
from flowpilot_desktop.psa.connectwise import ConnectWisePsa, wire
from tests.psa.conftest import KEYS
from tests.simulators.connectwise import COMPANY_ID, ConnectWiseSite
from tests.simulators.exchange import (
    Fault,
    Outcome,
    Response,
    answered,
    delayed,
    dropped,
    hanging,
    html,
    refused,
    reset,
    truncated,
)
from tests.simulators.http_server import HttpServer, closed_port
from tests.simulators.virtual import VirtualClock

SERVICE = RecordKind.SERVICE
TICKET = "1005"
NOTE = NotePayload(Redactor().redact("Done. FP-ABCDEFGHJK"), NoteVisibility.INTERNAL, "pnair")
OWN_WORDS = '{"code": "InvalidObject", "message": "ticket object is invalid", "errors": null}'


def stored(site: ConnectWiseSite) -> int:
    return sum("FP-ABCDEFGHJK" in note["text"] for note in site.notes_of(1005))


async def outcome_of_a_note(psa: ConnectWisePsa, site: ConnectWiseSite, fault: Fault) -> PsaError:
    await psa.me()
    site.faults.plan(fault, method="POST")
    with pytest.raises(PsaError) as failure:
        await psa.add_note(TICKET, SERVICE, NOTE)
    return failure.value


# Writes: not sent, refused, unclear


async def test_a_refused_connection_was_not_sent(psa, site):
    error = await outcome_of_a_note(psa, site, refused())
    assert isinstance(error, PsaNotSent)
    assert isinstance(error, PsaUnreachable)
    assert stored(site) == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 415])
@pytest.mark.parametrize("body", [OWN_WORDS, "", "null", "<html>no</html>", "[1]", '{"errors":3}'])
async def test_a_listed_status_is_final(psa, site, status, body):
    error = await outcome_of_a_note(psa, site, answered(status, stored=False, body=body))
    assert isinstance(error, PsaRefused)
    assert not error.retryable
    assert error.message
    if body is OWN_WORDS:
        assert "ticket object is invalid" in error.message
        assert error.words == "ticket object is invalid"
    assert len(site.requests_for("POST")) == 1


@pytest.mark.parametrize(
    "status", [100 + 99, 302, 402, 408, 413, 425, 499, 500, 501, 502, 503, 504, 520, 524, 599]
)
@pytest.mark.parametrize("was_stored", [True, False])
async def test_every_other_status_is_unclear(psa, site, status, was_stored):
    fault = answered(status, stored=was_stored, body="<html>", media_type="text/html")
    error = await outcome_of_a_note(psa, site, fault)
    assert isinstance(error, PsaUnclear)
    assert not error.retryable
    assert stored(site) == was_stored
    assert len(site.requests_for("POST")) == 1


@pytest.mark.parametrize(("status", "kind"), [(422, PsaRefused), (408, PsaUnclear)])
async def test_another_4xx_is_final_in_the_servers_own_words_only(psa, site, status, kind):
    error = await outcome_of_a_note(psa, site, answered(status, stored=False, body=OWN_WORDS))
    assert isinstance(error, kind)
    assert "ticket object is invalid" in error.message


@pytest.mark.parametrize(
    ("fault", "was_stored"),
    [
        (dropped(stored=True), True),
        (dropped(stored=False), False),
        (hanging(stored=True), True),
        (hanging(stored=False), False),
        (reset(), True),
        (truncated(), True),
        (html(200, stored=True), True),
        (html(200, stored=False), False),
        (answered(200, stored=True, body="{"), True),
        (answered(200, stored=True, body="null"), True),
        (answered(200, stored=True, body="[]"), True),
        (answered(201, stored=True, body='{"id": 0}'), True),
        (answered(201, stored=True, body='{"id": true}'), True),
        (answered(201, stored=True, body='{"id": "x"}'), True),
        (answered(201, stored=True, body="[" * 100_000), True),
        (answered(204, stored=True), True),
        (answered(200, stored=True, body=b"\xff\xfe\x00"), True),
        (answered(200, stored=True, body="9" * 5_000), True),
        (answered(200, stored=True, body=" " * (wire.BODY_LIMIT + 1)), True),
    ],
)
async def test_a_lost_answer_is_unclear(psa, site, fault, was_stored):
    error = await outcome_of_a_note(psa, site, fault)
    assert isinstance(error, PsaUnclear)
    assert "looks on the ticket" in error.hint or "record" in error.message
    assert stored(site) == was_stored
    assert len(site.requests_for("POST")) == 1


async def test_a_slow_note_lands_after_the_client_gave_up(psa, site, clock):
    error = await outcome_of_a_note(psa, site, delayed(100))
    assert isinstance(error, PsaUnclear)
    assert stored(site) == 0
    before = await psa.records_above(TICKET, PushKind.NOTE, SERVICE, 0)
    clock.advance(60)
    after = await psa.records_above(TICKET, PushKind.NOTE, SERVICE, 0)
    assert stored(site) == 1
    assert len(after) == len(before) + 1


async def test_429_was_not_sent_and_says_when(psa, site):
    await psa.me()
    limit = Response(429, b'{"error": "Too Many", "message": "slow"}', {"retry-after": "17"})
    site.faults.plan(Fault(stored=False, response=limit), method="POST")
    with pytest.raises(PsaRateLimited) as failure:
        await psa.add_note(TICKET, SERVICE, NOTE)
    assert failure.value.retry_after == 17
    assert isinstance(failure.value, PsaNotSent)


async def test_during_a_pause_a_write_does_not_leave(psa, site, clock):
    await psa.me()
    limit = Response(429, b"", {"retry-after": "17"})
    site.faults.plan(Fault(stored=False, response=limit), method="POST")
    for _ in range(3):
        with pytest.raises(PsaRateLimited):
            await psa.add_note(TICKET, SERVICE, NOTE)
        clock.advance(3)
    assert len(site.requests_for("POST")) == 1
    clock.advance(10)
    await psa.add_note(TICKET, SERVICE, NOTE)
    assert stored(site) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("0", 1), ("2.5", 2.5), ("", 30), ("soon", 30), ("99999999", 3600), ("-5", 30)],
)
async def test_a_strange_retry_after_is_bounded(psa, site, header, seconds):
    await psa.me()
    limit = Response(429, b"<html>", {"retry-after": header, "content-type": "text/html"})
    site.faults.plan(Fault(stored=False, response=limit), method="POST")
    with pytest.raises(PsaRateLimited) as failure:
        await psa.add_note(TICKET, SERVICE, NOTE)
    assert failure.value.retry_after == seconds


async def test_a_retry_after_may_be_a_date(psa, site, clock):
    await psa.me()
    when = format_datetime(clock.now() + timedelta(seconds=90), usegmt=True)
    site.faults.plan(
        Fault(stored=False, response=Response(429, b"", {"retry-after": when})), method="POST"
    )
    with pytest.raises(PsaRateLimited) as failure:
        await psa.add_note(TICKET, SERVICE, NOTE)
    assert failure.value.retry_after == 90


async def test_what_happens_before_the_write_was_not_sent(psa, site):
    site.faults.plan(html(200), path="companyinfo")
    with pytest.raises(PsaNotSent):
        await psa.add_note(TICKET, SERVICE, NOTE)
    assert site.requests_for("POST") == []
    await psa.add_note(TICKET, SERVICE, NOTE)
    assert stored(site) == 1


# Reads: tried again, then unreachable


@pytest.mark.parametrize(
    "fault",
    [
        dropped(stored=False),
        reset(),
        truncated(),
        html(502),
        html(503),
        html(504),
        html(520),
        html(524),
        answered(503, stored=False),
    ],
)
async def test_a_read_survives_two_hiccups(psa, site, fault):
    site.faults.plan(fault, path="tickets/1005", times=2)
    assert (await psa.ticket(TICKET)).id == TICKET
    assert len([r for r in site.requests if r.path.endswith("tickets/1005")]) == 3


@pytest.mark.parametrize("fault", [dropped(stored=False), html(503), html(520)])
async def test_a_read_gives_up_after_three_tries(psa, site, fault, clock):
    site.faults.plan(fault, path="tickets/1005", times=-1)
    with pytest.raises(PsaUnreachable) as failure:
        await psa.ticket(TICKET)
    assert failure.value.retryable
    assert len(site.requests_for("GET", "tickets/1005")) == 3
    assert clock.monotonic() < 5


@pytest.mark.parametrize(
    "fault",
    [
        html(200),
        html(302),
        answered(200, stored=False, body="null"),
        answered(200, stored=False, body="[]"),
        answered(200, stored=False, body='{"id": 7}'),
        answered(200, stored=False, body="[" * 100_000),
        answered(500, stored=False, body=OWN_WORDS),
        answered(408, stored=False),
        hanging(stored=False),
        Fault(outcome=Outcome.REFUSE, stored=False),
        answered(200, stored=False, body=" " * (wire.BODY_LIMIT + 1)),
    ],
)
async def test_a_read_without_an_answer_is_unreachable(psa, site, fault):
    await psa.me()
    site.faults.plan(fault, path="tickets/1005")
    with pytest.raises(PsaUnreachable) as failure:
        await psa.ticket(TICKET)
    assert failure.value.message
    assert failure.value.hint


async def test_a_web_page_is_explained(psa, site):
    site.faults.plan(html(200), path="tickets/1005")
    with pytest.raises(PsaUnreachable, match="web page") as failure:
        await psa.ticket(TICKET)
    assert "guest Wi-Fi" in failure.value.hint


async def test_a_read_waits_for_a_short_pause(psa, site, clock):
    await psa.me()
    limit = Response(429, b"", {"retry-after": "5"})
    site.faults.plan(Fault(stored=False, response=limit), path="tickets/1005", times=2)
    before = clock.monotonic()
    assert (await psa.ticket(TICKET)).id == TICKET
    assert clock.monotonic() - before == pytest.approx(10, abs=0.5)


async def test_a_read_does_not_wait_for_a_long_pause(psa, site, clock):
    await psa.me()
    limit = Response(429, b"", {"retry-after": "600"})
    site.faults.plan(Fault(stored=False, response=limit), path="tickets/1005")
    before = clock.monotonic()
    with pytest.raises(PsaRateLimited) as failure:
        await psa.ticket(TICKET)
    assert failure.value.retry_after == pytest.approx(600, abs=1)
    assert clock.monotonic() - before < 1


async def test_the_sites_own_limit_is_honoured(psa, site, clock):
    site.options.requests_a_minute = 20
    for _ in range(40):
        await psa.search(TicketQuery())
        clock.advance(2.5)
    refused_ones = len(site.requests) - 41  # one companyinfo, forty answers
    assert 1 <= refused_ones <= 4


@pytest.mark.parametrize("null", ["null", "[null]", '[{"text": "no number"}]', "{}", ""])
async def test_a_look_up_never_takes_garbage_for_nothing(psa, site, null):
    """Nothing found means post again: it has to be an answer, not the lack of one."""
    await psa.me()
    site.faults.plan(answered(200, stored=False, body=null), path="notes", times=-1)
    with pytest.raises(PsaUnreachable):
        await psa.records_above(TICKET, PushKind.NOTE, SERVICE, 0)


# Rights and keys


async def test_a_missing_right_is_named(psa, site):
    site.deny("POST", "time/entries")
    site.deny("POST", "service/tickets")
    site.deny("PATCH", "service/tickets")
    site.deny("GET", "company/contacts")
    with pytest.raises(PsaForbidden, match="security permission") as failure:
        await psa.add_note(TICKET, SERVICE, NOTE)
    assert "Service Desk → Service Tickets: Add" in failure.value.hint
    found = await psa.self_test()
    assert {check.what: check.fix for check in found.checks if not check.passed} == {
        "Add notes": "Service Desk → Service Tickets: Add",
        "Add time entries": "Time & Expense → Time Entry: Add",
        "Change status": "Service Desk → Service Tickets: Edit",
        "Read contacts": "Companies → Contacts: Inquire",
    }
    site.deny("GET", "service/tickets")
    found = await psa.self_test()
    assert "Service Desk → Service Tickets: Inquire" in {check.fix for check in found.checks}


async def test_the_rights_to_project_tickets_are_named_too(psa, site):
    for method in ("GET", "POST", "PATCH"):
        site.deny(method, "project/tickets")
    found = await psa.self_test()
    assert {check.what: check.fix for check in found.checks if not check.passed} == {
        "Read project tickets": "Project → Project Tickets: Inquire",
        "Add notes to project tickets": "Project → Project Tickets: Add",
        "Change status of project tickets": "Project → Project Tickets: Edit",
    }


async def test_a_pause_asked_for_at_the_first_contact_is_waited_for(psa, site):
    limit = Response(429, b"", {"retry-after": "5"})
    site.faults.plan(Fault(stored=False, response=limit), path="companyinfo")
    assert (await psa.ticket(TICKET)).id == TICKET


async def test_the_self_test_stores_nothing(psa, site):
    before = repr(site.tables)
    await psa.self_test()
    assert repr(site.tables) == before
    assert site.mails == []


async def test_the_self_test_sees_a_wrong_clock(psa, site):
    site.options.clock_skew = timedelta(minutes=-9)
    skew = (await psa.self_test()).clock_skew_seconds
    assert skew == pytest.approx(-540, abs=2)


@pytest.mark.parametrize("is_cloud", [True, False])
@pytest.mark.parametrize("call", ["me", "ticket", "note", "self_test", "search"])
async def test_wrong_keys_are_recognised_though_a_cloud_says_404(psa, site, is_cloud, call):
    site.options.is_cloud = is_cloud
    site.options.private_key = "another"
    calls = {
        "me": psa.me,
        "self_test": psa.self_test,
        "ticket": lambda: psa.ticket(TICKET),
        "note": lambda: psa.add_note(TICKET, SERVICE, NOTE),
        "search": lambda: psa.search(TicketQuery()),
    }
    with pytest.raises(PsaSignInRefused) as failure:
        await calls[call]()
    assert "private key" in failure.value.hint


async def test_keys_that_are_withdrawn_later_are_recognised(psa, site, clock):
    assert (await psa.ticket(TICKET)).id == TICKET
    site.options.private_key = "another"
    clock.advance(120)
    with pytest.raises(PsaSignInRefused):
        await psa.add_note(TICKET, SERVICE, NOTE)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_client_id_that_is_not_accepted_is_named(psa, site, status):
    words = '{"code": "ClientId", "message": "A clientId header is required."}'
    site.faults.plan(answered(status, stored=False, body=words), path="myMembers")
    with pytest.raises(PsaSignInRefused) as failure:
        await psa.me()
    assert "client id" in failure.value.hint


async def test_an_unknown_company_is_named(adapter, site):
    psa = adapter(PsaConnection("c", "connectwise", site="na.myconnectwise.net", company_id="who?"))
    with pytest.raises(PsaSignInRefused, match="company id"):
        await psa.me()
    assert [r.path for r in site.requests] == ["/login/companyinfo/who%3F"]


async def test_ssl_is_required_is_explained(psa, site):
    site.options.ssl_required = True
    with pytest.raises(PsaRefused, match="SSL is required") as failure:
        await psa.me()
    assert "api-" in failure.value.hint


# An upgrade


async def test_a_read_follows_an_upgrade_once(psa, site):
    await psa.me()
    site.upgrade("v2026_2/")
    assert (await psa.ticket(TICKET)).id == TICKET
    assert len(site.requests_for("GET", "companyinfo")) == 2
    await psa.ticket(TICKET)
    assert len(site.requests_for("GET", "companyinfo")) == 2


async def test_a_write_during_an_upgrade_was_not_sent_and_the_next_one_arrives(psa, site):
    await psa.me()
    site.upgrade("v2026_2/")
    with pytest.raises(PsaNotSent, match="upgraded"):
        await psa.add_note(TICKET, SERVICE, NOTE)
    assert stored(site) == 0
    await psa.add_note(TICKET, SERVICE, NOTE)
    assert stored(site) == 1


async def test_a_ticket_that_is_gone_is_not_an_upgrade(psa, site):
    await psa.me()
    with pytest.raises(PsaNotFound, match="424242"):
        await psa.ticket("424242")
    assert len(site.requests_for("GET", "companyinfo")) == 1


async def test_a_404_of_something_else_asks_again_but_only_once(psa, site):
    site.faults.plan(html(404), path="tickets/1005", times=-1)
    with pytest.raises(PsaNotFound):
        await psa.add_note(TICKET, SERVICE, NOTE)
    assert len(site.requests_for("GET", "companyinfo")) == 2
    assert len(site.requests_for("POST")) == 1


# Over a real wire


@pytest.fixture
def served():
    site = ConnectWiseSite()
    with HttpServer(site) as server:
        yield site, server


@pytest.fixture
async def wired(served, monkeypatch):
    _, server = served
    monkeypatch.setattr(wire, "_WRITE_SECONDS", 0.3)
    connection = PsaConnection("c", "connectwise", site=server.url, company_id=COMPANY_ID)
    psa = ConnectWisePsa(connection, KEYS, VirtualClock())
    yield psa
    await psa.aclose()


@pytest.mark.parametrize(
    ("fault", "was_stored"),
    [
        (dropped(stored=True), True),
        (dropped(stored=False), False),
        (hanging(stored=True), True),
        (hanging(stored=False), False),
        (reset(), True),
        (truncated(), True),
        (html(200, stored=True), True),
        (html(524, stored=True), True),
        (delayed(0.6), True),
    ],
)
async def test_a_lost_answer_is_unclear_over_a_real_wire(wired, served, fault, was_stored):
    site, server = served
    error = await outcome_of_a_note(wired, site, fault)
    assert isinstance(error, PsaUnclear)
    server.settle()
    assert stored(site) == was_stored


async def test_an_outage_is_not_sent_over_a_real_wire(wired, served):
    site, server = served
    await wired.me()
    server.away()
    with pytest.raises(PsaUnreachable) as failure:
        await wired.add_note(TICKET, SERVICE, NOTE)
    assert failure.value.title == "Couldn't reach ConnectWise"
    server.back()
    await wired.add_note(TICKET, SERVICE, NOTE)
    assert stored(site) == 1


async def test_a_closed_port_is_unreachable():
    with closed_port() as port:
        connection = PsaConnection(
            "c", "connectwise", site=f"http://127.0.0.1:{port}", company_id=COMPANY_ID
        )
        psa = ConnectWisePsa(connection, KEYS, VirtualClock())
        with pytest.raises(PsaUnreachable):
            await psa.me()
        await psa.aclose()
