"""What a model is told of a session, built from durable records and from nothing else.

A consultation is an *opening* that never changes (the problem, the ticket as it was read when the
session started, the matched flow) and *turns* that are only ever appended: the model's own cards,
the technician's answers, what was done by flow or by hand while the model was away, and what the
app has to say (a ticket was linked, a colleague took over). The same records give the same bytes,
before and after a restart and on a colleague's computer, so the model's cache recognises all of it
but the newest turn.

What must be stored for that, besides the session and its steps, is a ``Record``: the ticket's
context and the flow's text as they were at the start, and each ``TicketRead`` and ``Pause`` with
the number of the last step before it. Turns are ordered by step number, never by clock, since the
clocks of two engineers differ.

Every text that a person, a ticket or a teammate wrote stands in a block of data (see ``fence``) and
passed the redaction gateway, piece by piece: a text that ends as if a secret followed can't take
the edge of its block with it, nor teach the gateway that the edge is one.

A very long session is compacted: where the turns outgrow ``COMPACT_AT``, everything so far is
replaced by its findings, negative ones included. Where the cut falls depends on the records alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from flowpilot_desktop.core.findings import Findings, findings
from flowpilot_desktop.core.ports import Consultation, Picture, Speaker, Turn
from flowpilot_desktop.core.redaction import JsonValue, RedactedText, Redactor
from flowpilot_desktop.core.session import (
    BRIEFING_FRESH,
    Action,
    Briefing,
    Hypothesis,
    HypothesisStatus,
    Intake,
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
from flowpilot_desktop.llm.fence import block_parts, boundary, harmless, parted

__all__ = [
    "COMPACT_AT",
    "Pause",
    "Record",
    "Scribe",
    "TicketRead",
    "briefing_consultation",
    "consultation",
    "findings_text",
    "ticket_context_text",
]

COMPACT_AT = 200_000
"""Characters of turns after which they are replaced by the findings, roughly 50,000 tokens."""

_PROBLEM = 40_000
_TICKET = 48_000
_FLOW = 20_000
_ANSWER = 12_000
_BRIEFING = 16_000
_FINDINGS = 60_000
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


@dataclass(frozen=True, slots=True)
class _Block:
    """A text from a person, to be fenced."""

    label: str
    text: str
    limit: int = _ANSWER


def consultation(
    record: Record,
    redactor: Redactor | None = None,
    *,
    pictures: tuple[Picture, ...] = (),
    must_conclude: bool = False,
) -> Consultation:
    """Return what the model is told to propose the next step.

    ``redactor`` must be fresh: placeholders are numbered in the order in which values come up.
    """
    return Scribe(redactor).consultation(record, pictures=pictures, must_conclude=must_conclude)


class Scribe:
    """Writes the consultations of one session, each time only what is new.

    The bytes are those of a new ``Scribe``: where the record is not the last one with something
    appended, all is written anew. Redacting a long log takes a noticeable time, so whoever asks for
    every step keeps one for the session.
    """

    def __init__(self, redactor: Redactor | None = None) -> None:
        self._given = redactor
        self._begin = _Beginning("", None, "")
        self._pen = _Pen(Redactor(), "")
        self._opening: RedactedText | None = None
        self._items: list[Step | TicketRead | Pause] = []
        self._turns: list[Turn] = []
        self._size = 0

    def consultation(
        self,
        record: Record,
        *,
        pictures: tuple[Picture, ...] = (),
        must_conclude: bool = False,
    ) -> Consultation:
        """Return what the model is told to propose the next step."""
        items = list(_in_order(record))
        opening = self._continued(record, items)
        numbers = {step.id: step.number for step in record.steps}
        for item in items[len(self._items) :]:
            self._write(record, item, numbers)
        return Consultation(
            session_id=record.session.id,
            opening=opening,
            turns=tuple(self._turns),
            pictures=pictures,
            must_conclude=must_conclude,
            step_ids=_step_ids(record.steps),
        )

    def _continued(self, record: Record, items: list[Step | TicketRead | Pause]) -> RedactedText:
        """Return the opening; forget all that was written unless the record goes on from it."""
        begin = _Beginning(record.session.id, record.context, record.flow, record.session.intake)
        if (
            self._opening is None
            or begin != self._begin
            or items[: len(self._items)] != self._items
        ):
            redactor, self._given = self._given or Redactor(), None
            self._pen = _Pen(redactor, boundary(record.session.id))
            self._begin = begin
            self._opening = self._pen.write(_opening(record))
            self._items, self._turns, self._size = [], [], 0
        return self._opening

    def _write(
        self, record: Record, item: Step | TicketRead | Pause, numbers: Mapping[str, int]
    ) -> None:
        self._items.append(item)
        if isinstance(item, Step):
            fresh = list(_step_turns(item, numbers, self._pen))
        else:
            fresh = [Turn(Speaker.APP, self._pen.write(_happening(item)))]
        self._turns += fresh
        self._size += sum(len(turn.text) for turn in fresh)
        if self._size > COMPACT_AT:
            steps = [item for item in self._items if isinstance(item, Step)]
            self._turns = [_compacted(record, steps, self._pen)]
            self._size = len(self._turns[0].text)


@dataclass(frozen=True, slots=True)
class _Beginning:
    """What an opening is made of."""

    session_id: str
    context: TicketContext | None
    flow: str
    intake: Intake = Intake()


def briefing_consultation(
    record: Record, reason: str, redactor: Redactor | None = None
) -> Consultation:
    """Return what the fast model is told to write a hand-off's hypotheses and next steps."""
    pen = _Pen(redactor or Redactor(), boundary(record.session.id))
    state = findings_text(findings(record.session, record.steps, record.context))
    return Consultation(
        session_id=record.session.id,
        opening=pen.write(_opening(replace(record, flow=""))),
        turns=(
            Turn(
                Speaker.TECHNICIAN,
                pen.write(
                    [
                        "The session is handed to a colleague. All that is known stands here.\n",
                        _Block("findings", state or "Nothing was tried yet.", _BRIEFING),
                        _Block("reason for handing off", reason),
                    ]
                ),
            ),
        ),
        step_ids=_step_ids(record.steps),
    )


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


class _Pen:
    """Writes pieces as one redacted text whose blocks of data are whole."""

    def __init__(self, redactor: Redactor, mark: str) -> None:
        self._redactor = redactor
        self._mark = mark

    def write(self, pieces: Iterable[str | _Block]) -> RedactedText:
        """Return the pieces as one text; a block that is not whole after redaction is left out."""
        pieces = list(pieces)
        blocks = sum(isinstance(piece, _Block) and bool(piece.text.strip()) for piece in pieces)
        sealed = self._redactor.redact_parts(self._parts(pieces))
        if self._has_whole_blocks(sealed.text, blocks):
            return sealed
        words = [piece for piece in pieces if isinstance(piece, str)]
        return self._redactor.redact_parts([*words, "(A text was left out: it can't be masked.)\n"])

    def _parts(self, pieces: Iterable[str | _Block]) -> Iterator[str]:
        for piece in pieces:
            if isinstance(piece, str):
                # A block begins with a line of its own, whatever is masked before it.
                words = piece.rstrip("\n")
                yield words.replace(self._mark, "[…]")
                yield piece[len(words) :]
            elif text := harmless(piece.text, piece.limit):
                yield from block_parts(piece.label, text, self._mark)

    def _has_whole_blocks(self, text: str, count: int) -> bool:
        outside, inside = parted(text)
        lines = [inside.count(f"<<<{word} {self._mark}") for word in ("DATA", "END")]
        return self._mark not in outside and max(lines) <= count and lines[0] == lines[1]

    def write_json(self, value: JsonValue) -> RedactedText:
        """Return a structure as JSON whose every text was redacted by itself."""
        return self._redactor.redact_json(value)


_INTAKE_WORDS = {
    IntakeType.FREE_TEXT: "the technician's own words",
    IntakeType.PSA_TICKET: "a ticket",
    IntakeType.COMBINED: "a ticket and the technician's own words",
    IntakeType.LOG_PASTE: "a pasted log",
    IntakeType.SCREENSHOT: "a screenshot",
}


def _opening(record: Record) -> Iterator[str | _Block]:
    session, context = record.session, record.context
    yield f"A session starts, on {session.created_at:%Y-%m-%d}, from "
    yield f"{_INTAKE_WORDS[session.intake.type]}.\n"
    if session.intake.text.strip():
        yield "\nThe problem as the technician typed or pasted it:\n"
        yield _Block("problem", session.intake.text, _PROBLEM)
    if context is not None:
        yield "\nThe ticket, as it was pulled:\n"
        yield _Block("ticket", ticket_context_text(context), _TICKET)
    elif session.intake.ticket_id:
        yield "\nThe session has a ticket, but its text could not be fetched.\n"
    if record.flow.strip():
        yield "\nA troubleshooting flow that matches, for orientation:\n"
        yield _Block("flow", record.flow, _FLOW)


def _in_order(record: Record) -> Iterator[Step | TicketRead | Pause]:
    """Yield steps by number, each happening right after the step that was last before it."""
    waiting = sorted(record.happenings, key=lambda happening: happening.after)
    for step in sorted(record.steps, key=lambda step: step.number):
        if step.is_open:
            continue
        while waiting and waiting[0].after < step.number:
            yield waiting.pop(0)
        yield step
    yield from waiting


def _step_turns(step: Step, numbers: Mapping[str, int], pen: _Pen) -> Iterator[Turn]:
    if isinstance(step.body, Briefing):
        yield Turn(Speaker.APP, pen.write(_taken_over(step, step.body)))
    elif step.source is Source.CLAUDE:
        yield Turn(Speaker.MODEL, pen.write_json(_card(step, numbers)))
        yield Turn(Speaker.TECHNICIAN, pen.write(_answer(step)))
    else:
        yield Turn(Speaker.TECHNICIAN, pen.write(_done_without(step, numbers)))


def _card(step: Step, numbers: Mapping[str, int]) -> dict[str, JsonValue]:
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


def _answer(step: Step) -> Iterator[str | _Block]:
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
        yield _Block(f"answer to step {step.number}", response.text)


_KIND_WORDS = {
    "question": "a question",
    "action": "something to try",
    "verification": "a verification",
    "resolution": "a proposed resolution",
    "note": "a note",
}


def _done_without(step: Step, numbers: Mapping[str, int]) -> Iterator[str | _Block]:
    by = "from a troubleshooting flow" if step.source is Source.FLOW else "by hand"
    corrected = (
        f", which corrects step {numbers[step.corrects]}" if step.corrects in numbers else ""
    )
    if isinstance(step.body, Note):
        yield f"Step {step.number} is a note that the technician logged{corrected}.\n"
        yield _Block(f"note {step.number}", step.body.text)
        return
    words = _KIND_WORDS[str(step.kind)]
    yield f"Step {step.number} was done without you: {words}, {by}{corrected}.\n"
    lines = [step.body.text]
    if isinstance(step.body, Action) and step.body.command is not None:
        lines.append(f"Command: {step.body.command.text}")
    lines.append(f"→ {step.response_label}")
    yield _Block(f"step {step.number}", "\n".join(lines))


def _taken_over(step: Step, body: Briefing) -> Iterator[str | _Block]:
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
    yield _Block(f"briefing {step.number}", "\n".join(_briefing_lines(body)), _BRIEFING)
    if response is not None and response.text.strip():
        yield "What the new engineer adds:\n"
        yield _Block(f"added by the new engineer {step.number}", response.text)


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


def _happening(happening: TicketRead | Pause) -> Iterator[str | _Block]:
    match happening:
        case Pause(minutes=minutes):
            rest = f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"  # noqa: PLR2004
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
            yield _Block(label, ticket_context_text(context), _TICKET)


def _compacted(record: Record, seen: Sequence[Step], pen: _Pen) -> Turn:
    # The session's own summary may change later; what was once written must not.
    session = replace(record.session, problem_summary="", problem_domain="")
    state = findings(session, seen, record.context)
    label = f"findings up to step {max((step.number for step in seen), default=0)}"
    return Turn(
        Speaker.APP,
        pen.write(
            [
                f"The session is long. The block '{label}' stands for everything until then. ",
                "All of it was really done and answered: repeat none of it, and what is ruled out ",
                "stays ruled out.\n",
                _Block(label, findings_text(state), _FINDINGS),
            ]
        ),
    )


def _step_ids(steps: Iterable[Step]) -> tuple[str, ...]:
    by_number = {step.number: step.id for step in steps}
    return tuple(by_number.get(number, "") for number in range(1, max(by_number, default=0) + 1))


def _hypothesis_line(hypothesis: Hypothesis) -> str:
    status = "" if hypothesis.status is HypothesisStatus.OPEN else f", {hypothesis.status}"
    return f"{hypothesis.text} ({hypothesis.confidence:.0%}{status})"


def _line(text: str) -> str:
    return " ".join(harmless(text, _LINE).split())
