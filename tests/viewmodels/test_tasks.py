"""Coroutines behind screens: names, superseding, silence on cancelling, errors sorted."""

from __future__ import annotations

import asyncio
import sys

from flowpilot_desktop.core.errors import FlowPilotError, NotFound
from flowpilot_desktop.viewmodels.tasks import Tasks


async def ended(tasks: Tasks, name: str) -> None:
    async with asyncio.timeout(5):
        while tasks.is_running(name):  # noqa: ASYNC110 - the end has no event of its own
            await asyncio.sleep(0)


async def test_a_name_supersedes_its_former_task():
    failures: list[FlowPilotError] = []
    seen: list[str] = []
    tasks = Tasks(failures.append)
    first_started, first_ended = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        first_started.set()
        try:
            await asyncio.Event().wait()
        finally:
            first_ended.set()

    async def second() -> None:
        seen.append("second")

    tasks.start("search", first())
    await first_started.wait()
    tasks.start("search", second())
    await first_ended.wait()
    await ended(tasks, "search")
    assert (seen, failures) == (["second"], [])
    await tasks.aclose()


async def test_a_verb_does_not_start_twice():
    failures: list[FlowPilotError] = []
    tasks = Tasks(failures.append)
    gate = asyncio.Event()
    runs: list[int] = []

    async def verb() -> None:
        runs.append(1)
        await gate.wait()

    assert tasks.start_unless_running("verb", verb())
    assert not tasks.start_unless_running("verb", verb())
    gate.set()
    await ended(tasks, "verb")
    assert runs == [1]
    await tasks.aclose()


async def test_our_errors_are_told_and_bugs_reach_the_hook(monkeypatch):
    failures: list[FlowPilotError] = []
    bugs: list[type[BaseException]] = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: bugs.append(kind))
    tasks = Tasks(failures.append)
    error = NotFound("No such session.")

    async def failing(what: Exception):
        raise what

    tasks.start("world", failing(error))
    tasks.start("bug", failing(ZeroDivisionError()))
    await ended(tasks, "world")
    await ended(tasks, "bug")
    assert failures == [error]
    assert bugs == [ZeroDivisionError]
    await tasks.aclose()


async def test_closing_cancels_in_silence_and_nothing_starts_after():
    failures: list[FlowPilotError] = []
    tasks = Tasks(failures.append)
    was_cancelled = asyncio.Event()
    started = asyncio.Event()

    async def endless() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            was_cancelled.set()
            raise

    tasks.start("endless", endless())
    await started.wait()
    await tasks.aclose()
    assert was_cancelled.is_set()
    late = endless()
    tasks.start("late", late)
    assert not tasks.names
    assert not failures
