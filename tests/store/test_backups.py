"""Copies: made by the clock, kept by the rule, never a damaged one."""

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from flowpilot_desktop.store import Store
from flowpilot_desktop.store.backups import Backups
from tests.clock import VirtualClock
from tests.store import records as make
from tests.store.conftest import settled
from tests.store.records import NOON


@pytest.fixture
def raw(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    raw = sqlite3.connect(tmp_path / "some.db", isolation_level=None)
    raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("CREATE TABLE alembic_version (version_num TEXT)")
    raw.execute("INSERT INTO alembic_version VALUES ('0001')")
    yield raw
    raw.close()


async def test_a_store_in_use_is_copied_every_hour(store: Store, clock: VirtualClock, tmp_path):
    backups = Backups(tmp_path / "backups")
    await store.save(make.a_session("s0"))
    await settled(store)
    assert [one.taken_at for one in backups.all()] == [NOON]
    clock.advance(minutes=59)
    await store.save(make.a_session("s1"))
    await settled(store)
    assert len(backups.all()) == 1
    clock.advance(minutes=1)
    await settled(store)
    assert len(backups.all()) == 1, "reading is no reason for a copy"
    await store.save(make.a_session("s2"))
    await settled(store)
    newest, _ = backups.all()
    assert newest.taken_at == NOON + timedelta(hours=1)
    copy = sqlite3.connect(newest.path)
    assert copy.execute("SELECT count(*) FROM sessions").fetchone() == (3,)
    assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    copy.close()
    assert {path.suffix for path in (tmp_path / "backups").iterdir()} == {".db"}


async def test_starting_again_within_the_hour_makes_no_copy(open_store, tmp_path: Path):
    for name in ("s0", "s1"):
        store = await open_store()
        await store.save(make.a_session(name))
        await settled(store)
        await store.aclose()
    assert len(Backups(tmp_path / "backups").all()) == 1


def test_eight_hours_and_seven_days_are_kept(tmp_path: Path, raw: sqlite3.Connection):
    backups = Backups(tmp_path / "backups")
    for hour in range(24 * 10):
        backups.take(raw, NOON + timedelta(hours=hour))
    end = NOON + timedelta(hours=24 * 10 - 1)
    hours = [end - timedelta(hours=back) for back in range(8)]
    midnight = end.replace(hour=23)
    days = [midnight - timedelta(days=back) for back in range(1, 7)]
    kept = [one.taken_at for one in backups.all()]
    assert kept == [*hours, *days]
    assert len(kept) == 8 + 7 - 1  # the newest of today is one of the eight


def test_several_copies_within_an_hour_count_once(tmp_path: Path, raw: sqlite3.Connection):
    backups = Backups(tmp_path / "backups")
    for minute in range(5):
        backups.take(raw, NOON + timedelta(minutes=minute))
    assert [one.taken_at for one in backups.all()] == [NOON + timedelta(minutes=4)]


def test_copies_before_a_migration_do_not_count_against_the_others(tmp_path: Path, raw):
    backups = Backups(tmp_path / "backups")
    backups.take(raw, NOON)
    for n in range(5):
        backups.take(raw, NOON, before=f"000{n}")
    assert [one.before for one in backups.all()] == ["0004", "0003", "0002", ""]


def test_a_clock_that_was_wrong_does_not_decide_which_is_newest(tmp_path: Path, raw):
    backups = Backups(tmp_path / "backups")
    wrong = backups.take(raw, NOON + timedelta(days=4000))
    assert backups.are_due(NOON)
    right = backups.take(raw, NOON)
    assert backups.all()[0] == right
    assert not backups.are_due(NOON + timedelta(minutes=1))
    assert wrong in backups.all()


def test_the_newest_good_one_is_found(tmp_path: Path, raw: sqlite3.Connection):
    backups = Backups(tmp_path / "backups")
    good = backups.take(raw, NOON)
    raw.execute("UPDATE alembic_version SET version_num = '9999'")
    backups.take(raw, NOON + timedelta(hours=1))
    raw.execute("UPDATE alembic_version SET version_num = '0001'")
    garbage = backups.take(raw, NOON + timedelta(hours=2))
    garbage.path.write_bytes(b"no database" * 1000)
    empty = backups.take(raw, NOON + timedelta(hours=3))
    empty.path.write_bytes(b"")
    assert backups.newest_good() == good


def test_other_files_in_the_folder_are_left_alone(tmp_path: Path, raw: sqlite3.Connection):
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / "mine.db").write_text("mine")
    (folder / "000001-2026-11-23T120000Z.part").write_text("cut short")
    backups = Backups(folder)
    assert backups.all() == []
    backups.take(raw, NOON)
    assert (folder / "mine.db").read_text() == "mine"
    assert not list(folder.glob("*.part"))
