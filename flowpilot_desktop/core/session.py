"""Sessions and their steps.

A session is one diagnosis, from its intake to its end. It is made of steps: a step is one card
and the answer to it. Both are frozen; a change is a new value with the same id. What a card may
contain depends on its kind, so each kind is a class of its own (``StepBody``), and what counts as
an answer is checked by ``checked_response``. Which state may follow which is in ``lifecycle``.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from flowpilot_desktop.core.errors import StepRefused

STEP_LIMIT = 30
"""Cards of a session before one best answer is forced."""


def new_id() -> str:
    """Return a fresh identifier; ids always come from the app, never from a model or a server."""
    return str(uuid.uuid4())


class SessionStatus(StrEnum):
    """Where a session stands in its life."""

    ACTIVE = "active"
    PAUSED = "paused"
    REQUESTING_ESCALATION = "requesting_escalation"
    ESCALATED = "escalated"
    RESOLVED = "resolved"
    ABANDONED = "abandoned"

    @property
    def is_final(self) -> bool:
        """Whether nothing can follow."""
        return self in (self.ESCALATED, self.RESOLVED, self.ABANDONED)


class IntakeType(StrEnum):
    """What a session started from."""

    FREE_TEXT = "free_text"
    PSA_TICKET = "psa_ticket"
    COMBINED = "combined"
    LOG_PASTE = "log_paste"
    SCREENSHOT = "screenshot"


class ContextStatus(StrEnum):
    """How the ticket's context came to a session."""

    LOADED = "loaded"
    CACHED = "cached"
    UNAVAILABLE = "unavailable"
    NONE = "none"


class StepKind(StrEnum):
    """The kinds of card."""

    QUESTION = "question"
    ACTION = "action"
    VERIFICATION = "verification"
    RESOLUTION = "resolution"
    BRIEFING = "briefing"
    NOTE = "note"


class Source(StrEnum):
    """Who thought of a step."""

    CLAUDE = "claude"
    FLOW = "flow"
    ENGINEER = "engineer"


class Risk(StrEnum):
    """What a command can do to the systems it runs on."""

    READ_ONLY = "read_only"
    CHANGES_ONE = "changes_one"
    CHANGES_MANY = "changes_many"
    DESTRUCTIVE = "destructive"


class Result(StrEnum):
    """How an action, a verification or a proposed resolution went."""

    WORKED = "worked"
    DID_NOT_WORK = "did_not_work"
    COULD_NOT_TRY = "could_not_try"


class HypothesisStatus(StrEnum):
    """What is known of a hypothesis."""

    OPEN = "open"
    SUPPORTED = "supported"
    RULED_OUT = "ruled_out"


class Tier(StrEnum):
    """Confidence in three words: below 0.4, below 0.8, and from 0.8."""

    DISCOVERY = "discovery"
    EXPLORING = "exploring"
    GUIDED = "guided"


@dataclass(frozen=True, slots=True)
class Option:
    """One answer offered by a question: ``label`` for people, ``value`` for machines."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Command:
    """Something to run: the text, for which shell, how risky, and how to undo it."""

    text: str
    shell: str
    risk: Risk = Risk.READ_ONLY
    undo: str = ""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A possible cause with its confidence (0..1) and the ids of the steps that prove it."""

    text: str
    confidence: float
    status: HypothesisStatus = HypothesisStatus.OPEN
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """Asks the technician something."""

    kind: ClassVar[StepKind] = StepKind.QUESTION
    text: str
    why: str = ""
    options: tuple[Option, ...] = ()
    free_text_allowed: bool = True
    skip_allowed: bool = True


@dataclass(frozen=True, slots=True)
class Action:
    """Asks the technician to try something and to say how it went."""

    kind: ClassVar[StepKind] = StepKind.ACTION
    text: str
    why: str = ""
    expected_outcome: str = ""
    command: Command | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """Asks whether the fix held; answered by a person, never by a model."""

    kind: ClassVar[StepKind] = StepKind.VERIFICATION
    text: str
    why: str = ""
    expected_outcome: str = ""


@dataclass(frozen=True, slots=True)
class Resolution:
    """Proposes how the session ends, to be confirmed or turned down."""

    kind: ClassVar[StepKind] = StepKind.RESOLUTION
    text: str
    action_taken: str = ""
    follow_ups: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class TriedStep:
    """One line of a briefing: what was done and what came of it, both as people read them."""

    text: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Briefing:
    """What a handler sees first after a pickup."""

    kind: ClassVar[StepKind] = StepKind.BRIEFING
    text: str
    escalated_by: str
    reason: str = ""
    steps: tuple[TriedStep, ...] = ()
    ruled_out: tuple[str, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()
    next_steps: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    hop: int = 1
    why: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """A step that the technician logged by hand; it needs no answer."""

    kind: ClassVar[StepKind] = StepKind.NOTE
    text: str
    why: str = ""


StepBody = Question | Action | Verification | Resolution | Briefing | Note
STEP_BODIES: dict[StepKind, type[StepBody]] = {
    body.kind: body for body in (Question, Action, Verification, Resolution, Briefing, Note)
}


@dataclass(frozen=True, slots=True)
class Response:
    """What the technician answered: an option's value, text of their own, a result, or a skip."""

    option: str | None = None
    text: str = ""
    result: Result | None = None
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that a step cost."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def total(self) -> int:
        """All tokens, read and written."""
        return (
            self.input_tokens
            + self.output_tokens
            + self.cache_read_tokens
            + self.cache_write_tokens
        )

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
        )


PERSON_ADVICE = "Claude suggests that a colleague or a specialist takes a look."
"""The line of a card's reasons that says its mind would rather hand the session on.

It is kept where people read it, so it goes wherever the card goes: stores, packages, old versions.
"""


@dataclass(frozen=True, slots=True)
class StepDraft:
    """A step as a mind (a flow, a model, a person) proposes it, before the app gives it an id.

    ``needs_person`` says that the mind would rather hand the session to somebody;
    ``problem_summary`` and ``problem_domain`` are its words for the problem as it is known now.
    """

    body: StepBody
    source: Source
    confidence: float = 0.0
    hypotheses: tuple[Hypothesis, ...] = ()
    flow_id: str = ""
    flow_node: str = ""
    model: str = ""
    prompt_version: str = ""
    usage: Usage = Usage()
    needs_person: bool = False
    problem_summary: str = ""
    problem_domain: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One card and the answer to it. Once answered it never changes; a correction is a new step."""

    id: str
    session_id: str
    number: int
    body: StepBody
    source: Source
    created_at: datetime
    created_by: str
    confidence: float = 0.0
    hypotheses: tuple[Hypothesis, ...] = ()
    flow_id: str = ""
    flow_node: str = ""
    model: str = ""
    prompt_version: str = ""
    usage: Usage = Usage()
    response: Response | None = None
    answered_at: datetime | None = None
    answered_by: str = ""
    corrects: str = ""

    @property
    def kind(self) -> StepKind:
        """The kind of its card."""
        return self.body.kind

    @property
    def is_open(self) -> bool:
        """Whether it still waits for an answer."""
        return self.response is None and self.kind is not StepKind.NOTE

    @property
    def asks_for_person(self) -> bool:
        """Whether it is a card of Claude's that still waits and would rather be handed on."""
        if self.source is not Source.CLAUDE or not self.is_open:
            return False
        body = self.body
        return not isinstance(body, Note | Briefing) and PERSON_ADVICE in body.why.splitlines()

    @property
    def response_label(self) -> str:
        """The answer as people read it: the option's label, never its value."""
        if self.response is None:
            return ""
        return response_label(self.body, self.response)


@dataclass(frozen=True, slots=True)
class Intake:
    """What a session starts from. ``text`` is what the technician typed or pasted."""

    text: str = ""
    connection_id: str = ""
    ticket_id: str = ""
    type: IntakeType = IntakeType.FREE_TEXT
    attachment_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Session:
    """One diagnosis. ``user_id`` is its originator for ever, ``handler_id`` who works on it now."""

    id: str
    user_id: str
    handler_id: str
    status: SessionStatus
    intake: Intake
    created_at: datetime
    updated_at: datetime
    problem_summary: str = ""
    problem_domain: str = ""
    connection_id: str = ""
    ticket_id: str = ""
    company: str = ""
    psa_context_status: ContextStatus = ContextStatus.NONE
    flow_id: str = ""
    hop_count: int = 0
    paused_at: datetime | None = None
    escalated_at: datetime | None = None
    resolved_at: datetime | None = None
    escalation_id: str = ""
    escalation_reason: str = ""
    escalated_to: str = ""
    resolution_summary: str = ""
    resolution_action: str = ""
    end_reason: str = ""
    fence: int = 0

    @property
    def was_handed_off(self) -> bool:
        """Whether anybody else ever picked it up."""
        return self.hop_count > 0

    @property
    def ended_at(self) -> datetime | None:
        """When it ended, or None while it lives."""
        return self.updated_at if self.status.is_final else None


@dataclass(frozen=True, slots=True)
class Draft:
    """Text typed but not sent. ``field`` says where: a step id, ``intake`` or ``resolve``."""

    session_id: str
    field: str
    text: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Engineer:
    """A technician."""

    id: str
    name: str
    email: str = ""


def tier(confidence: float) -> Tier:
    """Return the tier of a confidence in 0..1."""
    if confidence < 0.4:  # noqa: PLR2004 - the tiers are the definition
        return Tier.DISCOVERY
    return Tier.EXPLORING if confidence < 0.8 else Tier.GUIDED  # noqa: PLR2004


def intake_type(text: str, ticket_id: str, *, has_screenshot: bool = False) -> IntakeType:
    """Return what kind of intake a text and a ticket make together."""
    if ticket_id:
        return IntakeType.COMBINED if text.strip() else IntakeType.PSA_TICKET
    if has_screenshot:
        return IntakeType.SCREENSHOT
    log_lines = 12
    return IntakeType.LOG_PASTE if text.count("\n") >= log_lines else IntakeType.FREE_TEXT


_RESULT_LABELS = {
    Result.WORKED: "Worked",
    Result.DID_NOT_WORK: "Did not work",
    Result.COULD_NOT_TRY: "Could not try",
}
_VERIFICATION_LABELS = {
    Result.WORKED: "Yes, it holds",
    Result.DID_NOT_WORK: "No, the problem is still there",
    Result.COULD_NOT_TRY: "Could not be verified",
}
_RESOLUTION_LABELS = {
    Result.WORKED: "Confirmed",
    Result.DID_NOT_WORK: "Not resolved",
    Result.COULD_NOT_TRY: "Could not be confirmed",
}
BRIEFING_CONTINUE = "continue"
BRIEFING_FRESH = "fresh"
_BRIEFING_LABELS = {
    BRIEFING_CONTINUE: "Continue where they left off",
    BRIEFING_FRESH: "Start fresh with context",
}


def response_label(body: StepBody, response: Response) -> str:
    """Return an answer as people read it: labels, never values; own text after a dash."""
    if response.skipped:
        return "Skipped"
    head = ""
    if response.result is not None:
        labels = {
            StepKind.VERIFICATION: _VERIFICATION_LABELS,
            StepKind.RESOLUTION: _RESOLUTION_LABELS,
        }.get(body.kind, _RESULT_LABELS)
        head = labels[response.result]
    elif response.option is not None:
        if isinstance(body, Briefing):
            head = _BRIEFING_LABELS.get(response.option, response.option)
        elif isinstance(body, Question):
            labels_by_value = {option.value: option.label for option in body.options}
            head = labels_by_value.get(response.option, response.option)
        else:
            head = response.option
    text = response.text.strip()
    return f"{head} — {text}" if head and text else head or text


def checked_response(body: StepBody, response: Response) -> Response:  # noqa: C901 - one case a kind
    """Return the response if it answers the card, else raise StepRefused saying what is missing."""
    match body:
        case Question():
            if response.skipped:
                if not body.skip_allowed:
                    raise StepRefused("This question can't be skipped: the next step needs it.")
            elif response.option is not None:
                if response.option not in {option.value for option in body.options}:
                    raise StepRefused("That is none of the answers on the card.")
            elif not response.text.strip():
                raise StepRefused("Choose an answer or type one.")
            elif not body.free_text_allowed:
                raise StepRefused("Choose one of the answers on the card.")
        case Action() | Verification() | Resolution():
            if response.result is None:
                raise StepRefused("Say how it went: worked, did not work, or could not try.")
        case Briefing():
            if response.option not in (BRIEFING_CONTINUE, BRIEFING_FRESH):
                raise StepRefused("Choose to continue or to start fresh.")
        case Note():
            raise StepRefused("A note needs no answer.")
    return response


def answered(step: Step, response: Response, *, by: str, at: datetime) -> Step:
    """Return the step with its answer, or raise StepRefused."""
    if not step.is_open:
        raise StepRefused(
            "This card is answered already.",
            hint="Answers never change. Log a correction as a note of your own.",
        )
    return replace(
        step, response=checked_response(step.body, response), answered_at=at, answered_by=by
    )


def open_step(steps: tuple[Step, ...]) -> Step | None:
    """Return the card that waits for an answer, or None."""
    return next((step for step in reversed(steps) if step.is_open), None)


def is_verified(steps: tuple[Step, ...]) -> bool:
    """Return whether a person's last word on a verification is that the fix holds."""
    verdicts = [
        step.response.result
        for step in steps
        if step.kind is StepKind.VERIFICATION
        and step.response is not None
        and step.answered_by
        and step.response.result is not Result.COULD_NOT_TRY
    ]
    return bool(verdicts) and verdicts[-1] is Result.WORKED
