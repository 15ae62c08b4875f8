"""What the session screen knows, and in which order things happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from flowpilot_desktop.core.attachment import NOTE
from flowpilot_desktop.core.errors import (
    FlowPilotError,
    ModelUnavailable,
    NotFound,
    PsaUnreachable,
    StoreFull,
)
from flowpilot_desktop.core.events import SessionChanged
from flowpilot_desktop.core.lifecycle import Verb
from flowpilot_desktop.core.ports import StepProgress
from flowpilot_desktop.core.session import (
    Question,
    Response,
    Result,
    SessionStatus,
    StepKind,
)
from flowpilot_desktop.viewmodels.session import SessionViewModel
from tests import samples
from tests.ui.conftest import until
from tests.ui.double import DoubleEngine


class Watch:
    """A monotonic clock that goes when told."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def engine() -> DoubleEngine:
    return DoubleEngine()


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
async def model(engine: DoubleEngine, watch: Watch) -> AsyncIterator[SessionViewModel]:
    model = SessionViewModel(engine, monotonic=watch)
    yield model
    await model.aclose()


@pytest.fixture
async def opened(model: SessionViewModel) -> SessionViewModel:
    model.open(samples.SESSION)
    await until(lambda: model.view is not None and not model.tasks.names)
    return model


def errors_of(model: SessionViewModel) -> list[FlowPilotError]:
    errors: list[FlowPilotError] = []
    model.failed.connect(errors.append)
    return errors


def waiting(engine: DoubleEngine):
    step = engine.view.open_step
    assert step is not None
    return step


def nothing_open(engine: DoubleEngine) -> None:
    engine.view = replace(engine.view, steps=engine.view.steps[:-1])


async def test_opening_goes_from_nothing_over_loading_to_the_session(model, engine):
    assert not model.is_loading
    model.open(samples.SESSION)
    assert model.is_loading
    await until(lambda: model.view is not None)
    assert not model.is_loading
    assert engine.calls[:2] == ["work_on", "session"]
    assert not model.is_thinking


async def test_a_session_that_does_not_open_says_why_and_opens_on_trying_again(model, engine):
    engine.error = NotFound("No such session.")
    model.open(samples.SESSION)
    await until(lambda: model.load_error is not None)
    assert model.view is None
    engine.error = None
    model.reload()
    await until(lambda: model.view is not None)
    assert model.load_error is None


async def test_an_answer_is_on_disk_before_the_screen_changes_and_thinking_begins_after(
    opened, engine
):
    step = waiting(engine)
    engine.calls.clear()
    engine.bodies = [samples.ACTION]
    opened.answer(step.id, Response(option="1200"))
    assert opened.busy_step == step.id
    assert opened.is_busy
    await until(lambda: opened.view.open_step is not None and opened.view.open_step.id != step.id)
    order = [call for call in engine.calls if call in ("respond", "next_step")]
    assert order == ["respond", "next_step"]
    assert opened.busy_step == ""
    assert opened.view.open_step.kind is StepKind.ACTION


async def test_an_answer_that_fails_frees_the_card_and_is_told(opened, engine):
    errors = errors_of(opened)
    engine.error = StoreFull()
    opened.answer(waiting(engine).id, Response(option="1200"))
    await until(lambda: errors)
    assert isinstance(errors[0], StoreFull)
    assert opened.busy_step == ""
    assert waiting(engine).is_open


async def test_a_session_without_an_open_card_thinks_of_one(model, engine):
    nothing_open(engine)
    engine.bodies = [Question("What changed?")]
    model.open(samples.SESSION)
    await until(lambda: model.view is not None and model.view.open_step is not None)
    assert not model.is_thinking


async def test_progress_is_shown_and_at_most_every_interval(model, engine):
    nothing_open(engine)
    engine.bodies = [Question("What changed on Friday?")]
    engine.progress = [StepProgress("question", "What changed"[:n]) for n in range(12)] * 20
    shown = []
    model.changed.connect(lambda: shown.append(model.progress))
    model.open(samples.SESSION)
    await until(lambda: model.view is not None and model.view.open_step is not None)
    texts = [progress.text for progress in shown if progress is not None]
    assert len(texts) < len(engine.progress) / 2
    assert model.progress is None


async def test_stop_ends_the_thinking_and_it_can_be_asked_again(model, engine):
    nothing_open(engine)
    engine.gate.clear()
    model.open(samples.SESSION)
    engine.gate.set()
    await until(lambda: model.is_thinking)
    engine.gate.clear()
    model.stop()
    assert not model.is_thinking
    assert model.was_stopped
    engine.gate.set()
    engine.bodies = [samples.QUESTION]
    model.think()
    await until(lambda: model.view.open_step is not None)
    assert not model.was_stopped


async def test_thinking_that_fails_is_said_on_the_page_and_not_as_a_failure(model, engine):
    errors = errors_of(model)
    nothing_open(engine)
    original = engine.next_step

    async def failing(session_id, progress=None):
        raise ModelUnavailable("No answer.", reason="unreachable")

    engine.next_step = failing
    model.open(samples.SESSION)
    await until(lambda: model.think_error is not None)
    assert not model.is_thinking
    assert errors == []
    engine.next_step = original
    engine.bodies = [samples.QUESTION]
    model.think()
    await until(lambda: model.view.open_step is not None)
    assert model.think_error is None


async def test_nobody_has_a_further_card(model, engine):
    nothing_open(engine)
    engine.words = "Claude can't be reached."
    model.open(samples.SESSION)
    await until(lambda: model.has_no_more)
    assert not model.is_thinking
    assert model.notice == "Claude can't be reached."


async def test_a_confirmed_resolution_is_the_end_of_asking(model, engine):
    proposal = samples.step(samples.RESOLUTION, 9)
    engine.view = replace(engine.view, steps=(*engine.view.steps[:-1], proposal))
    model.open(samples.SESSION)
    await until(lambda: model.view is not None)
    model.answer(proposal.id, Response(result=Result.WORKED))
    await until(lambda: model.is_over)
    await until(lambda: not model.tasks.names)
    assert "next_step" not in engine.calls


async def test_typed_text_is_on_disk_soon_and_typing_on_does_not_put_it_off(opened, engine):
    step = waiting(engine)
    typed = ""
    loop = asyncio.get_running_loop()
    end = loop.time() + 0.45
    while not engine.saved and loop.time() < end:
        typed += "x"
        opened.draft(step.id, typed)
        await asyncio.sleep(0)
    assert set(engine.saved[step.id]) == {"x"}
    await until(lambda: engine.saved[step.id] == typed)
    await until(lambda: opened.is_saved)


async def test_leaving_a_field_saves_at_once_and_empty_text_is_forgotten(opened, engine):
    opened.draft(NOTE, "saw the light go red")
    assert not opened.is_saved
    opened.flush_drafts()
    await until(lambda: engine.saved == {NOTE: "saw the light go red"})
    opened.draft(NOTE, "")
    opened.flush_drafts()
    await until(lambda: engine.saved == {})


async def test_closing_saves_what_was_typed(engine, watch):
    model = SessionViewModel(engine, monotonic=watch)
    model.open(samples.SESSION)
    await until(lambda: model.view is not None)
    model.draft("step-6", "half a thought")
    await model.aclose()
    assert engine.saved == {"step-6": "half a thought"}


async def test_a_draft_comes_back_and_goes_with_its_answer(model, engine):
    engine.saved = {"step-6": "half a thought"}
    model.open(samples.SESSION)
    await until(lambda: model.view is not None)
    assert model.drafts == {"step-6": "half a thought"}
    engine.bodies = [samples.ACTION]
    model.answer("step-6", Response(text="a whole one"))
    await until(lambda: engine.view.steps[3].response is not None)
    await until(lambda: not model.is_busy)
    assert model.drafts == {}
    assert engine.saved == {}


async def test_a_draft_that_cannot_be_saved_is_told_and_kept(opened, engine):
    errors = errors_of(opened)
    engine.error = StoreFull()
    opened.draft(NOTE, "important")
    await until(lambda: errors)
    assert not opened.is_saved
    engine.error = None
    opened.draft(NOTE, "important!")
    await until(lambda: engine.saved == {NOTE: "important!"})


async def test_pause_stops_time_and_resume_brings_back_the_same_card(opened, engine, watch):
    card = opened.view.open_step
    watch.seconds += 10
    assert opened.active_seconds() == pytest.approx(1_345)
    opened.pause()
    await until(lambda: opened.view.session.status is SessionStatus.PAUSED)
    await until(lambda: not opened.is_busy)
    before = opened.active_seconds()
    watch.seconds += 3_600
    assert opened.active_seconds() == before
    assert not opened.is_live
    assert opened.allows(Verb.RESUME)
    assert not opened.allows(Verb.ESCALATE)
    opened.resume()
    await until(lambda: opened.is_live)
    assert opened.view.open_step == card
    assert "next_step" not in engine.calls


async def test_notes_refreshing_linking_and_retrying_are_verbs(opened, engine):
    for act, call in (
        (lambda: opened.log_note("Cable was loose"), "add_note"),
        (opened.refresh_ticket, "refresh_ticket"),
        (lambda: opened.link_ticket("c", "1"), "link_ticket"),
        (opened.retry_push, "retry_psa_push"),
    ):
        act()
        assert opened.is_busy is (call == "add_note")  # what asks others holds up no answer
        await until(lambda: not opened.tasks.names)
        assert call in engine.calls
    assert opened.view.steps[-1].body.text == "Cable was loose"


async def test_one_verb_at_a_time(opened, engine):
    engine.gate.clear()
    opened.pause()
    opened.log_note("too soon")
    opened.answer(waiting(engine).id, Response(option="1200"))
    engine.gate.set()
    await until(lambda: not opened.is_busy)
    assert "add_note" not in engine.calls
    assert "respond" not in engine.calls


async def test_a_verb_that_fails_is_told_and_over(opened, engine):
    errors = errors_of(opened)
    engine.error = PsaUnreachable()
    opened.refresh_ticket()
    await until(lambda: errors)
    await until(lambda: not opened.is_busy)
    assert opened.view is not None


async def test_somebody_elses_session_is_for_reading(model, engine):
    engine.view = replace(engine.view, session=samples.session(handler_id=samples.PRIYA))
    nothing_open(engine)
    model.open(samples.SESSION)
    await until(lambda: model.view is not None)
    assert not model.is_mine
    assert not model.is_live
    model.think()
    model.answer("step-6", Response(option="1200"))
    assert not model.is_thinking
    assert not model.is_busy


async def test_news_of_this_session_are_read_and_of_others_not(opened, engine):
    engine.calls.clear()
    engine.events.publish(SessionChanged("another"))
    assert not opened.tasks.is_running("load")
    engine.view = replace(engine.view, flow_title="another flow")
    engine.events.publish(SessionChanged(samples.SESSION))
    await until(lambda: opened.view.flow_title == "another flow")


async def test_news_while_it_is_read_make_it_read_again_and_still_go_on(opened, engine):
    nothing_open(engine)
    engine.bodies = [samples.ACTION]
    original = engine.session

    async def read(session_id):
        view = await original(session_id)
        if view.flow_title != "newer":
            engine.view = replace(view, flow_title="newer")
            engine.events.publish(SessionChanged(session_id))
        return view

    engine.session = read
    opened.open(samples.SESSION)
    await until(lambda: opened.view.flow_title == "newer" and opened.view.open_step is not None)


async def test_after_closing_nothing_listens(engine, watch):
    model = SessionViewModel(engine, monotonic=watch)
    model.open(samples.SESSION)
    await until(lambda: model.view is not None)
    await model.aclose()
    engine.events.publish(SessionChanged(samples.SESSION))
    assert not model.tasks.names


async def test_names_are_said_of_others_only(opened):
    assert opened.name(samples.PRIYA) == "Priya Nair"
    assert opened.name(samples.ME) == ""
