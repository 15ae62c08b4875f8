"""Where tickets come from: the one PSA connection, its keys, the picker, the context, the mapping.

The connection's row lives in the store, its keys in the keyring; the adapter is made of both when
it is first needed and again after either changed, so keys rotate without a restart. Nothing here
makes a screen wait: whatever fails is told as an error, and what was fetched once is cached for
a day without a network.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from flowpilot_desktop.core.errors import (
    FlowPilotError,
    InvalidInput,
    PsaError,
    PsaNotFound,
    PsaSignInRefused,
    PsaUnreachable,
)
from flowpilot_desktop.core.events import Events, Reach, SettingsChanged, System
from flowpilot_desktop.core.ports import Psa, Secrets
from flowpilot_desktop.core.session import ContextStatus, Engineer
from flowpilot_desktop.core.ticket import (
    Member,
    MemberMapping,
    PsaConnection,
    PsaSelfTest,
    Reference,
    Ticket,
    TicketContext,
    TicketPage,
    TicketQuery,
    TicketScope,
    TicketStatus,
)
from flowpilot_desktop.psa.registry import PsaKeys
from flowpilot_desktop.services.reach import ReachBoard
from flowpilot_desktop.store import Store

log = logging.getLogger(__name__)

TRY_EVERY = timedelta(seconds=30)
"""How often ConnectWise is asked whether it is back while it is away."""

PsaFactory = Callable[[PsaConnection, PsaKeys | None], Psa]
"""Makes the adapter of a connection; the registry behind it knows the providers."""


@dataclass(frozen=True, slots=True)
class FoundTickets:
    """What the picker shows: a page, whether it came from the cache, and why."""

    page: TicketPage
    from_cache: bool = False
    seen: dict[str, datetime] = field(default_factory=dict)
    """When each cached ticket was fetched, by its number."""
    error: FlowPilotError | None = None


@dataclass(frozen=True, slots=True)
class TimeChoice:
    """Work type, work role and billing of a time entry; empty leaves each to ConnectWise."""

    work_type: Reference = Reference()
    work_role: Reference = Reference()
    billable: str = ""


def _time_choice_key(connection_id: str, board_id: int) -> str:
    return f"time choice {connection_id} {board_id}"


def keys_name(connection_id: str) -> str:
    """Return the name under which a connection's keys lie in the keyring."""
    return f"psa-{connection_id}"


class Tickets:
    """The technician's way to the ticketing system."""

    def __init__(
        self,
        store: Store,
        secrets: Secrets,
        factory: PsaFactory,
        events: Events,
        reach: ReachBoard,
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._factory = factory
        self._events = events
        self._reach = reach
        self._adapter: Psa | None = None
        self._adapter_of = ""
        self._making = asyncio.Lock()
        self._end_listening = events.listen(SettingsChanged, self._settings_changed)
        # Closed at the end only: a request may still be under way through one.
        self._outdated: list[Psa] = []

    # The connection

    async def connection(self) -> PsaConnection | None:
        """Return the MSP's one connection, or None before it is set up."""
        connections = await self._store.connections()
        if not connections:
            self._reach.note(System.PSA, Reach.NOT_SET_UP)
        return connections[0] if connections else None

    async def connect(self, connection: PsaConnection, keys: PsaKeys | None) -> None:
        """Keep a connection and its keys; the next request uses them.

        There is one connection: another one, and its keys, are forgotten. What waits for it stays.
        """
        before = await self.connection()
        if keys is None:
            await self._keys_for(connection)  # raises rather than keep a connection without keys
        if before is not None and before.id != connection.id:
            await self._secrets.delete(keys_name(before.id))
            await self._store.forget(before)
        if keys is not None:
            secret = json.dumps({"public": keys.public, "private": keys.private})
            await self._secrets.write(keys_name(connection.id), secret)
            # Whose keys these are is asked anew; what was found otherwise stays.
            mappings = await self._store.mappings(connection.id)
            await self._store.forget(*(one for one in mappings if one.how == "own_keys"))
        await self._store.save(connection)
        self._events.publish(SettingsChanged("psa.connection"))

    async def has_keys(self, connection: PsaConnection) -> bool:
        """Return whether keys for the connection are in the keyring."""
        return await self._secrets.read(keys_name(connection.id)) is not None

    async def disconnect(self) -> None:
        """Forget the connection and its keys; sessions keep what was pulled."""
        connection = await self.connection()
        if connection is not None:
            await self._secrets.delete(keys_name(connection.id))
            await self._store.forget(connection)
            self._events.publish(SettingsChanged("psa.connection"))

    async def test(self, connection: PsaConnection, keys: PsaKeys | None) -> PsaSelfTest:
        """Try a connection that need not be kept yet; ``keys`` None means the kept ones."""
        psa = self._factory(connection, keys or await self._keys_for(connection))
        try:
            return await psa.self_test()
        finally:
            await psa.aclose()

    async def psa(self, connection_id: str = "") -> Psa:
        """Return the adapter of the connection.

        Raises PsaUnreachable without one, and what the keyring raises.
        """
        async with self._making:
            connection = await self.connection()
            if connection is not None and connection_id not in ("", connection.id):
                raise PsaUnreachable(
                    "This belongs to another ConnectWise connection, which is not set up now.",
                    hint="Connect that site again in Settings → Integrations to send it.",
                )
            if connection is None:
                raise PsaUnreachable(
                    "No ConnectWise connection is set up.",
                    hint="Connect your PSA in Settings → Integrations.",
                )
            if self._adapter is None or self._adapter_of != connection.id:
                self._adapter = self._factory(connection, await self._keys(connection))
                self._adapter_of = connection.id
            return self._adapter

    async def aclose(self) -> None:
        """Close the adapter."""
        self._end_listening()
        self._settings_changed(SettingsChanged())
        while self._outdated:
            await self._outdated.pop().aclose()

    def _settings_changed(self, event: SettingsChanged) -> None:
        if event.key == "" or event.key.startswith("psa."):
            if self._adapter is not None:
                self._outdated.append(self._adapter)
            self._adapter = None

    async def _keys_for(self, connection: PsaConnection) -> PsaKeys | None:
        """Return the kept keys, for the site they were given for and for no other."""
        kept = await self.connection()
        if connection.provider != "connectwise":
            return None
        if kept is None or not kept.is_same_site(connection) or not await self.has_keys(kept):
            raise InvalidInput(
                "The keys for this site are missing.",
                hint="Enter its public and private key; kept keys go to no other site.",
            )
        return await self._keys(kept)

    async def _keys(self, connection: PsaConnection) -> PsaKeys | None:
        secret = await self._secrets.read(keys_name(connection.id))
        if secret is None:
            return None
        try:
            pair = json.loads(secret)
            return PsaKeys(str(pair["public"]), str(pair["private"]))
        except (ValueError, KeyError, TypeError) as error:
            raise PsaSignInRefused("The kept ConnectWise keys can't be read.") from error

    async def try_again(self) -> None:
        """Ask the lightest question while ConnectWise is away, to learn that it is back."""
        if self._reach.state(System.PSA).reach is Reach.AWAY:
            try:
                await (await self.psa()).me()
            except FlowPilotError as error:
                self._note(error)
            else:
                self._reach.note(System.PSA, Reach.REACHABLE)

    # The picker

    async def find(self, query: TicketQuery, me: Engineer | None = None) -> FoundTickets:
        """Return a page of tickets; when ConnectWise is away, what the cache has, and why.

        ``me`` says whose tickets "mine" are when the keys belong to nobody in person.
        """
        try:
            psa = await self.psa()
            connection = await self.connection()
            if me is not None and connection is not None and query.scope is TicketScope.MINE:
                mapping = await self._store.mapping(connection.id, me.id)
                if mapping is not None:
                    query = replace(query, member_identifier=mapping.member_identifier)
            page = await psa.search(query)
        except FlowPilotError as error:
            self._note(error)
            cached = await self._cached(query)
            return FoundTickets(
                TicketPage(tuple(ticket for ticket, _ in cached)),
                from_cache=True,
                seen={ticket.id: at for ticket, at in cached},
                error=error,
            )
        self._reach.note(System.PSA, Reach.REACHABLE)
        return FoundTickets(page)

    async def _cached(self, query: TicketQuery) -> tuple[tuple[Ticket, datetime], ...]:
        connection = await self.connection()
        if connection is None or query.page > 1:
            return ()
        if query.text.strip():
            cached = await self._store.search_cached_tickets(query.text)
        else:
            cached = await self._store.recent_tickets(connection.id, query.page_size)
        return tuple(
            (ticket, at)
            for ticket, at in cached
            if query.board in ("", ticket.board.name) and query.status in ("", ticket.status.name)
        )

    # The context

    async def context(
        self, connection_id: str, ticket_id: str
    ) -> tuple[TicketContext | None, ContextStatus, FlowPilotError | None]:
        """Return a ticket's context, freshly fetched or from the cache, how it came, and why."""
        try:
            psa = await self.psa(connection_id)
            context = await psa.context(ticket_id)
        except FlowPilotError as error:
            self._note(error)
            cached = None
            if not isinstance(error, PsaNotFound):
                cached = await self._store.ticket_context(connection_id, ticket_id)
            status = ContextStatus.CACHED if cached else ContextStatus.UNAVAILABLE
            return cached, status, error
        self._reach.note(System.PSA, Reach.REACHABLE)
        await self._store.save(context)
        return context, ContextStatus.LOADED, None

    async def cached_context(self, connection_id: str, ticket_id: str) -> TicketContext | None:
        """Return what is on this computer of a ticket."""
        return await self._store.ticket_context(connection_id, ticket_id)

    async def fresh_ticket(self, connection_id: str, ticket_id: str) -> Ticket:
        """Return the ticket's own fields as they are now."""
        psa = await self.psa(connection_id)
        return await psa.ticket(ticket_id)

    async def statuses(
        self, connection_id: str, ticket_id: str
    ) -> tuple[Ticket, tuple[TicketStatus, ...]]:
        """Return the ticket as it is now and the statuses of the board it is on."""
        psa = await self.psa(connection_id)
        ticket = await psa.ticket(ticket_id)
        return ticket, await psa.statuses(ticket.board.id)

    async def boards(self) -> tuple[Reference, ...]:
        """Return the boards to choose from."""
        return await (await self.psa()).boards()

    async def board_statuses(self, board_id: int) -> tuple[TicketStatus, ...]:
        """Return the statuses of a board to choose from."""
        return await (await self.psa()).statuses(board_id)

    # How time is entered on a board

    async def time_options(
        self, connection_id: str
    ) -> tuple[tuple[Reference, ...], tuple[Reference, ...]]:
        """Return the work types and the work roles to choose from."""
        psa = await self.psa(connection_id)
        types, roles = await asyncio.gather(psa.work_types(), psa.work_roles())
        return types, roles

    async def time_choice(self, connection_id: str, board_id: int) -> TimeChoice:
        """Return what was chosen for time on this board before; nothing at first."""
        kept = await self._store.remembered(_time_choice_key(connection_id, board_id))
        try:
            facts = json.loads(kept or "{}")
            return TimeChoice(
                Reference(int(facts["type"][0]), str(facts["type"][1])),
                Reference(int(facts["role"][0]), str(facts["role"][1])),
                str(facts["billable"]),
            )
        except (ValueError, KeyError, TypeError, IndexError):
            return TimeChoice()

    async def remember_time_choice(
        self, connection_id: str, board_id: int, choice: TimeChoice
    ) -> None:
        """Keep what was chosen for time on this board."""
        facts = {
            "type": [choice.work_type.id, choice.work_type.name],
            "role": [choice.work_role.id, choice.work_role.name],
            "billable": choice.billable,
        }
        key = _time_choice_key(connection_id, board_id)
        await self._store.remember(key, json.dumps(facts))

    # Who the technician is over there

    async def mapping(self, connection_id: str, engineer: Engineer) -> MemberMapping | None:
        """Return the engineer's member; found once by own keys or e-mail, then kept."""
        kept = await self._store.mapping(connection_id, engineer.id)
        if kept is not None:
            return kept
        try:
            found = await self._found_member(connection_id, engineer)
        except FlowPilotError as error:
            self._note(error)
            return None
        if found is None:
            return None
        member, how = found
        return await self.map_member(connection_id, engineer, member, how=how)

    async def kept_mapping(self, connection_id: str, engineer: Engineer) -> MemberMapping | None:
        """Return the mapping that is known already, asking nobody."""
        return await self._store.mapping(connection_id, engineer.id)

    async def map_member(
        self, connection_id: str, engineer: Engineer, member: Member, *, how: str = "by_hand"
    ) -> MemberMapping:
        """Keep which member the engineer is."""
        mapping = MemberMapping(
            connection_id, engineer.id, member.id, member.identifier, member.name, how
        )
        await self._store.save(mapping)
        self._events.publish(SettingsChanged("member_mapping"))
        return mapping

    async def members(self, text: str = "") -> tuple[Member, ...]:
        """Return members to choose from."""
        return await (await self.psa()).members(text)

    async def _found_member(
        self, connection_id: str, engineer: Engineer
    ) -> tuple[Member, str] | None:
        psa = await self.psa(connection_id)
        email = engineer.email.strip().casefold()
        me = await psa.me()
        if not me.is_api_only and (not email or me.email.casefold() == email):
            return me, "own_keys"
        if email:
            for member in await psa.members(email):
                if member.email.casefold() == email and not member.is_api_only:
                    return member, "email"
        return None

    def _note(self, error: FlowPilotError) -> None:
        if isinstance(error, PsaUnreachable):
            if self._reach.state(System.PSA).reach is not Reach.NOT_SET_UP:
                self._reach.note(System.PSA, Reach.AWAY, error.message, TRY_EVERY.total_seconds())
        elif isinstance(error, PsaSignInRefused):
            self._reach.note(System.PSA, Reach.REFUSED, error.message)
        elif isinstance(error, PsaError):
            log.info("ConnectWise: %s", type(error).__name__)
