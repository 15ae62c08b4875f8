"""The practice queue beside the real one: the same random days, the same answers."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest

from sync.client import QueueClient
from sync.errors import QueueError
from sync.port import Escalation, Hop, NewEscalation, Onward, Queue, Receipt
from sync.practice import PracticeTeam
from tests.simulators.postgres import QueueDatabase

NAMES = ("Ann", "Bob", "Cem")
WEIGHTS = {
    "escalate": 4, "pick_up": 9, "renew": 2, "release": 4, "release silent": 2, "withdraw": 2,
    "cancel": 1, "reassign": 3, "resolve": 2, "append_steps": 6, "repeat": 4, "lapse": 3,
    "overdue": 1, "sweep": 1,
}  # fmt: skip
HELD = ("renew", "release", "resolve", "append_steps")


class Side:
    """One of the two queues, with three engineers."""

    def __init__(self, ids: list[UUID], queues: list[Queue], rules: Any) -> None:
        self.queues = queues
        self.rules = rules
        self.number: dict[object, object] = dict(zip(ids, NAMES, strict=True))
        self.ids = ids

    def plain(self, value: Any) -> Any:
        """Return an answer with names for ids and without what may differ."""
        if isinstance(value, QueueError):
            return type(value).__name__, str(value)
        if isinstance(value, Receipt):
            return (value.state, value.fence, value.replayed, value.steps_appended,
                    value.lease_until is None)  # fmt: skip
        if isinstance(value, Escalation):
            who = (value.originator, value.created_by, value.assigned_to, value.handler)
            return (
                value.state, value.fence, *(self.number.get(w) for w in who), value.hop_count,
                value.steps_appended, value.reason, value.summary, value.step_count,
                value.read_back, value.outcome, value.package_schema, value.package_size,
                value.claimed_at is None, value.lease_until is None, value.ended_at is None,
            )  # fmt: skip
        if isinstance(value, Hop):
            hands = (value.raised_by, value.assigned_to, value.picked_up_by)
            return (value.number, *(self.number.get(w) for w in hands), value.reason,
                    value.read_back, value.ended_how, value.ended_at is None)  # fmt: skip
        return value

    async def do(self, n: int, verb: str, *arguments: Any) -> Any:
        try:
            return self.plain(await getattr(self.queues[n], verb)(*arguments))
        except QueueError as error:
            return self.plain(error)


@dataclass(frozen=True, slots=True)
class Throw:
    """What the dice said for one act."""

    op: UUID
    target: UUID
    fence: int
    to: int | None
    size: int
    new: NewEscalation

    def arguments(self, verb: str, side: Side) -> tuple[Any, ...]:
        """Return the arguments of a verb, with this side's ids."""
        to = None if self.to is None else side.ids[self.to]
        package = (b"second", 2) if self.size % 2 else (None, None)
        onward = Onward("on", "new summary", self.size, to, *package)
        rest: dict[str, tuple[Any, ...]] = {
            "escalate": (replace(self.new, assigned_to=to),),
            "release": (self.target, self.fence, onward),
            "release silent": (self.target, None, onward),
            "reassign": (self.target, to),
            "cancel": (self.target, "no"),
            "resolve": (self.target, self.fence, "done"),
            "append_steps": (self.target, self.fence, [b"one", b"two"]),
        }
        if verb == "renew":
            return (self.target, self.fence)
        return () if verb == "sweep" else (self.op, *rest.get(verb, (self.target,)))


class Day:
    """Does the same things on both sides and compares every answer."""

    def __init__(self, seed: int, sides: list[Side]) -> None:
        self.dice = random.Random(seed)
        self.sides = sides
        self.raised: list[UUID] = []
        self.done: list[tuple[int, str, list[tuple[Any, ...]]]] = []
        self.heard: Counter[str] = Counter()

    def uuid(self) -> UUID:
        return UUID(int=self.dice.getrandbits(128), version=4)

    async def throw(self) -> Throw:
        dice = self.dice
        records = self.sides[1].rules.records
        going = [r for r in self.raised if not records[r].row.state.ended]
        some = going if going and dice.random() < 0.8 else self.raised[-4:]
        target = dice.choice(some) if some else self.uuid()
        fence = dice.choice((0, 0, 0, 0, -1))
        if self.raised:
            fence += (await self.sides[0].queues[0].escalation(target)).fence
        new = NewEscalation(self.uuid(), self.uuid(), "s", "r", b"p" * dice.randrange(9), 1)
        to = dice.choice([None, None, 0, 1, 2])
        return Throw(self.uuid(), target, fence, to, dice.randrange(9), new)

    async def act(self) -> None:
        (verb,) = self.dice.choices(list(WEIGHTS), list(WEIGHTS.values()))
        n, verb = self.dice.randrange(3), verb if self.raised else "escalate"
        throw = await self.throw()
        if verb in HELD and self.dice.random() < 0.7:  # mostly by whoever holds it
            held = await self.sides[1].queues[0].escalation(throw.target)
            n = n if held.handler is None else self.sides[1].ids.index(held.handler)
        if verb in ("lapse", "overdue"):
            for side in self.sides:
                rules = side.rules
                (rules.lapse_lease if verb == "lapse" else rules.lapse_waiting)(throw.target)
            return
        if verb == "repeat":
            n, verb, each = self.dice.choice(self.done)
        else:
            each = [throw.arguments(verb, side) for side in self.sides]
            verb = verb.split()[0]
            if verb not in ("sweep", "renew"):
                self.done.append((n, verb, each))
        answers = [
            await side.do(n, verb, *arguments)
            for side, arguments in zip(self.sides, each, strict=True)
        ]
        assert answers[0] == answers[1], f"{verb} by {NAMES[n]}"
        refused = isinstance(answers[0], tuple) and isinstance(answers[0][0], str)
        self.heard[answers[0][0] if refused else verb] += 1
        if verb == "escalate" and not refused and throw.new.id not in self.raised:
            self.raised.append(each[0][1].id)
        for escalation in self.raised[-4:]:
            rows = [s.plain(await s.queues[0].escalation(escalation)) for s in self.sides]
            assert rows[0] == rows[1], f"after {verb} by {NAMES[n]}"

    async def evening(self) -> None:
        """Compare all that is left."""
        for escalation in self.raised:
            for reader in ("hops", "steps", "package"):
                found = [await getattr(s.queues[0], reader)(escalation) for s in self.sides]
                if reader == "hops":
                    found = [
                        [s.plain(h) for h in f] for s, f in zip(self.sides, found, strict=True)
                    ]
                elif reader == "steps":
                    found = [[step.payload for step in f] for f in found]
                assert found[0] == found[1]
        for n in range(len(NAMES)):
            pictures = [
                [s.plain(row) for row in (await s.queues[n].changes(None)).rows] for s in self.sides
            ]
            assert pictures[0] == pictures[1]


@pytest.mark.parametrize("seed", range(8))
async def test_practice_answers_as_the_real_one_does(database: QueueDatabase, seed: int) -> None:
    practice = PracticeTeam("T")
    team = database.add_team("T")
    async with AsyncExitStack() as stack:
        real_ids, real, ids = [], [], []
        for name in NAMES:
            invitation = database.invite(team, name)
            real_ids.append(invitation.engineer_id)
            real.append(await stack.enter_async_context(QueueClient(invitation, nudge=False)))
            ids.append(practice.add_engineer(name))
        day = Day(
            seed,
            [
                Side(real_ids, list(real), database),
                Side(ids, [practice.queue(i) for i in ids], practice),
            ],
        )
        for _ in range(120):
            await day.act()
        await day.evening()
    # A day on which most was refused, or nothing was, would prove little.
    assert sum(day.heard[verb] for verb in WEIGHTS) >= 25
    assert len(day.heard) >= 9
