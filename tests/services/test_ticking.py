"""The clock of what happens by itself."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from flowpilot_desktop.core.events import Events, Reach, System
from flowpilot_desktop.services.documentation_push import DocumentationPush
from flowpilot_desktop.services.reach import ReachBoard
from flowpilot_desktop.services.ticking import Ticking
from flowpilot_desktop.services.timekeeping import Timekeeping

RUNS = 20


class DueAtOnce:
    """Documentation that is due again the moment a push has ended, for some times."""

    def __init__(self) -> None:
        self.runs = 0
        self.done = asyncio.Event()

    async def run_due(self) -> None:
        self.runs += 1
        if self.runs == RUNS:
            self.done.set()

    async def next_due(self) -> datetime | None:
        return datetime.now(UTC) if self.runs < RUNS else None

    async def network_is_back(self) -> None:
        self.done.set()

    async def beat(self) -> None:
        """Nothing works here."""


async def test_what_is_due_at_once_is_done_at_once_however_often():
    work: Any = DueAtOnce()
    ticking = Ticking(cast("DocumentationPush", work), cast("Timekeeping", work), Events())
    ticking.start()
    try:
        async with asyncio.timeout(10):
            await work.done.wait()
    finally:
        await ticking.aclose()
    assert work.runs == RUNS


async def test_documentation_goes_at_once_when_connectwise_is_back():
    work: Any = DueAtOnce()
    work.runs = RUNS
    events = Events()
    reach = ReachBoard(events)
    ticking = Ticking(cast("DocumentationPush", work), cast("Timekeeping", work), events)
    ticking.start()
    try:
        reach.note(System.PSA, Reach.AWAY, "No connection to ConnectWise.", 30.0)
        reach.note(System.QUEUE, Reach.REACHABLE)
        await asyncio.sleep(0)
        assert not work.done.is_set()
        reach.note(System.PSA, Reach.REACHABLE)
        async with asyncio.timeout(20):
            await work.done.wait()
    finally:
        await ticking.aclose()


async def test_closing_waits_for_the_end_of_a_job_and_reports_no_fault():
    work: Any = DueAtOnce()
    work.runs = RUNS
    ticking = Ticking(cast("DocumentationPush", work), cast("Timekeeping", work), Events())
    begun, events = asyncio.Event(), []

    async def job() -> None:
        events.append("begun")
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            events.append("ended")

    ticking.every(timedelta(milliseconds=10), "a long job", job)
    ticking.start()
    async with asyncio.timeout(10):
        await begun.wait()
        await ticking.aclose()
    assert events == ["begun", "ended"]
