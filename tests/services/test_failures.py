"""Claude fails in every way there is, and the session goes on.

What the adapter makes of each failure is tested beside it; here it is the engine's turn, over real
HTTP: a card by the flow, a sentence for the banner, every answer still there, the bill kept.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flowpilot_desktop.core.ports import StepProgress
from flowpilot_desktop.core.session import Response, Result, Source, Step
from flowpilot_desktop.llm import conversation
from flowpilot_desktop.services.model_access import ModelRules
from tests.services.desk import Desk, any_answer
from tests.services.mind import PATIENT, begun, open_desk_with_claude
from tests.simulators.claude import (
    KEY,
    Answer,
    Break,
    ClaudeSimulator,
    Drop,
    Failure,
    Hang,
    Reaction,
    event_count,
    running,
)
from tests.simulators.claude_answers import card

AT_ONCE = {"retry-after-ms": "1"}
TRIES = 3  # the SDK's own: one, and two retries
SCRIPTED = Answer(json=card(text="Look at <computer name>."), thinking="Let me see.", chunk=60)


@pytest.fixture
def simulator() -> Iterator[ClaudeSimulator]:
    with running() as simulator:
        yield simulator


async def answered_one(desk: Desk) -> tuple[str, Step]:
    """Start a session and answer Claude's first card."""
    session_id = await begun(desk)
    step = await desk.engine.next_step(session_id)
    assert step is not None
    assert step.source is Source.CLAUDE
    return session_id, await desk.engine.respond(session_id, step.id, Response(text="today"))


async def goes_on(desk: Desk, session_id: str, first: Step, words: str) -> None:
    """Expect a card by the flow with these words, nothing lost, and Claude back at the next one."""
    by_flow = await desk.engine.next_step(session_id)
    assert by_flow is not None
    assert by_flow.source is Source.FLOW
    notice = desk.engine.notice(session_id)
    assert words in notice
    assert "The session goes on by flow" in notice
    assert not any(foreign in notice for foreign in ("http", "Error", "_error", "{", "Traceback"))
    view = await desk.engine.session(session_id)
    assert view.steps == (first, by_flow)
    assert view.spent == await desk.store.usage(session_id=session_id)
    await desk.engine.respond(session_id, by_flow.id, any_answer(by_flow))
    back = await desk.engine.next_step(session_id)
    assert back is not None
    assert back.source is Source.CLAUDE
    assert desk.engine.notice(session_id) == ""


FAILURES: list[tuple[str, list[Reaction], str]] = [
    ("bad request", [Failure(400, "messages: something is off")], "Claude"),
    ("no credit", [Failure(402, "Add credit")], "credit"),
    ("too long", [Failure(400, "prompt is too long: 9 tokens > 8")], "long"),
    ("wrong key", [Failure(401, "invalid x-api-key")], "key"),
    ("forbidden", [Failure(403, "Not for this key")], "key"),
    ("no such model", [Failure(404, "model: claude-none")], "model"),
    ("proxy", [Failure(407, "", body="<html>proxy</html>")], "between this computer"),
    ("request too large", [Failure(413, "Request exceeds the maximum size")], "long"),
    ("rate limit", [Failure(429, headers=AT_ONCE)] * TRIES, "Claude"),
    ("server error", [Failure(500, headers=AT_ONCE)] * TRIES, "Claude"),
    ("gateway time-out", [Failure(504, headers=AT_ONCE)] * TRIES, "Claude"),
    ("overloaded", [Failure(529, "Overloaded", headers=AT_ONCE)] * TRIES, "more work"),
    ("dropped", [Drop()] * TRIES, "Claude"),
    ("sign-in page", [Failure(200, body="<html>Please sign in</html>")], "sign-in"),
    ("stop max_tokens", [Answer(stop_reason="max_tokens", text='{"kind": "act')], "length limit"),
    ("stop refusal", [Answer(stop_reason="refusal", text="")], "Claude"),
    ("stop window", [Answer(stop_reason="model_context_window_exceeded", text="")], "long"),
    ("stop tool_use", [Answer(stop_reason="tool_use", text="")], "Claude"),
    ("stop pause_turn", [Answer(stop_reason="pause_turn", text="")], "Claude"),
    ("malformed twice", [Answer(text="no"), Answer(text="no again")], "neither answer was a card"),
]


@pytest.mark.parametrize(
    ("reactions", "words"), [case[1:] for case in FAILURES], ids=[case[0] for case in FAILURES]
)
async def test_each_failure_leaves_the_session_going(
    simulator: ClaudeSimulator, tmp_path: Path, reactions: list[Reaction], words: str
):
    async with open_desk_with_claude(tmp_path, simulator) as desk:
        session_id, first = await answered_one(desk)
        simulator.script(*reactions)
        await goes_on(desk, session_id, first, words)


def test_no_two_reasons_have_the_same_words():
    reasons = [case[0] for case in FAILURES]
    assert len(set(reasons)) == len(reasons)


async def test_away_and_back(simulator: ClaudeSimulator, tmp_path: Path):
    async with open_desk_with_claude(tmp_path, simulator) as desk:
        session_id, _ = await answered_one(desk)
        simulator.away()
        step = await desk.engine.next_step(session_id)
        assert step is not None
        assert step.source is Source.FLOW
        assert "Claude catches up when it is back" in desk.engine.notice(session_id)
        simulator.back()
        await desk.engine.respond(session_id, step.id, any_answer(step))
        step = await desk.engine.next_step(session_id)
        assert step is not None
        assert step.source is Source.CLAUDE


async def test_without_a_key_the_flow_begins(simulator: ClaudeSimulator, tmp_path: Path):
    async with open_desk_with_claude(tmp_path, simulator, key="") as desk:
        step = await desk.engine.next_step(await begun(desk))
        assert step is not None
        assert step.source is Source.FLOW
        assert simulator.requests == []


# --- broken streams ----------------------------------------------------------------------------

PLACES = range(event_count(SCRIPTED))
HARMLESS = (Break.REPEAT, Break.NO_OBJECT, Break.NO_FIELDS, Break.UNKNOWN)


@pytest.mark.parametrize("how", list(Break), ids=lambda how: how.name.lower())
async def test_a_stream_that_breaks_at_any_event_loses_nothing(
    simulator: ClaudeSimulator, tmp_path: Path, how: Break
):
    limits = replace(PATIENT, stall=0.3) if how is Break.STALL else PATIENT
    async with open_desk_with_claude(tmp_path, simulator, timeouts=limits) as desk:
        for where in PLACES:
            session_id, first = await answered_one(desk)
            simulator.script(replace(SCRIPTED, breaks=(how, where)), SCRIPTED)
            async with asyncio.timeout(30):
                step = await desk.engine.next_step(session_id)
            simulator._script.clear()
            assert step is not None, f"event {where}"
            view = await desk.engine.session(session_id)
            assert view.steps == (first, step)
            if step.source is Source.CLAUDE:
                assert how in HARMLESS or where >= len(PLACES) - 2, f"event {where}"
                assert step.body.text == "Look at <computer name>."
                assert desk.engine.notice(session_id) == ""
            else:
                assert how not in HARMLESS, f"event {where}"
                assert "The session goes on by flow" in desk.engine.notice(session_id)


async def test_stop_keeps_what_was_answered_and_the_next_question_starts_anew(
    simulator: ClaudeSimulator, tmp_path: Path
):
    async with open_desk_with_claude(tmp_path, simulator) as desk:
        session_id, first = await answered_one(desk)
        simulator.script(Answer(chunk=4, pace=0.02), Hang())
        heard: list[StepProgress] = []
        came = asyncio.Event()

        def hear(piece: StepProgress) -> None:
            heard.append(piece)
            came.set()

        thinking = asyncio.ensure_future(desk.engine.next_step(session_id, hear))
        await came.wait()
        thinking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await thinking
        assert (await desk.engine.session(session_id)).steps == (first,)
        simulator._script.clear()
        step = await desk.engine.next_step(session_id)
        assert step is not None
        assert step.source is Source.CLAUDE


# --- long sessions, memory, never send ---------------------------------------------------------


async def test_a_long_session_is_compacted_with_its_negative_findings(
    simulator: ClaudeSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(conversation, "COMPACT_AT", 4_000)
    async with open_desk_with_claude(tmp_path, simulator) as desk:
        session_id, _ = await answered_one(desk)
        sizes = []
        for number in range(12):
            simulator.script(Answer(json=card(text=f"Look at part {number} of <box {number**3}>.")))
            step = await desk.engine.next_step(session_id)
            assert step is not None
            sizes.append(len(json.dumps(simulator.asked()[-1]["messages"])))
            words = "it made no difference at all. " * 9
            answer = replace(any_answer(step), result=Result.DID_NOT_WORK, text=words)
            await desk.engine.respond(session_id, step.id, answer)
        assert any(later < earlier for earlier, later in itertools.pairwise(sizes))
        assert max(sizes) < 40_000
        last = json.dumps(simulator.asked()[-1]["messages"])
        assert "findings up to step" in last
        assert "Look at part 0 of" in last, "what was ruled out early is still told"
        assert len((await desk.engine.session(session_id)).steps) == 13


async def test_another_sessions_facts_are_never_in_the_prompt(
    simulator: ClaudeSimulator, tmp_path: Path
):
    async with open_desk_with_claude(tmp_path, simulator) as desk:
        first = await begun(desk, "Nobody can print on zebra-printer-77 since this morning")
        await desk.engine.add_note(first, "The secret cause was the purple cable.")
        second = await begun(desk, "Nobody can print since this morning, printer offline")
        assert await desk.engine.sessions(search="purple")
        await desk.engine.next_step(second)
        sent = json.dumps(simulator.asked()[-1])
        assert "purple" not in sent
        assert "zebra" not in sent


async def test_a_client_that_is_never_sent_stays_here(simulator: ClaudeSimulator, tmp_path: Path):
    rules = ModelRules(never_send=frozenset({"Northwind Dental"}))
    async with open_desk_with_claude(tmp_path, simulator, rules=rules) as desk:
        session_id = await begun(desk)
        session = (await desk.engine.session(session_id)).session
        await desk.store.save(replace(session, company="NORTHWIND dental"))
        step = await desk.engine.next_step(session_id)
        assert step is not None
        assert step.source is Source.FLOW
        assert "Nothing about" in desk.engine.notice(session_id)
        assert simulator.requests == []


async def test_a_client_named_in_a_step_or_by_a_linked_ticket_stays_here(
    simulator: ClaudeSimulator, tmp_path: Path
):
    rules = ModelRules(never_send=frozenset({"Northwind Dental"}))
    async with open_desk_with_claude(tmp_path, simulator, rules=rules) as desk:
        session_id = await begun(desk)
        await desk.engine.add_note(session_id, "It is the front desk of northwind  dental.")
        step = await desk.engine.next_step(session_id)
        assert step is not None
        assert step.source is Source.FLOW
        assert simulator.requests == []


async def test_a_gateways_address_is_asked_with_the_key(simulator: ClaudeSimulator, tmp_path: Path):
    async with open_desk_with_claude(tmp_path, simulator) as desk:
        await answered_one(desk)
        (request,) = [item for item in simulator.requests if item.path == "/v1/messages"]
        assert request.headers["host"] == f"127.0.0.1:{simulator.port}"
        assert KEY in (
            request.headers.get("x-api-key"),
            request.headers.get("authorization", "").removeprefix("Bearer "),
        )
