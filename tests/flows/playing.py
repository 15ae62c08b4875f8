"""Recording steps as the app does, so that flows can be walked in tests."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from flowpilot_desktop.core.session import (
    Action,
    Briefing,
    Note,
    Response,
    Result,
    Source,
    Step,
    StepBody,
    StepDraft,
    answered,
)
from flowpilot_desktop.flows import walk
from flowpilot_desktop.flows.model import Flow

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

Answer = str | Result | Response


def response(answer: Answer) -> Response:
    """A response from an option's value, `skip`, a result, or text in double quotes."""
    if isinstance(answer, Response):
        return answer
    if isinstance(answer, Result):
        return Response(result=answer)
    if answer == "skip":
        return Response(skipped=True)
    if answer.startswith('"'):
        return Response(text=answer.strip('"'))
    return Response(option=answer)


class Record:
    """The steps of a session, as they would be read back from the store."""

    def __init__(self, flow: Flow, steps: tuple[Step, ...] = ()) -> None:
        self.flow = flow
        self.steps = steps

    def add(self, draft: StepDraft, corrects: str = "") -> Step:
        number = len(self.steps) + 1
        step = Step(
            id=f"step-{number}",
            session_id="session",
            number=number,
            body=draft.body,
            source=draft.source,
            created_at=START + timedelta(minutes=number),
            created_by="engineer",
            confidence=draft.confidence,
            hypotheses=draft.hypotheses,
            flow_id=draft.flow_id,
            flow_node=draft.flow_node,
            corrects=corrects,
        )
        self.steps = (*self.steps, step)
        return step

    def answer(self, answer: Answer) -> Step:
        step = answered(self.steps[-1], response(answer), by="engineer", at=START)
        self.steps = (*self.steps[:-1], step)
        return step

    def next(self) -> Step | None:
        draft = walk.next_draft(self.flow, self.steps)
        return self.add(draft) if draft is not None else None

    def go(self, *answers: Answer) -> str:
        """Answer one card after the other; the node that is then open, or an empty string."""
        for answer in answers:
            assert self.next() is not None, f"the flow ended before {answer!r}"
            self.answer(answer)
        draft = walk.next_draft(self.flow, self.steps)
        return draft.flow_node if draft is not None else ""

    def back(self, answer: Answer) -> Step:
        correction = walk.back(self.flow, self.steps)
        assert correction is not None
        self.add(correction.draft, correction.corrects)
        return self.answer(answer)

    def claude(self, body: StepBody, answer: Answer) -> Step:
        self.add(StepDraft(body, Source.CLAUDE, confidence=0.5, flow_id=self.flow.id))
        return self.answer(answer)

    def note(self, text: str) -> None:
        self.add(StepDraft(Note(text), Source.ENGINEER))

    def picked_up(self, mode: str) -> None:
        self.add(StepDraft(Briefing("Problem", "Ana Ruiz"), Source.ENGINEER))
        self.answer(mode)

    @property
    def nodes(self) -> list[str]:
        return [step.flow_node for step in self.steps if step.flow_node]


def play(
    flow: Flow, answer: Callable[[Step], Answer], limit: int = 30, record: Record | None = None
) -> Record:
    """Walk a flow to its end with answers from a function; the record of it."""
    record = record or Record(flow)
    for _ in range(limit):
        step = record.next()
        if step is None:
            break
        record.answer(answer(step))
    return record


def action(text: str) -> Action:
    return replace(Action("x"), text=text)
