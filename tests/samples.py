"""A sample of every kind of card, of a session and of a ticket, for tests and pictures.

``STEPS_BY_KIND`` has one open step for each kind; a completeness test holds it to ``StepKind``.
``session_view()`` is a session in full: a hand-off, answered cards, one that waits.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flowpilot_desktop.core.push import PsaPushStatus
from flowpilot_desktop.core.session import (
    Action,
    Briefing,
    Command,
    ContextStatus,
    Hypothesis,
    HypothesisStatus,
    Intake,
    IntakeType,
    Note,
    Option,
    Question,
    Resolution,
    Response,
    Result,
    Risk,
    Session,
    SessionStatus,
    Source,
    Step,
    StepBody,
    StepKind,
    TriedStep,
    Verification,
    answered,
)
from flowpilot_desktop.core.ticket import (
    Company,
    Configuration,
    Contact,
    Reference,
    Ticket,
    TicketContext,
)
from flowpilot_desktop.services.engine import SessionView

ME = "engineer-me"
PRIYA = "engineer-priya"
SESSION = "session-vpn"
NAMES = {ME: "Sam Okafor", PRIYA: "Priya Nair"}
NOW = datetime(2026, 4, 12, 15, 12, tzinfo=UTC)

QUESTION = Question(
    "What lifetime does the FortiGate show for phase 2?",
    why="Drops 20 minutes apart fit a rekey every 1,200 seconds.",
    options=(
        Option("1200 seconds", "1200"),
        Option("3600 seconds", "3600"),
        Option("43200 seconds", "43200"),
        Option("Not sure / can't see it", "unsure"),
    ),
)
ACTION = Action(
    "Compare phase-2 key lifetime on both ends",
    why="A rekey every 1,200 s on one side matches drops 20 minutes apart. "
    "This command only reads settings.",
    expected_outcome="The same lifetime in seconds on both ends.",
    command=Command("get vpn ipsec tunnel details | grep -i lifetime", "FortiOS CLI"),
)
VERIFICATION = Verification(
    "Have the tunnel watched over the next two rekeys. Does it hold?",
    expected_outcome="No drop for 45 minutes.",
)
RESOLUTION = Resolution(
    "Phase-2 lifetimes differed (1,200 s against 43,200 s); both ends now use 43,200 s.",
    action_taken="Set the phase-2 key lifetime on the FortiGate to 43,200 s to match the peer.",
    follow_ups=("Note the setting in the client's documentation", "Watch the tunnel for a week"),
    why="The drops stopped as soon as both ends agreed.",
)
BRIEFING = Briefing(
    "VPN drops every 20 minutes for 14 users, stuck at tunnel renegotiation",
    escalated_by="Priya Nair",
    reason="Needs someone with firewall access to read phase-2 lifetimes on the FortiGate.",
    steps=(
        TriedStep("Reinstall the VPN client on two machines", "Did not work"),
        TriedStep("Create a new connection profile", "Did not work"),
        TriedStep("Test on a wired connection", "Did not work — same drop at 09:20"),
    ),
    ruled_out=("Local Wi-Fi", "User credentials"),
    hypotheses=(
        Hypothesis("Phase-2 lifetime mismatch", 0.62),
        Hypothesis("ISP CGNAT timeout", 0.2),
        Hypothesis("Local Wi-Fi", 0.02, HypothesisStatus.RULED_OUT),
    ),
    next_steps=("Read the phase-2 lifetimes on both ends", "Compare with the drop times"),
    environment=("fw-nw-01 · FortiGate 60F 7.4.3", "10.20.0.1"),
)
NOTE = Note("Dana says the drops began after Friday's firewall maintenance.")

BODIES: dict[StepKind, StepBody] = {
    StepKind.QUESTION: QUESTION,
    StepKind.ACTION: ACTION,
    StepKind.VERIFICATION: VERIFICATION,
    StepKind.RESOLUTION: RESOLUTION,
    StepKind.BRIEFING: BRIEFING,
    StepKind.NOTE: NOTE,
}
HYPOTHESES = (
    Hypothesis("Phase-2 lifetime mismatch", 0.72, HypothesisStatus.SUPPORTED),
    Hypothesis("ISP CGNAT timeout", 0.14),
    Hypothesis("Firmware 7.4.3 bug", 0.09),
    Hypothesis("Local Wi-Fi", 0.01, HypothesisStatus.RULED_OUT),
)


def step(body: StepBody, number: int = 1, *, minutes: int = 0, by: str = ME, **fields: Any) -> Step:
    """An open step of the sample session."""
    source = Source.ENGINEER if isinstance(body, Note) else Source.CLAUDE
    made = Step(
        id=f"step-{number}",
        session_id=SESSION,
        number=number,
        body=body,
        source=source,
        created_at=NOW + timedelta(minutes=minutes),
        created_by=by,
    )
    return replace(made, **fields)


STEPS_BY_KIND: dict[StepKind, Step] = {
    kind: step(body, number) for number, (kind, body) in enumerate(BODIES.items(), 1)
}

TICKET = Ticket(
    id="20412",
    summary="VPN drops every 20 minutes",
    status=Reference(3, "In progress"),
    board=Reference(1, "Help Desk"),
    priority=Reference(2, "Priority 2 - High"),
    company=Reference(9, "Northwind Dental"),
    contact=Reference(4, "Dana Ruiz"),
    contact_phone="+1 555 0142",
    created_at=NOW - timedelta(hours=3, minutes=20),
    sla_status="Resolve within 1 h 12 min",
    url="https://connectwise.example/20412",
)
CONTEXT = TicketContext(
    connection_id="connection",
    ticket=TICKET,
    fetched_at=NOW,
    company=Company(9, "Northwind Dental"),
    contact=Contact(4, "Dana Ruiz", "office manager"),
    configurations=(Configuration(1, "FortiGate 60F"), Configuration(2, "NW-DC01")),
)


def session(status: SessionStatus = SessionStatus.ACTIVE, **fields: Any) -> Session:
    """The sample session: raised by Priya, handled by me."""
    made = Session(
        id=SESSION,
        user_id=PRIYA,
        handler_id=ME,
        status=status,
        intake=Intake("VPN drops", type=IntakeType.COMBINED, ticket_id="20412"),
        created_at=NOW - timedelta(minutes=31),
        updated_at=NOW,
        problem_summary="VPN drops every 20 minutes for 14 users",
        problem_domain="network",
        connection_id="connection",
        ticket_id="20412",
        company="Northwind Dental",
        psa_context_status=ContextStatus.LOADED,
        hop_count=1,
    )
    return replace(made, **fields)


def steps() -> tuple[Step, ...]:
    """A hand-off, a question and an action that are answered, a question that waits."""
    at = NOW
    briefing = answered(step(BRIEFING, 3, minutes=-9), Response(option="continue"), by=ME, at=at)
    asked = Question("Do all 14 users drop at the same moment, or one by one?")
    question = answered(
        step(asked, 4, minutes=-7),
        Response(text="All at once — 09:20, 09:40, 10:00."),
        by=ME,
        at=at,
    )
    action = step(ACTION, 5, minutes=-4, confidence=0.61)
    action = answered(
        action, Response(result=Result.WORKED, text="phase2 lifetime: 1200"), by=ME, at=at
    )
    waiting = step(QUESTION, 6, confidence=0.72, hypotheses=HYPOTHESES)
    return briefing, question, action, waiting


def session_view(**fields: Any) -> SessionView:
    """The sample session in full."""
    made = SessionView(
        session=session(),
        steps=steps(),
        context=CONTEXT,
        push_items=(),
        push_status=PsaPushStatus.NO_PSA,
        active_seconds=1_335.0,
        clock_runs=True,
        engineers=NAMES,
        flow_title="VPN drops",
        ticket_url=TICKET.url,
    )
    return replace(made, **fields)


RISKY_COMMAND = Command(
    "Get-ADComputer -Filter * | % { Restart-Service -Name Spooler -ComputerName $_.Name }",
    "PowerShell",
    Risk.CHANGES_MANY,
    undo="Start-Service Spooler on each machine",
)
RISKY = step(
    Action("Restart the print spooler on every workstation of the site", command=RISKY_COMMAND), 7
)
DESTRUCTIVE = step(
    Action(
        "Remove the corrupt profile",
        command=Command(
            r"Remove-Item -Recurse -Force C:\Users\dana.old", "PowerShell", Risk.DESTRUCTIVE
        ),
    ),
    8,
)
