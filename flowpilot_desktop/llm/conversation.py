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

A screenshot stands where it was added: with the opening, or with the answer to its card. One whose
card nobody has answered waits for the answer.

A very long session is compacted: where the turns outgrow ``COMPACT_AT``, everything so far is
replaced by its findings, negative ones included, the ticket as it was read last, and the
screenshots. Where the cut falls depends on the records alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from flowpilot_desktop.core.attachment import INTAKE
from flowpilot_desktop.core.findings import corrected, findings
from flowpilot_desktop.core.ports import Consultation, Picture, Speaker, Turn
from flowpilot_desktop.core.redaction import RedactedText, Redactor
from flowpilot_desktop.core.session import Briefing, Intake, Result, Source, Step
from flowpilot_desktop.core.ticket import TicketContext
from flowpilot_desktop.llm import wording
from flowpilot_desktop.llm.context import ticket_context_text
from flowpilot_desktop.llm.fence import boundary
from flowpilot_desktop.llm.pen import Block, Pen
from flowpilot_desktop.llm.wording import Pause, Record, TicketRead, findings_text

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

_BRIEFING = 16_000
_FINDINGS = 60_000


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
        self._pen = Pen(Redactor(), "")
        self._opening: RedactedText | None = None
        self._items: list[_Item] = []
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
        items = list(_in_order(record, pictures))
        opening = self._continued(record, items)
        numbers = {step.id: step.number for step in record.steps}
        for item in items[len(self._items) :]:
            self._write(record, item, numbers)
        return Consultation(
            session_id=record.session.id,
            opening=opening,
            turns=tuple(self._turns),
            pictures=tuple(one for one in pictures if one.step_id in ("", INTAKE)),
            must_conclude=must_conclude,
            step_ids=_step_ids(record.steps),
        )

    def _continued(self, record: Record, items: list[_Item]) -> RedactedText:
        """Return the opening; forget all that was written unless the record goes on from it."""
        begin = _Beginning(record.session.id, record.context, record.flow, record.session.intake)
        if (
            self._opening is None
            or begin != self._begin
            or items[: len(self._items)] != self._items
        ):
            redactor, self._given = self._given or Redactor(), None
            self._pen = Pen(redactor, boundary(record.session.id))
            self._begin = begin
            self._opening = self._pen.write(wording.opening(record))
            self._items, self._turns, self._size = [], [], 0
        return self._opening

    def _write(self, record: Record, item: _Item, numbers: Mapping[str, int]) -> None:
        self._items.append(item)
        if isinstance(item.what, Step):
            fresh = list(_step_turns(item.what, numbers, item.pictures, self._pen))
        else:
            fresh = [Turn(Speaker.APP, self._pen.write(wording.happening(item.what)))]
        self._turns += fresh
        self._size += sum(len(turn.text) for turn in fresh)
        if self._size > COMPACT_AT:
            self._turns = list(_compacted(record, self._items, self._pen))
            self._size = sum(len(turn.text) for turn in self._turns)


@dataclass(frozen=True, slots=True)
class _Item:
    """A step that was done, with the pictures added to it, or what happened after one."""

    what: Step | TicketRead | Pause
    pictures: tuple[Picture, ...] = ()


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
    pen = Pen(redactor or Redactor(), boundary(record.session.id))
    state = findings_text(findings(record.session, record.steps, record.context))
    return Consultation(
        session_id=record.session.id,
        opening=pen.write(wording.opening(replace(record, flow=""))),
        turns=(
            Turn(
                Speaker.TECHNICIAN,
                pen.write(
                    [
                        "The session is handed to a colleague. All that is known stands here.\n",
                        Block("findings", state or "Nothing was tried yet.", _BRIEFING),
                        Block("reason for handing off", reason),
                    ]
                ),
            ),
        ),
        step_ids=_step_ids(record.steps),
    )


def _in_order(record: Record, pictures: Sequence[Picture]) -> Iterator[_Item]:
    """Yield steps by number, each happening right after the step that was last before it."""
    waiting = sorted(record.happenings, key=lambda happening: happening.after)
    for step in sorted(record.steps, key=lambda step: step.number):
        if step.is_open:
            continue
        while waiting and waiting[0].after < step.number:
            yield _Item(waiting.pop(0))
        yield _Item(step, tuple(one for one in pictures if one.step_id == step.id))
    yield from map(_Item, waiting)


def _step_turns(
    step: Step, numbers: Mapping[str, int], pictures: tuple[Picture, ...], pen: Pen
) -> Iterator[Turn]:
    shown = list(wording.shown(step.number, len(pictures)))
    if isinstance(step.body, Briefing):
        if step.corrects:
            return  # words that came late; a mind knows the steps that they were made of
        yield Turn(Speaker.APP, pen.write(wording.taken_over(step, step.body)))
        if pictures:
            yield Turn(Speaker.TECHNICIAN, pen.write(shown), pictures)
    elif step.source is Source.CLAUDE:
        yield Turn(Speaker.MODEL, pen.write_json(wording.card(step, numbers)))
        yield Turn(Speaker.TECHNICIAN, pen.write([*wording.answer(step), *shown]), pictures)
    else:
        words = [*wording.done_without(step, numbers), *shown]
        yield Turn(Speaker.TECHNICIAN, pen.write(words), pictures)


def _compacted(record: Record, items: Sequence[_Item], pen: Pen) -> Iterator[Turn]:
    """Yield what stands for everything so far: the findings, and what no finding says."""
    seen = [item.what for item in items if isinstance(item.what, Step)]
    # The session's own summary may change later; what was once written must not.
    session = replace(record.session, problem_summary="", problem_domain="")
    state = findings(session, seen, record.context)
    label = f"findings up to step {max((step.number for step in seen), default=0)}"
    yield Turn(
        Speaker.APP,
        pen.write(
            [
                f"The session is long. The block '{label}' stands for everything until then. ",
                "All of it was really done and answered: repeat none of it, and what is ruled out ",
                "stays ruled out.\n",
                Block(label, findings_text(state), _FINDINGS),
            ]
        ),
    )
    for step in seen:
        if isinstance(step.body, Briefing) and (added := list(wording.added(step))):
            yield Turn(Speaker.TECHNICIAN, pen.write(added))
    for item in items:
        if isinstance(item.what, Step) and item.pictures:
            words = wording.shown(item.what.number, len(item.pictures))
            yield Turn(Speaker.TECHNICIAN, pen.write(words), item.pictures)
    tickets = [item.what for item in items if isinstance(item.what, TicketRead)]
    if tickets:
        yield Turn(Speaker.APP, pen.write(wording.happening(replace(tickets[-1], is_refresh=True))))


def _step_ids(steps: Sequence[Step]) -> tuple[str, ...]:
    """Return the ids by number, empty for a step not done or corrected since: it proves nothing."""
    replaced = corrected(steps)
    by_number = {
        step.number: "" if step.id in replaced or _says_nothing(step) else step.id for step in steps
    }
    return tuple(by_number.get(number, "") for number in range(1, max(by_number, default=0) + 1))


def _says_nothing(step: Step) -> bool:
    response = step.response
    return step.is_open or (
        response is not None and (response.skipped or response.result is Result.COULD_NOT_TRY)
    )
