"""A store in a folder of its own, and a clock that tests move."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from flowpilot_desktop.store import Store
from tests.clock import VirtualClock
from tests.store.records import NOON

Opening = Callable[[], Awaitable[Store]]


async def settled(store: Store) -> None:
    """Care of the file begins on the store's thread behind the write; so does this question."""
    await store.session("none")
    await asyncio.to_thread(store._opened.copying.wait)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOON)


@pytest.fixture
async def open_store(tmp_path: Path, clock: VirtualClock) -> AsyncIterator[Opening]:
    """Opens the test's profile; whatever is still open at the end is closed."""
    opened: list[Store] = []

    async def opening() -> Store:
        store = await Store.open(tmp_path, clock)
        opened.append(store)
        return store

    yield opening
    for store in opened:
        await store.aclose()


@pytest.fixture
async def store(open_store: Opening) -> Store:
    return await open_store()
