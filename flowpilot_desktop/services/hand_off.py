"""What travels with a hand-off: the whole session as a teammate needs it, redacted.

A ``Parcel`` goes into the escalation when it is raised or released; an ``Addition`` is what a
handler appends while they work, so that everybody who had the session before follows. Both are
JSON of our own nouns; a reader ignores what it does not know and fills in what is missing.

Every text passes the redaction gateway here. A secret is often given away by what stands before
it, so a question is redacted together with its answer; what is recognised once is masked wherever
it comes up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flowpilot_desktop.core.errors import QueueRefused
from flowpilot_desktop.core.escalation import HandOff
from flowpilot_desktop.core.findings import findings
from flowpilot_desktop.core.push import PushState, TimePayload
from flowpilot_desktop.core.redaction import Redactor
from flowpilot_desktop.core.session import (
    Briefing,
    Session,
    Step,
    TriedStep,
)
from flowpilot_desktop.core.ticket import TicketContext
from flowpilot_desktop.core.timing import Billed, Segment
from flowpilot_desktop.services.documentation import Dossier
from flowpilot_desktop.store.documents import from_json, to_json

PACKAGE_LIMIT = 1_000_000
"""Bytes of a package; the queue takes a little more."""
_TEXT_LIMITS = (100_000, 20_000, 4_000, 800)
_CUT = "… (shortened for the hand-off)"
_ANSWER = "\n→ Answer: "
_MASKED = "[answer masked]"

_MACHINE_KEYS = frozenset(
    {
        "id",
        "session_id",
        "user_id",
        "handler_id",
        "created_by",
        "answered_by",
        "engineer_id",
        "originator_id",
        "escalation_id",
        "flow_id",
        "flow_node",
        "model",
        "prompt_version",
        "kind",
        "source",
        "status",
        "corrects",
        "evidence",
        "risk",
        "result",
        "type",
        "ticket_id",
        "psa_context_status",
    }
)
"""Fields that hold ids and words of ours, never anybody's text."""


@dataclass(frozen=True, slots=True)
class BilledTime:
    """A time entry that an engineer has made for the session."""

    engineer_id: str
    start: datetime
    end: datetime
    covers_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Name:
    """What an engineer is called."""

    engineer_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Parcel:
    """A session on its way to the next handler."""

    session: Session
    hand_off: HandOff
    steps: tuple[Step, ...] = ()
    segments: tuple[Segment, ...] = ()
    billed: tuple[BilledTime, ...] = ()
    names: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True)
class Addition:
    """What a handler adds to a shared session: a step, steps set aside, time worked."""

    step: Step | None = None
    set_aside: tuple[str, ...] = ()
    segments: tuple[Segment, ...] = ()
    billed: tuple[BilledTime, ...] = ()


def parcel(
    dossier: Dossier,
    context: TicketContext | None,
    *,
    reason: str,
    hop: int,
    billed: tuple[BilledTime, ...] = (),
) -> Parcel:
    """Return what a teammate needs to go on; what was ruled out is derived from the steps."""
    session = dossier.session
    known = findings(session, dossier.steps, context)
    engineers = {session.user_id, session.handler_id}
    engineers |= {step.created_by for step in dossier.steps}
    engineers |= {step.answered_by for step in dossier.steps}
    engineers |= {segment.engineer_id for segment in dossier.segments}
    hand_off = HandOff(
        problem=known.problem,
        domain=known.domain,
        originator_id=session.user_id,
        originator_name=dossier.names.get(session.user_id, ""),
        raised_by_name=dossier.names.get(session.handler_id, ""),
        reason=reason,
        hop=hop,
        steps=tried(dossier.steps),
        ruled_out=tuple(item.text for item in known.ruled_out),
        hypotheses=known.hypotheses,
        next_steps=known.pending,
        environment=known.environment,
    )
    bare = replace(
        session,
        connection_id="",
        intake=replace(session.intake, connection_id="", attachment_ids=()),
    )
    return Parcel(
        bare,
        hand_off,
        dossier.steps,
        tuple(segment for segment in dossier.segments if not segment.is_open),
        billed,
        tuple(
            Name(engineer, dossier.names[engineer])
            for engineer in sorted(engineers)
            if dossier.names.get(engineer)
        ),
    )


def with_briefing(
    package: Mapping[str, Any], hypotheses: tuple[str, ...], next_steps: tuple[str, ...]
) -> dict[str, Any]:
    """Return a sealed package with what the fast model adds, redacted."""
    redactor = Redactor()
    hand_off = dict(package["hand_off"])
    known = {" ".join(item["text"].split()).casefold() for item in hand_off["hypotheses"]}
    known |= {" ".join(text.split()).casefold() for text in hand_off["ruled_out"]}
    added = [
        {"text": redactor.redact(text).text, "confidence": 0.0, "status": "open", "evidence": []}
        for text in hypotheses
        if " ".join(text.split()).casefold() not in known
    ]
    hand_off["hypotheses"] = [*hand_off["hypotheses"], *added]
    suggested = [redactor.redact(text).text for text in next_steps]
    hand_off["next_steps"] = [
        *suggested,
        *(text for text in hand_off["next_steps"] if text not in suggested),
    ]
    hand_off["is_briefed"] = True
    return {**package, "hand_off": hand_off}


def tried(steps: tuple[Step, ...]) -> tuple[TriedStep, ...]:
    """Return the answered steps as a briefing lists them."""
    return tuple(
        TriedStep(step.body.text, step.response_label)
        for step in steps
        if not step.is_open and not isinstance(step.body, Briefing)
    )


def billed_times(dossier: Dossier) -> tuple[BilledTime, ...]:
    """Return the time entries that the session's own items stand for, and those of others."""
    own = [
        BilledTime(item.engineer_id, item.payload.start, item.payload.end, item.created_at)
        for item in dossier.sent
        if isinstance(item.payload, TimePayload) and item.state is not PushState.SKIPPED
    ]
    elsewhere = [
        BilledTime(one.engineer_id, one.start, one.end, one.covers_until)
        for one in dossier.elsewhere
    ]
    return (*own, *elsewhere)


def as_billed(times: tuple[BilledTime, ...]) -> tuple[Billed, ...]:
    """Return time entries as planning the next one takes them."""
    return tuple(Billed(one.engineer_id, one.start, one.end, one.covers_until) for one in times)


# Sealing and opening


def sealed(thing: Parcel | Addition) -> dict[str, Any]:
    """Return the JSON that leaves: redacted, and short enough for the queue."""
    redactor = Redactor()
    steps = thing.steps if isinstance(thing, Parcel) else ((thing.step,) if thing.step else ())
    masked = tuple(_masked(step, redactor) for step in steps)
    if isinstance(thing, Parcel):
        thing = replace(thing, steps=masked, hand_off=_in_step(thing.hand_off, masked))
    elif masked:
        thing = replace(thing, step=masked[0])
    document = json.loads(to_json(thing, type(thing)))
    room = PACKAGE_LIMIT if isinstance(thing, Parcel) else PACKAGE_LIMIT // 4
    for limit in _TEXT_LIMITS:
        redacted: dict[str, Any] = _redacted(document, redactor, limit)
        if len(json.dumps(redacted, ensure_ascii=False).encode("utf-8", "replace")) <= room:
            break
    return redacted


def opened_parcel(content: str) -> Parcel:
    """Return a parcel from its JSON; raises QueueRefused for what is none."""
    opened: Parcel = _opened(content, Parcel)
    return opened


def opened_addition(content: str) -> Addition:
    """Return an addition from its JSON; raises QueueRefused for what is none."""
    opened: Addition = _opened(content, Addition)
    return opened


def _opened(content: str, noun: Any) -> Any:
    try:
        return from_json(content, noun)
    except Exception as error:  # whatever a teammate's desktop wrote
        raise QueueRefused(
            "This hand-off can't be read by this version of FlowPilot.",
            why="damaged",
            hint="Update FlowPilot, or ask your teammate to escalate again.",
        ) from error


def _masked(step: Step, redactor: Redactor) -> Step:
    """Return the step with its answer redacted as what follows its question."""
    if step.response is None or not step.response.text:
        return step
    text = step.response.text
    both = redactor.redact(f"{step.body.text}{_ANSWER}{text}").text
    _, found, answer = both.rpartition(_ANSWER)
    if found and answer == text:
        return step
    return replace(step, response=replace(step.response, text=answer if found else _MASKED))


def _in_step(hand_off: HandOff, steps: tuple[Step, ...]) -> HandOff:
    return replace(hand_off, steps=tried(steps))


def _redacted(document: Any, redactor: Redactor, limit: int, key: str = "") -> Any:
    if isinstance(document, dict):
        return {name: _redacted(value, redactor, limit, name) for name, value in document.items()}
    if isinstance(document, list):
        return [_redacted(item, redactor, limit, key) for item in document]
    if isinstance(document, str) and document and key not in _MACHINE_KEYS:
        text = redactor.redact(document).text
        return text if len(text) <= limit else text[: limit - len(_CUT)] + _CUT
    return document
