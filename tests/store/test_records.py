"""Every record comes out as it went in, whatever text it carries, after a restart too."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from flowpilot_desktop.core.attachment import Attachment
from flowpilot_desktop.core.errors import StoreError
from flowpilot_desktop.core.escalation import Escalation, OperationState, QueueOperation
from flowpilot_desktop.core.happening import Happening
from flowpilot_desktop.core.history import AuditEntry
from flowpilot_desktop.core.push import PushItem, PushKind, PushState, StatusPayload
from flowpilot_desktop.core.redaction import RedactedText
from flowpilot_desktop.core.session import Draft, Engineer, Note, Session, Usage
from flowpilot_desktop.core.ticket import MemberMapping, PsaConnection, Reference, TicketContext
from flowpilot_desktop.core.timing import Segment
from flowpilot_desktop.core.usage import UsageRecord, UsageTotal
from flowpilot_desktop.store import Store
from flowpilot_desktop.store.documents import clean
from flowpilot_desktop.store.tables import SHELVES, Record
from tests.clock import VirtualClock
from tests.store import records as make
from tests.store.records import NOON, at

# Hypothesis makes one profile and goes through many values in it.
one_profile = settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])


def driven(test: Callable[[Store], Awaitable[None]]) -> None:
    """Runs a coroutine on a store of its own; one for each example."""

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            store = await Store.open(Path(folder), VirtualClock(NOON))
            try:
                await test(store)
            finally:
                await store.aclose()

    asyncio.run(run())


def test_every_record_has_a_shelf():
    assert set(SHELVES) == set(get_args(Record))


@one_profile
@given(make.sessions)
def test_sessions_come_back(session: Session):
    async def test(store: Store) -> None:
        await store.save(session)
        assert await store.session(session.id) == session

    driven(test)


@one_profile
@given(st.data())
def test_steps_come_back(data: st.DataObject):
    step = data.draw(make.steps())

    async def test(store: Store) -> None:
        await store.save(step, make.a_session())
        assert await store.steps("s1") == (step,)
        await store.save(step)

    driven(test)


def values_of(payload: Any) -> list[Any]:
    values = [getattr(payload, one.name) for one in fields(payload)]
    return [value.text if isinstance(value, RedactedText) else value for value in values]


@one_profile
@given(make.push_items(), make.payload_parts)
def test_push_items_come_back(item: PushItem, parts: Any):
    payload = make.payload(parts)

    async def test(store: Store) -> None:
        await store.save(replace(item, payload=payload), make.a_session())
        (kept,) = await store.push_items("s1")
        # What was masked is told once, at the gateway; the text is the promise.
        assert type(kept.payload) is type(payload)
        assert values_of(kept.payload) == values_of(payload)
        assert replace(kept, payload=item.payload) == item

    driven(test)


async def found(store: Store, record: Any) -> Any:  # noqa: C901 - a case for each noun
    match record:
        case Draft():
            return await store.draft(record.session_id, record.field)
        case Engineer():
            return (await store.engineers())[0]
        case PsaConnection():
            return (await store.connections())[0]
        case MemberMapping():
            return await store.mapping(record.connection_id, record.engineer_id)
        case TicketContext():
            return await store.ticket_context(record.connection_id, record.ticket.id)
        case AuditEntry():
            return (await store.audit_entries())[0]
        case Attachment():
            return await store.attachment(record.id)
        case Segment():
            return (await store.segments(record.session_id))[0]
        case UsageRecord():
            total = await store.usage(session_id=record.session_id)
            assert total == UsageTotal(record.usage, record.cost_micros, 1)
            return record
        case Happening():
            return (await store.happenings("s1"))[0]
        case Escalation():
            return await store.escalation(record.id)
        case QueueOperation():
            return (await store.queue_operations(OperationState))[0]
    raise AssertionError(record)


@settings(one_profile, max_examples=60)
@given(make.small_records)
def test_everything_else_comes_back(record: Any):
    async def test(store: Store) -> None:
        await store.save(make.a_session())
        await store.save(record)
        assert await found(store, record) == record
        await store.save(record)
        assert await found(store, record) == record

    driven(test)


wild = st.text(st.characters(), max_size=30)


@one_profile
@given(wild, wild)
@example("0\ud800", "0\x00\udfff")
def test_no_text_makes_saving_fail(words: str, field: str):
    """Lone surrogates and NUL, in values and in keys."""

    async def test(store: Store) -> None:
        await store.save(
            make.a_session(problem_summary=words),
            make.a_step(body=Note(words)),
            Draft("s1", field, words, NOON),
        )
        draft = await store.draft("s1", field)
        assert draft is not None
        assert draft.text == clean(words)
        session = await store.session("s1")
        assert session is not None
        assert session.problem_summary == clean(words)
        (step,) = await store.steps("s1")
        assert step.body.text == clean(words)
        await store.save(clear_drafts=[("s1", field)])
        assert await store.drafts("s1") == ()
        await store.sessions(search=words)
        await store.similar_sessions(words)
        await store.remember(field, words)
        assert await store.remembered(field) == clean(words)
        assert await store.search_cached_tickets(words) == ()

    driven(test)


@given(wild)
def test_cleaning_changes_nothing_but_the_impossible(words: str):
    cleaned = clean(words)
    cleaned.encode()
    assert "\0" not in cleaned
    assert clean(cleaned) == cleaned
    if "\0" not in words and not any("\ud800" <= letter <= "\udfff" for letter in words):
        assert cleaned == words


def test_surrogates_that_belong_together_are_one_character():
    assert clean("\ud83d\ude00 \ud83d") == "😀 \ufffd"


async def test_moments_come_back_in_utc(store: Store):
    chicago = datetime.fromisoformat("2026-11-23T06:00:00.000001-06:00")
    await store.save(make.a_session(created_at=chicago))
    session = await store.session("s1")
    assert session is not None
    assert session.created_at == chicago
    assert session.created_at.tzinfo is UTC


async def test_a_moment_without_a_zone_is_a_mistake_and_saves_nothing(store: Store):
    naive = NOON.replace(tzinfo=None)
    with pytest.raises(Exception, match="without a time zone"):
        await store.save(make.a_session("fine"), make.a_session("s1", created_at=naive))
    assert await store.session("fine") is None


async def test_absent_things_are_none_or_nothing(store: Store):
    assert await store.session("no") is None
    assert await store.steps("no") == ()
    assert await store.segments("no") == ()
    assert await store.draft("no", "x") is None
    assert await store.attachment("no") is None
    assert await store.mapping("no", "x") is None
    assert await store.ticket_context("no", "x") is None
    assert await store.remembered("no") is None
    assert await store.usage() == UsageTotal()
    await store.save()


async def test_one_save_is_one_transaction(store: Store):
    """The step contradicts another one, so nothing of the save is stored."""
    await store.save(make.a_session(), make.a_step("first", number=1))
    with pytest.raises(StoreError, match="steps"):
        await store.save(
            make.a_session(problem_summary="changed"),
            Draft("s1", "x", "typed", NOON),
            make.a_step("second", number=1),
            clear_drafts=[("s1", "y")],
        )
    session = await store.session("s1")
    assert session is not None
    assert session.problem_summary == "Outlook does not start"
    assert await store.drafts("s1") == ()


async def test_a_step_needs_its_session(store: Store):
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        await store.save(make.a_step(session="nobody"))


async def test_an_answer_and_the_end_of_its_draft_are_one(store: Store):
    await store.save(make.a_session(), make.a_step(), Draft("s1", "s1-1", "it sta", NOON))
    await store.save(make.an_answered_step(), clear_drafts=[("s1", "s1-1"), ("s1", "none")])
    assert await store.drafts("s1") == ()
    assert (await store.steps("s1"))[0].answered_by == "ana"


async def test_forgetting(store: Store):
    connection = PsaConnection("cw", "connectwise")
    draft = Draft("s1", "x", "typed", NOON)
    await store.save(connection, draft, make.a_context())
    await store.forget(connection, draft, make.a_context())
    await store.forget(connection)
    assert await store.connections() == ()
    assert await store.drafts("s1") == ()
    assert await store.ticket_context("cw", "101") is None


async def test_forgetting_a_session_takes_what_is_its_own(store: Store):
    segment = Segment("g1", "s1", "ana", NOON, None, NOON)
    await store.save(make.a_session(), make.a_step(), segment, make.a_push_item())
    await store.forget(make.a_session())
    assert await store.session("s1") is None
    assert await store.steps("s1") == ()
    assert await store.open_segments() == ()
    assert await store.push_items("s1") == ()
    assert await store.sessions(search="outlook") == ()


# --- reading in order ------------------------------------------------------------------------


async def test_steps_come_in_their_order(store: Store):
    await store.save(make.a_session(), *(make.a_step(f"x{n}", number=n) for n in (3, 1, 10, 2)))
    assert [step.number for step in await store.steps("s1")] == [1, 2, 3, 10]


async def test_open_segments_of_all_sessions(store: Store):
    done = Segment("g1", "s1", "ana", NOON, at(5), at(5))
    running = Segment("g2", "s2", "ana", at(6), None, at(7))
    await store.save(make.a_session(), make.a_session("s2"), done, running)
    assert await store.open_segments() == (running,)
    assert await store.segments("s1") == (done,)


async def test_push_items_come_note_time_status_and_parts_in_order(store: Store):
    status = StatusPayload(Reference(1), Reference(2), Reference(3))
    items = [
        make.a_push_item("d", kind=PushKind.STATUS, payload=status),
        make.a_push_item("c", kind=PushKind.TIME),
        make.a_push_item("b", part=2),
        make.a_push_item("a", part=1),
        make.a_push_item("e", created_at=at(-1), kind=PushKind.STATUS, payload=status),
    ]
    await store.save(make.a_session(), *items)
    assert [item.id for item in await store.push_items("s1")] == ["e", "a", "b", "c", "d"]


async def test_what_is_due(store: Store):
    await store.save(
        make.a_session(),
        make.a_push_item("now"),
        make.a_push_item("past", next_try_at=at(-1)),
        make.a_push_item("exactly", next_try_at=NOON, state=PushState.UNCLEAR),
        make.a_push_item("later", next_try_at=at(1)),
        make.a_push_item("sending", state=PushState.SENDING),
        make.a_push_item("sent", state=PushState.SENT),
        make.a_push_item("failed", state=PushState.FAILED),
    )
    assert {item.id for item in await store.due_push_items(NOON)} == {"now", "past", "exactly"}
    sending = await store.push_items_in({PushState.SENDING, PushState.FAILED})
    assert {item.id for item in sending} == {"sending", "failed"}
    assert await store.push_items_in(()) == ()


async def test_push_history_is_newest_first_in_pages(store: Store):
    await store.save(
        make.a_session(), *(make.a_push_item(f"p{n}", created_at=at(n)) for n in range(5))
    )
    assert [item.id for item in await store.push_history(2)] == ["p4", "p3"]
    assert [item.id for item in await store.push_history(2, 2)] == ["p2", "p1"]


async def test_tickets_from_the_cache(store: Store):
    await store.save(
        make.a_context("101", at(0), summary="Outlook 100% CPU"),
        make.a_context("102", at(2), summary="Ärger mit_Drucker"),
        make.a_context("103", at(1), summary="VPN", company=Reference(8, "Bank")),
    )
    recent = await store.recent_tickets("cw", 2)
    assert [(ticket.id, fetched) for ticket, fetched in recent] == [("102", at(2)), ("103", at(1))]
    assert await store.recent_tickets("other", 9) == ()

    async def search(words: str) -> list[str]:
        return [ticket.id for ticket, _ in await store.search_cached_tickets(words)]

    assert await search("#101") == ["101"]
    assert await search("acme") == ["102", "101"]
    assert await search("ÄRGER acme") == ["102"]
    assert await search("100%") == ["101"]
    assert await search("t_d") == ["102"]
    assert await search("0_%") == []


async def test_a_context_is_replaced_by_a_newer_one(store: Store):
    await store.save(make.a_context(summary="old"))
    await store.save(make.a_context(summary="new", fetched=at(1)))
    context = await store.ticket_context("cw", "101")
    assert context is not None
    assert (context.ticket.summary, context.fetched_at) == ("new", at(1))


async def test_usage_by_session_and_time(store: Store):
    use = Usage(10, 2, 3, 4)
    await store.save(
        UsageRecord("1", "s1", at(0), "m", use, 100),
        UsageRecord("2", "s1", at(60 * 24), "m", use, 200),
        UsageRecord("3", "s2", at(60 * 24), "m", use, 400),
    )
    assert await store.usage() == UsageTotal(Usage(30, 6, 9, 12), 700, 3)
    assert (await store.usage(session_id="s1")).cost_micros == 300
    assert (await store.usage(since=at(1))).cost_micros == 600
    assert (await store.usage(until=at(60 * 24))).cost_micros == 100
    days = await store.daily_usage(at(-1), at(60 * 48), UTC)
    assert [(day.day.day, day.total.cost_micros, day.total.calls) for day in days] == [
        (23, 100, 1),
        (24, 600, 2),
    ]


async def test_the_trail_is_newest_first(store: Store):
    await store.save(
        AuditEntry("1", NOON, "ana", "start", "s1"),
        AuditEntry("2", at(1), "ana", "pause", "s1"),
        AuditEntry("3", at(2), "bo", "start", "s2"),
    )
    assert [entry.id for entry in await store.audit_entries()] == ["3", "2", "1"]
    assert [entry.id for entry in await store.audit_entries("s1", 1)] == ["2"]


async def test_attachments_of_a_session(store: Store):
    one = Attachment("a1", "s1", "screen.png", "image/png", bytes(range(256)) * 40, NOON)
    two = Attachment("a2", "s1", "log.txt", "text/plain", b"", at(1))
    await store.save(two, one)
    assert await store.attachments("s1") == (one, two)


async def test_small_state_is_remembered(open_store):
    store = await open_store()
    await store.remember("last_session", "s1")
    await store.remember("last_session", "s2")
    await store.aclose()
    again = await open_store()
    assert await again.remembered("last_session") == "s2"


# --- cancelling ------------------------------------------------------------------------------


async def test_cancelling_the_await_of_a_write_does_not_undo_it(store: Store):
    tasks = [asyncio.create_task(store.save(make.a_session(f"s{n}"))) for n in range(20)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert any(isinstance(result, asyncio.CancelledError) for result in results)
    assert len(await store.sessions(limit=99)) == 20


async def test_closing_finishes_what_was_begun_and_then_refuses(open_store):
    store = await open_store()
    tasks = [asyncio.create_task(store.save(make.a_session(f"s{n}"))) for n in range(20)]
    await asyncio.sleep(0)
    await asyncio.gather(store.aclose(), store.aclose())
    await asyncio.gather(*tasks)
    with pytest.raises(StoreError, match="closed"):
        await store.session("s1")
    again = await open_store()
    assert len(await again.sessions(limit=99)) == 20
    assert again.report.ended_clean
