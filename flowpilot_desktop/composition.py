"""Everything but the screen, built in order and closed in reverse.

The window, the command line and the tests all stand on what ``open_desk`` returns. A profile is a
folder; ``--demo`` is a profile of its own, with the practice company for a ticketing system and
secrets in memory. Only what is outside differs: the rest is the real program.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import getpass
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from flowpilot_desktop import assets
from flowpilot_desktop.core.events import Events, SettingsChanged
from flowpilot_desktop.core.ports import Clock, Model, Psa, Secrets
from flowpilot_desktop.core.session import Engineer, new_id
from flowpilot_desktop.core.ticket import PsaConnection
from flowpilot_desktop.credentials import SessionOnlySecrets, open_secrets
from flowpilot_desktop.flows.library import FlowLibrary
from flowpilot_desktop.llm import registry as models
from flowpilot_desktop.llm.prices import Price
from flowpilot_desktop.profile import Profile
from flowpilot_desktop.psa import registry as psas
from flowpilot_desktop.services.assistant import Assistant
from flowpilot_desktop.services.doctor import Doctor
from flowpilot_desktop.services.documentation import DocumentationRules
from flowpilot_desktop.services.documentation_push import DocumentationPush
from flowpilot_desktop.services.engine import FlowPilotEngine
from flowpilot_desktop.services.escalations import Escalations
from flowpilot_desktop.services.flow_shelf import FlowShelf
from flowpilot_desktop.services.model_access import ModelAccess, ModelRules
from flowpilot_desktop.services.queue import INVITATION_NAME, SETTING, QueueLink, client, practice
from flowpilot_desktop.services.reach import ReachBoard
from flowpilot_desktop.services.sessions import Sessions
from flowpilot_desktop.services.tickets import Tickets
from flowpilot_desktop.services.ticking import Ticking
from flowpilot_desktop.services.timekeeping import Timekeeping
from flowpilot_desktop.settings import Settings
from flowpilot_desktop.store import Store

log = logging.getLogger(__name__)

_TECHNICIAN = "technician"
"""Under what the store remembers whose profile it is."""

TEND_EVERY = timedelta(seconds=15)
"""How often claims are renewed and waiting operations looked at."""


class SystemClock:
    """The computer's own clock."""

    def now(self) -> datetime:
        """Return the wall clock's time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        return time.monotonic()


@dataclass(frozen=True, slots=True)
class Desk:
    """A technician's desk without its screen."""

    profile: Profile
    settings: Settings
    store: Store
    secrets: Secrets
    events: Events
    reach: ReachBoard
    clock: Clock
    tickets: Tickets
    access: ModelAccess
    assistant: Assistant
    push: DocumentationPush
    ticking: Ticking
    engine: FlowPilotEngine
    link: QueueLink
    escalations: Escalations
    doctor: Doctor
    shelf: FlowShelf
    flows: Callable[[], Awaitable[FlowLibrary]]


@asynccontextmanager
async def open_desk(
    profile: Profile, *, settings: Settings, events: Events, clock: Clock | None = None
) -> AsyncIterator[Desk]:
    """Open a profile: its lock and store, what is outside, the services; close them in reverse."""
    clock = clock or SystemClock()
    reach = ReachBoard(events)
    store = await Store.open(profile.folder, clock)
    try:
        await _introduce(settings, profile, store)
        secrets = await _secrets(settings, profile)
        flows = FlowShelf(assets.path("flows"), profile.own_flows)
        options = functools.partial(_psa_options, settings, profile)

        def psa(connection: PsaConnection, keys: psas.PsaKeys | None) -> Psa:
            client_id = settings.psa_client_id or connection.client_id
            return _psa(replace(connection, client_id=client_id), keys, clock, options())

        tickets = Tickets(store, secrets, psa, events, reach)
        access = ModelAccess(
            store=store,
            secrets=secrets,
            factory=functools.partial(_model, settings),
            rules=functools.partial(_model_rules, settings),
            clock=clock,
            events=events,
        )
        assistant = Assistant(flows.library, access, reach)
        push = DocumentationPush(store, tickets.psa, clock, events, reach)
        timekeeping = Timekeeping(store, clock)
        sessions = Sessions(
            store=store,
            tickets=tickets,
            assistant=assistant,
            timekeeping=timekeeping,
            clock=clock,
            events=events,
            me=lambda: settings.engineer,
            rules=functools.partial(_documentation_rules, settings),
        )
        link = QueueLink(
            secrets=secrets,
            memory=store,
            me=lambda: settings.engineer,
            events=events,
            reach=reach,
            factory=practice.connect if profile.is_demo else client,
        )
        escalations = Escalations(sessions, access, link, lambda: float(settings.poll_seconds))
        engine = FlowPilotEngine(sessions, push, escalations)
        doctor = Doctor(
            profile=profile.folder,
            store=store,
            secrets=secrets,
            tickets=tickets,
            access=access,
            flows=flows.library,
            link=link,
        )
        ticking = Ticking(push, timekeeping, events)
        ticking.every(TEND_EVERY, "team queue", escalations.tend)
        if profile.is_demo and await tickets.connection() is None:
            await tickets.connect(_practice_connection(), None)
        await engine.open()
        await escalations.open()
        teammates: asyncio.Task[None] | None = None
        if profile.has_team:
            teammates = asyncio.create_task(_practice_team(profile, secrets, events, clock))
        try:
            yield Desk(
                profile=profile,
                settings=settings,
                store=store,
                secrets=secrets,
                events=events,
                reach=reach,
                clock=clock,
                tickets=tickets,
                access=access,
                assistant=assistant,
                push=push,
                ticking=ticking,
                engine=engine,
                link=link,
                escalations=escalations,
                doctor=doctor,
                shelf=flows,
                flows=flows.library,
            )
        finally:
            await ticking.aclose()
            await escalations.aclose()
            if teammates is not None:
                teammates.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await teammates
            await engine.aclose()
            await tickets.aclose()
            await access.aclose()
            await secrets.aclose()
    finally:
        await store.aclose()


def _psa(
    connection: PsaConnection, keys: psas.PsaKeys | None, clock: Clock, options: psas.PsaOptions
) -> Psa:
    return psas.create(connection, keys, clock, options)


def _psa_options(settings: Settings, profile: Profile) -> psas.PsaOptions:
    return psas.PsaOptions(
        api_version=settings.psa_api_version,
        state_file=profile.folder / "practice.json" if profile.is_demo else None,
        latency=profile.latency if profile.is_demo else 0.0,
        technician=settings.engineer_email if profile.is_demo else "",
    )


def _practice_connection() -> PsaConnection:
    return PsaConnection(id="practice", provider="practice", name="Practice company")


def _model(settings: Settings, key: str) -> Model:
    chosen = models.ModelSettings(
        model=settings.model_name,
        fast_model=settings.fast_model_name,
        base_url=settings.model_base_url,
    )
    return models.create(chosen, key)


def _model_rules(settings: Settings) -> ModelRules:
    return ModelRules(
        budget_micros=settings.monthly_budget_micros,
        never_send=frozenset(settings.never_send),
        sends_pictures=settings.screenshots_may_be_sent,
        prices={
            name: Price(price.input, price.output, price.cache_write, price.cache_read)
            for name, price in settings.prices.items()
        },
    )


def _documentation_rules(settings: Settings) -> DocumentationRules:
    return DocumentationRules(
        auto_push=settings.auto_push,
        auto_time_entry=settings.auto_time_entry,
        rounding=settings.time_rounding,
        visibility=settings.note_visibility,
        include_steps=settings.include_steps,
        note_limit=settings.note_limit,
    )


async def _secrets(settings: Settings, profile: Profile) -> Secrets:
    """Return the keyring, under the technician's id: folders move, and two may share a name."""
    if profile.is_demo:
        return SessionOnlySecrets(by_choice=True)
    return await open_secrets(settings.engineer_id)


async def _introduce(settings: Settings, profile: Profile, store: Store) -> None:
    """Give a new profile its technician: an id for ever, and a name until they say another.

    The store knows them too: with the settings file lost, their sessions must stay theirs.
    """
    kept = await store.remembered(_TECHNICIAN)
    if not settings.engineer_id:
        known = next((one for one in await store.engineers() if kept and one.id == kept), None)
        if known is not None:
            me = known
        elif profile.is_demo:
            me = _practice_people()[1 if profile.is_second else 0]
        else:
            me = Engineer(new_id(), _login_name())
        await settings.change_all(
            {
                Settings.engineer_id: me.id,
                Settings.engineer_name: me.name,
                Settings.engineer_email: me.email,
            }
        )
    if kept != settings.engineer_id:
        await store.save(settings.engineer)
        await store.remember(_TECHNICIAN, settings.engineer_id)


def _practice_people() -> list[Engineer]:
    from flowpilot_desktop.psa.practice import practice_members  # noqa: PLC0415 - demo only

    return [Engineer(new_id(), member.name, member.email) for member in practice_members()]


async def _practice_team(profile: Profile, secrets: Secrets, events: Events, clock: Clock) -> None:
    """Start the practice team's queue, join it, and let the scripted teammates play."""
    names = [one.name for one in _practice_people()]
    server = await asyncio.to_thread(practice.open_server, profile.folder.parent, names)
    await secrets.write(INVITATION_NAME, server.invitation(names[1 if profile.is_second else 0]))
    events.publish(SettingsChanged(SETTING))
    try:
        if not profile.is_second:
            await practice.play(server, names[2:], clock)
        await asyncio.Event().wait()  # the server runs as long as the desk is open
    finally:
        server.close()


def _login_name() -> str:
    try:
        return getpass.getuser()
    except OSError:
        return "Technician"
