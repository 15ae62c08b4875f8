"""Rules that no mind may break, through the engine: steps, time, tokens, loops, money."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from flowpilot_desktop.core.session import (
    STEP_LIMIT,
    Response,
    Result,
    Source,
    StepKind,
    Usage,
    new_id,
)
from flowpilot_desktop.core.stops import Limits
from flowpilot_desktop.core.usage import UsageRecord
from flowpilot_desktop.services.model_access import ModelRules
from tests.services.desk import Desk
from tests.services.mind import begun, open_desk_with_claude
from tests.simulators.claude import Answer, ClaudeSimulator, running
from tests.simulators.claude_answers import card

FAILED = Response(result=Result.DID_NOT_WORK)


@pytest.fixture
def simulator() -> Iterator[ClaudeSimulator]:
    with running() as simulator:
        yield simulator


def action(number: int) -> Answer:
    return Answer(json=card(text=f"Look at part {number} of <system {number * 7919}>."))


def concluding(simulator: ClaudeSimulator) -> bool:
    """Whether the last question asked for the one best answer."""
    last = simulator.asked()[-1]["messages"][-1]
    return last["role"] == "system" and "step limit" in str(last["content"])


async def works(desk: Desk, session_id: str, times: int, response: Response = FAILED) -> None:
    for _ in range(times):
        step = await desk.engine.next_step(session_id)
        assert step is not None
        await desk.engine.respond(session_id, step.id, response)


async def test_after_thirty_steps_one_best_answer_is_forced_and_no_second(
    simulator: ClaudeSimulator, tmp_path: Path
):
    simulator.script(*(action(number) for number in range(STEP_LIMIT)))
    async with open_desk_with_claude(tmp_path, simulator) as desk:
        session_id = await begun(desk)
        await works(desk, session_id, STEP_LIMIT)
        assert not concluding(simulator)
        simulator.script(Answer(json=card("resolution", text="It is most likely the spooler.")))
        best = await desk.engine.next_step(session_id)
        assert concluding(simulator)
        assert best is not None
        assert best.number == STEP_LIMIT + 1
        assert best.kind is StepKind.VERIFICATION, "nobody has verified anything yet"
        assert "spooler" in best.body.why
        await desk.engine.respond(session_id, best.id, FAILED)
        asked = len(simulator.asked())
        assert await desk.engine.next_step(session_id) is None
        assert len(simulator.asked()) == asked
        assert "30 steps are reached" in desk.engine.notice(session_id)
        assert "best answer" in (await desk.engine.session(session_id)).advice


async def test_a_best_answer_that_held_is_followed_by_its_resolution(
    simulator: ClaudeSimulator, tmp_path: Path
):
    simulator.script(*(action(number) for number in range(STEP_LIMIT)))
    resolution = Answer(json=card("resolution", text="It was the spooler."))
    simulator.script(resolution, resolution)
    async with open_desk_with_claude(tmp_path, simulator) as desk:
        session_id = await begun(desk)
        await works(desk, session_id, STEP_LIMIT)
        await works(desk, session_id, 1, Response(result=Result.WORKED))
        last = await desk.engine.next_step(session_id)
        assert last is not None
        assert last.kind is StepKind.RESOLUTION
        await desk.engine.respond(session_id, last.id, Response(result=Result.WORKED))
        assert await desk.engine.next_step(session_id) is None
        view = await desk.engine.session(session_id)
        assert view.is_verified
        assert view.advice == ""


@pytest.mark.parametrize("limits", [Limits(tokens=1), Limits(worked=timedelta(hours=1))])
async def test_time_and_tokens_force_the_best_answer_and_then_the_flow_goes_on(
    simulator: ClaudeSimulator, tmp_path: Path, limits: Limits
):
    async with open_desk_with_claude(tmp_path, simulator) as desk:
        desk.assistant._limits = limits
        session_id = await begun(desk)
        await works(desk, session_id, 1, Response(text="nothing special"))
        for _ in range(20):  # an hour of real work: a beat a few minutes
            desk.clock.advance(minutes=4)
            await desk.timekeeping.beat()
        simulator.script(Answer(json=card("resolution", text="It is the spooler.")))
        best = await desk.engine.next_step(session_id)
        assert concluding(simulator)
        assert best is not None
        await desk.engine.respond(session_id, best.id, FAILED)
        asked = len(simulator.asked())
        by_flow = await desk.engine.next_step(session_id)
        assert by_flow is not None
        assert by_flow.source is Source.FLOW
        assert len(simulator.asked()) == asked
        assert "One best answer" in desk.engine.notice(session_id)


LOOPS = {
    "asks for the same as step 1": ["Look at the spooler.", "Look at the spooler"],
    "two steps take turns": ["Look at A", "Restart B", "Look at A", "Restart B"],
}


@pytest.mark.parametrize(("words", "texts"), LOOPS.items(), ids=LOOPS)
async def test_steps_that_repeat_advise_to_escalate(
    simulator: ClaudeSimulator, tmp_path: Path, words: str, texts: list[str]
):
    simulator.script(*(Answer(json=card(text=text)) for text in texts))
    async with open_desk_with_claude(tmp_path, simulator) as desk:
        session_id = await begun(desk)
        await works(desk, session_id, 1)
        assert (await desk.engine.session(session_id)).advice == ""
        await works(desk, session_id, len(texts) - 2)
        await desk.engine.next_step(session_id)
        advice = (await desk.engine.session(session_id)).advice
        assert words in advice
        assert "consider escalating" in advice


async def test_three_steps_without_movement_advise_to_escalate(
    simulator: ClaudeSimulator, tmp_path: Path
):
    suspects = [
        {"text": "The spooler", "confidence": 0.4, "status": "open", "evidence": []},
    ]
    simulator.script(
        *(Answer(json=card(text=f"Try {way}", hypotheses=suspects)) for way in ("x", "y", "z"))
    )
    async with open_desk_with_claude(tmp_path, simulator) as desk:
        session_id = await begun(desk)
        await works(desk, session_id, 2)
        assert (await desk.engine.session(session_id)).advice == ""
        await desk.engine.next_step(session_id)
        assert "changed nothing" in (await desk.engine.session(session_id)).advice


# --- money -------------------------------------------------------------------------------------


async def spend(desk: Desk, micros: int, session_id: str = "") -> None:
    record = UsageRecord(new_id(), session_id, desk.clock.now(), "m", Usage(10, 1), micros)
    await desk.store.save(record)


BUDGET = ModelRules(budget_micros=10_000_000, pauses_after_failure=False)


async def test_at_eighty_percent_claude_waits_for_a_yes_that_lasts_the_month(
    simulator: ClaudeSimulator, tmp_path: Path
):
    async with open_desk_with_claude(tmp_path, simulator, rules=BUDGET) as desk:
        session_id = await begun(desk)
        await spend(desk, 7_990_000)
        await works(desk, session_id, 1, Response(text="nothing special"))
        assert (await desk.engine.session(session_id)).steps[0].source is Source.CLAUDE
        await spend(desk, 500_000)
        step = await desk.engine.next_step(session_id)
        assert step is not None
        assert step.source is Source.FLOW
        assert desk.engine.asks_budget(session_id)
        words = desk.engine.notice(session_id)
        assert words.startswith("85% of this month's budget")
        await desk.engine.agree_to_spend()
        assert not desk.engine.asks_budget(session_id)
        assert desk.engine.notice(session_id) == ""
        clock = desk.clock
    async with open_desk_with_claude(tmp_path, simulator, rules=BUDGET, clock=clock) as desk:
        session_id = await begun(desk)
        step = await desk.engine.next_step(session_id)
        assert step is not None
        assert step.source is Source.CLAUDE, "remembered over a restart"
        clock.advance(minutes=60 * 24 * 32)
        await spend(desk, 8_500_000)
        session_id = await begun(desk, "The scanner beeps")
        step = await desk.engine.next_step(session_id)
        assert step is not None
        assert desk.engine.asks_budget(session_id), "asked again next month"


async def test_at_a_hundred_percent_claude_stops_and_the_flow_finishes(
    simulator: ClaudeSimulator, tmp_path: Path
):
    async with open_desk_with_claude(tmp_path, simulator, rules=BUDGET) as desk:
        await desk.engine.agree_to_spend()
        session_id = await begun(desk)
        await spend(desk, 10_000_000)
        step = await desk.engine.next_step(session_id)
        assert step is not None
        assert step.source is Source.FLOW
        assert "budget for Claude is used up" in desk.engine.notice(session_id)
        assert not desk.engine.asks_budget(session_id)
        assert (await desk.engine.add_note(session_id, "by hand")).kind is StepKind.NOTE
        assert simulator.asked() == []


async def test_what_claude_cost_is_told_by_session_day_and_month(
    simulator: ClaudeSimulator, tmp_path: Path
):
    rules = replace(BUDGET, budget_micros=1_000_000_000)
    async with open_desk_with_claude(tmp_path, simulator, rules=rules) as desk:
        session_id = await begun(desk)
        await works(desk, session_id, 1, Response(text="nothing special"))
        await desk.engine.next_step(session_id)
        view = await desk.engine.session(session_id)
        metered = [item.usage for item in simulator.requests if item.usage]
        assert view.spent.calls == len(metered) == 2
        assert view.spent.usage.cache_read_tokens == sum(usage.cache_read for usage in metered) > 0
        assert view.spent.cost_micros > 0
        await spend(desk, 5, "")
        account = await desk.access.account()
        assert account.month.cost_micros == view.spent.cost_micros + 5
        assert account.today == account.month
        assert account.days[-1].total == account.month
        assert account.days[-1].day == account.as_of
        assert [one.session_id for one in account.sessions] == [session_id, ""]
        assert account.sessions[0].problem_summary == view.session.problem_summary
        assert account.sessions[0].total == view.spent
