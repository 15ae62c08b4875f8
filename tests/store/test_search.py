"""Searching sessions: what is found, what is typed, how alike, and how fast."""

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowpilot_desktop.core.history import Narrowing, SessionFilter
from flowpilot_desktop.core.session import (
    Action,
    Command,
    Intake,
    Note,
    Response,
    Result,
    SessionStatus,
    Source,
)
from flowpilot_desktop.core.ticket import Configuration, Reference, TicketContext, TicketNote
from flowpilot_desktop.store import Store, search
from flowpilot_desktop.store.search import likeness_words, match_expression, plain
from tests.store import records as make
from tests.store.records import at

WORDS = """
printer spooler outlook teams vpn mailbox profile certificate driver update reboot domain
password locked account sync share network switch firewall dns dhcp laptop screen freezes
slow crash error license office excel backup restore disk space memory cpu
""".split()  # noqa: SIM905 - forty quoted words read worse


async def names(store: Store, search: str, which: SessionFilter = SessionFilter.ALL) -> list[str]:
    return [found.session.id for found in await store.sessions(which, search)]


@pytest.fixture
async def full(store: Store) -> Store:
    await store.save(
        make.a_session(
            "mail",
            intake=Intake("Outlook on SRV-DC01 shows 0x8004010F since Tuesday"),
            company="Acme & Söhne GmbH",
            ticket_id="48213",
            updated_at=at(1),
        ),
        make.a_step(
            "m1",
            "mail",
            1,
            body=Action("Rebuild the profile", command=Command("Get-OutlookProfile.ps1", "pwsh")),
            response=Response(result=Result.DID_NOT_WORK, text="said KB5034441 is missing"),
            answered_at=at(1),
        ),
        make.an_answered_step("m2", "mail", 2),
        make.a_step("m3", "mail", 3, body=Note("Called Björn Åkesson at 192.168.10.7")),
        make.a_session(
            "print",
            problem_summary="Drucker druckt nicht",
            intake=Intake("Straße café naïve"),
            status=SessionStatus.RESOLVED,
            resolution_summary="Spooler neu gestartet",
            updated_at=at(2),
        ),
        make.a_session("lunch", status=SessionStatus.PAUSED, updated_at=at(3)),
    )
    return store


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("0x8004010F", ["mail"]),
        ("0X8004010f", ["mail"]),
        ("srv-dc01", ["mail"]),
        ("dc01", ["mail"]),
        ("SRV-DC", ["mail"]),
        ("srv-dc02", []),
        ("192.168.10.7", ["mail"]),
        ("192.168.10", ["mail"]),
        ("168.192", []),
        ("KB5034441", ["mail"]),
        ("get-outlookprofile", ["mail"]),
        ("48213", ["mail"]),
        ("#48213", ["mail"]),
        ("sohne", ["mail"]),
        ("SÖHNE", ["mail"]),
        ("bjorn akesson", ["mail"]),
        ("safe mode yes", ["mail"]),  # the question, and the label of its answer
        ("cafe naive", ["print"]),
        ("spooler", ["print"]),
        ("spoo", ["print"]),
        ("spo neu", []),  # only the last word is a beginning
        ("neu spo", ["print"]),
        ("spoo ", []),  # a space ends the word
        ("outlook", ["lunch", "mail"]),
        ("outlook tuesday", ["mail"]),
        ("tuesday spooler", []),
        ("", ["lunch", "print", "mail"]),
        ("   ", ["lunch", "print", "mail"]),
    ],
)
async def test_what_is_found(full: Store, typed: str, expected: list[str]):
    assert await names(full, typed) == expected


@pytest.mark.parametrize(
    "typed",
    [
        '"',
        '""',
        '"outlook',
        "'; DROP TABLE sessions; --",
        "outlook AND",
        "NOT",
        "NEAR(outlook, 2)",
        "problem:outlook",
        "{problem company}: outlook",
        "-outlook",
        "^outlook",
        "out*look",
        "*",
        "(",
        ")",
        "+",
        "\x00",
        "out\x00look",
        "outlook\x00",
        "\ud800",
        "outlook\ud800",
        "🔑",
        "\u0301",
        "\U0001fae8 \u3164",
        "a" * 10_000,
        "a " * 5_000,
        '" ' * 5_000,
        "é" * 10_000,
    ],
)
async def test_whatever_is_typed_is_only_words(full: Store, typed: str):
    for which in SessionFilter:
        await full.sessions(which, typed)
    await full.similar_sessions(typed, 5)
    assert len(await names(full, "")) == 3


async def test_operators_are_words_like_any_other(full: Store):
    assert await names(full, '"outlook" tuesday') == ["mail"]
    assert await names(full, "outlook OR tuesday") == []
    await full.save(make.a_session("words", problem_summary="either and or not near outlook"))
    assert await names(full, "outlook AND NOT") == ["words"]


@given(st.text(st.characters(), max_size=60))
def test_an_expression_holds_quoted_words_and_nothing_else(typed: str):
    expression = match_expression(typed)
    unquoted = expression.split('"')[::2] if '""' not in expression else []
    assert all(part.strip() in ("", "*") for part in unquoted)
    assert "\0" not in expression


async def test_an_answer_is_found_as_soon_as_it_is_saved(full: Store):
    assert await names(full, "frobnicate") == []
    step = make.a_step("l1", "lunch", 1)
    await full.save(step)
    assert await names(full, "safe mode") == ["lunch", "mail"]
    answer = Response(text="frobnicated it")
    await full.save(replace(step, response=answer, answered_at=at(2), answered_by="ana"))
    assert await names(full, "frobnic") == ["lunch"]


async def test_what_a_session_no_longer_says_is_not_found(full: Store):
    assert await names(full, "drucker") == ["print"]
    session = await full.session("print")
    assert session is not None
    await full.save(replace(session, problem_summary="Scanner"))
    assert await names(full, "drucker") == []
    assert await names(full, "scanner") == ["print"]


async def test_filters(full: Store):
    await full.save(
        make.a_session("asked", status=SessionStatus.REQUESTING_ESCALATION, updated_at=at(4)),
        make.a_session("done", status=SessionStatus.ESCALATED, updated_at=at(5)),
        make.a_session("gone", status=SessionStatus.ABANDONED, updated_at=at(6)),
    )
    expected = {
        SessionFilter.ALL: ["gone", "done", "asked", "lunch", "print", "mail"],
        SessionFilter.OPEN: ["asked", "lunch", "mail"],
        SessionFilter.ACTIVE: ["mail"],
        SessionFilter.PAUSED: ["lunch"],
        SessionFilter.REQUESTING_ESCALATION: ["asked"],
        SessionFilter.ESCALATED: ["done", "asked"],
        SessionFilter.RESOLVED: ["print"],
        SessionFilter.ABANDONED: ["gone"],
        SessionFilter.CLOSED: ["gone", "done", "print"],
    }
    assert set(expected) == set(SessionFilter)
    for which, found in expected.items():
        assert await names(full, "", which) == found
    assert await names(full, "outlook", SessionFilter.PAUSED) == ["lunch"]


async def test_pages(full: Store):
    first = await full.sessions(limit=2)
    second = await full.sessions(limit=2, offset=2)
    assert [one.session.id for one in (*first, *second)] == ["lunch", "print", "mail"]
    found = await full.sessions(search="outlook", limit=1, offset=1)
    assert [one.session.id for one in found] == ["mail"]


async def test_listings_tell_steps_and_where_it_matched(full: Store):
    (mail,) = await full.sessions(search="KB5034441")
    assert mail.step_count == 3
    assert "KB5034441 is missing" in mail.snippet
    assert "\n" not in mail.snippet
    (lunch, *_) = await full.sessions()
    assert lunch.step_count == 0
    assert lunch.snippet == "Outlook does not start"
    await full.save(make.a_session("long", problem_summary="x" * 500, updated_at=at(9)))
    assert len((await full.sessions(limit=1))[0].snippet) == 160


# --- solved before ---------------------------------------------------------------------------


async def test_only_solved_sessions_are_suggested_the_likest_first(store: Store):
    solved = {"status": SessionStatus.RESOLVED, "resolution_summary": "done"}
    await store.save(
        *(make.a_session(f"x{n}", problem_summary=f"Thing {n} is broken") for n in range(20)),
        make.a_session("exact", problem_summary="Teams shows error CAA50021 at sign-in", **solved),
        make.a_session("near", problem_summary="Teams is slow", **solved),
        make.a_session("open", problem_summary="Teams shows error CAA50021 at sign-in"),
        make.a_session("else", problem_summary="Paper jam", **solved),
        make.a_session(
            "handed",
            problem_summary="CAA50021 in Teams",
            intake=Intake(),
            status=SessionStatus.ESCALATED,
        ),
    )
    found = await store.similar_sessions("User can't sign in to Teams, error CAA50021", 10)
    assert [one.session.id for one in found] == ["exact", "handed", "near"]
    assert found[0].likeness > 0.8 > found[2].likeness > 0
    assert all(0 <= one.likeness <= 1 for one in found)
    assert found[0].relevance > 0
    assert await store.similar_sessions("the and of it", 5) == ()
    assert await store.similar_sessions("teams", 0) == ()
    assert len(await store.similar_sessions("teams", 1)) == 1


async def test_the_same_company_comes_first_among_equals(store: Store):
    for name, company in (("a", "Bank"), ("b", "Acme"), ("c", "Bank")):
        await store.save(
            make.a_session(
                name,
                problem_summary="VPN drops every hour",
                company=company,
                status=SessionStatus.RESOLVED,
            )
        )
    found = await store.similar_sessions("VPN drops", 3, company="acme")
    assert found[0].session.id == "b"


def test_words_are_compared_as_the_index_compares_them():
    assert plain("ÄRGER Straße Åse") == "arger strasse ase"
    assert likeness_words("The VPN isn't up: vpn DOWN, vpn") == ("vpn", "down")


# --- ten thousand ----------------------------------------------------------------------------


async def test_ten_thousand_sessions_answer_at_once(store: Store):
    """Far above a technician's life; each limit is some twenty times what was measured."""

    def words(n: int, count: int) -> str:
        return " ".join(WORDS[(n * 7 + i * i * 3 + i) % len(WORDS)] for i in range(count))

    records: list[Any] = []
    for n in range(10_000):
        status = SessionStatus.RESOLVED if n % 3 else SessionStatus.ACTIVE
        records.append(
            make.a_session(
                f"s{n}",
                problem_summary=f"{words(n, 6)} HOST-{n:05}",
                status=status,
                updated_at=at(n),
                company=f"Company {n % 50}",
            )
        )
        records.append(
            make.a_step(f"t{n}", f"s{n}", 1, body=Note(words(n + 1, 30)), source=Source.FLOW)
        )
    await store.save(*records)
    await store.sessions(search="warm")  # the index catches up with ten thousand at once

    async def seconds(question) -> float:
        start = time.perf_counter()
        await question
        return time.perf_counter() - start

    assert await names(store, "host-04242") == ["s4242"]
    assert await seconds(store.sessions()) < 0.2
    assert await seconds(store.sessions(search="HOST-09999")) < 0.2
    assert await seconds(store.sessions(search="printer spooler")) < 1.0
    assert await seconds(store.sessions(SessionFilter.ACTIVE, "p")) < 1.5
    by_client = Narrowing(client="Company 7", error="printer")
    assert await seconds(store.sessions(narrowing=by_client)) < 1.0
    assert await seconds(store.sessions(narrowing=Narrowing(device="host-04242"))) < 0.5
    assert await seconds(store.clients()) < 0.5
    assert await seconds(store.similar_sessions(words(3, 20), 5, "Company 7")) < 2.0
    assert await seconds(store.save(make.an_answered_step("new", "s5", 2))) < 0.2


# --- narrowed to a client, a device, an error -------------------------------------------------


def a_ticket(ticket_id: str = "48213", **changes: Any) -> TicketContext:
    context = make.a_context(ticket_id, description="The scanner in the lobby is silent")
    return replace(
        context,
        configurations=(Configuration(1, "NW-LAP-14", serial_number="5CG1234XYZ"),),
        notes=(
            TicketNote(1, "Caller says: cannot open the mailbox folder"),
            TicketNote(2, "Replaced the toner and the drum.", is_resolution=True),
        ),
        **changes,
    )


async def narrowed(store: Store, search: str = "", **to: str) -> list[str]:
    found = await store.sessions(search=search, narrowing=Narrowing(**to))
    return [one.session.id for one in found]


@pytest.mark.parametrize(
    ("to", "search", "expected"),
    [
        ({"client": "Acme & Söhne GmbH"}, "", ["mail"]),
        ({"client": "Acme"}, "", []),  # a client is chosen, not guessed
        ({"client": "Acme & Söhne GmbH"}, "spooler", []),
        ({"device": "srv-dc"}, "", ["mail"]),  # typed by the technician
        ({"device": "SRV-DC01"}, "outlook", ["mail"]),
        ({"device": "192.168.10"}, "", ["mail"]),
        ({"device": "nw-lap"}, "", ["mail"]),  # of the ticket
        ({"device": "5cg1234"}, "", ["mail"]),
        ({"device": "outlook"}, "", []),  # a word, but no device
        ({"error": "0x8004010f"}, "", ["mail"]),
        ({"error": "KB5034441 is miss"}, "", ["mail"]),
        ({"error": "missing is KB5034441"}, "", []),  # a message has its words in its order
        ({"error": "cannot open the mailbox"}, "", ["mail"]),  # in the ticket's note
        ({"error": "cannot open the mail "}, "", []),  # a space ends the word
        ({"error": "Spooler neu"}, "", []),  # what solved it is no error
        ({"device": "dc01", "error": "0x8004010F"}, "tuesday", ["mail"]),
        ({"device": "dc01", "error": "0x80070005"}, "", []),
        ({"device": "*"}, "", []),
        ({"error": '" OR "'}, "", []),
        ({"client": " ", "device": " ", "error": ""}, "", ["lunch", "print", "mail"]),
    ],
)
async def test_what_is_left_when_narrowed(
    full: Store, to: dict[str, str], search: str, expected: list[str]
):
    session = await full.session("mail")
    assert session is not None
    await full.save(replace(session, connection_id="cw"))
    await full.save(a_ticket())
    assert await narrowed(full, search, **to) == expected


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_what_is_narrowed_to_is_only_words_too(typed: str, device: str, error: str):
    expression = search.narrowed(typed, Narrowing(device=device, error=error))
    outside = "".join(expression.split('"')[::2])
    for name in ("AND", "{devices}", "{problem ticket steps}"):
        outside = outside.replace(name, "")
    assert set(outside) <= set(" ():*"), expression


async def test_a_ticket_read_anew_is_found_by_what_it_says_now(full: Store):
    session = await full.session("mail")
    assert session is not None
    await full.save(replace(session, connection_id="cw"))
    await full.save(a_ticket())
    assert await names(full, "lobby") == ["mail"]
    await full.save(replace(a_ticket(), configurations=(Configuration(2, "NW-NEW-1"),)))
    assert await narrowed(full, device="nw-lap") == []
    assert await narrowed(full, device="nw-new") == ["mail"]
    await full.forget(a_ticket())
    assert await narrowed(full, device="nw-new") == []
    assert await full.tickets_matching("lobby") == ()


async def test_cached_tickets_are_found_by_all_that_was_read_of_them(store: Store):
    await store.save(a_ticket(), replace(a_ticket("7"), fetched_at=at(5)))
    await store.save(make.a_context("8", summary="Badge reader", company=Reference(9, "Bank")))

    async def found(search: str = "", **to: str) -> list[str]:
        rows = await store.tickets_matching(search, Narrowing(**to))
        return [row.ticket.id for row in rows]

    assert await found("lobby scann") == ["7", "48213"]  # the latest first
    assert await found("48213") == ["48213"]
    assert await found("toner drum") == ["7", "48213"]
    assert await found(device="5CG1234XYZ") == ["7", "48213"]
    assert await found(error="cannot open the mailbox") == ["7", "48213"]
    assert await found(client="Bank") == ["8"]
    assert await found("lobby", client="Bank") == []
    assert await found() == []
    assert await found('"; --') == []
    (row, _) = await store.tickets_matching("mailbox")
    assert "cannot open the mailbox" in row.snippet
    assert await store.clients() == (a_ticket().ticket.company.name, "Bank")  # by name


async def test_solved_tickets_are_suggested_with_their_solution(store: Store):
    await store.save(
        a_ticket(),
        make.a_context("9", summary="The scanner in the lobby is silent"),  # nobody said how
        *(make.a_context(f"x{n}", summary=f"Thing {n} is broken") for n in range(20)),
    )
    (one,) = await store.similar_tickets("Scanner silent in the lobby again")
    assert one.ticket.id == "48213"
    assert one.snippet == "Replaced the toner and the drum."
    assert 0.5 < one.likeness <= 1
    assert await store.similar_tickets("of the and") == ()
