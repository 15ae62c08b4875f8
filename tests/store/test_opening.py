"""Opening: whose the profile is, which version it has, and what a start costs."""

import asyncio
import hashlib
import logging
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory

from flowpilot_desktop.core.errors import ProfileInUse, StoreError, StoreTooNew
from flowpilot_desktop.core.session import Draft, Session
from flowpilot_desktop.store import Store
from flowpilot_desktop.store import tables as t
from flowpilot_desktop.store.backups import Backups
from flowpilot_desktop.store.connection import connect, disconnect, raw_of
from flowpilot_desktop.store.migrating import HEAD, migrate, revision_of
from tests.store import records as make
from tests.store.records import NOON

MIGRATIONS = Path(migrate.__code__.co_filename).parent / "migrations"
ROOT = Path(__file__).resolve().parent.parent.parent


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- a new profile ---------------------------------------------------------------------------


async def test_a_new_profile_is_made_and_an_old_one_found(open_store, tmp_path: Path, caplog):
    caplog.set_level(logging.INFO)
    store = await open_store()
    assert store.report.created
    assert store.report.words == ""
    assert store.report.free_bytes > 0
    assert store.folder == tmp_path
    assert f"SQLite {sqlite3.sqlite_version}" in caplog.text
    await store.save(make.a_session())
    await store.aclose()
    again = await open_store()
    assert not again.report.created
    assert again.report.ended_clean
    assert await again.session("s1") == make.a_session()


async def test_a_clean_end_leaves_one_file_and_nothing_half(open_store, tmp_path: Path):
    store = await open_store()
    await store.save(make.a_session())
    await store.aclose()
    assert names_in(tmp_path) == {"flowpilot.db", "flowpilot.lock", "backups", "ballast"}


async def test_the_pragmas_are_the_ones_that_lose_nothing(tmp_path: Path, open_store):
    await open_store()
    connection = connect(tmp_path / "other.db")
    try:
        values = {
            name: raw_of(connection).execute(f"PRAGMA {name}").fetchone()[0]
            for name in (
                "journal_mode",
                "synchronous",
                "foreign_keys",
                "busy_timeout",
                "trusted_schema",
                "cell_size_check",
                "mmap_size",
            )
        }
    finally:
        disconnect(connection)
    assert values == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 5000,
        "trusted_schema": 0,
        "cell_size_check": 1,
        "mmap_size": 0,
    }


async def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path, clock):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match="can't be used") as refused:
        await Store.open(tmp_path / "file", clock)
    assert refused.value.hint


async def test_awkward_folders_work(tmp_path: Path, clock):
    store = await Store.open(tmp_path / "Profil Größe 100% #1 ?x=y" / "é", clock)
    await store.save(make.a_session())
    await store.aclose()
    store = await Store.open(tmp_path / "Profil Größe 100% #1 ?x=y" / "é", clock)
    assert await store.session("s1") is not None
    await store.aclose()


async def test_giving_up_on_opening_leaves_the_profile_free(tmp_path: Path, clock):
    opening = asyncio.create_task(Store.open(tmp_path, clock))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    for _ in range(100_000):
        try:
            store = await Store.open(tmp_path, clock)
        except ProfileInUse:
            continue
        break
    await store.aclose()


# --- whose it is -----------------------------------------------------------------------------

HOLDER = """
import asyncio, sys
from pathlib import Path
from flowpilot_desktop.store import Store
from tests.clock import VirtualClock

async def main():
    store = await Store.open(Path(sys.argv[1]), VirtualClock())
    print("open", flush=True)
    sys.stdin.readline()
    await store.aclose()

asyncio.run(main())
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


async def test_a_profile_is_open_once(open_store, tmp_path: Path, clock):
    store = await open_store()
    with pytest.raises(ProfileInUse):
        await Store.open(tmp_path, clock)
    await store.save(make.a_session())
    await store.aclose()
    await open_store()


async def test_another_process_keeps_it_until_it_ends_or_dies(open_store, tmp_path: Path, clock):
    with holder(tmp_path) as process:
        with pytest.raises(ProfileInUse):
            await Store.open(tmp_path, clock)
        process.communicate("\n", timeout=30)
    store = await open_store()
    assert store.report.ended_clean
    await store.aclose()
    with holder(tmp_path) as process:
        process.kill()
    store = await open_store()
    assert not store.report.ended_clean
    assert store.report.words == ""


# --- its version -----------------------------------------------------------------------------


async def test_a_newer_store_is_refused_and_not_touched(open_store, tmp_path: Path, clock):
    store = await open_store()
    await store.save(make.a_session())
    await store.aclose()
    path = tmp_path / "flowpilot.db"
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    before = digest(path)
    for _ in range(2):
        with pytest.raises(StoreTooNew) as refused:
            await Store.open(tmp_path, clock)
        assert "9999" in refused.value.message
        assert "Update FlowPilot" in refused.value.hint
    assert digest(path) == before
    assert not (tmp_path / "damaged").exists()


async def test_a_version_nobody_knows_counts_as_newer(open_store, tmp_path: Path, clock):
    await (await open_store()).aclose()
    with sqlite3.connect(tmp_path / "flowpilot.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num = 'deadbeef'")
    raw.close()
    with pytest.raises(StoreTooNew):
        await Store.open(tmp_path, clock)


def test_the_head_is_the_last_revision():
    script = ScriptDirectory(str(MIGRATIONS))
    assert script.get_heads() == [HEAD]
    revisions = [one.revision for one in script.walk_revisions()]
    assert revisions == [f"{n:04}" for n in range(len(revisions), 0, -1)]


def schema(raw: sqlite3.Connection) -> dict[str, Any]:
    """What SQLite itself says of each table: columns, references, indices."""

    def asked(pragma: str, of: str) -> list[tuple[Any, ...]]:
        return raw.execute(f"PRAGMA {pragma}({of})").fetchall()

    return {
        table: {
            "columns": [(name, kind, bool(null or key)) for _, name, kind, null, _, key in columns],
            "key": [name for _, name, *_, key in columns if key],
            "references": [row[2:7] for row in asked("foreign_key_list", table)],
            "indices": sorted(
                (unique, partial, [name for *_, name in asked("index_info", index)])
                for _, index, unique, origin, partial in asked("index_list", table)
                if origin != "pk"
            ),
        }
        for table in t.metadata.tables
        if (columns := asked("table_info", table))
    }


def test_the_migrations_make_the_tables_that_the_code_knows(tmp_path: Path):
    migrated, made = connect(tmp_path / "migrated.db"), connect(tmp_path / "made.db")
    try:
        migrate(migrated, "")
        assert revision_of(raw_of(migrated)) == HEAD
        with made.begin():
            t.metadata.create_all(made)
        expected = schema(raw_of(made))
        assert set(expected) == set(t.metadata.tables)
        assert schema(raw_of(migrated)) == expected
        names = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        assert set(raw_of(migrated).execute(names)) == set(raw_of(made).execute(names))
    finally:
        disconnect(migrated)
        disconnect(made)


# --- what an earlier FlowPilot left ----------------------------------------------------------


@pytest.mark.parametrize("revision", [f"{n:04}" for n in range(1, int(HEAD))])
async def test_a_store_of_every_earlier_revision_comes_up_with_all_in_it(
    open_store, tmp_path: Path, revision: str
):
    """The earlier store is made by its own revisions and filled as the first version filled it."""
    connection = connect(tmp_path / "flowpilot.db")
    migrate(connection, "", to=revision)
    records = [
        make.a_session(),
        make.an_answered_step(),
        make.a_push_item(),
        make.a_context(),
        Draft("s1", "s1-1", "typed", NOON),
    ]
    with connection.begin():
        for record in records:
            table, row = t.SHELVES[type(record)].table, t.SHELVES[type(record)].row(record)
            known = {
                name
                for _, name, *_ in raw_of(connection).execute(f"PRAGMA table_info({table.name})")
            }
            of_then = {name: value for name, value in row.items() if name in known}
            connection.execute(table.insert().values(of_then))
    disconnect(connection)

    store = await open_store()
    assert store.report.migrated_from == revision
    assert store.report.words == ""
    assert await store.session("s1") == make.a_session()
    assert await store.steps("s1") == (make.an_answered_step(),)
    assert [item.id for item in await store.push_items("s1")] == ["p1"]
    assert await store.ticket_context("cw", "101") == make.a_context()
    assert [draft.text for draft in await store.drafts("s1")] == ["typed"]
    assert [one.session.id for one in await store.sessions(search="outlook")] == ["s1"]
    found = await store.tickets_matching(make.a_context().ticket.summary)
    assert [one.ticket.id for one in found] == ["101"]
    assert make.a_context().ticket.company.name in await store.clients()
    assert await store.integrity_faults() == ()
    await store.aclose()

    (backup,) = Backups(tmp_path / "backups").all()
    assert backup.before == HEAD
    copy = sqlite3.connect(backup.path)
    assert revision_of(copy) == revision
    copy.close()
    again = await open_store()
    assert again.report.migrated_from == ""


async def test_a_migration_that_fails_changes_nothing(
    open_store, tmp_path: Path, clock, logged_errors
):
    connection = connect(tmp_path / "flowpilot.db")
    migrate(connection, "", to="0001")
    raw_of(connection).execute("CREATE TABLE escalations (in_the_way)")
    disconnect(connection)
    before = digest(tmp_path / "flowpilot.db")
    with pytest.raises(StoreError, match="from revision 0001") as refused:
        await Store.open(tmp_path, clock)
    assert "Nothing in it was changed" in refused.value.hint
    assert "already exists" in str(logged_errors[0].exc_text or logged_errors[0].exc_info)
    assert digest(tmp_path / "flowpilot.db") == before
    raw = sqlite3.connect(tmp_path / "flowpilot.db")
    assert revision_of(raw) == "0001"
    raw.execute("DROP TABLE escalations")
    raw.close()
    store = await open_store()
    assert store.report.migrated_from == "0001"


# Opens the store and dies, as by a power cut, at the statement of the migration that is asked for.
KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from flowpilot_desktop.store import Store, opening
from flowpilot_desktop.store.connection import raw_of
from tests.clock import VirtualClock

migrate, left = opening.migrate, [int(sys.argv[2])]

def count(_):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def migrated(connection, revision):
    raw_of(connection).set_trace_callback(count)
    migrate(connection, revision)

async def main():
    opening.migrate = migrated
    store = await Store.open(Path(sys.argv[1]), VirtualClock())
    await store.aclose()

asyncio.run(main())
"""


async def test_a_migration_that_is_killed_anywhere_is_done_at_the_next_start(tmp_path: Path, clock):
    statements, step, killed = 1, 6, 0
    while True:
        folder = tmp_path / str(statements)
        folder.mkdir()
        connection = connect(folder / "flowpilot.db")
        migrate(connection, "", to="0001")
        columns = {
            name for _, name, *_ in raw_of(connection).execute("PRAGMA table_info(sessions)")
        }
        row = t.SHELVES[Session].row(make.a_session())
        with connection.begin():
            of_then = {name: value for name, value in row.items() if name in columns}
            connection.execute(t.sessions.insert().values(of_then))
        disconnect(connection)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", KILLED, str(folder), str(statements), cwd=ROOT
        )
        if await process.wait() == 0:
            break  # there are fewer statements than that
        assert process.returncode == -signal.SIGKILL
        killed += 1
        store = await Store.open(folder, clock)
        assert store.report.recovery is None
        assert await store.session("s1") == make.a_session()
        assert await store.integrity_faults() == ()
        await store.aclose()
        assert revision_in(folder) == HEAD
        statements += step
    assert killed >= 5


def revision_in(folder: Path) -> str:
    with closing(sqlite3.connect(folder / "flowpilot.db")) as raw:
        return revision_of(raw)


# --- what a start costs ----------------------------------------------------------------------

START = """
import sys
from pathlib import Path
import asyncio
from flowpilot_desktop.store import Store
from tests.clock import VirtualClock

async def main():
    store = await Store.open(Path(sys.argv[1]), VirtualClock())
    await store.aclose()

asyncio.run(main())
print(*({"alembic", "sqlalchemy", "sqlalchemy.orm", "mako"} & sys.modules.keys()))
"""


async def test_an_ordinary_start_imports_no_alembic_and_no_orm(open_store, tmp_path: Path):
    await (await open_store()).aclose()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", START, str(tmp_path), cwd=ROOT, stdout=subprocess.PIPE
    )
    words, _ = await asyncio.wait_for(process.communicate(), 60)
    assert words.split() == [b"sqlalchemy"]
