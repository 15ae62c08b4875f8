"""Sessions to talk about: a long one with everything that can happen, built step by step."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from flowpilot_desktop.core.attachment import INTAKE, NOTE
from flowpilot_desktop.core.ports import Picture
from flowpilot_desktop.core.session import (
    Action,
    Briefing,
    Command,
    Hypothesis,
    HypothesisStatus,
    Intake,
    IntakeType,
    Note,
    Option,
    Question,
    Response,
    Result,
    Risk,
    Session,
    SessionStatus,
    Source,
    Step,
    StepBody,
    StepDraft,
    TriedStep,
)
from flowpilot_desktop.core.ticket import (
    Company,
    Configuration,
    Contact,
    Reference,
    RelatedTicket,
    Site,
    Ticket,
    TicketContext,
    TicketNote,
)
from flowpilot_desktop.llm.conversation import Pause, Record, TicketRead

START = datetime(2026, 3, 27, 8, 0, tzinfo=UTC)
SESSION_ID = "5b1f7a58-5e0b-4c5f-9d5e-0a4a3c1f7e21"


def session(text: str = "Nobody in accounting can print since this morning.") -> Session:
    """A session that started from free text."""
    return Session(
        id=SESSION_ID,
        user_id="engineer-1",
        handler_id="engineer-1",
        status=SessionStatus.ACTIVE,
        intake=Intake(text=text, type=IntakeType.FREE_TEXT),
        created_at=START,
        updated_at=START,
    )


def step(number: int, body: StepBody, *, source: Source = Source.CLAUDE, **fields: object) -> Step:
    """A step with an id and a moment that follow from its number."""
    made = Step(
        id=f"step-{number}",
        session_id=SESSION_ID,
        number=number,
        body=body,
        source=source,
        created_at=START + timedelta(minutes=4 * number),
        created_by="engineer-1",
    )
    return replace(made, **fields)  # type: ignore[arg-type]  # each test knows its fields


def answered(made: Step, **response: object) -> Step:
    """The step with an answer."""
    return replace(
        made,
        response=Response(**response),  # type: ignore[arg-type]  # each test knows its answer
        answered_at=made.created_at + timedelta(minutes=2),
        answered_by=made.created_by,
    )


def from_draft(number: int, draft: StepDraft) -> Step:
    """The step that the application makes of a model's proposal."""
    return step(
        number,
        draft.body,
        source=draft.source,
        confidence=draft.confidence,
        hypotheses=draft.hypotheses,
        model=draft.model,
        prompt_version=draft.prompt_version,
        usage=draft.usage,
    )


def context(number: str = "12345", summary: str = "Accounting can't print") -> TicketContext:
    """A ticket with everything that belongs to one."""
    return TicketContext(
        connection_id="connection-1",
        fetched_at=START,
        ticket=Ticket(
            id=number,
            summary=summary,
            description="All four printers of accounting show as offline.\nPing works.",
            status=Reference(1, "In Progress"),
            board=Reference(2, "Help Desk"),
            priority=Reference(3, "High"),
            company=Reference(4, "Northwind"),
            created_at=START - timedelta(hours=2),
        ),
        company=Company(4, "Northwind", "NW"),
        contact=Contact(5, "Robin Example", "Accountant"),
        site=Site(6, "Head office"),
        configurations=(
            Configuration(7, "PRINT-SRV", "Server", operating_system="Windows Server 2022"),
            Configuration(8, "ACC-PC-04", "Workstation", ip_address="10.0.4.14"),
        ),
        notes=(
            TicketNote(9, "Called, still the same.", "Kim", START - timedelta(hours=1)),
            TicketNote(10, "Spooler was fine yesterday.", "Lee", START, is_internal=True),
        ),
        related=(
            RelatedTicket("12001", "Printer offline", "Closed", closed=True, resolution="Driver"),
        ),
        missing=("SLA",),
    )


def look(number: int, *, supported: bool = False) -> Step:
    """A card of Claude's that looks at something, not yet answered."""
    return step(
        number,
        Action(
            text=f"Look at the spooler's log on <server name>, part {number}.",
            why="It separates the driver from the service.",
            expected_outcome="No error since yesterday.",
            command=Command("Get-EventLog -LogName System", "powershell", Risk.READ_ONLY),
        ),
        confidence=0.5,
        hypotheses=(
            Hypothesis(
                "The spooler hangs on a driver",
                0.6,
                HypothesisStatus.SUPPORTED if supported else HypothesisStatus.OPEN,
                (f"step-{number - 1}",) if supported else (),
            ),
            Hypothesis("The print server lost its network", 0.1, HypothesisStatus.RULED_OUT),
        ),
    )


def question(number: int) -> Step:
    """A card of Claude's that asks, not yet answered."""
    return step(
        number,
        Question(
            "Did anything change yesterday?",
            options=(Option("An update", "update"), Option("Nothing", "nothing")),
        ),
    )


def growing_records(count: int = 25) -> Iterator[Record]:
    """The records of one eventful session, as they are before each of its `count` questions.

    It starts with a ticket and a flow; a ticket is linked after the sixth card and read again after
    the twelfth; cards nine to eleven happen by flow and by hand while the model is away; there is a
    pause after the fourteenth, and a colleague takes over after the seventeenth.
    """
    record = Record(session(), (), context(), "Printing: is the spooler running?")
    asked = 0
    number = 0
    while True:
        yield record
        asked += 1
        if asked == count:
            return
        number += 1
        card = question(number) if number % 4 == 1 else look(number, supported=number % 5 == 0)
        done = (
            answered(card, option="update", text=f"They said so, call {number}.")
            if isinstance(card.body, Question)
            else answered(card, result=Result.DID_NOT_WORK, text=f"Event {900 + number} again.")
        )
        steps = [*record.steps, done]
        happenings = list(record.happenings)
        if asked == 6:
            happenings.append(TicketRead(number, context("12346", "Scanner too")))
        if asked == 9:
            steps += [*_offline(number)]
            number += 3
        if asked == 12:
            happenings.append(TicketRead(number, context(), is_refresh=True))
        if asked == 14:
            happenings.append(Pause(number, 14 * 60))
        if asked == 17:
            number += 1
            steps.append(_taken_over(number))
        record = replace(record, steps=tuple(steps), happenings=tuple(happenings))


def growing_pictures(record: Record) -> tuple[Picture, ...]:
    """The screenshots of a growing record: of the intake, and of cards that were answered by then.

    A card of Claude's, one of the flow's, a note and the hand-over have some; a note that is being
    written has one all the time.
    """
    known = [step.id for step in record.steps]
    cards = ["step-3", "step-3", "step-10", "step-12", "step-20"]
    owners = [INTAKE, *(card for card in cards if card in known), NOTE]
    return tuple(Picture("image/png", f"{one} {n}".encode(), one) for n, one in enumerate(owners))


def _offline(number: int) -> Iterator[Step]:
    yield answered(
        step(number + 1, Question("Is the spooler running?"), source=Source.FLOW),
        text="Yes, since Monday.",
    )
    yield answered(
        step(number + 2, Action("Restart the spooler."), source=Source.FLOW),
        result=Result.DID_NOT_WORK,
    )
    yield step(number + 3, Note("Swapped the cable by hand."), source=Source.ENGINEER)


def _taken_over(number: int) -> Step:
    body = Briefing(
        text="Nobody in accounting can print.",
        escalated_by="Kim",
        reason="I am at the end of my knowledge.",
        steps=(TriedStep("Restart the spooler.", "Did not work"),),
        ruled_out=("The print server lost its network",),
        hypotheses=(Hypothesis("The spooler hangs on a driver", 0.6),),
        next_steps=("Remove the newest driver",),
        environment=("PRINT-SRV",),
    )
    made = step(number, body, source=Source.ENGINEER, created_by="engineer-2")
    return answered(made, option="fresh", text="I know this printer from another client.")
