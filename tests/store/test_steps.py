"""An answered step never changes, whoever asks and however."""

import sqlite3
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from flowpilot_desktop.core.errors import StepRefused
from flowpilot_desktop.core.session import Action, Hypothesis, Note, Response, Source, Step, Usage
from flowpilot_desktop.store import Store
from tests.store import records as make
from tests.store.records import at

OTHER: dict[str, Any] = {
    "number": 7,
    "body": Action("Something else"),
    "source": Source.FLOW,
    "created_at": at(9),
    "created_by": "bo",
    "confidence": 0.9,
    "hypotheses": (Hypothesis("x", 0.1),),
    "flow_id": "x",
    "flow_node": "x",
    "model": "x",
    "prompt_version": "x",
    "usage": Usage(1),
    "response": Response(option="n"),
    "answered_at": at(9),
    "answered_by": "bo",
    "corrects": "x",
}
NAMES = [field.name for field in fields(Step) if field.name not in ("id", "session_id")]


def test_every_field_is_tried():
    assert set(OTHER) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
async def test_no_field_of_an_answered_step_changes(store: Store, name: str):
    step = make.an_answered_step()
    await store.save(make.a_session(), step)
    with pytest.raises(StepRefused) as refused:
        await store.save(replace(step, **{name: OTHER[name]}))
    assert refused.value.hint
    assert await store.steps("s1") == (step,)


async def test_an_answer_is_not_taken_back(store: Store):
    step = make.an_answered_step()
    await store.save(make.a_session(), step)
    with pytest.raises(StepRefused):
        await store.save(replace(step, response=None, answered_at=None, answered_by=""))
    assert await store.steps("s1") == (step,)


async def test_an_open_step_may_change_until_it_is_answered(store: Store):
    await store.save(make.a_session(), make.a_step())
    better = make.a_step(confidence=0.7)
    await store.save(better)
    assert await store.steps("s1") == (better,)
    await store.save(make.an_answered_step(confidence=0.7))


async def test_saving_an_answered_step_again_as_it_is_changes_nothing(store: Store):
    step = make.an_answered_step()
    await store.save(make.a_session(), step)
    await store.save(step, make.a_session(problem_summary="new words"))
    session = await store.session("s1")
    assert session is not None
    assert session.problem_summary == "new words"


async def test_an_older_way_of_writing_the_same_step_is_no_change(open_store, tmp_path: Path):
    """A noun that has grown since writes itself differently; it is still the same step."""
    store: Store = await open_store()
    step, second = make.an_answered_step(), make.a_step("s1-2", number=2)
    await store.save(make.a_session(), step)
    await store.aclose()
    with sqlite3.connect(tmp_path / "flowpilot.db") as raw:
        raw.execute("DROP TRIGGER answered_steps_stay")
        raw.execute("UPDATE steps SET usage = '{}', hypotheses = ' [ ] '")
        raw.executescript(_trigger(tmp_path))
    raw.close()
    store = await open_store()
    assert await store.steps("s1") == (step,)
    await store.save(step, second)
    assert await store.steps("s1") == (step, second)
    with pytest.raises(StepRefused):
        await store.save(replace(step, model="other"), second)


def _trigger(folder: Path) -> str:
    from flowpilot_desktop.store.migrations.versions.r0001_first import STATEMENTS

    return next(words for words in STATEMENTS if "TRIGGER answered_steps_stay" in words)


async def test_a_note_is_final_from_the_start(store: Store):
    note = make.a_step(body=Note("Called the user"), source=Source.ENGINEER)
    await store.save(make.a_session(), note)
    with pytest.raises(StepRefused):
        await store.save(replace(note, body=Note("Did not call the user")))
    with pytest.raises(StepRefused):
        await store.forget(note)


async def test_an_answered_step_is_not_deleted_nor_its_session(store: Store):
    await store.save(make.a_session(), make.an_answered_step())
    for record in (make.an_answered_step(), make.a_session()):
        with pytest.raises(StepRefused):
            await store.forget(record)
    assert len(await store.steps("s1")) == 1


async def test_the_database_itself_refuses_whoever_writes(open_store, tmp_path: Path):
    store: Store = await open_store()
    await store.save(make.a_session(), make.an_answered_step())
    await store.aclose()
    raw = sqlite3.connect(tmp_path / "flowpilot.db")
    for statement in (
        "UPDATE steps SET response = NULL",
        "UPDATE steps SET session_id = 'x'",
        "UPDATE steps SET id = 'x'",
        "DELETE FROM steps",
        "INSERT OR REPLACE INTO steps SELECT * FROM steps",
    ):
        raw.execute("PRAGMA recursive_triggers = ON")  # so that REPLACE counts as a deletion
        with pytest.raises(sqlite3.IntegrityError, match="answered step"):
            raw.execute(statement)
    raw.close()
