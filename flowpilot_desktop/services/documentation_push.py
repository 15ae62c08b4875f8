"""Gets notes, time entries and status changes into the ticket: exactly once, or it says why not.

Every operation is a durable ``PushItem`` that exists before anything is sent. The ticketing
system has no idempotency key and a timeout says nothing about whether a record was stored, so an
item moves like this, one durable write at every arrow::

    pending ──watermark, commit──▶ sending ──2xx with id──▶ sent
       ▲                              │ ├─ refused for good ──▶ failed (the server's words)
       │                              │ ├─ never reached it, or 429 ──▶ pending (costs no try)
       │                              └─ anything else, or the process died ──▶ unclear
       └── two looks found nothing ◀── look above the watermark ──▶ marker found ──▶ sent

``unclear`` waits 30 s before the first look and 60 s before the second; a look that fails leaves
it unclear, one that is refused for good both times leaves it to a person. What has a watermark may
be on the ticket, so it is looked for before it is ever sent again. Up to three tries follow the
first, at 5, 15 and 45 minutes; then it has failed and only a person retries. A status change goes
last and reads before it writes; if somebody else changed board or status since the technician
chose, it asks again rather than guess.

The rows are the truth and the scheduler only their clock: ``run_due`` does whatever is due, and
every decision is taken from the row and the clock, so a restart continues where the last commit
left off. The clock is a port; nothing here sleeps.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from flowpilot_desktop.core.errors import (
    FlowPilotError,
    InvalidInput,
    NotFound,
    PsaError,
    PsaNotSent,
    PsaRateLimited,
    PsaRefused,
    PsaSignInRefused,
    PsaUnreachable,
)
from flowpilot_desktop.core.events import Events, PushChanged, Reach, System
from flowpilot_desktop.core.ports import Clock, Psa
from flowpilot_desktop.core.push import (
    NotePayload,
    PushItem,
    PushKind,
    PushPayload,
    PushState,
    RemoteRecord,
    StatusPayload,
    TimePayload,
)
from flowpilot_desktop.core.ticket import Ticket
from flowpilot_desktop.services.reach import ReachBoard
from flowpilot_desktop.services.time_ledger import TimeLedger
from flowpilot_desktop.store import Store

log = logging.getLogger(__name__)

BACKOFF = (timedelta(minutes=5), timedelta(minutes=15), timedelta(minutes=45))
"""Waits before the second, third and fourth try."""
FIRST_LOOK = timedelta(seconds=30)
SECOND_LOOK = timedelta(seconds=60)
LOOKS = 2
OFFLINE_PROBE = timedelta(seconds=30)
"""How soon a connection is tried again while the network is away; costs no try."""

MAY_COME_TWICE = (
    "ConnectWise never answered an earlier try, and it is not on the ticket; should it turn up "
    "after all, the ticket has it twice."
)
"""What remains possible when something is sent again: told, not hidden."""

CHANGED_LATER = (
    "It was changed after an earlier try; if that one arrived, ConnectWise has it as it was then."
)
"""What an edited item says that is found on the ticket: the row shows the later words."""

_ORDER = {PushKind.NOTE: 0, PushKind.TIME: 1, PushKind.STATUS: 2}
_SETTLED = frozenset({PushState.SENT, PushState.SKIPPED})
_LIVE = frozenset({PushState.PENDING, PushState.SENDING, PushState.UNCLEAR})

PsaSource = Callable[[str], Awaitable[Psa]]
"""Returns the PSA of a connection id, or raises PsaError or CredentialsUnavailable."""


class DocumentationPush:
    """Sends what is due and answers what a screen asks about it."""

    def __init__(
        self, store: Store, psa: PsaSource, clock: Clock, events: Events, reach: ReachBoard
    ) -> None:
        self._store = store
        self._psa = psa
        self._clock = clock
        self._events = events
        self._reach = reach
        self._running = asyncio.Lock()
        self._cut_off: set[str] = set()  # what waits for nothing but the network

    async def recover(self) -> None:
        """Turn rows that were left in ``sending`` into ``unclear``; call at start-up."""
        for item in await self._store.push_items_in({PushState.SENDING}):
            await self._unclear(item, "FlowPilot ended before ConnectWise answered.")

    async def next_due(self) -> datetime | None:
        """Return when something can be done next (now, if it can already), or None.

        What waits for another item, a status for its note, is not counted.
        """
        live = await self._store.push_items_in(_LIVE)
        now = self._clock.now()
        moments = [
            item.next_try_at or now
            for session_id in {item.session_id for item in live}
            for item in _unblocked(await self._store.push_items(session_id))
        ]
        return min(moments, default=None)

    async def run_due(self) -> None:
        """Work on every item that is due, session by session; a second caller waits its turn.

        A session whose items bring out a mistake of ours holds up no other.
        """
        async with self._running:
            await self.recover()  # nobody else has anything in flight
            due = await self._store.due_push_items(self._clock.now())
            for session_id in dict.fromkeys(item.session_id for item in due):
                try:
                    await self._run_session(session_id)
                except FlowPilotError as error:
                    log.warning("Documentation waits: %s", type(error).__name__)
                except Exception:
                    log.exception("Documentation of a session could not be worked on")
                    await self._set_aside(session_id)

    async def network_is_back(self) -> None:
        """Make everything that only waits for the network due now, and do it."""
        async with self._running:
            for item in await self._store.push_items_in(_LIVE):
                if item.id in self._cut_off:
                    await self._store.save(replace(item, next_try_at=self._clock.now()))
            self._cut_off.clear()
        await self.run_due()

    async def retry(self, session_id: str, item_id: str = "") -> None:
        """Begin again with what failed in a session, or with one item of it; nothing else moves."""
        async with self._running:
            items = await self._store.push_items(session_id)
            failed = [
                item
                for item in items
                if item.state is PushState.FAILED and item_id in ("", item.id)
            ]
            if not failed:
                raise InvalidInput("Nothing has failed here, so there is nothing to retry.")
            now = self._clock.now()
            for item in failed:
                await self._commit(
                    item, state=PushState.PENDING, tries=0, looks=0, next_try_at=now, error=""
                )
        await self.run_due()

    async def skip(self, item_id: str, session_id: str) -> None:
        """Leave a failed item unsent for good; what follows it may go."""
        item = await self._failed_item(item_id, session_id)
        await self._commit(item, state=PushState.SKIPPED, next_try_at=None)
        await self.run_due()

    async def edit(self, item_id: str, session_id: str, payload: PushPayload) -> None:
        """Replace the payload of a failed item and send it.

        What may have landed as it was before is looked for first; then it stays as it landed.
        Raises InvalidInput for another span of time that touches an entry that exists.
        """
        item = await self._failed_item(item_id, session_id)
        before = item.payload
        if (
            isinstance(payload, TimePayload)
            and isinstance(before, TimePayload)
            and (payload.start, payload.end) != (before.start, before.end)
        ):
            await TimeLedger(self._store).check(item, payload)
        await self._commit(
            item,
            payload=payload,
            warning=_with(item.warning, CHANGED_LATER) if item.watermark is not None else "",
            state=PushState.PENDING,
            tries=0,
            looks=0,
            next_try_at=None,
            error="",
        )
        await self.run_due()

    # One session, one item

    async def _failed_item(self, item_id: str, session_id: str) -> PushItem:
        for item in await self._store.push_items(session_id):
            if item.id == item_id:
                if item.state is not PushState.FAILED:
                    raise InvalidInput("Only an item that failed can be changed.")
                return item
        raise NotFound("There is no such item.")

    async def _run_session(self, session_id: str) -> None:
        items = {item.id: item for item in await self._store.push_items(session_id)}
        for item_id in [item.id for item in sorted(items.values(), key=_sending_order)]:
            item = items[item_id]
            if item in _unblocked(tuple(items.values())) and self._is_due(item):
                items[item_id] = await self._advance(item)

    async def _set_aside(self, session_id: str) -> None:
        """Let what brought out a mistake wait; what may have been sent is looked for first."""
        why = "FlowPilot made a mistake with this item and tries again."
        with suppress(FlowPilotError):
            for item in await self._store.push_items(session_id):
                if item.state is PushState.SENDING:
                    await self._unclear(item, why)
                elif item.state in _LIVE and self._is_due(item):
                    await self._commit(item, error=why, next_try_at=self._in(BACKOFF[0]))

    def _is_due(self, item: PushItem) -> bool:
        return item.next_try_at is None or item.next_try_at <= self._clock.now()

    async def _advance(self, item: PushItem) -> PushItem:
        self._cut_off.discard(item.id)
        try:
            psa = await self._psa(item.connection_id)
        except FlowPilotError as error:  # not set up, or no keyring: nobody was asked
            return await self._later(item, error, OFFLINE_PROBE)
        try:
            if item.state is PushState.SENDING:
                return await self._unclear(item, "FlowPilot was interrupted while sending.")
            if item.state is PushState.UNCLEAR:
                return await self._look(psa, item)
            if item.kind is PushKind.STATUS:
                return await self._send_status(psa, item)
            return await self._send_record(psa, item)
        except PsaError as error:
            # Only reads raise to here: nothing was sent on this occasion.
            return await self._read_failed(item, error)

    async def _read_failed(self, item: PushItem, error: PsaError) -> PushItem:
        """Judge a failed look or watermark: the item itself did not move."""
        unclear = item.state is PushState.UNCLEAR
        if not isinstance(error, PsaRefused):
            pause = self._pause(error, SECOND_LOOK if unclear else OFFLINE_PROBE)
            return await self._wait(item, error, pause)
        if unclear and item.looks + 1 < LOOKS:
            item = replace(item, looks=item.looks + 1)
            return await self._wait(item, error, SECOND_LOOK)
        return await self._fail(item, error, "Nobody knows whether it arrived. " if unclear else "")

    async def _send_record(self, psa: Psa, item: PushItem) -> PushItem:
        if item.watermark is None:
            ticket = await psa.ticket(item.ticket_id)
            # Written offline, the row could only guess which kind of ticket it is.
            item = replace(item, record_kind=ticket.kind, warning=await self._changes(item, ticket))
            watermark = await psa.highest_record(item.ticket_id, item.kind, item.record_kind)
            item = replace(item, watermark=watermark)
        elif (landed := await self._found(psa, item)) is not None:
            return landed  # above the first watermark: a late record of an early try counts
        item = await self._sending(item)
        try:
            remote_id = await self._post(psa, item)
        except PsaError as error:
            return await self._not_sent(item, error)
        self._reach.note(System.PSA, Reach.REACHABLE)
        return await self._sent(
            replace(item, warning=_without(item.warning, CHANGED_LATER)), remote_id
        )

    async def _not_sent(self, item: PushItem, error: PsaError) -> PushItem:
        """Judge a write that did not succeed: never there, refused, or nobody knows."""
        if isinstance(error, PsaNotSent):
            item = replace(item, tries=item.tries - 1)
            return await self._wait(item, error, self._pause(error, OFFLINE_PROBE))
        if isinstance(error, PsaRefused):
            return await self._fail(item, error)
        return await self._unclear(item, error.message)

    async def _changes(self, item: PushItem, ticket: Ticket) -> str:
        """Return what became of the ticket since it was last read, for people."""
        told = []
        if ticket.merged_into:
            told.append(f"Ticket #{item.ticket_id} was merged into #{ticket.merged_into}.")
        known = await self._store.ticket_context(item.connection_id, item.ticket_id)
        if known is not None and known.ticket.board.id not in (0, ticket.board.id):
            told.append(
                f"Ticket #{item.ticket_id} has moved from “{known.ticket.board.name}” to "
                f"“{ticket.board.name}”."
            )
        return " ".join(told)

    async def _post(self, psa: Psa, item: PushItem) -> int:
        match item.payload:
            case NotePayload():
                return await psa.add_note(item.ticket_id, item.record_kind, item.payload)
            case TimePayload():
                return await psa.add_time(item.ticket_id, item.record_kind, item.payload)
            case StatusPayload():
                raise AssertionError("A status change is no record.")

    async def _look(self, psa: Psa, item: PushItem) -> PushItem:
        """Find out whether an unclear item landed; only two empty looks allow another try."""
        if item.kind is PushKind.STATUS:
            return await self._send_status(psa, item)
        if (landed := await self._found(psa, item)) is not None:
            return landed
        looks = item.looks + 1
        if looks < LOOKS:
            return await self._commit(item, looks=looks, next_try_at=self._in(SECOND_LOOK))
        if self._tries_used(item):
            return await self._fail(item, item.error)
        return await self._commit(
            item,
            state=PushState.PENDING,
            warning=_with(item.warning, MAY_COME_TWICE),
            looks=0,
            next_try_at=self._in(BACKOFF[item.tries - 1]),
        )

    async def _found(self, psa: Psa, item: PushItem) -> PushItem | None:
        """Return the item as sent when its record is on the ticket, else None."""
        records = await psa.records_above(
            item.ticket_id, item.kind, item.record_kind, item.watermark or 0
        )
        self._reach.note(System.PSA, Reach.REACHABLE)
        hits = [record for record in records if _is_same(item, record)]
        if not hits:
            return None
        warning = _without(item.warning, MAY_COME_TWICE)
        if len(hits) > 1:
            ids = ", ".join(str(record.id) for record in hits)
            several = f"ConnectWise holds this more than once: records {ids}. Please check."
            warning = _with(warning, f"{several} {psa.ticket_url(item.ticket_id)}".strip())
        return await self._sent(replace(item, warning=warning), hits[0].id)

    async def _send_status(self, psa: Psa, item: PushItem) -> PushItem:
        payload = item.payload
        assert isinstance(payload, StatusPayload)
        ticket = await psa.ticket(item.ticket_id)
        self._reach.note(System.PSA, Reach.REACHABLE)
        if ticket.status.id == payload.status.id:
            return await self._sent(item, payload.status.id)
        if (ticket.board.id, ticket.status.id) != (payload.seen_board.id, payload.seen_status.id):
            return await self._fail(
                item,
                f"The ticket is now “{ticket.status.name}” on board “{ticket.board.name}”; when "
                f"you chose it was “{payload.seen_status.name}” on “{payload.seen_board.name}”. "
                "Choose the status again.",
            )
        if item.state is PushState.UNCLEAR and item.looks + 1 < LOOKS:
            return await self._commit(item, looks=item.looks + 1, next_try_at=self._in(SECOND_LOOK))
        if item.state is PushState.UNCLEAR and self._tries_used(item):
            return await self._fail(item, item.error)
        item = await self._sending(replace(item, record_kind=ticket.kind))
        try:
            reported = await psa.change_status(item.ticket_id, item.record_kind, payload)
        except PsaError as error:
            return await self._not_sent(item, error)
        if reported.id != payload.status.id:
            return await self._fail(
                item,
                f"ConnectWise accepted the request but kept the status “{reported.name}”.",
            )
        return await self._sent(item, reported.id)

    # Where an item goes next; each is one durable write

    async def _sending(self, item: PushItem) -> PushItem:
        return await self._commit(
            item, state=PushState.SENDING, tries=item.tries + 1, looks=0, next_try_at=None
        )

    async def _sent(self, item: PushItem, remote_id: int) -> PushItem:
        return await self._commit(
            item,
            state=PushState.SENT,
            remote_id=str(remote_id),
            sent_at=self._clock.now(),
            next_try_at=None,
            error="",
        )

    async def _fail(self, item: PushItem, why: str | PsaError, before: str = "") -> PushItem:
        if isinstance(why, PsaSignInRefused):
            self._reach.note(System.PSA, Reach.REFUSED, why.message)
        if isinstance(why, PsaError):
            why = f"{before}{why.message} {why.hint}".strip()
        return await self._commit(item, state=PushState.FAILED, error=why, next_try_at=None)

    async def _unclear(self, item: PushItem, why: str) -> PushItem:
        return await self._commit(
            item,
            state=PushState.UNCLEAR,
            error=why,
            looks=0,
            next_try_at=self._in(FIRST_LOOK),
        )

    async def _wait(self, item: PushItem, error: PsaError, pause: timedelta) -> PushItem:
        if isinstance(error, PsaUnreachable):
            self._reach.note(System.PSA, Reach.AWAY, error.message, pause.total_seconds())
            self._cut_off.add(item.id)
        return await self._later(item, error, pause)

    async def _later(self, item: PushItem, error: FlowPilotError, pause: timedelta) -> PushItem:
        """Keep an item for later without using up a try."""
        state = item.state if item.state is PushState.UNCLEAR else PushState.PENDING
        return await self._commit(
            item, state=state, error=error.message, next_try_at=self._in(pause)
        )

    def _tries_used(self, item: PushItem) -> bool:
        return item.tries > len(BACKOFF)

    def _in(self, pause: timedelta) -> datetime:
        return self._clock.now() + pause

    def _pause(self, error: PsaError, otherwise: timedelta) -> timedelta:
        if isinstance(error, PsaRateLimited):
            return timedelta(seconds=max(error.retry_after, 1.0))
        return otherwise

    async def _commit(self, item: PushItem, **changes: object) -> PushItem:
        item = replace(item, updated_at=self._clock.now(), **changes)  # type: ignore[arg-type]  # fields of PushItem by name
        await self._store.save(item)
        if item.error:
            log.info("Item %s of kind %s is %s", item.id, item.kind, item.state)
        self._events.publish(PushChanged(item.session_id))
        return item


def _sending_order(item: PushItem) -> tuple[datetime, int, int, str]:
    return (item.created_at, _ORDER[item.kind], item.part, item.id)


def _unblocked(items: tuple[PushItem, ...]) -> list[PushItem]:
    """Return the items of a session that wait for nothing but their time.

    Note and time go first, the status last. The parts of a long note go in their order, but one
    that failed holds up no other: each part says which it is.
    """
    ordered = sorted(items, key=_sending_order)
    unblocked: list[PushItem] = []
    for place, item in enumerate(ordered):
        if item.state not in _LIVE:
            continue
        match item.kind:
            case PushKind.STATUS:
                before = [one for one in ordered if one.kind is not PushKind.STATUS]
            case PushKind.NOTE:
                before = [
                    one
                    for one in ordered[:place]
                    if one.kind is PushKind.NOTE and one.state is not PushState.FAILED
                ]
            case PushKind.TIME:
                before = []
        if all(one.state in _SETTLED for one in before):
            unblocked.append(item)
    return unblocked


def _with(warning: str, more: str) -> str:
    return f"{_without(warning, more)} {more}".strip()


def _without(warning: str, one: str) -> str:
    return warning.replace(one, "").strip()


def _is_same(item: PushItem, record: RemoteRecord) -> bool:
    """Return whether a record on the ticket is this item's: by its marker, or by its times."""
    if item.marker in record.text:
        return True
    match item.payload:
        case TimePayload() as time:
            return (
                record.member_identifier.casefold() == time.member_identifier.casefold()
                and record.start == time.start
                and record.end == time.end
            )
        case _:
            return False
