"""The poller against the practice queue, with a clock that the test turns."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import uuid4

import pytest

from sync import errors
from sync.poller import Contact, Poller, SystemClock
from sync.port import Feed, NewEscalation, Welcome
from sync.practice import PracticeQueue, PracticeTeam


class ManualClock:
    def __init__(self) -> None:
        self.now = 1_000.0
        self.offset = 0.0
        self._waiting: list[tuple[float, asyncio.Event]] = []

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.offset

    async def wait(self, event: asyncio.Event, seconds: float) -> None:
        over = asyncio.Event()
        entry = (self.now + seconds, over)
        self._waiting.append(entry)
        tasks = [asyncio.ensure_future(e.wait()) for e in (event, over)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.remove(entry)
            for task in tasks:
                task.cancel()

    async def settle(self) -> None:
        for _ in range(30):
            await asyncio.sleep(0)

    async def advance(self, seconds: float, *, step: float = 0.5) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + step)
            for due, over in self._waiting:
                if due <= self.now:
                    over.set()
            await self.settle()


class Line(PracticeQueue):
    """A practice queue whose line can be cut and which counts."""

    polls: list[float]
    full: int
    dropped: int
    broken: errors.QueueError | None
    clock: ManualClock

    async def connect(self) -> Welcome:
        self.polls.append(self.clock.now)
        if self.broken is not None:
            raise self.broken
        return await super().connect()

    async def changes(self, cursor: object) -> Feed:
        self.full += cursor is None
        return await super().changes(cursor)  # type: ignore[arg-type]  # only counted here

    def drop(self) -> None:
        self.dropped += 1


@dataclass
class Desk:
    team: PracticeTeam
    line: Line
    clock: ManualClock
    poller: Poller
    mate: PracticeQueue
    feeds: list[Feed] = field(default_factory=list)
    contacts: list[Contact] = field(default_factory=list)

    async def escalation(self) -> None:
        await self.mate.escalate(uuid4(), NewEscalation(uuid4(), uuid4(), "s", "r", b"", 1))


@pytest.fixture(params=[False, True], ids=["polling", "nudged"])
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    team, clock = PracticeTeam(), ManualClock()
    line = Line(team, team.add_engineer("Ann"))
    line.polls, line.full, line.dropped, line.broken, line.clock = [], 0, 0, None, clock
    feeds: list[Feed] = []
    contacts: list[Contact] = []

    async def deliver(feed: Feed) -> None:
        feeds.append(feed)

    poller = Poller(
        line, deliver, accelerate=request.param, clock=clock, on_contact=contacts.append,
        dice=random.Random(7),
    )  # fmt: skip
    poller.start()
    await clock.settle()
    yield Desk(team, line, clock, poller, team.queue(team.add_engineer("Bob")), feeds, contacts)
    await poller.aclose()


async def test_first_poll_comes_at_once_and_brings_everything(desk: Desk) -> None:
    assert [feed.resync for feed in desk.feeds] == [True]
    assert desk.poller.current
    assert [contact.online for contact in desk.contacts] == [True]


async def test_polls_every_five_seconds_with_jitter(desk: Desk) -> None:
    await desk.clock.advance(300)
    gaps = [b - a for a, b in zip(desk.line.polls, desk.line.polls[1:], strict=False)]
    assert 45 <= len(gaps) <= 75
    assert all(4.0 <= gap <= 6.6 for gap in gaps)
    assert max(gaps) - min(gaps) >= 0.5
    assert desk.line.full == 1


async def test_idle_polls_are_rare_and_coming_back_polls_at_once(desk: Desk) -> None:
    desk.poller.idle = True
    await desk.clock.advance(10)
    before = len(desk.line.polls)
    await desk.clock.advance(300)
    assert 7 <= len(desk.line.polls) - before <= 14
    before = len(desk.line.polls)
    desk.poller.idle = False
    await desk.clock.advance(0.5)
    assert len(desk.line.polls) == before + 1


async def test_what_happened_arrives(desk: Desk) -> None:
    await desk.escalation()
    await desk.clock.advance(0.5)
    arrived = [row for feed in desk.feeds for row in feed.rows]
    assert len(arrived) == (1 if desk.poller._accelerate else 0)
    await desk.clock.advance(7)
    assert len([row for feed in desk.feeds for row in feed.rows]) == 1


async def test_a_storm_of_nudges_is_not_a_storm_of_polls(desk: Desk) -> None:
    before = len(desk.line.polls)
    for _ in range(200):
        desk.poller.poke()
        await desk.clock.advance(0.01, step=0.01)
    assert len(desk.line.polls) - before <= 10


async def test_failures_spread_out_and_recovery_is_noticed(desk: Desk) -> None:
    desk.line.broken = errors.UnreachableError()
    await desk.clock.advance(600)
    assert not desk.poller.current
    assert not desk.poller.contact.online
    late = [b - a for a, b in zip(desk.line.polls[-8:], desk.line.polls[-7:], strict=False)]
    assert max(late) <= 61
    assert sum(late) / len(late) > 10
    assert [c.online for c in desk.contacts] == [True, False]
    desk.line.broken = None
    await desk.clock.advance(61)
    assert desk.poller.current
    assert [c.online for c in desk.contacts] == [True, False, True]


async def test_a_refused_sign_in_is_not_hammered(desk: Desk) -> None:
    await desk.clock.advance(6)
    desk.line.broken = errors.SignInError()
    await desk.clock.advance(600)
    assert len([t for t in desk.line.polls if t > 1_006]) <= 60
    assert isinstance(desk.poller.contact.error, errors.SignInError)


@pytest.mark.parametrize("how", ["both clocks jump", "the wall clock alone", "back in time"])
async def test_sleep_is_noticed(desk: Desk, how: str) -> None:
    await desk.clock.advance(3)
    if how == "both clocks jump":
        desk.clock.now += 3_600
    else:
        desk.clock.offset += 3_600 if how == "the wall clock alone" else -3_600
    desk.line.broken = errors.UnreachableError()  # the network needs a while, too
    await desk.clock.advance(5)
    # Before the fresh picture nothing should be resolved on old knowledge.
    assert not desk.poller.current
    desk.line.broken = None
    await desk.clock.advance(30)
    assert desk.poller.current
    assert desk.line.full == 2
    assert desk.line.dropped == 1


async def test_a_slow_answer_is_not_a_sleep(desk: Desk) -> None:
    original = desk.line.heartbeat

    async def slow() -> None:
        desk.clock.now += 9
        await original()

    desk.line.heartbeat = slow  # type: ignore[method-assign]  # time passes inside the call
    await desk.clock.advance(30)
    assert desk.line.dropped == 0


async def test_the_system_clock_waits_for_either() -> None:
    clock, event = SystemClock(), asyncio.Event()
    before = clock.monotonic()
    await clock.wait(event, 0.01)
    assert clock.monotonic() - before >= 0.009
    event.set()
    await clock.wait(event, 60)
    assert clock.monotonic() - before < 30
    assert clock.wall() > 1_700_000_000
