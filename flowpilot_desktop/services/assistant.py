"""Which mind thinks of the next card: Claude when it can be asked, else the flow.

A session never waits for a model that is away. Whatever keeps Claude from answering becomes a
*notice* (one sentence for the banner) and the flow goes on from the recorded steps; when Claude is
back it catches up from the same steps. The rules that no mind may break are here, in code: a
resolution is proposed only after a person verified, at most ``STEP_LIMIT`` cards, then one best
answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import timedelta

from flowpilot_desktop.core.attachment import Attachment
from flowpilot_desktop.core.errors import ModelAnswerUnusable, ModelError, ModelUnavailable
from flowpilot_desktop.core.events import Reach, System
from flowpilot_desktop.core.happening import Happening, HappeningKind
from flowpilot_desktop.core.ports import (
    Consultation,
    Model,
    Picture,
    Speaker,
    StepProgress,
    Turn,
)
from flowpilot_desktop.core.redaction import Redactor
from flowpilot_desktop.core.session import (
    PERSON_ADVICE,
    STEP_LIMIT,
    Resolution,
    Result,
    Session,
    Source,
    Step,
    StepDraft,
    StepKind,
    Usage,
    Verification,
    is_verified,
    open_step,
)
from flowpilot_desktop.core.stops import Limits, Stop, StopSign, stop_signs, tried_before
from flowpilot_desktop.core.ticket import TicketContext
from flowpilot_desktop.core.usage import UsageRecord
from flowpilot_desktop.flows import walk
from flowpilot_desktop.flows.library import FlowLibrary
from flowpilot_desktop.flows.model import Flow
from flowpilot_desktop.llm import wording
from flowpilot_desktop.llm.conversation import Pause, Record, Scribe, TicketRead
from flowpilot_desktop.services.model_access import ModelAccess
from flowpilot_desktop.services.reach import ReachBoard

log = logging.getLogger(__name__)

Progress = Callable[[StepProgress], None]

NO_KEY = (
    "No key for Claude is set. Add one in Settings → Claude; until then sessions go on by flow."
)
_RETRY_SECONDS = 60.0
_SCRIBES_KEPT = 4
_LIMIT_NOTICE = (
    f"{STEP_LIMIT} steps are reached. Resolve with what is known, log what you do by hand, or "
    "escalate with everything that was tried."
)
_CONCLUDED_ADVICE = (
    "The best answer from what is known did not solve it. A colleague may see more: consider "
    "escalating."
)
_PERSON_ADVICE = (
    f"{PERSON_ADVICE} Escalate hands on everything that was tried, or go on with the card."
)
_SETTLED_NOTICE = "The fix is verified and confirmed. Resolve the session to write it up."
_END_NOTICE = (
    "The troubleshooting flow has no further step. Log what you do by hand, resolve, or escalate."
)


@dataclass(frozen=True, slots=True)
class Case:
    """All that a mind may know of a session."""

    session: Session
    steps: tuple[Step, ...]
    context: TicketContext | None
    happenings: tuple[Happening, ...] = ()
    worked: timedelta = timedelta(0)
    pictures: tuple[Attachment, ...] = ()

    @property
    def problem_text(self) -> str:
        """What flows are matched against: the technician's words and the ticket's."""
        texts = [self.session.intake.text]
        if self.context is not None:
            texts = [self.context.ticket.summary, self.context.ticket.description, *texts]
        elif self.session.problem_summary:
            texts.insert(0, self.session.problem_summary)
        return "\n".join(text for text in texts if text)

    def told(self) -> Iterator[str]:
        """Yield what was typed since the start, and whose tickets they are."""
        for step in self.steps:
            if step.source is Source.ENGINEER:
                yield step.body.text
            if step.response is not None:
                yield step.response.text
        for context in (self.context, *(one.context for one in self.happenings)):
            if context is not None:
                yield context.company.name
                yield context.ticket.company.name


@dataclass(frozen=True, slots=True)
class Proposal:
    """The next step, or None when no mind has one, and the sentence for the banner.

    ``spent`` is what a model was paid for it, also for an answer that could not be used;
    ``asks_budget`` says that Claude waits for a yes to spending the rest of the month's budget.
    """

    draft: StepDraft | None
    notice: str = ""
    spent: UsageRecord | None = None
    asks_budget: bool = False


class Assistant:
    """Proposes the next step of a case."""

    def __init__(
        self,
        flows: Callable[[], Awaitable[FlowLibrary]],
        access: ModelAccess,
        reach: ReachBoard,
        limits: Limits | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._flows = flows
        self._access = access
        self._reach = reach
        self._scribes: dict[str, Scribe] = {}
        self._concluded_at: dict[str, int] = {}
        """The number of cards before the best answer that a limit forced, by session."""

    async def matched_flow(self, text: str) -> Flow | None:
        """Return the flow that the text asks for, or None below the minimum score."""
        match = (await self._flows()).match(text)
        return match.flow if match else None

    async def flow(self, flow_id: str) -> Flow | None:
        """Return a flow by id; None when it was removed since."""
        return (await self._flows()).flow(flow_id) if flow_id else None

    async def propose(self, case: Case, progress: Progress | None = None) -> Proposal:
        """Return the next step, from Claude or from the flow; never raises for the world."""
        if _is_settled(case.steps):
            return Proposal(None, _SETTLED_NOTICE)
        limit = self._limit(case)
        must_conclude = limit is not None
        is_at_end = limit is not None and limit.sign is StopSign.STEP_LIMIT
        is_concluded = limit is not None and self._best_answer_given(case.steps, limit)
        if is_concluded and is_at_end:
            return Proposal(None, _LIMIT_NOTICE)
        flow = await self.flow(case.session.flow_id)
        notice = ""
        spent: UsageRecord | None = None
        asks_budget = False
        try:
            if limit is not None and is_concluded:
                raise ModelAnswerUnusable(limit.message, reason="limit")
            model = await self._access.model_about(case.session, case.told())
            draft = await self._thought(model, case, flow, progress, must_conclude=must_conclude)
        except ModelError as error:
            self._access.failed(error)
            notice = self._noted(error)
            asks_budget = error.reason == "budget_question"
            spent = self._spent(case, error.model, error.usage)
        else:
            self._reach.note(System.MODEL, Reach.REACHABLE)
            spent = self._spent(case, draft.model, draft.usage)
            if must_conclude:
                self._concluded_at.setdefault(case.session.id, len(_cards(case.steps)))
            return Proposal(_lawful(draft, case.steps), "", spent)
        if is_at_end:
            return Proposal(None, _LIMIT_NOTICE, spent)
        followed = flow or (await self._flows()).general
        draft_of_flow = walk.next_draft(followed, case.steps)
        if draft_of_flow is None:
            return Proposal(None, f"{notice} {_END_NOTICE}".strip(), spent, asks_budget)
        return Proposal(_lawful(draft_of_flow, case.steps), notice, spent, asks_budget)

    def _limit(self, case: Case) -> Stop | None:
        """Return the limit that forces one best answer, or None."""
        stops = stop_signs(case.steps, limits=self._limits, worked=case.worked)
        return next((stop for stop in stops if stop.sign.forces_conclusion), None)

    async def look_for_key(self) -> None:
        """Say on the screen that no key is set, or, once there is one, that it was not tried."""
        if not await self._access.has_key():
            self._reach.note(System.MODEL, Reach.NOT_SET_UP, NO_KEY)
        elif self._reach.state(System.MODEL).reach is Reach.NOT_SET_UP:
            self._reach.note(System.MODEL, Reach.UNKNOWN)

    async def agree_to_spend(self) -> None:
        """Let Claude go on to the end of this month's budget."""
        await self._access.agree_to_spend()

    def advice(self, steps: tuple[Step, ...], worked: timedelta) -> str:
        """Return why the session might better be handed on, or an empty string."""
        if _is_settled(steps):
            return ""
        stops = stop_signs(steps, limits=self._limits, worked=worked)
        if not stops:
            waiting = open_step(steps)
            return _PERSON_ADVICE if waiting is not None and waiting.asks_for_person else ""
        first = stops[0]
        if first.sign.forces_conclusion and self._best_answer_given(steps, first):
            return _CONCLUDED_ADVICE
        return first.message

    async def back(self, case: Case) -> walk.Correction | None:
        """Return the flow's last answered card asked anew, or None when there is none."""
        flow = await self.flow(case.session.flow_id) or (await self._flows()).general
        return walk.back(flow, case.steps)

    def _best_answer_given(self, steps: tuple[Step, ...], limit: Stop) -> bool:
        """Return whether Claude's one best answer was proposed since the limit, and did not do.

        A verification that held is no answer yet: the resolution may follow it.
        """
        cards = _cards(steps)
        concluded_at = self._concluded_at.get(steps[0].session_id) if steps else None
        match limit.sign:
            case StopSign.STEP_LIMIT:
                since = cards[self._limits.steps :]
            case StopSign.TOKEN_LIMIT:
                since = _past_tokens(cards, self._limits.tokens)
            case _ if concluded_at is not None:
                since = cards[concluded_at:]
            case _:
                # After a restart nobody knows when the time was up: what ends a diagnosis counts.
                ends = (StepKind.VERIFICATION, StepKind.RESOLUTION)
                since = [step for step in cards if step.source is Source.CLAUDE][-1:]
                since = [step for step in since if step.kind in ends]
        return any(
            step.kind is not StepKind.VERIFICATION
            or step.response is None
            or step.response.result is not Result.WORKED
            for step in since
            if step.source is Source.CLAUDE
        )

    def _spent(self, case: Case, model: str, usage: Usage | None) -> UsageRecord | None:
        if usage is None or usage == Usage():
            return None
        return self._access.usage_record(case.session.id, model, usage)

    async def _thought(
        self,
        model: Model,
        case: Case,
        flow: Flow | None,
        progress: Progress | None,
        *,
        must_conclude: bool,
    ) -> StepDraft:
        """Return the model's card; on a fresh start never what was tried before the pickup.

        A card that was tried is told to the model and asked for once more; then the flow, which
        repeats nothing either, has its turn. The best answer at a limit stays as it is.
        """
        question = await self.consultation(case, flow, must_conclude=must_conclude)
        draft = await self._asked(model, case, question, progress)
        number = None if must_conclude else tried_before(case.steps, draft)
        if number is None:
            return draft
        words = Redactor().redact(wording.tried_already(number))
        question = replace(question, turns=(*question.turns, Turn(Speaker.APP, words)))
        try:
            second = await self._asked(model, case, question, progress, paid=draft)
        except ModelError as error:
            error.usage = draft.usage + (error.usage or Usage())
            error.model = error.model or draft.model
            raise
        draft = replace(second, usage=draft.usage + second.usage)
        number = tried_before(case.steps, draft)
        if number is None:
            return draft
        refused = ModelAnswerUnusable(
            f"Claude asked again for what was done in step {number}.", reason="repeated"
        )
        refused.usage, refused.model = draft.usage, draft.model
        raise refused

    async def _asked(
        self,
        model: Model,
        case: Case,
        question: Consultation,
        progress: Progress | None,
        *,
        paid: StepDraft | None = None,
    ) -> StepDraft:
        """Return what the model answers; ``paid`` is an answer that led to this question."""
        before = paid.usage if paid is not None else Usage()
        spent = self._spent(case, paid.model, before) if paid is not None else None
        try:
            async with aclosing(model.next_step(question)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, StepDraft):
                        return piece
                    spent = self._spent(case, piece.model, before + piece.usage)
                    if progress is not None:
                        progress(piece)
        except asyncio.CancelledError:
            if spent is not None:
                await self._access.keep(spent)
            raise
        raise ModelAnswerUnusable("The answer ended before it was complete.", reason="cut_off")

    async def consultation(
        self, case: Case, flow: Flow | None, *, must_conclude: bool = False
    ) -> Consultation:
        """Return what a model is told of the case, redacted.

        Redacting takes seconds for a long log, so it happens on a thread of its own, and only for
        what is new since the session's last card.
        """
        record = self.record(case, flow)
        scribe = self._scribe_of(case.session.id)
        pictures: tuple[Picture, ...] = ()
        if self._access.may_send_pictures:
            pictures = tuple(
                Picture(one.media_type, one.content, one.step_id) for one in case.pictures
            )
        try:
            return await asyncio.to_thread(
                scribe.consultation, record, pictures=pictures, must_conclude=must_conclude
            )
        except asyncio.CancelledError:
            # Its thread writes on to the end; nobody else may use this scribe meanwhile.
            self._scribes.pop(case.session.id, None)
            raise

    def _scribe_of(self, session_id: str) -> Scribe:
        """Return the session's scribe; the ones not needed for long are forgotten."""
        scribe = self._scribes.pop(session_id, None) or Scribe()
        self._scribes[session_id] = scribe
        while len(self._scribes) > _SCRIBES_KEPT:
            self._scribes.pop(next(iter(self._scribes)))
        return scribe

    def record(self, case: Case, flow: Flow | None) -> Record:
        """Return the durable facts of a case as a consultation is built from them."""
        opened = next((one for one in case.happenings if one.kind is HappeningKind.OPENED), None)
        if opened is None:
            return Record(
                case.session, case.steps, case.context, walk.flow_text(flow) if flow else ""
            )
        return Record(
            case.session,
            case.steps,
            opened.context,
            opened.flow_text,
            tuple(told for one in case.happenings if (told := _told(one)) is not None),
        )

    def _noted(self, error: ModelError) -> str:
        if not isinstance(error, ModelUnavailable):
            return f"{error.message} The session goes on by flow."
        if error.reason == "budget_question":
            return f"{error.message} {error.hint}"
        if error.reason == "no_key":
            self._reach.note(System.MODEL, Reach.NOT_SET_UP, NO_KEY)
            return f"{error.message} The session goes on by flow."
        if error.reason == "never_send":  # a word on this client, none on Claude
            said = " ".join(filter(None, (error.message, error.hint)))
            return f"{said} The session goes on by flow and by hand."
        refused = error.reason in ("sign_in", "permission", "payment", "over_budget")
        self._reach.note(
            System.MODEL,
            Reach.REFUSED if refused else Reach.AWAY,
            error.message,
            None if refused else error.retry_after or _RETRY_SECONDS,
        )
        return f"{error.message} The session goes on by flow; Claude catches up when it is back."


def _told(happening: Happening) -> TicketRead | Pause | None:
    """Return a happening as a model is told of it; the opening is told by itself."""
    match happening.kind:
        case HappeningKind.RESTED:
            return Pause(happening.after, happening.minutes)
        case HappeningKind.TICKET_LINKED | HappeningKind.TICKET_REFRESHED if happening.context:
            is_refresh = happening.kind is HappeningKind.TICKET_REFRESHED
            return TicketRead(happening.after, happening.context, is_refresh)
        case _:
            return None


def _last_card(steps: tuple[Step, ...]) -> Step | None:
    return next((step for step in reversed(steps) if step.kind is not StepKind.NOTE), None)


def _cards(steps: tuple[Step, ...]) -> list[Step]:
    return [step for step in steps if step.kind not in (StepKind.NOTE, StepKind.BRIEFING)]


def _past_tokens(cards: list[Step], limit: int) -> list[Step]:
    """Return the cards after the one that reached the limit."""
    total = 0
    for place, step in enumerate(cards):
        total += step.usage.total
        if total >= limit:
            return cards[place + 1 :]
    return []


def _is_settled(steps: tuple[Step, ...]) -> bool:
    """Return whether a confirmed resolution already ended the diagnosis."""
    card = _last_card(steps)
    return (
        is_verified(steps)
        and card is not None
        and card.kind is StepKind.RESOLUTION
        and card.response is not None
        and card.response.result is Result.WORKED
    )


def _lawful(draft: StepDraft, steps: tuple[Step, ...]) -> StepDraft:
    """Return the draft, or the verification that has to come before it."""
    if isinstance(draft.body, Resolution) and not is_verified(steps):
        verification = Verification(
            "Does it work now? Have the person who reported it try it again.",
            why=f"Proposed resolution: {draft.body.text}",
            expected_outcome="The problem no longer occurs.",
        )
        return replace(draft, body=verification)
    return draft
