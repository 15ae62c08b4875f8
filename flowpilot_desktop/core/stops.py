"""When a diagnosis should stop asking: rules over the steps, outside any model.

Traces of failed diagnoses look alike: the same step again in other words, two steps taking turns,
step after step that teaches nothing. ``stop_signs`` finds these and the limits of a session. A sign
is advice with words for the technician; only a limit forces the one best answer from what is known.
Nothing here is a reason to change a session: people escalate and resolve.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from difflib import SequenceMatcher
from enum import StrEnum

from flowpilot_desktop.core.counting import counted
from flowpilot_desktop.core.findings import corrected
from flowpilot_desktop.core.session import (
    BRIEFING_FRESH,
    STEP_LIMIT,
    Action,
    Briefing,
    Note,
    Result,
    Step,
    StepBody,
    StepDraft,
    Verification,
)

_SAME = 0.9
"""From this similarity on, 0..1, two texts are the same step in other words."""

_UNCHANGED = 3
"""So many cards in a row with the same hypotheses are a sign."""

_NOISE = 0.05
"""A smaller change of confidence is none."""


class StopSign(StrEnum):
    """Why to stop."""

    REPEATED = "repeated"
    LOOP = "loop"
    NOTHING_LEARNED = "nothing_learned"
    STEP_LIMIT = "step_limit"
    TIME_LIMIT = "time_limit"
    TOKEN_LIMIT = "token_limit"  # noqa: S105 - tokens of a model, no secret

    @property
    def forces_conclusion(self) -> bool:
        """Whether the next card must be the one best answer; otherwise escalating is advised."""
        return self in (self.STEP_LIMIT, self.TIME_LIMIT, self.TOKEN_LIMIT)


@dataclass(frozen=True, slots=True)
class Stop:
    """A sign, the numbers of the steps that gave it, and words for the technician."""

    sign: StopSign
    message: str
    steps: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What one session may use: cards, time worked on it, tokens read and written by a model."""

    steps: int = STEP_LIMIT
    worked: timedelta = timedelta(hours=6)
    tokens: int = 3_000_000


def stop_signs(
    steps: Sequence[Step],
    draft: StepDraft | None = None,
    *,
    limits: Limits | None = None,
    worked: timedelta = timedelta(0),
) -> tuple[Stop, ...]:
    """Return every reason to stop, limits first.

    ``draft`` is a card that was proposed and not shown yet; ``worked`` the time that people worked
    on the session. Notes and briefings are no cards, and a corrected step counts no more.
    """
    replaced = corrected(steps)
    cards = [
        step
        for step in sorted(steps, key=lambda step: step.number)
        if step.id not in replaced and not isinstance(step.body, Note | Briefing)
    ]
    found = [*_limit_stops(steps, cards, limits or Limits(), worked)]
    found += [stop for stop in (_loop(cards, draft),) if stop is not None]
    if not found or found[-1].sign is not StopSign.LOOP:
        found += [stop for stop in (_repeated(cards, draft),) if stop is not None]
    found += [stop for stop in (_nothing_learned(cards, draft),) if stop is not None]
    return tuple(found)


def must_conclude(
    steps: Sequence[Step],
    *,
    limits: Limits | None = None,
    worked: timedelta = timedelta(0),
) -> bool:
    """Return whether the next card must be the one best answer."""
    return any(
        stop.sign.forces_conclusion for stop in stop_signs(steps, limits=limits, worked=worked)
    )


def tried_before(steps: Sequence[Step], draft: StepDraft) -> int | None:
    """Return the number of the step that a draft repeats although a fresh start forbids it.

    What counts was done before the last pickup that began afresh; without one nothing does. A
    verification is asked again after every fix.
    """
    pickups = [step for step in steps if isinstance(step.body, Briefing) and not step.corrects]
    last = max(pickups, key=lambda step: step.number, default=None)
    answer = last.response if last is not None else None
    is_fresh = answer is not None and answer.option == BRIEFING_FRESH
    if last is None or not is_fresh or isinstance(draft.body, Verification):
        return None
    return next(
        (
            step.number
            for step in steps
            if step.number < last.number
            and _was_tried(step)
            and are_near_identical(step.body, draft.body)
        ),
        None,
    )


def are_near_identical(first: StepBody, second: StepBody) -> bool:
    """Return whether two cards ask for the same in other words, or run the same command."""
    if first.kind is not second.kind:
        return False
    if isinstance(first, Action) and isinstance(second, Action):
        if first.command is not None and second.command is not None:
            return _words(first.command.text) == _words(second.command.text)
        if (first.command is None) is not (second.command is None):
            return _words(first.text) == _words(second.text)
    return _are_similar(_words(first.text), _words(second.text))


def _are_similar(first: str, second: str) -> bool:
    if first == second:
        return True
    # What differs in a number, a name or an address differs in what matters.
    if _particulars(first) != _particulars(second):
        return False
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    return (
        matcher.real_quick_ratio() >= _SAME
        and matcher.quick_ratio() >= _SAME
        and (matcher.ratio() >= _SAME or sorted(first.split()) == sorted(second.split()))
    )


def _words(text: str) -> str:
    return " ".join(re.findall(r"[\w.:/\\-]*\w", text.casefold()))


def _particulars(words: str) -> frozenset[str]:
    return frozenset(re.findall(r"\S*\d\S*", words))


def _limit_stops(
    steps: Sequence[Step], cards: Sequence[Step], limits: Limits, worked: timedelta
) -> list[Stop]:
    tokens = sum(step.usage.total for step in steps)
    found = []
    if len(cards) >= limits.steps:
        found.append(
            Stop(
                StopSign.STEP_LIMIT,
                f"This session has {counted(len(cards), 'step')}. One best answer from what is "
                "known comes next; then resolve it, or hand it to a colleague.",
            )
        )
    if worked >= limits.worked:
        hours = int(worked.total_seconds() // 3600)
        found.append(
            Stop(
                StopSign.TIME_LIMIT,
                f"You have worked on this for {hours} hours. One best answer comes next; a "
                "colleague may see it with fresh eyes.",
            )
        )
    if tokens >= limits.tokens:
        found.append(
            Stop(
                StopSign.TOKEN_LIMIT,
                "Claude has read and written as much for this session as it may. One best answer "
                "comes next; after that the session goes on by flow or by hand.",
            )
        )
    return found


def _was_tried(step: Step) -> bool:
    """Whether a step was really done: what was skipped or impossible may well be asked again."""
    response = step.response
    return (
        response is not None
        and not response.skipped
        and response.result is not Result.COULD_NOT_TRY
    )


def _repeated(cards: Sequence[Step], draft: StepDraft | None) -> Stop | None:
    if draft is None and not cards:
        return None
    body = draft.body if draft is not None else cards[-1].body
    if isinstance(body, Verification):
        return None  # asked again after every fix, as it should be
    earlier = cards if draft is not None else cards[:-1]
    same = [
        step.number for step in earlier if _was_tried(step) and are_near_identical(step.body, body)
    ]
    if not same:
        return None
    number = [] if draft is not None else [cards[-1].number]
    return Stop(
        StopSign.REPEATED,
        f"This asks for the same as step {same[-1]}. If nothing new is left to try, a colleague "
        "may see more: consider escalating.",
        (*same, *number),
    )


def _loop(cards: Sequence[Step], draft: StepDraft | None) -> Stop | None:
    """Find A, B, A, B at the end."""
    bodies = [step.body for step in cards] + ([draft.body] if draft is not None else [])
    if len(bodies) < 4:  # noqa: PLR2004 - A, B, A, B
        return None
    first, second, third, fourth = bodies[-4:]
    if (
        not are_near_identical(first, third)
        or not are_near_identical(second, fourth)
        or are_near_identical(first, second)
    ):
        return None
    return Stop(
        StopSign.LOOP,
        "The same two steps take turns. That leads nowhere: consider escalating.",
        tuple(step.number for step in cards[-4 if draft is None else -3 :]),
    )


def _nothing_learned(cards: Sequence[Step], draft: StepDraft | None) -> Stop | None:
    """Find cards in a row that carry the same hypotheses."""
    last: list[Step | StepDraft] = [*cards, *([draft] if draft is not None else [])]
    last = last[-_UNCHANGED:]
    if len(last) < _UNCHANGED or not last[0].hypotheses:
        return None
    first = last[0]
    if any(not _has_same_hypotheses(first, other) for other in last[1:]):
        return None
    return Stop(
        StopSign.NOTHING_LEARNED,
        f"The last {_UNCHANGED} steps changed nothing in what is suspected. A colleague may see "
        "more: consider escalating.",
        tuple(item.number for item in last if isinstance(item, Step)),
    )


def _has_same_hypotheses(first: Step | StepDraft, second: Step | StepDraft) -> bool:
    mine = {_words(item.text): item for item in first.hypotheses}
    others = {_words(item.text): item for item in second.hypotheses}
    return mine.keys() == others.keys() and all(
        item.status is others[words].status
        and abs(item.confidence - others[words].confidence) <= _NOISE
        for words, item in mine.items()
    )
