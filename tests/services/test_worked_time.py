"""What a day does to a clock: nights on which it changes, jumps, and hands that edit the time."""

import asyncio
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from flowpilot_desktop.core.errors import InvalidInput
from flowpilot_desktop.core.push import PushKind, PushState, TimePayload
from flowpilot_desktop.core.session import Intake, Response, Result, SessionStatus
from flowpilot_desktop.core.ticket import Reference
from flowpilot_desktop.core.timing import Rounding, Segment, TimeEntryPlan
from flowpilot_desktop.services.audit import with_span, with_work
from flowpilot_desktop.services.documentation import DocumentationChoices
from tests.clock import VirtualClock
from tests.services.desk import CONNECTION, Desk, open_desk

TICKET = "12352"
MINUTE = timedelta(minutes=1)
# The tests' time zone is Chicago's.
SPRING = datetime(2026, 3, 8, 7, 50, tzinfo=UTC)  # ten minutes before 2:00 becomes 3:00
AUTUMN = datetime(2026, 11, 1, 6, 50, tzinfo=UTC)  # ten minutes before 2:00 becomes 1:00


async def begun(desk: Desk) -> str:
    started = await desk.engine.start_session(Intake("", CONNECTION.id, TICKET))
    return started.session.id


async def worked(desk: Desk, minutes: int) -> None:
    """Let minutes pass as they do at a desk: with a beat each."""
    for _ in range(minutes):
        desk.clock.advance(minutes=1)
        await desk.timekeeping.beat()


async def resolved(
    desk: Desk, session_id: str, choices: DocumentationChoices | None = None
) -> tuple[str, list[TimePayload]]:
    """Verify and resolve; return the note and the time entries."""
    step = await desk.engine.ask_verification(session_id)
    await desk.engine.respond(session_id, step.id, Response(result=Result.WORKED))
    closing = await desk.engine.resolve_session(session_id, "Fixed", choices=choices)
    items = (await desk.engine.session(session_id)).push_items
    entries = [item.payload for item in items if item.kind is PushKind.TIME]
    return closing.documentation, [one for one in entries if isinstance(one, TimePayload)]


@pytest.mark.parametrize("start", [SPRING, AUTUMN], ids=["spring", "autumn"])
async def test_a_night_on_which_the_clocks_change_bills_what_was_worked(
    tmp_path: Path, start: datetime
):
    async with open_desk(tmp_path, clock=VirtualClock(start)) as desk:
        desk.rules = replace(desk.rules, rounding=Rounding.EXACT)
        session_id = await begun(desk)
        await worked(desk, 25)
        note, (entry,) = await resolved(desk, session_id)
    assert entry.actual_hours == pytest.approx(25 / 60, abs=0.005)
    assert (entry.start, entry.end) == (start, start + 25 * MINUTE)
    assert entry.start.utcoffset() == timedelta()
    # Local times in the note carry their offset, so both halves of the night can be told apart.
    if start is SPRING:
        assert "2026-03-08 01:50 -06:00" in note
        assert "2026-03-08 03:15 -05:00" in note
    else:
        assert "2026-11-01 01:50 -05:00" in note
        assert "2026-11-01 01:15 -06:00" in note
    assert "Duration: 25 min" in note


@pytest.mark.parametrize("how", ["quit", "power cut"])
async def test_the_night_between_two_starts_bills_nothing(tmp_path: Path, how: str):
    """Quitting ends the stretch; a power cut does, too, at the last beat that reached the disk."""
    clock, folder = VirtualClock(), tmp_path / "at work"
    async with open_desk(folder, clock=clock) as desk:
        session_id = await begun(desk)
        await worked(desk, 25)
        ended = clock.now()
        if how == "power cut":
            clock.advance(seconds=40)  # worked, but no beat came any more
            shutil.copytree(folder, tmp_path / "as the cut left it")
            folder = tmp_path / "as the cut left it"
    clock.advance(hours=14)
    async with open_desk(folder, clock=clock) as desk:
        (stretch,) = await desk.store.segments(session_id)
        assert stretch.ended_at == ended
        desk.rules = replace(desk.rules, rounding=Rounding.EXACT)
        await desk.engine.work_on(session_id)
        began = clock.now()
        await worked(desk, 10)
        _, (entry,) = await resolved(desk, session_id)
    assert entry.actual_hours * 60 == pytest.approx(35, abs=0.5)
    assert entry.hours_deduct * 60 == pytest.approx((began - ended) / MINUTE, abs=0.5)
    # Deductions are hundredths of an hour, so the end gives way by some seconds.
    assert abs(entry.end - (began + 10 * MINUTE)) < MINUTE


async def test_what_was_typed_last_counts_as_work_after_a_crash(tmp_path: Path):
    clock, folder = VirtualClock(), tmp_path / "at work"
    cut = tmp_path / "as the crash left it"
    async with open_desk(folder, clock=clock) as desk:
        session_id = await begun(desk)
        await worked(desk, 3)
        clock.advance(seconds=31)
        await desk.engine.save_draft(session_id, "note", "half a sent")
        typed = clock.now()
        shutil.copytree(folder, cut)
    clock.advance(hours=1)
    async with open_desk(cut, clock=clock) as desk:
        (stretch,) = await desk.store.segments(session_id)
        assert stretch.ended_at == typed


@pytest.mark.parametrize(
    "jump", [timedelta(days=3), timedelta(hours=-2), timedelta(days=-400), timedelta(minutes=90)]
)
async def test_a_clock_that_jumps_bills_neither_too_much_nor_nothing(
    tmp_path: Path, jump: timedelta
):
    async with open_desk(tmp_path) as desk:
        desk.rules = replace(desk.rules, rounding=Rounding.EXACT)
        session_id = await begun(desk)
        await worked(desk, 10)
        desk.clock.jump(jump)
        await worked(desk, 10)
        _, entries = await resolved(desk, session_id)
    total = sum(entry.actual_hours for entry in entries)
    assert 9 / 60 <= total <= 21 / 60
    for entry in entries:
        assert timedelta() < entry.end - entry.start
        assert entry.actual_hours <= (entry.end - entry.start) / timedelta(hours=1) + 0.01


async def test_a_pause_overnight_bills_nothing_and_is_deducted(tmp_path: Path):
    async with open_desk(tmp_path) as desk:
        session_id = await begun(desk)
        await worked(desk, 20)
        await desk.engine.pause_session(session_id)
        desk.clock.advance(hours=14)
        await desk.engine.resume_session(session_id)
        await worked(desk, 10)
        _, (entry,) = await resolved(desk, session_id)
        assert (await desk.engine.session(session_id)).session.status is SessionStatus.RESOLVED
    assert entry.actual_hours == 0.5
    hours = (entry.end - entry.start) / timedelta(hours=1)
    assert hours - entry.hours_deduct == pytest.approx(0.5, abs=0.011)


def plan(desk: Desk, start: datetime, end: datetime) -> DocumentationChoices:
    span = end - start
    entry = TimeEntryPlan(desk.me.id, start, end, timedelta(), span, span)
    return DocumentationChoices(time=(entry,))


async def test_edited_time_leaves_as_edited(tmp_path: Path):
    async with open_desk(tmp_path) as desk:
        session_id = await begun(desk)
        await worked(desk, 20)
        now = desk.clock.now()
        choices = plan(desk, now - 50 * MINUTE, now - 5 * MINUTE)
        _, (entry,) = await resolved(desk, session_id, choices)
    assert (entry.start, entry.end) == (now - 50 * MINUTE, now - 5 * MINUTE)
    assert (entry.actual_hours, entry.hours_deduct) == (0.75, 0.0)


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (-10, -20, "ends before it begins"),
        (-10, -10, "ends before it begins"),
        (-3000, 0, "longer than a day"),
        (-65, 0, "Alex"),
    ],
)
async def test_edited_time_that_can_not_be_is_refused_and_nothing_is_written(
    tmp_path: Path, start: int, end: int, words: str
):
    async with open_desk(tmp_path) as desk:
        session_id = await begun(desk)
        await worked(desk, 20)
        now = desk.clock.now()
        other = replace(desk.me, id="engineer-alex", name="Alex Kim")
        await desk.store.save(
            other,
            Segment(
                "s", session_id, other.id, now - 90 * MINUTE, now - 60 * MINUTE, now - 60 * MINUTE
            ),
        )
        with pytest.raises(InvalidInput, match=words):
            await resolved(desk, session_id, plan(desk, now + start * MINUTE, now + end * MINUTE))
        view = await desk.engine.session(session_id)
        assert view.session.status is SessionStatus.ACTIVE
        assert view.push_items == ()
        # What touches nobody's time is taken.
        choices = plan(desk, now - 60 * MINUTE, now)
        await desk.engine.resolve_session(session_id, "Fixed", choices=choices)
        assert (await desk.engine.session(session_id)).push_items


def no_two_overlap(entries: list[TimePayload]) -> bool:
    ordered = sorted(entries, key=lambda entry: entry.start)
    return all(one.end <= other.start for one, other in pairwise(ordered))


async def test_short_sessions_after_one_another_are_never_billed_over_each_other(tmp_path: Path):
    """Five sessions of three minutes: each entry is a quarter of an hour, none over another."""
    made: list[TimePayload] = []
    async with open_desk(tmp_path) as desk:
        for _ in range(5):
            session_id = await begun(desk)
            await worked(desk, 3)
            shown = (await desk.engine.preview_documentation(session_id)).time
            _, entries = await resolved(desk, session_id)
            assert [(one.start, one.end) for one in shown] == [(e.start, e.end) for e in entries]
            made += entries
    assert [entry.actual_hours for entry in made] == [0.25] * 5
    assert no_two_overlap(made)


async def test_a_session_around_another_makes_room_for_its_entry(tmp_path: Path):
    async with open_desk(tmp_path) as desk:
        outer = await begun(desk)
        await worked(desk, 20)
        await desk.engine.pause_session(outer)
        inner = await begun(desk)
        await worked(desk, 4)
        _, inside = await resolved(desk, inner)
        await desk.engine.resume_session(outer)
        await worked(desk, 30)
        _, around = await resolved(desk, outer)
    assert len(inside) == 1
    assert sum(entry.actual_hours for entry in around) == pytest.approx(0.75)
    assert no_two_overlap([*inside, *around])


async def test_two_sessions_closed_at_once_are_never_billed_over_each_other(tmp_path: Path):
    async with open_desk(tmp_path) as desk:
        ids = []
        for _ in range(2):
            ids.append(await begun(desk))
            await worked(desk, 3)
            step = await desk.engine.ask_verification(ids[-1])
            await desk.engine.respond(ids[-1], step.id, Response(result=Result.WORKED))
        await asyncio.gather(*(desk.engine.resolve_session(one, "Fixed") for one in ids))
        items = [item for one in ids for item in await desk.store.push_items(one)]
    entries = [item.payload for item in items if isinstance(item.payload, TimePayload)]
    assert len(entries) == 2
    assert no_two_overlap(entries)


async def test_a_skipped_entry_of_another_session_takes_no_room(tmp_path: Path):
    async with open_desk(tmp_path) as desk:
        first = await begun(desk)
        await worked(desk, 3)
        await resolved(desk, first, DocumentationChoices(push=False))
        second = await begun(desk)
        start = desk.clock.now()
        await worked(desk, 3)
        _, (entry,) = await resolved(desk, second)
    assert entry.start == start


async def test_time_edited_over_another_sessions_entry_is_refused(tmp_path: Path):
    async with open_desk(tmp_path) as desk:
        first = await begun(desk)
        await worked(desk, 10)
        _, (entry,) = await resolved(desk, first)
        second = await begun(desk)
        await worked(desk, 10)
        step = await desk.engine.ask_verification(second)
        await desk.engine.respond(second, step.id, Response(result=Result.WORKED))
        (plan,) = (await desk.engine.preview_documentation(second)).time
        over = replace(plan, start=entry.start, end=entry.end)
        with pytest.raises(InvalidInput, match="your entry for another session"):
            await desk.engine.resolve_session(
                second, "Fixed", choices=DocumentationChoices(time=(over,))
            )
        assert (await desk.engine.session(second)).session.status is SessionStatus.ACTIVE


async def test_a_failed_entry_gets_another_work_role_and_no_taken_span(tmp_path: Path):
    async with open_desk(tmp_path) as desk:
        first = await begun(desk)
        await worked(desk, 10)
        _, (taken,) = await resolved(desk, first)
        second = await begun(desk)
        await worked(desk, 10)
        await resolved(desk, second)
        items = await desk.store.push_items(second)
        item = next(one for one in items if one.kind is PushKind.TIME)
        payload = item.payload
        assert isinstance(payload, TimePayload)
        await desk.store.save(replace(item, state=PushState.FAILED, error="No such work role."))

        over = with_span(payload, taken.start, taken.end)
        with pytest.raises(InvalidInput, match="overlaps time that is entered already"):
            await desk.push.edit(item.id, second, over)
        kept = next(one for one in await desk.store.push_items(second) if one.id == item.id)
        assert kept.state is PushState.FAILED

        role = (await desk.tickets.time_options(CONNECTION.id))[1][-1]
        await desk.push.edit(item.id, second, with_work(payload, Reference(), role, "NoCharge"))
        sent = next(one for one in await desk.store.push_items(second) if one.id == item.id)
        assert isinstance(sent.payload, TimePayload)
        assert sent.state is PushState.SENT
        assert sent.payload.work_role == role
        assert sent.payload.billable == "NoCharge"
