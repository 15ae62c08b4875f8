"""Races for the same escalation, between real processes on a real server.

python -m tests.sync.race        16 processes for 500 escalations, 2,000 withdrawals against pickups
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from uuid import UUID, uuid4

from sync.client import QueueClient
from sync.errors import AlreadyPickedUpError, EndedError, RefusedError
from sync.invitation import Invitation
from sync.port import NewEscalation, State
from tests.simulators.postgres import QueueDatabase, engines, shared_server

_SPAWN = multiprocessing.get_context("spawn")
_PATIENCE = 120
_MEETING = 5
"""Escalations after which all wait for each other, so that nobody runs ahead alone."""


def new_escalation(escalation: UUID) -> NewEscalation:
    return NewEscalation(escalation, uuid4(), "Printer", "Stuck", b"package", 1)


def _pick_up_all(
    token: str, ids: list[UUID], start: Barrier, meeting: Barrier, answer: Connection
) -> None:
    async def work() -> dict[UUID, int]:
        won = {}
        async with QueueClient(Invitation.parse(token), deadline=60, nudge=False) as queue:
            await queue.connect()
            await asyncio.to_thread(start.wait, _PATIENCE)
            for number, escalation in enumerate(ids):
                if number % _MEETING == 0:
                    await asyncio.to_thread(meeting.wait, _PATIENCE)
                try:
                    won[escalation] = (await queue.pick_up(uuid4(), escalation)).fence
                except AlreadyPickedUpError:
                    continue
        return won

    answer.send(asyncio.run(work()))


@dataclass(frozen=True, slots=True)
class PickupRace:
    escalations: int
    winners: list[int]
    handlers: Counter[int]
    seconds: float


def pickup_race(database: QueueDatabase, processes: int, escalations: int) -> PickupRace:
    """Let every process try to pick up everything; return how many handlers each one got."""
    team = database.add_team()
    ids = [uuid4() for _ in range(escalations)]
    asyncio.run(_raise(database.invite(team, "Ann"), ids))
    start, meeting = _SPAWN.Barrier(processes + 1), _SPAWN.Barrier(processes)
    children, ends, tokens = [], [], []
    for number in range(processes):
        ours, theirs = _SPAWN.Pipe(duplex=False)
        invitation = database.invite(team, f"Engineer {number}")
        tokens.append(invitation)
        child = _SPAWN.Process(
            target=_pick_up_all, args=(invitation.token(), ids, start, meeting, theirs), daemon=True
        )
        child.start()
        children.append(child)
        ends.append(ours)
    start.wait(_PATIENCE)
    before = time.perf_counter()
    won = [end.recv() for end in ends]
    seconds = time.perf_counter() - before
    for child in children:
        child.join()

    handlers: Counter[UUID] = Counter()
    for claims in won:
        handlers.update(claims)
    rows = database.connection.execute(
        "select e.id, e.state, e.handler, e.fence, e.hop_count, (select count(*) from fp.event v"
        " where v.escalation_id = e.id and v.kind = 'pick_up') from fp.escalation e"
        " where e.team_id = %s",
        (team,),
    ).fetchall()
    assert len(rows) == escalations
    for escalation, state, handler, fence, hops, pickups in rows:
        (winner,) = [n for n, claims in enumerate(won) if escalation in claims]
        assert handler == tokens[winner].engineer_id
        assert (state, fence, hops, pickups) == ("claimed", 1, 1, 1)
        assert won[winner][escalation] == 1
    return PickupRace(escalations, [len(c) for c in won], Counter(handlers.values()), seconds)


async def _raise(invitation: Invitation, ids: list[UUID]) -> None:
    async with QueueClient(invitation, nudge=False) as queue:
        for escalation in ids:
            await queue.escalate(uuid4(), new_escalation(escalation))


def _one_side(token: str, ids: list[UUID], side: str, start: Barrier, answer: Connection) -> None:
    async def work() -> list[str]:
        dice = random.Random(side)
        told = []
        async with QueueClient(Invitation.parse(token), deadline=60, nudge=False) as queue:
            await queue.connect()
            for escalation in ids:
                await asyncio.to_thread(start.wait, _PATIENCE)
                await asyncio.sleep(dice.choice((0, 0, dice.uniform(0, 0.0005))))
                try:
                    if side == "withdraw":
                        told.append((await queue.withdraw(uuid4(), escalation)).state.value)
                    else:
                        told.append((await queue.pick_up(uuid4(), escalation)).state.value)
                except (AlreadyPickedUpError, EndedError) as refused:
                    told.append(type(refused).__name__)
                except RefusedError as unexpected:
                    told.append(f"unexpected {unexpected!r}")
        return told

    answer.send(asyncio.run(work()))


def withdraw_race(database: QueueDatabase, races: int) -> Counter[str]:
    """Let the originator withdraw while a teammate picks up; return who won how often."""
    team = database.add_team()
    ann, bob = database.invite(team, "Ann"), database.invite(team, "Bob")
    ids = [uuid4() for _ in range(races)]
    asyncio.run(_raise(ann, ids))
    start = _SPAWN.Barrier(2)
    ends = []
    children = []
    for invitation, side in ((ann, "withdraw"), (bob, "pick up")):
        ours, theirs = _SPAWN.Pipe(duplex=False)
        child = _SPAWN.Process(
            target=_one_side, args=(invitation.token(), ids, side, start, theirs), daemon=True
        )
        child.start()
        ends.append(ours)
        children.append(child)
    withdrawn, picked_up = (end.recv() for end in ends)
    for child in children:
        child.join()
    won: Counter[str] = Counter()
    states: dict[UUID, str] = dict(
        database.connection.execute(
            "select id, state from fp.escalation where team_id = %s", (team,)
        ).fetchall()
    )
    for escalation, back, taken in zip(ids, withdrawn, picked_up, strict=True):
        if states[escalation] == State.CANCELLED.value:
            assert (back, taken) == ("cancelled", "EndedError")
            won["withdraw"] += 1
        else:
            assert states[escalation] == State.CLAIMED.value
            assert (back, taken) == ("AlreadyPickedUpError", "claimed")
            won["pick up"] += 1
    return won


def main() -> int:
    server = shared_server(next(iter(engines())))
    with server.database() as database:
        race = pickup_race(database, 16, 500)
        print(
            f"16 processes, {race.escalations} escalations, {16 * race.escalations:,} tries in "
            f"{race.seconds:.1f} s: handlers per escalation {dict(race.handlers)}; "
            f"won by each process {race.winners}"
        )
        won = withdraw_race(database, 2_000)
        print(f"2,000 withdrawals against pickups, one winner each: {dict(won)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
