"""A resolved session becomes a flow that loads, walks the same way and can be found."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowpilot_desktop.core.errors import FlowInvalid
from flowpilot_desktop.core.session import (
    Action,
    Command,
    Hypothesis,
    Intake,
    Option,
    Question,
    Result,
    Risk,
    Session,
    SessionStatus,
    Source,
    StepBody,
    StepDraft,
    Verification,
)
from flowpilot_desktop.flows.drafting import draft_flow
from flowpilot_desktop.flows.library import FlowLibrary
from flowpilot_desktop.flows.loading import load_text
from flowpilot_desktop.flows.model import Flow
from tests.flows.playing import START, Answer, Record

WORKED, FAILED = Result.WORKED, Result.DID_NOT_WORK

SESSION = Session(
    id="session",
    user_id="ana",
    handler_id="ana",
    status=SessionStatus.RESOLVED,
    intake=Intake(text="The label robot in hall 3 prints crooked labels"),
    created_at=START,
    updated_at=START,
    problem_summary="Label robot prints crooked labels",
    problem_domain="Production",
    resolution_summary="The feed roller was worn.",
    resolution_action="Replaced the feed roller.",
)


@pytest.fixture
def record() -> Record:
    flow = FlowLibrary([]).general
    record = Record(flow)

    def card(body: StepBody, answer: Answer, hypotheses: tuple[Hypothesis, ...] = ()) -> None:
        record.add(StepDraft(body, Source.CLAUDE, confidence=0.6, hypotheses=hypotheses))
        record.answer(answer)

    card(
        Question(
            "Are all labels crooked?", options=(Option("All of them", "all"), Option("Some", "x"))
        ),
        "all",
    )
    card(Question("Since when?"), '"since the new roll: #7, \\"wide\\""')
    card(
        Action(
            "Restart the robot's service",
            command=Command("Restart-Service Robot", "PowerShell 7", Risk.CHANGES_ONE),
        ),
        FAILED,
    )
    record.note("lunch")
    card(Action("Look at the ceiling"), Result.COULD_NOT_TRY)
    card(Action("Replace the feed roller"), WORKED, (Hypothesis("Worn feed roller", 0.9),))
    card(Verification("Print ten labels. Are they straight?"), WORKED)
    return record


def loaded(text: str) -> Flow:
    found = load_text(text, Path("draft.yaml"))
    assert found.flow is not None, found.findings
    return found.flow


def test_the_draft_walks_as_the_session_went(record):
    flow = loaded(draft_flow(SESSION, record.steps))
    assert flow.domain == "Production"
    assert flow.causes["found"].text == "Worn feed roller"
    again = Record(flow)
    assert again.go("all") == "question-2"
    assert again.go("as-here", FAILED) == "action-4"
    assert again.go(WORKED) == "verify"
    assert again.go(WORKED) == "solved"
    other = Record(flow)
    assert other.go("x") == "hand-off"


def test_the_draft_is_found_by_its_problem(record):
    flow = loaded(draft_flow(SESSION, record.steps))
    match = FlowLibrary([flow]).match("Label robot does not work, labels are crooked")
    assert match is not None
    assert match.flow.id == "label-robot-prints-crooked-labels"


def test_what_was_not_verified_makes_no_flow(record):
    with pytest.raises(FlowInvalid, match="verified"):
        draft_flow(SESSION, record.steps[:-1])
    with pytest.raises(FlowInvalid, match="No action"):
        draft_flow(SESSION, record.steps[-1:])


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=60))
def test_any_text_of_people_or_models_makes_a_sound_flow(text, said, label):
    record = Record(FlowLibrary([]).general)
    record.add(StepDraft(Question(text, text, (Option(label, label),)), Source.CLAUDE))
    record.answer(f'"{said.strip(chr(34))}x"')
    record.add(
        StepDraft(
            Action(text + "!", said, text, Command(said, label, Risk.DESTRUCTIVE)), Source.CLAUDE
        )
    )
    record.answer(WORKED)
    record.add(StepDraft(Verification(text), Source.CLAUDE))
    record.answer(WORKED)
    session = replace(SESSION, problem_summary=said, problem_domain=label, intake=Intake(text=text))
    assert loaded(draft_flow(session, record.steps)).nodes
