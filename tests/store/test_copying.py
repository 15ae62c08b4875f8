"""Checks and copies of the whole file run beside whoever saves, and end with the store."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from flowpilot_desktop.core.attachment import Attachment
from flowpilot_desktop.core.errors import StoreError
from flowpilot_desktop.store import Store, copying
from flowpilot_desktop.store.backups import Backups
from tests.clock import VirtualClock
from tests.store import records as make
from tests.store.records import NOON

LIMIT = 60.0


class Gate:
    """Stands between two pieces of a copy: it waits there until it may go on."""

    def __init__(self) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self, _ended: threading.Event) -> Callable[[], None]:
        return self.wait

    def wait(self) -> None:
        self.reached.set()
        assert self.opened.wait(LIMIT)


@pytest.fixture
async def large(store: Store, clock: VirtualClock) -> Store:
    """A store of several pieces that was copied already; the next copy is due."""
    await store.save(make.a_session("s0"))
    for n in range(4):
        content = bytes([n]) * 1_000_000
        await store.save(Attachment(f"{n}", "s0", f"{n}.txt", "text/plain", content, NOON))
    await asyncio.to_thread(store._opened.copying.wait)
    clock.advance(hours=1)
    return store


async def test_saving_goes_on_while_a_copy_is_made(
    large: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    gate = Gate()
    monkeypatch.setattr(copying, "_Pauses", gate)
    await large.save(make.a_session("before"))
    assert await asyncio.to_thread(gate.reached.wait, LIMIT)
    for n in range(5):
        await large.save(make.a_session(f"meanwhile {n}"))
    assert len(await large.sessions(limit=50)) == 7
    gate.opened.set()
    await asyncio.to_thread(large._opened.copying.wait)
    newest, _ = Backups(tmp_path / "backups").all()
    copy = sqlite3.connect(newest.path)
    try:
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        ids = {row[0] for row in copy.execute("SELECT id FROM sessions")}
        assert ids == {"s0", "before"}, "one view, as it was when the copy began"
    finally:
        copy.close()
    assert await large.integrity_faults() == ()


async def test_closing_ends_a_copy_and_keeps_no_half_one(
    large: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_store
):
    monkeypatch.setattr(copying, "_LAST_SECONDS", 0.0)
    reached = threading.Event()

    class Endless(copying._Pauses):
        def __call__(self) -> None:
            reached.set()
            self._ended.wait(LIMIT)
            super().__call__()

    monkeypatch.setattr(copying, "_Pauses", Endless)
    before = Backups(tmp_path / "backups").all()
    await large.save(make.a_session("late"))
    assert await asyncio.to_thread(reached.wait, LIMIT)
    await large.aclose()
    assert Backups(tmp_path / "backups").all() == before
    assert {path.suffix for path in (tmp_path / "backups").iterdir()} == {".db"}
    again: Store = await open_store()
    assert again.report.ended_clean
    assert await again.session("late") is not None


async def test_a_check_holds_up_nobody_and_ends_with_the_store(large: Store):
    inside, go_on = threading.Event(), threading.Event()

    def occupied() -> None:
        inside.set()
        assert go_on.wait(LIMIT)

    busy = large._worker.submit(occupied)
    assert await asyncio.to_thread(inside.wait, LIMIT)
    assert await asyncio.wait_for(large.integrity_faults(), LIMIT) == ()
    go_on.set()
    await asyncio.wrap_future(busy)
    await large.aclose()
    with pytest.raises(StoreError, match="closed"):
        await large.integrity_faults()
    with pytest.raises(StoreError, match="closed"):
        large._opened.copying.faults()


async def test_a_check_that_runs_is_interrupted_by_closing(
    large: Store, monkeypatch: pytest.MonkeyPatch
):
    running = threading.Event()

    def endless(raw: sqlite3.Connection) -> tuple[str, ...]:
        running.set()
        count = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
        raw.execute(f"{count} SELECT count(*) FROM n").fetchone()
        raise AssertionError

    monkeypatch.setattr(copying, "_faults", endless)
    check = asyncio.ensure_future(large.integrity_faults())
    assert await asyncio.to_thread(running.wait, LIMIT)
    await asyncio.wait_for(large.aclose(), LIMIT)
    with pytest.raises(StoreError, match="closed"):
        await check
