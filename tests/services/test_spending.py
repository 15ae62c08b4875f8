"""What was asked in vain is paid for, and no limit of a session asks twice for the best answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from flowpilot_desktop.core.session import Response, Result, Source
from flowpilot_desktop.core.stops import Limits
from flowpilot_desktop.llm.prices import cost_micros
from flowpilot_desktop.llm.registry import FAST_MODEL, MODEL
from flowpilot_desktop.services import assistant
from flowpilot_desktop.services.escalations.briefing import BriefingWriter
from flowpilot_desktop.services.model_access import ModelRules
from tests.services.mind import begun, open_desk_with_claude
from tests.simulators.claude import Answer, ClaudeSimulator, Failure, running
from tests.simulators.claude_answers import card

if TYPE_CHECKING:
    from flowpilot_desktop.services.queue_outbox import QueueOutbox


@pytest.fixture
def simulator() -> Iterator[ClaudeSimulator]:
    with running() as simulator:
        yield simulator


async def test_answers_that_could_not_be_used_cost_what_their_model_costs(
    simulator: ClaudeSimulator, tmp_path: Path
):
    async with open_desk_with_claude(tmp_path, simulator) as desk:
        session_id = await begun(desk)
        simulator.script(Answer(text="no card"), Answer(text="no card"))
        step = await desk.engine.next_step(session_id)
        assert step is not None
        assert step.source is Source.FLOW
        total = await desk.store.usage(session_id=session_id)
        assert total.usage.cache_write_tokens
        assert total.cost_micros == cost_micros(MODEL, total.usage)


@pytest.mark.parametrize("answer", [Answer(chunk=2, pace=0.2), Answer(thinking="Hm. ", pace=0.5)])
async def test_a_stopped_answer_is_paid_for(
    simulator: ClaudeSimulator, tmp_path: Path, answer: Answer
):
    async with open_desk_with_claude(tmp_path, simulator) as desk:
        session_id = await begun(desk)
        came = asyncio.Event()
        simulator.script(answer)
        thinking = asyncio.ensure_future(
            desk.engine.next_step(session_id, lambda _piece: came.set())
        )
        await came.wait()
        thinking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await thinking
        total = await desk.store.usage(session_id=session_id)
        assert total.calls == 1
        assert total.usage.cache_write_tokens
        assert total.cost_micros == cost_micros(MODEL, total.usage)


async def test_after_the_time_an_action_as_best_answer_is_the_only_one(
    simulator: ClaudeSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(assistant, "Limits", lambda: Limits(worked=timedelta(hours=1)))
    async with open_desk_with_claude(tmp_path, simulator) as desk:
        session_id = await begun(desk)
        for _ in range(20):  # an hour of real work: a beat a few minutes
            desk.clock.advance(minutes=4)
            await desk.timekeeping.beat()
        # An action is what the instructions ask for while nothing is verified.
        simulator.script(Answer(json=card(text="It is most likely the spooler.")))
        best = await desk.engine.next_step(session_id)
        assert best is not None
        assert "step limit" in str(simulator.asked()[-1]["messages"][-1]["content"])
        await desk.engine.respond(session_id, best.id, Response(result=Result.DID_NOT_WORK))
        asked = len(simulator.asked())
        by_flow = await desk.engine.next_step(session_id)
        assert by_flow is not None
        assert by_flow.source is Source.FLOW
        assert len(simulator.asked()) == asked


async def test_a_briefing_is_paid_for_when_it_can_not_be_used_and_names_no_client_that_stays_here(
    simulator: ClaudeSimulator, tmp_path: Path
):
    rules = ModelRules(never_send=frozenset({"Northwind Dental"}), pauses_after_failure=False)
    async with open_desk_with_claude(tmp_path, simulator, rules=rules) as desk:
        session_id = await begun(desk)
        sessions = desk.engine._sessions
        writer = BriefingWriter(sessions, desk.access, cast("QueueOutbox", None))
        simulator.script(Answer(text="no briefing"))
        draft, (spent,) = await writer.draft(session_id, "no idea")
        assert draft is None
        assert spent.usage.input_tokens
        assert spent.cost_micros == cost_micros(FAST_MODEL, spent.usage)
        simulator.script(Failure(529, headers={"retry-after": "99"}))
        assert await writer.draft(session_id, "no idea") == (None, ())
        await desk.engine.add_note(session_id, "This is about Northwind Dental.")
        asked = len(simulator.requests)
        assert await writer.draft(session_id, "no idea") == (None, ())
        assert len(simulator.requests) == asked
