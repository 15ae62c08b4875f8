"""Stories on a disk that is really full, run by ``test_disk`` in a process that has such a disk.

``python -m tests.store.full_disk STORY FOLDER``: the folder lies on a disk of 24 MB.
"""

import asyncio
import sys
from pathlib import Path

from flowpilot_desktop.core.errors import StoreFull
from flowpilot_desktop.core.session import Draft
from flowpilot_desktop.store import Store, opening, profile
from flowpilot_desktop.store.profile import Ballast
from tests.clock import VirtualClock
from tests.store import records as make
from tests.store.records import NOON

BIG = "x" * 100_000


async def saved_until_full(store: Store) -> int:
    """Saves big drafts one by one until the store refuses; returns how many it took."""
    for n in range(1000):
        try:
            await store.save(
                make.a_session(problem_summary=f"draft {n}"), Draft("s1", f"{n}", BIG, NOON)
            )
        except StoreFull:
            return n
    raise AssertionError("the disk is not full")


def fill_up(folder: Path) -> Path:
    """Leaves not one byte."""
    filler = folder / "filler"
    piece = 4096 * 64
    with filler.open("ab", buffering=0) as file:
        while piece:
            try:
                while file.write(bytes(piece)) == piece:
                    pass
            except OSError:
                pass
            piece //= 2
    return filler


async def a_store_with_ballast(folder: Path, clock: VirtualClock) -> Store:
    store = await Store.open(folder, clock)
    await store.save(make.a_session())
    await store.session("x")  # by now the room is kept
    assert (folder / "ballast").stat().st_size == Ballast.SIZE
    return store


async def a_full_disk_and_back(folder: Path) -> None:
    clock = VirtualClock(NOON)
    store = await a_store_with_ballast(folder, clock)
    fill_up(folder)
    saved = await saved_until_full(store)
    assert saved > 20, f"the kept room carries on for a while, not for {saved} drafts"
    assert not (folder / "ballast").exists()
    assert len(await store.drafts("s1")) == saved
    await store.aclose()

    fill_up(folder).unlink()
    store = await Store.open(folder, clock)
    assert len(await store.drafts("s1")) == saved
    await store.save(Draft("s1", "again", BIG, NOON))
    assert await store.integrity_faults() == ()
    await store.aclose()


async def opening_on_a_full_disk(folder: Path) -> None:
    clock = VirtualClock(NOON)
    store = await a_store_with_ballast(folder, clock)
    await store.aclose()
    fill_up(folder)
    store = await Store.open(folder, clock)
    assert await store.session("s1") == make.a_session()
    assert not (folder / "ballast").exists(), "SQLite needed room to open at all"
    await store.aclose()


STORIES = {story.__name__: story for story in (a_full_disk_and_back, opening_on_a_full_disk)}

if __name__ == "__main__":
    for module in (opening, profile):
        vars(module)["LOW_SPACE"] = 1_000_000  # the whole disk is small
    asyncio.run(STORIES[sys.argv[1]](Path(sys.argv[2])))
    print("as told")
