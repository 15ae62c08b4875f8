"""A full disk: refused in words, nothing acknowledged lost, and on again when there is room."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowpilot_desktop.core.errors import StoreFull
from flowpilot_desktop.core.session import Draft
from flowpilot_desktop.store import Store, opening, profile
from flowpilot_desktop.store.connection import raw_of
from flowpilot_desktop.store.profile import Ballast
from tests.clock import VirtualClock
from tests.store import records as make
from tests.store.records import NOON

BIG = "x" * 100_000


def limit_pages(store: Store, pages: int) -> None:
    """Lets SQLite itself find no room beyond so many pages."""
    raw = raw_of(store._opened._connection)
    store._worker.submit(
        lambda: raw.execute(f"PRAGMA max_page_count = {pages}").fetchone()
    ).result()


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


async def test_no_room_is_told_in_words_and_nothing_saved_is_lost(store: Store):
    await store.save(make.a_session(), Draft("s1", "kept", "kept", NOON))
    limit_pages(store, 1)  # SQLite takes the size that the file has
    assert await saved_until_full(store) == 0
    with pytest.raises(StoreFull) as refused:
        await store.save(Draft("s1", "big", BIG, NOON))
    assert refused.value.retryable
    assert "Everything saved so far is safe" in refused.value.hint
    assert await store.session("s1") == make.a_session()
    assert [draft.field for draft in await store.drafts("s1")] == ["kept"]
    limit_pages(store, 1_000_000)
    await store.save(Draft("s1", "big", BIG, NOON))
    assert await store.integrity_faults() == ()


async def test_a_search_works_on_a_full_disk_with_what_is_indexed(store: Store):
    await store.save(make.a_session())
    assert len(await store.sessions(search="outlook")) == 1
    await store.save(make.a_session("s2", problem_summary="printer " + BIG))
    limit_pages(store, 1)
    assert len(await store.sessions(search="outlook")) == 2 - 1
    assert len(await store.sessions()) == 2


async def test_the_kept_room_is_given_back_once(store: Store, tmp_path: Path):
    await store.save(make.a_session())
    await store.session("x")
    ballast = tmp_path / "ballast"
    assert ballast.stat().st_size == Ballast.SIZE
    limit_pages(store, 1)
    with pytest.raises(StoreFull):
        await store.save(Draft("s1", "big", BIG * 10, NOON))
    assert not ballast.exists()


async def test_a_nearly_full_disk_is_told_at_the_start(open_store, monkeypatch):
    monkeypatch.setattr(opening, "free_space", lambda _: 150_000_000)
    store = await open_store()
    assert store.report.space_is_low
    assert "Only 150 MB are free" in store.report.words


async def test_no_room_is_taken_from_a_disk_that_is_low(open_store, tmp_path: Path, monkeypatch):
    for module in (opening, profile):
        monkeypatch.setattr(module, "free_space", lambda _: 150_000_000)
    store = await open_store()
    await store.save(make.a_session())
    await store.session("x")
    assert not (tmp_path / "ballast").exists()
    assert not (tmp_path / "backups").exists()


# --- a disk that is really full --------------------------------------------------------------


def _may_mount() -> bool:
    """Whether this process may make a small disk: as root on Linux, outside most containers."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


async def fill_up(folder: Path) -> Path:
    """Leaves not one byte."""
    filler = folder / "filler"
    piece = 4096 * 64
    with filler.open("wb", buffering=0) as file:
        while piece:
            try:
                while file.write(bytes(piece)) == piece:
                    pass
                piece //= 2
            except OSError:
                piece //= 2
    return filler


async def a_full_disk_and_back(folder: Path) -> None:
    clock = VirtualClock(NOON)
    store = await Store.open(folder, clock)
    await store.save(make.a_session())
    await store.session("x")
    assert (folder / "ballast").stat().st_size == Ballast.SIZE
    filler = await fill_up(folder)

    saved = await saved_until_full(store)
    assert saved > 20, "the kept room carries on for a while"
    assert not (folder / "ballast").exists()
    assert len(await store.drafts("s1")) == saved
    # Freeing space must be possible though there is none.
    await store.aclose()

    await fill_up(folder)
    (folder / "filler").unlink()
    store = await Store.open(folder, clock)
    assert len(await store.drafts("s1")) == saved
    await store.save(Draft("s1", "again", BIG, NOON))
    assert await store.integrity_faults() == ()
    await store.aclose()
    assert not filler.exists()


async def opening_on_a_full_disk(folder: Path) -> None:
    clock = VirtualClock(NOON)
    store = await Store.open(folder, clock)
    await store.save(make.a_session())
    await store.session("x")
    await store.aclose()
    await fill_up(folder)
    store = await Store.open(folder, clock)
    assert await store.session("s1") == make.a_session()
    assert not (folder / "ballast").exists(), "SQLite needed room to open at all"
    await store.aclose()


REAL = [a_full_disk_and_back, opening_on_a_full_disk] if _may_mount() else []


@pytest.mark.parametrize("story", REAL)
async def test_on_a_real_full_disk(story, request: pytest.FixtureRequest, monkeypatch):
    for module in (opening, profile):
        monkeypatch.setattr(module, "LOW_SPACE", 1_000_000)
    await story(request.getfixturevalue("small_disk"))
