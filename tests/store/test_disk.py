"""A full disk: refused in words, nothing acknowledged lost, and on again when there is room."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flowpilot_desktop.core.errors import StoreFull
from flowpilot_desktop.core.session import Draft
from flowpilot_desktop.store import Store, opening, profile
from flowpilot_desktop.store.connection import raw_of
from flowpilot_desktop.store.profile import Ballast
from tests.store import records as make
from tests.store.full_disk import BIG, saved_until_full
from tests.store.records import NOON


def limit_pages(store: Store, pages: int) -> None:
    """Lets SQLite itself find no room beyond so many pages."""
    raw = raw_of(store._opened._connection)
    store._worker.submit(
        lambda: raw.execute(f"PRAGMA max_page_count = {pages}").fetchone()
    ).result()


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

ROOT = Path(__file__).resolve().parent.parent.parent
# A mount that no other process sees and that goes when this one goes.
SMALL_DISK = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=24m none "$0" && exec "$@"']


def _may_mount() -> bool:
    """Whether this process may make a small disk: as root on Linux, outside most containers."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    try:
        probe = subprocess.run([*SMALL_DISK, "/mnt", "true"], capture_output=True, check=False)
    except OSError:
        return False
    return probe.returncode == 0


STORIES = ["a_full_disk_and_back", "opening_on_a_full_disk"] if _may_mount() else []


@pytest.mark.parametrize("story", STORIES)
async def test_on_a_real_full_disk(story: str, tmp_path: Path):
    process = await asyncio.create_subprocess_exec(
        *SMALL_DISK,
        str(tmp_path),
        *(sys.executable, "-m", "tests.store.full_disk", story, str(tmp_path)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    words, _ = await asyncio.wait_for(process.communicate(), 100)
    assert process.returncode == 0, words.decode()
    assert words.decode().splitlines()[-1] == "as told"
