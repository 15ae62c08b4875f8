"""How each thing that happens in a session is put into words for a model.

Every function yields pieces: our own words as text, and as a ``Block`` whatever a person, a ticket
or a teammate wrote. What is said here stands in prompts that were sent before, so a change of a
word costs every open session one rewriting of the model's cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from flowpilot_desktop.core.counting import counted
from flowpilot_desktop.core.findings import Findings
from flowpilot_desktop.core.redaction import JsonValue
from flowpilot_desktop.core.session import (
    BRIEFING_FRESH,
    Action,
    Briefing,
    Hypothesis,
    HypothesisStatus,
    IntakeType,
    Note,
    Question,
    Resolution,
    Session,
    Source,
    Step,
    Verification,
    response_label,
)
from flowpilot_desktop.core.ticket import TicketContext
from flowpilot_desktop.llm.context import ticket_context_text
from flowpilot_desktop.llm.fence import harmless
from flowpilot_desktop.llm.pen import Block

_PROBLEM = 40_000
_TICKET = 48_000
_FLOW = 20_000
_BRIEFING = 16_000
_LINE = 600


@dataclass(frozen=True, slots=True)
class TicketRead:
    """A ticket was linked, or read again, when ``after`` was the number of the last step."""

    after: int
    context: TicketContext
    is_refresh: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Work rested for so long, when ``after`` was the number of the last step."""

    after: int
    minutes: int


@dataclass(frozen=True, slots=True)
class Record:
    """All that a consultation is built from.

    ``context`` is the ticket as it was read for the start, None without one; ``flow`` the matched
    flow as text. ``happenings`` are in the order in which they happened.
    """

    session: Session
    steps: tuple[Step, ...] = ()
    context: TicketContext | None = None
    flow: str = ""
    happenings: tuple[TicketRead | Pause, ...] = ()


def findings_text(state: Findings) -> str:
    """Return the structured state of a session as lines; sections without content are left out.

    What must not be lost stands first, where a cut would not reach.
    """
    sections = (
        ("Ruled out", [item.text for item in state.ruled_out]),
        ("Hypotheses left", [_hypothesis_line(item) for item in state.hypotheses]),
        ("Tried", [f"{item.number}. {item.text} → {item.outcome}" for item in state.tried]),
        (
            "Learned",
            [f"{fact.number}. {fact.text} → {fact.answer}".rstrip("→ ") for fact in state.facts],
        ),
        ("Pending", state.pending),
        ("Environment", state.environment),
    )
    return "\n".join(
        line
        for title, lines in sections
        if lines
        for line in (f"{title}:", *(f"- {_line(text)}" for text in lines))
    )


_INTAKE_WORDS = {
    IntakeType.FREE_TEXT: "the technician's own words",
    IntakeType.PSA_TICKET: "a ticket",
    IntakeType.COMBINED: "a ticket and the technician's own words",
    IntakeType.LOG_PASTE: "a pasted log",
    IntakeType.SCREENSHOT: "a screenshot",
}


def opening(record: Record) -> Iterator[str | Block]:
    """Yield the opening of a session, which never changes."""
    session, context = record.session, record.context
    yield f"A session starts, on {session.created_at:%Y-%m-%d}, from "
    yield f"{_INTAKE_WORDS[session.intake.type]}.\n"
    if session.intake.text.strip():
        yield "\nThe problem as the technician typed or pasted it:\n"
        yield Block("problem", session.intake.text, _PROBLEM)
    if context is not None:
        yield "\nThe ticket, as it was pulled:\n"
        yield Block("ticket", ticket_context_text(context), _TICKET)
    elif session.intake.ticket_id:
        yield "\nThe session has a ticket, but its text could not be fetched.\n"
    if record.flow.strip():
        yield "\nA troubleshooting flow that matches, for orientation:\n"
        yield Block("flow", record.flow, _FLOW)


def card(step: Step, numbers: Mapping[str, int]) -> dict[str, JsonValue]:
    """Return a card of the model's as it would write it; what is empty is left out."""
    body = step.body
    card: dict[str, JsonValue] = {"kind": str(body.kind), "text": body.text, "why": body.why}
    match body:
        case Question():
            card["options"] = [
                {"label": option.label, "value": option.value} for option in body.options
            ]
        case Action(command=command):
            if command is not None:
                card["command"] = {
                    "text": command.text,
                    "shell": command.shell,
                    "risk": str(command.risk),
                    "undo": command.undo,
                }
            card["expected_outcome"] = body.expected_outcome
        case Verification():
            card["expected_outcome"] = body.expected_outcome
        case Resolution():
            card["action_taken"] = body.action_taken
            card["follow_ups"] = list(body.follow_ups)
    card["hypotheses"] = [_hypothesis_card(item, numbers) for item in step.hypotheses]
    card["confidence"] = round(step.confidence, 2)
    return {key: value for key, value in card.items() if value not in ("", [])}


def _hypothesis_card(hypothesis: Hypothesis, numbers: Mapping[str, int]) -> dict[str, JsonValue]:
    return {
        "text": hypothesis.text,
        "confidence": round(hypothesis.confidence, 2),
        "status": str(hypothesis.status),
        "evidence": [numbers[step] for step in hypothesis.evidence if step in numbers],
    }


def answer(step: Step) -> Iterator[str | Block]:
    """Yield the technician's answer to a card of the model's."""
    response = step.response
    if response is None:
        return
    yield f"Step {step.number} was answered.\n"
    if response.skipped:
        yield "The technician skipped it.\n"
    elif head := response_label(step.body, replace(response, text="")):
        yield f"{'Chosen' if response.option is not None else 'Result'}: {_line(head)}\n"
    if response.text.strip():
        yield "In the technician's own words:\n"
        yield Block(f"answer to step {step.number}", response.text)


_KIND_WORDS = {
    "question": "a question",
    "action": "something to try",
    "verification": "a verification",
    "resolution": "a proposed resolution",
    "note": "a note",
}


def done_without(step: Step, numbers: Mapping[str, int]) -> Iterator[str | Block]:
    """Yield a step that was done by flow or by hand, or a note."""
    by = "from a troubleshooting flow" if step.source is Source.FLOW else "by hand"
    corrected = (
        f", which corrects step {numbers[step.corrects]}" if step.corrects in numbers else ""
    )
    if isinstance(step.body, Note):
        yield f"Step {step.number} is a note that the technician logged{corrected}.\n"
        yield Block(f"note {step.number}", step.body.text)
        return
    words = _KIND_WORDS[str(step.kind)]
    yield f"Step {step.number} was done without you: {words}, {by}{corrected}.\n"
    lines = [step.body.text]
    if isinstance(step.body, Action) and step.body.command is not None:
        lines.append(f"Command: {step.body.command.text}")
    lines.append(f"→ {step.response_label}")
    yield Block(f"step {step.number}", "\n".join(lines))


def taken_over(step: Step, body: Briefing) -> Iterator[str | Block]:
    """Yield the pickup by another engineer."""
    response = step.response
    fresh = response is not None and response.option == BRIEFING_FRESH
    yield f"Another engineer has taken the session over; it is hand-off number {body.hop}. "
    if fresh:
        yield (
            "They start fresh: think the problem through from the beginning and doubt what was "
            "assumed so far, but repeat no step that was done. "
        )
    else:
        yield "They continue where the last engineer left off. "
    yield (
        f"The block 'briefing {step.number}' lists what was tried and what is ruled out; "
        "repeat none of it, and take what is ruled out as ruled out unless new facts speak "
        "against it. Your next step acknowledges the hand-over in a few words.\n"
    )
    yield Block(f"briefing {step.number}", "\n".join(_briefing_lines(body)), _BRIEFING)
    yield from added(step)


def shown(number: int, count: int) -> Iterator[str]:
    """Yield what stands above the screenshots that were added to a step."""
    if count:
        them, belong = counted(count, "screenshot"), "belongs" if count == 1 else "belong"
        yield f"{them} below {belong} to step {number}.\n"


def tried_already(number: int) -> str:
    """Return what is said to a card that repeats a step in spite of a fresh start."""
    return (
        f"Your card asked for what was done in step {number}, before the session was taken over; "
        "it was not shown. Repeat no step that was done: write a card that asks for something "
        "else."
    )


def added(step: Step) -> Iterator[str | Block]:
    """Yield what the engineer who took over wrote about it."""
    if step.response is not None and step.response.text.strip():
        yield "What the new engineer adds:\n"
        yield Block(f"added by the new engineer {step.number}", step.response.text)


def _briefing_lines(body: Briefing) -> Iterator[str]:
    for title, texts in (
        ("Problem", (body.text,)),
        ("Why it was handed off", (body.reason,)),
        ("Tried", [f"{item.text} → {item.outcome}" for item in body.steps]),
        ("Ruled out", body.ruled_out),
        ("Hypotheses left", [_hypothesis_line(item) for item in body.hypotheses]),
        ("Suggested next", body.next_steps),
        ("Environment", body.environment),
    ):
        lines = [line for text in texts if (line := _line(text))]
        if lines:
            yield f"{title}:"
            yield from (f"- {line}" for line in lines)


def happening(item: TicketRead | Pause) -> Iterator[str | Block]:
    """Yield what happened between two steps."""
    match item:
        case Pause(minutes=minutes):
            rest = counted(minutes, "minute") if minutes < 120 else counted(minutes // 60, "hour")  # noqa: PLR2004
            yield f"The session was paused for {rest}; things may have changed meanwhile.\n"
        case TicketRead(after=after, context=context, is_refresh=is_refresh):
            label = f"ticket after step {after}"
            if is_refresh:
                yield (
                    f"The ticket was read again. The block '{label}' is how it reads now; where it "
                    "differs from before, it counts.\n"
                )
            else:
                yield (
                    f"A ticket was linked to this session. The block '{label}' is its text. "
                    "Your next step acknowledges it in a few words and takes it into account.\n"
                )
            yield Block(label, ticket_context_text(context), _TICKET)


def _hypothesis_line(hypothesis: Hypothesis) -> str:
    status = "" if hypothesis.status is HypothesisStatus.OPEN else f", {hypothesis.status}"
    return f"{hypothesis.text} ({hypothesis.confidence:.0%}{status})"


def _line(text: str) -> str:
    return " ".join(harmless(text, _LINE).split())
