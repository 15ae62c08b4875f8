"""Pastes and screenshots through the engine: read, kept, and sent only where they may be."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowpilot_desktop.core.attachment import INTAKE, NOTE, PICTURE_LIMIT
from flowpilot_desktop.core.errors import InvalidInput, NotFound
from flowpilot_desktop.core.evidence import READ_LIMIT, WORDS_LIMIT
from flowpilot_desktop.core.session import Intake, IntakeType, Response, Result
from flowpilot_desktop.services.model_access import ModelRules
from tests.core.test_evidence import IPCONFIG, LOG, PROSE
from tests.services.desk import any_answer, open_desk
from tests.services.mind import begun, open_desk_with_claude
from tests.simulators.claude import ClaudeSimulator, running

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


@pytest.fixture
def simulator() -> Iterator[ClaudeSimulator]:
    with running() as simulator:
        yield simulator


async def test_a_log_in_the_intake_becomes_facts_and_is_kept_whole(
    simulator: ClaudeSimulator, tmp_path: Path
):
    async with open_desk_with_claude(tmp_path, simulator) as desk:
        started = await desk.engine.start_session(Intake(LOG))
        session = started.session
        assert session.intake.type is IntakeType.LOG_PASTE
        assert session.problem_summary == "It began after lunch."
        assert "0x80070005 (9 times)" in session.intake.text
        assert len(session.intake.text) < 2_000
        (kept,) = await desk.store.attachments(session.id)
        assert kept.content.decode() == LOG
        assert kept.name in session.intake.text
        await desk.engine.next_step(session.id)
        sent = str(simulator.asked()[0])
        assert "0x80070005" in sent
        assert "INFO job 33 queued" not in sent


async def test_pastes_in_answers_and_notes_are_read_and_own_words_are_left_alone(
    simulator: ClaudeSimulator, tmp_path: Path
):
    async with open_desk_with_claude(tmp_path, simulator) as desk:
        session_id = await begun(desk)
        step = await desk.engine.next_step(session_id)
        assert step is not None
        done = await desk.engine.respond(session_id, step.id, Response(text=IPCONFIG))
        assert done.response is not None
        assert "DNS servers: 192.0.2.53, 198.51.100.53" in done.response.text
        await desk.engine.add_note(session_id, LOG)
        note = await desk.engine.add_note(session_id, PROSE)
        assert note.body.text == PROSE
        kept = {one.name: one.content.decode() for one in await desk.store.attachments(session_id)}
        assert kept == {
            "step 1, IP configuration 1.txt": IPCONFIG,
            "note, log 2.txt": LOG,
        }


@pytest.mark.parametrize("consent", [False, True])
async def test_screenshots_leave_only_with_consent(
    simulator: ClaudeSimulator, tmp_path: Path, consent: bool
):
    rules = ModelRules(sends_pictures=consent)
    async with open_desk_with_claude(tmp_path, simulator, rules=rules) as desk:
        picture = await desk.engine.attach_picture("", PNG)
        intake = Intake("nothing prints", attachment_ids=(picture.id,))
        session_id = (await desk.engine.start_session(intake)).session.id
        assert await desk.engine.pictures("") == ()
        await desk.engine.attach_picture(session_id, PNG)
        assert sorted(one.name for one in await desk.engine.pictures(session_id)) == [
            "screenshot 1.png",
            "screenshot 2.png",
        ]
        await desk.engine.next_step(session_id)
        first = simulator.asked()[0]["messages"][0]["content"]
        images = [part for part in first if part["type"] == "image"]
        assert len(images) == (2 if consent else 0)


async def test_a_screenshot_of_a_card_leaves_with_its_answer_and_moves_nothing_before_it(
    simulator: ClaudeSimulator, tmp_path: Path
):
    rules = ModelRules(sends_pictures=True)
    async with open_desk_with_claude(tmp_path, simulator, rules=rules) as desk:
        engine = desk.engine
        session_id = await begun(desk)
        for _ in range(2):
            step = await engine.next_step(session_id)
            assert step is not None
            await engine.attach_picture(session_id, PNG, step.id)
            await engine.respond(session_id, step.id, any_answer(step))
            with pytest.raises(InvalidInput, match="answered already"):
                await engine.attach_picture(session_id, PNG, step.id)
        await engine.next_step(session_id)
        asked = [body["messages"] for body in simulator.asked()]
        kinds = [
            [part["type"] for message in messages for part in message["content"]]
            for messages in asked
        ]
        assert [kind.count("image") for kind in kinds] == [0, 1, 2]
        for earlier, later in itertools.pairwise(asked):
            assert later[: len(earlier)] == earlier


async def test_what_is_no_picture_or_too_large_is_refused_with_words(tmp_path: Path):
    async with open_desk(tmp_path) as desk:
        for content in (b"MZ\x90", b"", PNG + bytes(PICTURE_LIMIT)):
            with pytest.raises(InvalidInput):
                await desk.engine.attach_picture("", content)
        for _ in range(10):
            await desk.engine.attach_picture("", PNG)
        with pytest.raises(InvalidInput):
            await desk.engine.attach_picture("", PNG)
        for picture in await desk.engine.pictures(""):
            await desk.engine.remove_picture(picture)
        assert await desk.engine.pictures("") == ()


async def test_what_is_longer_than_a_step_is_kept_whole_and_beyond_the_limit_refused(
    tmp_path: Path,
):
    async with open_desk(tmp_path) as desk:
        engine = desk.engine
        words = "\n".join(
            f"In the {n}th week " + "the printer stood still, then it ran. " * 8 for n in range(500)
        )
        log = "".join(f"2026-04-12 09:00:11 INFO job {n} of the night run\n" for n in range(35_000))
        assert len(words) > WORDS_LIMIT
        assert len(log) < READ_LIMIT
        started = await engine.start_session(Intake(words))
        session_id = started.session.id
        step = await engine.next_step(session_id)
        assert step is not None
        with pytest.raises(InvalidInput, match="2,000,001 characters") as refused:
            await engine.respond(session_id, step.id, Response(text="x" * (READ_LIMIT + 1)))
        assert "Nothing was lost" in refused.value.hint
        with pytest.raises(InvalidInput):
            await engine.add_note(session_id, "x" * (READ_LIMIT + 1))
        with pytest.raises(InvalidInput):
            await engine.start_session(Intake("x" * (READ_LIMIT + 1)))
        done = await engine.respond(session_id, step.id, Response(text=log))
        note = await engine.add_note(session_id, words)
        assert done.response is not None
        for held, name in (
            (started.session.intake.text, "intake, text 1.txt"),
            (done.response.text, f"step {step.number}, log 2.txt"),
            (note.body.text, "note, text 3.txt"),
        ):
            assert name in held
            assert len(held) < 10_000
        assert "the 0th week" in note.body.text
        assert "the 499th week" in note.body.text
        kept = {one.name: one.content.decode() for one in await desk.store.attachments(session_id)}
        assert [kept[name] for name in sorted(kept)] == [words, words, log]


async def test_what_is_kept_knows_its_card(simulator: ClaudeSimulator, tmp_path: Path):
    async with open_desk_with_claude(tmp_path, simulator) as desk:
        engine = desk.engine
        before = await engine.attach_picture("", PNG)
        session_id = (
            await engine.start_session(Intake(LOG, attachment_ids=(before.id,)))
        ).session.id
        step = await engine.next_step(session_id)
        assert step is not None
        await engine.attach_picture(session_id, PNG, step.id)
        await engine.respond(session_id, step.id, Response(text=IPCONFIG))
        await engine.attach_picture(session_id, PNG, NOTE)
        note = await engine.add_note(session_id, LOG)

        async def kept() -> dict[str, list[str]]:
            found: dict[str, list[str]] = {}
            for one in await engine.evidence(session_id):
                found.setdefault(one.step_id, []).append(one.name)
            return found

        cards = {
            INTAKE: ["screenshot 1.png", "intake, log 1.txt"],
            step.id: ["screenshot 2.png", "step 1, IP configuration 2.txt"],
            note.id: ["screenshot 3.png", "note, log 3.txt"],
        }
        assert {card: sorted(names) for card, names in (await kept()).items()} == {
            card: sorted(names) for card, names in cards.items()
        }
        texts = [one for one in await engine.evidence(session_id) if not one.is_picture]
        assert [one.size for one in texts if one.step_id == note.id] == [len(LOG.encode())]
        (pasted,) = (one for one in texts if one.step_id == note.id)
        assert (await engine.attachment(pasted.id)).content.decode() == LOG
        with pytest.raises(NotFound):
            await engine.attachment("gone")


async def test_the_note_that_goes_to_the_ticket_is_no_evidence(tmp_path: Path):
    async with open_desk(tmp_path) as desk:
        session_id = (await desk.engine.start_session(Intake("printer is silent"))).session.id
        verification = await desk.engine.ask_verification(session_id)
        await desk.engine.respond(session_id, verification.id, Response(result=Result.WORKED))
        await desk.engine.resolve_session(session_id, "Turned it on.")
        assert (await desk.store.attachments(session_id)) != ()
        assert await desk.engine.evidence(session_id) == ()


async def test_a_screenshot_goes_with_its_card_when_the_flow_goes_back(tmp_path: Path):
    async with open_desk(tmp_path) as desk:
        engine = desk.engine
        session_id = (await engine.start_session(Intake("the printer is offline"))).session.id
        first = await engine.next_step(session_id)
        assert first is not None
        await engine.respond(session_id, first.id, any_answer(first))
        second = await engine.next_step(session_id)
        assert second is not None
        await engine.attach_picture(session_id, PNG, second.id)
        again = await engine.go_back(session_id)
        assert [one.step_id for one in await engine.evidence(session_id)] == [again.id]
