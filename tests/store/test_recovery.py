"""Damaged stores: moved aside whole, restored, and everything readable carried over."""

import random
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from flowpilot_desktop.core.errors import StoreDamaged, StoreTooNew
from flowpilot_desktop.core.push import PushState
from flowpilot_desktop.core.session import Draft, Note, SessionStatus
from flowpilot_desktop.store import Store
from flowpilot_desktop.store.backups import Backups
from flowpilot_desktop.store.recovery import RECOVERED_SUMMARY
from tests.clock import VirtualClock
from tests.store import records as make
from tests.store.conftest import settled
from tests.store.records import NOON

PAGE = 4096

pytestmark = pytest.mark.usefixtures("logged_errors")  # damage is an error of the log


async def filled(open_store, clock: VirtualClock, *, backed_up: bool = True) -> None:
    """Leaves a store of 60 sessions, half of them in a backup, and ends cleanly."""
    store: Store = await open_store()
    if not backed_up:
        store._opened._next_care = clock.now() + timedelta(days=1)
    for n in range(60):
        name = f"s{n}"
        await store.save(
            make.a_session(name, problem_summary=f"Problem {n} " + "x" * 300),
            make.an_answered_step(f"{name}-1", name, 1, body=Note(f"did {n} " + "y" * 400)),
            make.a_step(f"{name}-2", name, 2),
            make.a_push_item(f"{name}-p", name),
        )
        if n == 29:
            await store.save(Draft("s1", "before", "typed before the backup", NOON))
            clock.advance(hours=2)
            await store.save(Draft("s1", "now", "typed after", NOON))
            await settled(store)
            await store.save(clear_drafts=[("s1", "before")])
    await store.aclose()


async def after_damage(open_store, tmp_path: Path) -> Store:
    store: Store = await open_store()
    recovery = store.report.recovery
    assert recovery is not None
    assert store.report.words.startswith("The local store was damaged: ")
    assert await store.integrity_faults() == ()
    # Whatever happened, the store works.
    await store.save(make.a_session("new"), make.a_step("new-1", "new"))
    assert [one.session.id for one in await store.sessions(search="outlook", limit=1)]
    return store


def quarantined(folder: Path) -> dict[str, bytes]:
    (aside,) = (folder / "damaged").iterdir()
    return {path.name: path.read_bytes() for path in aside.iterdir()}


async def sessions_of(store: Store) -> set[str]:
    return {one.session.id for one in await store.sessions(limit=1000)} - {"new"}


ALL = {f"s{n}" for n in range(60)}
IN_BACKUP = {f"s{n}" for n in range(30)}


def overwritten(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def header_zeroed(path: Path) -> None:
    overwritten(path, 0, bytes(100))


def first_page_garbage(path: Path) -> None:
    overwritten(path, 0, random.Random(1).randbytes(PAGE))


def begins_as_text(path: Path) -> None:
    overwritten(path, 0, b"<html><body>Sign in to the hotel's network")


def cut_in_half(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 // PAGE * PAGE)


def cut_within_a_page(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1000)


def last_third_zeroed(path: Path) -> None:
    size = path.stat().st_size
    overwritten(path, size * 2 // 3 // PAGE * PAGE, bytes(size // 3))


@pytest.mark.parametrize(
    "damage",
    [header_zeroed, first_page_garbage, begins_as_text, cut_in_half, cut_within_a_page],
)
async def test_nothing_that_was_backed_up_is_lost_and_the_rest_is_carried(
    open_store, clock, tmp_path: Path, damage: Callable[[Path], None]
):
    await filled(open_store, clock)
    path = tmp_path / "flowpilot.db"
    damage(path)
    damaged = path.read_bytes()
    store = await after_damage(open_store, tmp_path)
    assert quarantined(tmp_path)["flowpilot.db"] == damaged
    assert await sessions_of(store) >= IN_BACKUP
    recovery = store.report.recovery
    assert recovery is not None
    assert recovery.backup is not None
    assert "Nothing was deleted" in recovery.words
    if damage in (header_zeroed, first_page_garbage, begins_as_text, cut_within_a_page):
        assert len(await sessions_of(store)) >= 57


@pytest.mark.parametrize("damage", [header_zeroed, begins_as_text])
async def test_a_lost_header_costs_nothing(open_store, clock, tmp_path: Path, damage):
    await filled(open_store, clock)
    damage(tmp_path / "flowpilot.db")
    store = await after_damage(open_store, tmp_path)
    assert await sessions_of(store) == ALL
    assert [draft.field for draft in await store.drafts("s1")] == ["now"]
    recovery = store.report.recovery
    assert recovery is not None
    assert recovery.missing == {}
    assert recovery.carried["steps"] == 120
    assert "60 sessions, 120 steps" in recovery.words


async def test_without_a_backup_what_is_readable_is_all_there_is(open_store, clock, tmp_path: Path):
    await filled(open_store, clock, backed_up=False)
    header_zeroed(tmp_path / "flowpilot.db")
    store = await after_damage(open_store, tmp_path)
    assert await sessions_of(store) == ALL
    assert "There was no backup yet" in store.report.words


async def test_an_empty_file(open_store, clock, tmp_path: Path):
    await filled(open_store, clock)
    (tmp_path / "flowpilot.db").write_bytes(b"")
    store = await after_damage(open_store, tmp_path)
    assert await sessions_of(store) == IN_BACKUP
    assert "the file is empty" in store.report.words
    assert "Nothing in the damaged file could be read." in store.report.words


async def test_a_file_that_is_gone(open_store, clock, tmp_path: Path):
    await filled(open_store, clock)
    (tmp_path / "flowpilot.db").unlink()
    store = await after_damage(open_store, tmp_path)
    assert await sessions_of(store) == IN_BACKUP
    assert "its file was gone" in store.report.words
    assert not (tmp_path / "damaged").exists()


async def test_nothing_but_garbage_and_no_backup(open_store, clock, tmp_path: Path):
    await filled(open_store, clock, backed_up=False)
    (tmp_path / "flowpilot.db").write_bytes(random.Random(2).randbytes(50_000))
    store = await after_damage(open_store, tmp_path)
    assert await sessions_of(store) == set()
    assert len(quarantined(tmp_path)["flowpilot.db"]) == 50_000


@pytest.mark.parametrize("seed", range(12))
async def test_random_pages_overwritten(open_store, clock, tmp_path: Path, seed: int):
    """After an unclean end every page is checked; what stands on the others is kept."""
    await filled(open_store, clock)
    path = tmp_path / "flowpilot.db"
    chance = random.Random(seed)
    pages = path.stat().st_size // PAGE
    for _ in range(chance.randint(1, 4)):
        overwritten(path, chance.randrange(1, pages) * PAGE, chance.randbytes(PAGE))
    (tmp_path / "flowpilot.lock").write_bytes(b"open")
    store: Store = await open_store()
    assert await store.integrity_faults() == ()
    found = await sessions_of(store)
    assert found >= IN_BACKUP
    kept = [step for session_id in sorted(found) for step in await store.steps(session_id)]
    recovery = store.report.recovery
    missing = dict(recovery.missing) if recovery is not None else {}
    # What is not there was told, or its page could not even be counted from outside.
    assert len(kept) + missing.get("steps", 0) >= 120 - 8 * len(missing)
    assert len(found) + missing.get("sessions", 0) >= 60 - 8 * len(missing)


async def test_damage_met_in_use_is_told_and_mended_at_the_next_start(
    open_store, clock, tmp_path: Path
):
    await filled(open_store, clock)
    path = tmp_path / "flowpilot.db"
    raw = sqlite3.connect(path)
    (root,) = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'push_items'").fetchone()
    raw.close()
    overwritten(path, (root - 1) * PAGE, b"\xff" * PAGE)
    store: Store = await open_store()  # the end was clean, so nobody looked at every page
    assert store.report.recovery is None
    with pytest.raises(StoreDamaged) as refused:
        await store.push_items("s1")
    assert "Restart FlowPilot" in refused.value.hint
    assert await store.integrity_faults() != ()
    await store.aclose()
    store = await after_damage(open_store, tmp_path)
    assert await sessions_of(store) == ALL
    assert len(await store.steps("s59")) == 2


async def test_a_damaged_store_is_not_copied_over_the_good_backups(
    open_store, clock, tmp_path: Path, logged_errors
):
    await filled(open_store, clock)
    path, backups = tmp_path / "flowpilot.db", Backups(tmp_path / "backups")
    before = backups.all()
    raw = sqlite3.connect(path)
    (root,) = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'engineers'").fetchone()
    raw.close()
    overwritten(path, (root - 1) * PAGE, b"\xff" * PAGE)
    store: Store = await open_store()
    clock.advance(hours=5)
    await store.save(make.a_session("late"))
    await settled(store)
    assert backups.all() == before
    assert any("not backed up" in record.getMessage() for record in logged_errors)
    await store.aclose()
    store = await after_damage(open_store, tmp_path)
    assert "late" in await sessions_of(store)


async def test_what_the_backup_calls_unsent_may_have_been_sent_since(
    open_store, clock, tmp_path: Path
):
    """The row that says it was sent is lost: the item is looked for before it is sent again."""
    store: Store = await open_store()
    await store.save(make.a_session(), make.a_push_item("old"))
    await settled(store)  # by now the backup has it as pending
    await store.save(make.a_push_item("old", state=PushState.SENT, remote_id="7"))
    await store.aclose()
    path = tmp_path / "flowpilot.db"
    raw = sqlite3.connect(path)
    (root,) = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'push_items'").fetchone()
    raw.close()
    overwritten(path, (root - 1) * PAGE, b"\xff" * PAGE)
    (tmp_path / "flowpilot.lock").write_bytes(b"open")
    store = await after_damage(open_store, tmp_path)
    (item,) = await store.push_items("s1")
    assert item.state is PushState.UNCLEAR
    assert item.watermark == 0
    assert "may have been sent" in item.warning


async def test_steps_whose_session_is_lost_are_kept(open_store, clock, tmp_path: Path):
    await filled(open_store, clock, backed_up=False)
    path = tmp_path / "flowpilot.db"
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA foreign_keys = OFF")
    # As pages that can't be read would leave it.
    raw.execute("DELETE FROM sessions WHERE id = 's7'")
    raw.execute("INSERT INTO happenings VALUES ('h', 'gone', 0, 0, 'rested', NULL, '', 5)")
    raw.commit()
    raw.close()
    header_zeroed(path)
    store = await after_damage(open_store, tmp_path)
    session = await store.session("s7")
    assert session is not None
    assert session.problem_summary == RECOVERED_SUMMARY
    assert session.status is SessionStatus.PAUSED
    assert session.user_id == "ana"
    assert len(await store.steps("s7")) == 2
    assert RECOVERED_SUMMARY in store.report.words
    assert await store.happenings("gone") == ()
    assert "at least 1 happening." in store.report.words


async def test_side_files_move_together(open_store, clock, tmp_path: Path):
    await filled(open_store, clock)
    path = tmp_path / "flowpilot.db"
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA wal_autocheckpoint = 0")
    raw.execute("INSERT INTO remembered VALUES ('a', 'b')")
    raw.commit()
    wal = path.with_name("flowpilot.db-wal")
    content = wal.read_bytes()
    raw.close()  # writes the WAL back; the crash is played by putting it there again
    wal.write_bytes(content)
    begins_as_text(path)
    overwritten(wal, 0, b"garbage" * 10)
    await after_damage(open_store, tmp_path)
    assert set(quarantined(tmp_path)) >= {"flowpilot.db", "flowpilot.db-wal"}


async def test_a_recovery_that_was_interrupted_is_finished(open_store, clock, tmp_path: Path):
    await filled(open_store, clock)
    path = tmp_path / "flowpilot.db"
    whole = path.read_bytes()
    (tmp_path / "flowpilot.db.ready").write_bytes(whole)
    path.write_bytes(b"damaged")
    store: Store = await open_store()
    assert await sessions_of(store) == ALL
    assert quarantined(tmp_path) == {"flowpilot.db": b"damaged"}
    await store.aclose()
    (tmp_path / "flowpilot.db.new").write_bytes(b"half")
    store = await open_store()
    assert await sessions_of(store) == ALL


async def test_two_damages_on_one_day_are_kept_apart(open_store, clock, tmp_path: Path):
    await filled(open_store, clock)
    for content in (b"first", b"second"):
        (tmp_path / "flowpilot.db").write_bytes(content)
        store: Store = await open_store()
        await store.aclose()
    kept = sorted(path.read_bytes() for path in (tmp_path / "damaged").glob("*/flowpilot.db"))
    assert kept == [b"first", b"second"]


async def test_a_damaged_newer_store_is_left_alone(open_store, clock, tmp_path: Path):
    await filled(open_store, clock)
    path = tmp_path / "flowpilot.db"
    raw = sqlite3.connect(path)
    raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.commit()
    (root,) = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'push_items'").fetchone()
    raw.close()
    overwritten(path, (root - 1) * PAGE, b"\xff" * PAGE)
    (tmp_path / "flowpilot.lock").write_bytes(b"open")
    before = path.read_bytes()
    with pytest.raises(StoreTooNew):
        await Store.open(tmp_path, clock)
    assert path.read_bytes() == before
