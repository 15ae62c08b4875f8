"""Settings → Integrations → FlowPilot: what each of the settings changes, in what leaves."""

from datetime import timedelta
from itertools import pairwise

import pytest

from flowpilot_desktop.composition import open_desk
from flowpilot_desktop.core.events import Events
from flowpilot_desktop.core.push import (
    NotePayload,
    NoteVisibility,
    PsaPushStatus,
    PushItem,
    PushKind,
    PushState,
    TimePayload,
)
from flowpilot_desktop.core.session import Intake
from flowpilot_desktop.core.timing import Rounding
from flowpilot_desktop.profile import Profile
from flowpilot_desktop.settings import Section, Settings
from tests.clock import VirtualClock
from tests.services.desk import any_answer

TICKET = "12352"
MINUTES_A_CARD = 4


async def documented(folder, *changes) -> tuple[tuple[PushItem, ...], PsaPushStatus, timedelta]:
    """Resolve a session with settings; return what was to leave, where it is, what was worked."""
    clock, events = VirtualClock(), Events()
    settings = Settings(folder, events)
    for setting, value in changes:
        await settings.change(setting, value)
    profile = Profile(folder, is_demo=True, latency=0.0)
    async with open_desk(profile, settings=settings, events=events, clock=clock) as desk:
        engine = desk.engine
        started = await engine.start_session(Intake("", "practice", TICKET))
        session_id = started.session.id
        worked = timedelta()
        while (step := await engine.next_step(session_id)) is not None:
            clock.advance(minutes=MINUTES_A_CARD)
            worked += timedelta(minutes=MINUTES_A_CARD)
            await engine.respond(session_id, step.id, any_answer(step))
        await engine.resolve_session(session_id, "Cleared the queue")
        await desk.push.run_due()
        view = await engine.session(session_id)
        return view.push_items, view.push_status, worked


def note(items: tuple[PushItem, ...]) -> NotePayload:
    payload = next(item.payload for item in items if item.kind is PushKind.NOTE)
    assert isinstance(payload, NotePayload)
    return payload


def time(items: tuple[PushItem, ...]) -> TimePayload:
    payload = next(item.payload for item in items if item.kind is PushKind.TIME)
    assert isinstance(payload, TimePayload)
    return payload


async def test_as_they_come_note_and_time_are_pushed(tmp_path):
    items, status, worked = await documented(tmp_path)
    assert status is PsaPushStatus.SENT
    assert note(items).visibility is NoteVisibility.INTERNAL
    assert "── Diagnosis Path ──\n1. [" in note(items).text.text
    assert time(items).actual_hours * 60 == pytest.approx(15 * round(worked.seconds / 900))


async def test_auto_push_off_keeps_everything_here(tmp_path):
    items, status, _ = await documented(tmp_path, (Settings.auto_push, False))
    assert items
    assert status is PsaPushStatus.NO_PSA
    assert {(item.state, item.tries, item.remote_id) for item in items} == {
        (PushState.SKIPPED, 0, "")
    }


async def test_auto_time_entry_off_leaves_the_timing_in_the_note_alone(tmp_path):
    items, status, _ = await documented(tmp_path, (Settings.auto_time_entry, False))
    assert status is PsaPushStatus.SENT
    assert [item.kind for item in items] == [PushKind.NOTE]
    assert "── Session Timing ──" in note(items).text.text


@pytest.mark.parametrize("rounding", list(Rounding))
async def test_time_rounding(tmp_path, rounding):
    items, _, worked = await documented(tmp_path, (Settings.time_rounding, rounding))
    if rounding is Rounding.NO_ENTRY:
        assert [item.kind for item in items] == [PushKind.NOTE]
        return
    hours = rounding.rounded(worked) / timedelta(hours=1)
    assert time(items).actual_hours == pytest.approx(hours, abs=0.005)
    assert "── Session Timing ──" in note(items).text.text


async def test_note_visibility(tmp_path):
    both = NoteVisibility.INTERNAL_AND_EXTERNAL
    items, _, _ = await documented(tmp_path, (Settings.note_visibility, both))
    assert note(items).visibility is both


async def test_include_diagnostic_steps_off_leaves_them_out_and_says_so(tmp_path):
    with_steps, _, _ = await documented(tmp_path / "with")
    without, _, _ = await documented(tmp_path / "without", (Settings.include_steps, False))
    assert "1. [" in note(with_steps).text.text
    assert "1. [" not in note(without).text.text
    assert "── Resolution ──" in note(without).text.text


async def test_the_longest_note_splits_into_parts(tmp_path):
    items, status, _ = await documented(tmp_path, (Settings.note_limit, 500))
    assert status is PsaPushStatus.SENT
    notes = [item for item in items if item.kind is PushKind.NOTE]
    assert len(notes) > 1
    assert [item.part for item in notes] == list(range(1, len(notes) + 1))
    for earlier, later in pairwise(notes):
        assert int(earlier.remote_id) < int(later.remote_id)


def test_the_seven_are_on_the_page():
    shown = [one for one in Settings.declarations() if one.shown]
    titles = [one.title for one in shown if one.section is Section.INTEGRATIONS]
    assert titles[:7] == [
        "Auto-push documentation",
        "Auto-create time entry",
        "Time rounding",
        "Default note visibility",
        "Include diagnostic steps",
        "Prompt for ticket status on resolution",
        "Prompt for ticket status on escalation",
    ]
