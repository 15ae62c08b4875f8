"""Two technicians and their team queue, with nothing simulated but the outside.

The queue is the practice one, which keeps the contract that the Postgres client keeps; ``away``
plays a network that is gone, before or after a call had its effect.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from flowpilot_desktop.core.ports import Model, Psa
from flowpilot_desktop.core.session import Engineer
from flowpilot_desktop.psa.practice import PracticePsa, practice_members
from sync.errors import UnreachableError
from sync.practice import PracticeQueue, PracticeTeam
from tests.clock import VirtualClock
from tests.services.desk import CONNECTION, Desk, open_desk

SAM = Engineer("engineer-sam", practice_members()[0].name, practice_members()[0].email)
ALEX = Engineer("engineer-alex", practice_members()[1].name, practice_members()[1].email)
KIM = Engineer("engineer-kim", practice_members()[2].name, practice_members()[2].email)


class Line:
    """The network between one desk and the queue.

    ``away``: nothing gets through. ``lost``: names of calls that take effect and whose answer is
    lost. ``calls`` counts what reached the queue.
    """

    def __init__(self, queue: PracticeQueue) -> None:
        self._queue = queue
        self.away = False
        self.lost: set[str] = set()
        self.calls: list[str] = []
        self.before: Callable[[str], None] | None = None

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._queue, name)
        if name in ("drop", "aclose", "listen"):
            return call

        async def carried(*arguments: Any, **named: Any) -> Any:
            if self.before is not None:
                self.before(name)
            if self.away:
                raise UnreachableError
            self.calls.append(name)
            answer = await call(*arguments, **named)
            if name in self.lost:
                raise UnreachableError
            return answer

        return carried


@dataclass
class Team:
    """The team's server, its clock and its people."""

    clock: VirtualClock
    server: PracticeTeam
    psa: Psa
    folder: Path
    lines: dict[str, Line] = field(default_factory=dict)
    there: dict[str, UUID] = field(default_factory=dict)

    @asynccontextmanager
    async def desk(self, me: Engineer, *, model: Model | None = None) -> AsyncIterator[Desk]:
        """Open somebody's desk; opening it again is a restart."""
        if me.id not in self.there:
            self.there[me.id] = self.server.add_engineer(me.name)
        line = self.lines[me.id] = Line(self.server.queue(self.there[me.id]))
        async with open_desk(
            self.folder / me.id,
            clock=self.clock,
            psa=self.psa,
            model=model,
            me=me,
            queue=lambda _: (line, self.there[me.id]),
        ) as desk:
            yield desk


def make_team(folder: Path) -> Team:
    """Return a team without anybody."""
    clock = VirtualClock()
    server = PracticeTeam("Helpdesk", clock=clock.now)
    return Team(clock, server, PracticePsa(CONNECTION, clock=clock), folder)


@asynccontextmanager
async def two_desks(folder: Path) -> AsyncIterator[tuple[Team, Desk, Desk]]:
    """Open Sam's and Alex's desks on one queue and one ticketing system."""
    team = make_team(folder)
    async with AsyncExitStack() as stack:
        sam = await stack.enter_async_context(team.desk(SAM))
        alex = await stack.enter_async_context(team.desk(ALEX))
        yield team, sam, alex
