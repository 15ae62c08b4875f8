"""A technician's desk without a window: the real engine on a real store and the shipped flows.

Only what is outside is replaceable: the ticketing system (the practice company unless told
otherwise), the model (none unless told otherwise) and the clock.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from flowpilot_desktop import assets
from flowpilot_desktop.core.errors import ModelUnavailable
from flowpilot_desktop.core.events import Events
from flowpilot_desktop.core.ports import Model, Psa
from flowpilot_desktop.core.session import Engineer, Question, Response, Result, Step
from flowpilot_desktop.core.ticket import PsaConnection
from flowpilot_desktop.flows.library import FlowLibrary
from flowpilot_desktop.psa.practice import PracticePsa, practice_members
from flowpilot_desktop.services.assistant import Assistant
from flowpilot_desktop.services.documentation import DocumentationRules
from flowpilot_desktop.services.documentation_push import DocumentationPush
from flowpilot_desktop.services.engine import FlowPilotEngine
from flowpilot_desktop.services.escalations import Escalations
from flowpilot_desktop.services.model_access import KEY_NAME, ModelAccess, ModelRules
from flowpilot_desktop.services.queue import INVITATION_NAME, ClientFactory, QueueLink, client
from flowpilot_desktop.services.reach import ReachBoard
from flowpilot_desktop.services.sessions import Sessions
from flowpilot_desktop.services.tickets import Tickets
from flowpilot_desktop.services.timekeeping import Timekeeping
from flowpilot_desktop.store import Store
from tests.clock import VirtualClock

ME = Engineer("engineer-me", "Sam Reyes", practice_members()[0].email)
CONNECTION = PsaConnection("connection-1", "practice", name="Practice")


class MemorySecrets:
    """A keyring in memory."""

    is_lasting = True

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    async def read(self, name: str) -> str | None:
        """Return the secret."""
        return self.kept.get(name)

    async def write(self, name: str, secret: str) -> None:
        """Keep the secret."""
        self.kept[name] = secret

    async def delete(self, name: str) -> None:
        """Forget the secret."""
        self.kept.pop(name, None)

    async def aclose(self) -> None:
        """Let go of nothing."""


@cache
def shipped_flows() -> FlowLibrary:
    """Return the flows that ship."""
    return FlowLibrary.load(assets.path("flows"))


@dataclass
class Desk:
    """The engine and everything under it."""

    store: Store
    engine: FlowPilotEngine
    assistant: Assistant
    tickets: Tickets
    push: DocumentationPush
    timekeeping: Timekeeping
    access: ModelAccess
    reach: ReachBoard
    clock: VirtualClock
    events: Events
    secrets: MemorySecrets
    psa: Psa
    link: QueueLink
    escalations: Escalations
    rules: DocumentationRules = field(default_factory=DocumentationRules)
    me: Engineer = ME


@asynccontextmanager
async def open_desk(
    folder: Path,
    *,
    clock: VirtualClock | None = None,
    psa: Psa | None = None,
    model: Model | None = None,
    model_rules: ModelRules | None = None,
    me: Engineer = ME,
    connected: bool = True,
    queue: ClientFactory | None = None,
    invitation: str = "",
) -> AsyncIterator[Desk]:
    """Open a desk on the folder; opening it again is a restart."""
    clock = clock or VirtualClock()
    events = Events()
    reach = ReachBoard(events)
    secrets = MemorySecrets()
    psa = psa or PracticePsa(CONNECTION, clock=clock)
    if model is not None:
        secrets.kept[KEY_NAME] = "a key"
    if queue is not None or invitation:
        secrets.kept[INVITATION_NAME] = invitation or "a token"
    adapter, mind = psa, model

    def model_for(key: str) -> Model:
        if mind is None:
            raise ModelUnavailable("Claude is not set up yet.", reason="no_key")
        return mind

    async def flows() -> FlowLibrary:
        return shipped_flows()

    store = await Store.open(folder, clock)
    tickets = Tickets(store, secrets, lambda connection, keys: adapter, events, reach)
    access = ModelAccess(
        store=store,
        secrets=secrets,
        factory=model_for,
        rules=lambda: model_rules or ModelRules(),
        clock=clock,
        events=events,
    )
    push = DocumentationPush(store, tickets.psa, clock, events, reach)
    timekeeping = Timekeeping(store, clock)
    desk: Desk
    assistant = Assistant(flows, access, reach)
    sessions = Sessions(
        store=store,
        tickets=tickets,
        assistant=assistant,
        timekeeping=timekeeping,
        clock=clock,
        events=events,
        me=lambda: desk.me,
        rules=lambda: desk.rules,
    )
    link = QueueLink(
        secrets=secrets,
        memory=store,
        me=lambda: desk.me,
        events=events,
        reach=reach,
        factory=queue or client,
    )
    escalations = Escalations(sessions, access, link)
    engine = FlowPilotEngine(sessions, push, escalations)
    desk = Desk(
        store, engine, assistant, tickets, push, timekeeping, access, reach, clock, events, secrets,
        psa, link, escalations, me=me,
    )  # fmt: skip
    await engine.open()
    await escalations.open()
    if connected and await tickets.connection() is None:
        await store.save(CONNECTION)
    try:
        yield desk
    finally:
        await escalations.aclose()
        await engine.aclose()
        await tickets.aclose()
        await access.aclose()
        await store.aclose()


def any_answer(step: Step) -> Response:
    """Return the most hopeful answer to a card: the first option, or that it worked."""
    if isinstance(step.body, Question):
        options = step.body.options
        return Response(option=options[0].value) if options else Response(text="nothing special")
    return Response(result=Result.WORKED)


async def diagnose(desk: Desk, session_id: str, minutes: float = 1.0) -> tuple[Step, ...]:
    """Answer every card hopefully, each taking some minutes, until no mind has a further one."""
    while (step := await desk.engine.next_step(session_id)) is not None:
        desk.clock.advance(minutes=minutes)
        await desk.engine.respond(session_id, step.id, any_answer(step))
    return (await desk.engine.session(session_id)).steps
