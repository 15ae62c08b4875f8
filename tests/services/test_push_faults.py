"""Exactly once, whatever happens: random schedules of faults against the stateful site.

One session's documentation (a note in two parts, a time entry, a status change) is pushed through
the real adapter to the simulated site in virtual time. A schedule says what goes wrong with each
request, when the network is away, and at which durable write the process dies, before or after it.
Whatever the schedule: nothing is there twice, nothing is lost, no status is changed by guess, and
what does not land says why in the server's words.

``PUSH_SCHEDULES`` sets how many schedules are tried.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowpilot_desktop.core.errors import InvalidInput
from flowpilot_desktop.core.events import Events
from flowpilot_desktop.core.push import (
    NotePayload,
    NoteVisibility,
    PushItem,
    PushKind,
    PushPayload,
    PushState,
    StatusPayload,
    TimePayload,
    marker_for,
)
from flowpilot_desktop.core.redaction import Redactor
from flowpilot_desktop.core.session import Intake, Session, SessionStatus, new_id
from flowpilot_desktop.core.ticket import PsaConnection, RecordKind, Reference
from flowpilot_desktop.psa.connectwise.adapter import ConnectWisePsa
from flowpilot_desktop.psa.registry import PsaKeys
from flowpilot_desktop.services.documentation_push import DocumentationPush
from flowpilot_desktop.services.reach import ReachBoard
from flowpilot_desktop.store import Store
from tests.simulators.connectwise import COMPANY_ID, PRIVATE_KEY, PUBLIC_KEY, ConnectWiseSite
from tests.simulators.exchange import (
    Fault,
    answered,
    delayed,
    dropped,
    hanging,
    html,
    refused,
    reset,
    truncated,
)
from tests.simulators.virtual import VirtualClock, VirtualNetwork

SCHEDULES = int(os.environ.get("PUSH_SCHEDULES", "120"))
SITE = PsaConnection("site", "connectwise", "api-na.myconnectwise.net", COMPANY_ID)
GIVES_UP_AFTER = 60.0
"""Seconds after which the adapter stops waiting for a write."""
LATEST_LANDING = GIVES_UP_AFTER + 85.0
"""Seconds within which a late request lands: before the second look."""
NEW, IN_PROGRESS = "new", "in progress"


def busy(status: int, *, stored: bool) -> Fault:
    return answered(status, stored=stored, body='{"code":"Busy","message":"busy","errors":null}')


WRITE_FAULTS: list[Fault] = [
    Fault(),
    refused(),
    *(
        fault
        for stored in (False, True)
        for fault in (dropped(stored=stored), hanging(stored=stored))
    ),
    reset(),
    truncated(),
    *(busy(status, stored=stored) for status in (408, 500, 502, 503) for stored in (False, True)),
    answered(429, stored=False, body='{"error":"TooMany","message":"slow down"}'),
    html(200, stored=False),
    html(200, stored=True),
    html(503, stored=False),
    delayed(GIVES_UP_AFTER + 1),
    delayed(LATEST_LANDING),
]
READ_FAULTS: list[Fault] = [
    Fault(),
    refused(),
    dropped(stored=False),
    hanging(stored=False),
    busy(503, stored=False),
    busy(403, stored=False),
    html(200),
    html(403),
    html(404),
    answered(429, stored=False, body='{"error":"TooMany","message":"slow down"}'),
]


class DiedError(BaseException):
    """The process is gone."""


@dataclass
class Schedule:
    """What goes wrong, in order; past the end of a list nothing does."""

    writes: list[Fault]
    reads: list[Fault]
    away: list[bool]
    deaths: list[tuple[int, bool]]
    races: bool
    moves_at: int | None = None
    """After so many turns somebody else changes the ticket's status."""
    impatient: list[int] = field(default_factory=list)
    """After so many turns the technician presses Retry, whatever else goes wrong."""


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    return Schedule(
        writes=draw(st.lists(st.sampled_from(WRITE_FAULTS), max_size=10)),
        reads=draw(st.lists(st.sampled_from(READ_FAULTS), max_size=12)),
        away=draw(st.lists(st.booleans(), max_size=6)),
        deaths=draw(
            st.lists(
                st.tuples(st.integers(0, 14), st.booleans()), max_size=3, unique_by=lambda d: d[0]
            )
        ),
        races=draw(st.booleans()),
        moves_at=draw(st.none() | st.integers(0, 4)),
        impatient=draw(st.lists(st.integers(1, 12), max_size=3)),
    )


class PlannedFaults:
    """Hands each request the next fault of its sort, in place of the site's own plan."""

    def __init__(self, schedule: Schedule) -> None:
        self._writes = iter(schedule.writes)
        self._reads = iter(schedule.reads)
        self.seen: Counter[str] = Counter()

    def fate_of(self, request: Any) -> Fault:
        sort = "write" if request.method in ("POST", "PATCH") else "read"
        fault = next(self._writes if sort == "write" else self._reads, Fault())
        self.seen[f"{sort} {fault.outcome.name} stored={fault.stored}"] += 1
        return fault


class MortalStore:
    """The real store, in a process that may die before or after any durable write."""

    def __init__(self, store: Store, deaths: list[tuple[int, bool]]) -> None:
        self._store = store
        self._deaths = dict(deaths)
        self.writes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def save(self, *records: Any, **more: Any) -> None:
        number, self.writes = self.writes, self.writes + 1
        if self._deaths.get(number) is False:
            raise DiedError
        await self._store.save(*records, **more)
        if self._deaths.get(number) is True:
            raise DiedError


@dataclass
class World:
    """A site, a network, a clock, and one session's documentation waiting in a store."""

    store: Store
    schedule: Schedule
    clock: VirtualClock = field(default_factory=VirtualClock)

    def __post_init__(self) -> None:
        self.site = ConnectWiseSite(now=self.clock.now)
        self.site.options.requests_a_minute = 0
        self.ticket = self.site.add_ticket(board=1)
        self.faults = PlannedFaults(self.schedule)
        self.site.faults = self.faults  # type: ignore[assignment]  # the same face
        self.network = VirtualNetwork(self.site, self.clock)
        self.mortal = MortalStore(self.store, self.schedule.deaths)
        self.session_id = new_id()
        self.changes_before_the_move: int | None = None

    def adapter(self) -> ConnectWisePsa:
        return ConnectWisePsa(
            SITE,
            PsaKeys(PUBLIC_KEY, PRIVATE_KEY),
            self.clock,
            transport=self.network,
            sleep=self.clock.sleep,
        )

    def process(self) -> DocumentationPush:
        """Start a process: a push with nothing in memory."""
        psa = self.adapter()

        async def source(connection_id: str) -> ConnectWisePsa:
            assert connection_id == SITE.id
            return psa

        events = Events()
        return DocumentationPush(
            self.mortal,  # type: ignore[arg-type]  # a store that may die
            source,
            self.clock,
            events,
            ReachBoard(events),
        )

    async def prepare(self) -> None:
        """Write the rows before anything is sent, as resolving does."""
        now = self.clock.now()
        ticket = self.site.tables.tickets[self.ticket]
        self.before = Reference(ticket["status"]["id"], ticket["status"]["name"])
        board = Reference(ticket["board"]["id"], ticket["board"]["name"])
        statuses = self.site.tables.statuses[board.id]
        self.wanted = next(
            Reference(s["id"], s["name"])
            for s in statuses
            if s["id"] != self.before.id and not s["inactive"] and not s["timeEntryNotAllowed"]
        )
        self.elsewhere = next(
            s["id"] for s in statuses if s["id"] not in (self.before.id, self.wanted.id)
        )
        redactor = Redactor()
        session = Session(
            self.session_id, "me", "me", SessionStatus.RESOLVED, Intake("x"), now, now
        )
        ids = [new_id() for _ in range(4)]

        def text(number: int) -> str:
            return f"Part {number}\n{marker_for(ids[number])}"

        payloads: list[tuple[PushKind, int, PushPayload]] = [
            (PushKind.NOTE, 1, self._note(redactor, text(0))),
            (PushKind.NOTE, 2, self._note(redactor, text(1))),
            (
                PushKind.TIME,
                1,
                TimePayload(
                    "jblake",
                    now - timedelta(hours=1),
                    now,
                    0.25,
                    0.75,
                    redactor.redact("Fixed"),
                    redactor.redact(text(2)),
                ),
            ),
            (PushKind.STATUS, 1, StatusPayload(self.wanted, board, self.before)),
        ]
        items = [
            PushItem(
                id=item_id,
                session_id=self.session_id,
                kind=kind,
                connection_id=SITE.id,
                ticket_id=str(self.ticket),
                record_kind=RecordKind.SERVICE,
                payload=payload,
                marker=marker_for(item_id),
                engineer_id="me",
                created_at=now,
                part=part,
            )
            for item_id, (kind, part, payload) in zip(ids, payloads, strict=True)
        ]
        await self.store.save(session, *items)

    @staticmethod
    def _note(redactor: Redactor, text: str) -> NotePayload:
        return NotePayload(redactor.redact(text), NoteVisibility.INTERNAL, "jblake")

    async def items(self) -> tuple[PushItem, ...]:
        return await self.store.push_items(self.session_id)

    async def restarted(self) -> DocumentationPush:
        """Start the app anew, however often it dies while it recovers."""
        while True:
            push = self.process()
            with suppress(DiedError):
                await push.recover()
                return push

    async def live(self) -> None:
        """Let the app run, die and be started again until nothing waits any more."""
        push = self.process()
        away = iter(self.schedule.away)
        for turn in range(80):
            self.network.away = next(away, False)
            if turn == self.schedule.moves_at:
                self.site.move(self.ticket, status=self.elsewhere)
                self.changes_before_the_move = len(self.site.requests_for("PATCH"))
            try:
                if turn in self.schedule.impatient:
                    with suppress(InvalidInput):
                        await push.retry(self.session_id)
                if self.schedule.races:
                    results = await asyncio.gather(
                        push.run_due(), push.run_due(), return_exceptions=True
                    )
                    for result in results:
                        if isinstance(result, BaseException):
                            raise result
                else:
                    await push.run_due()
                due = await push.next_due()
            except DiedError:
                self.clock.advance(3)
                push = await self.restarted()
                continue
            if due is None and turn >= max(self.schedule.impatient, default=0):
                return
            due = due or self.clock.now() + timedelta(seconds=5)
            self.clock.advance((due - self.clock.now()).total_seconds())
        raise AssertionError("the push never came to rest")


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Iterator[tuple[asyncio.Runner, Store]]:
    with asyncio.Runner() as runner:
        folder = tmp_path_factory.mktemp("push")
        store = runner.run(Store.open(folder, VirtualClock()))
        yield runner, store
        runner.run(store.aclose())


def holds(world: World) -> Counter[str]:
    """Count what the site holds of each item, by marker."""
    texts = [note["text"] for note in world.site.notes_of(world.ticket)]
    texts += [entry.get("internalNotes") or "" for entry in world.site.entries_of(world.ticket)]
    counts: Counter[str] = Counter()
    for text in texts:
        for line in text.replace("\\", "").splitlines():
            if line.startswith("FP-"):
                counts[line] += 1
    return counts


async def check(world: World) -> Counter[str]:
    await world.prepare()
    await world.live()
    # Nothing twice at any time; what is called sent is there; what is there is called sent.
    items = await world.items()
    counts = holds(world)
    assert all(count == 1 for count in counts.values()), counts
    for item in items:
        if item.kind is not PushKind.STATUS:
            assert (counts[item.marker] == 1) >= (item.state is PushState.SENT), item
            if item.state is PushState.FAILED:
                assert item.error, item
    ended = {item.state for item in items if item.kind is not PushKind.STATUS}
    assert ended <= {PushState.SENT, PushState.FAILED}, ended
    # The technician presses Retry on a good day: everything lands, still once.
    push = world.process()
    world.mortal._deaths = {}
    world.network.away = False
    world.schedule.away.clear()
    world.faults._writes = iter(())
    world.faults._reads = iter(())
    if any(item.state is PushState.FAILED for item in items):
        await push.retry(world.session_id)
        await world.live()
    items = await world.items()
    counts = holds(world)
    assert all(count == 1 for count in counts.values()), counts
    for item in items:
        if item.kind is PushKind.STATUS:
            continue
        assert item.state is PushState.SENT, item
        assert counts[item.marker] == 1
    status_item = next(item for item in items if item.kind is PushKind.STATUS)
    status = world.site.tables.tickets[world.ticket]["status"]["id"]
    if status_item.state is PushState.SENT:
        assert status_item.remote_id == str(world.wanted.id)
    else:
        assert world.schedule.moves_at is not None
        assert status == world.elsewhere
        assert "Choose the status again" in status_item.error
    # Once somebody else has decided, no change of ours leaves any more.
    if world.changes_before_the_move is not None:
        assert len(world.site.requests_for("PATCH")) == world.changes_before_the_move
    return world.faults.seen


@settings(
    max_examples=SCHEDULES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(schedule=schedules())
def test_documentation_lands_exactly_once_or_says_why(shop, schedule):
    runner, store = shop
    runner.run(check(World(store, schedule)))
