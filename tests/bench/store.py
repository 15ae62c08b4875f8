"""The local store: a commit against a raw commit of the same bytes, a start, searching, copying."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from flowpilot_desktop.core.attachment import Attachment
from flowpilot_desktop.core.session import (
    Draft,
    Intake,
    Note,
    Option,
    Question,
    Session,
    SessionStatus,
    Source,
    Step,
)
from flowpilot_desktop.store import Store
from flowpilot_desktop.store.backups import Backups
from flowpilot_desktop.store.connection import connect_raw, raw_of
from tests.bench import Measure, median, percentile_99, timed
from tests.clock import VirtualClock

COMMITS = 1_000
STARTS = 15
HISTORY = 10_000
LARGE = 500
NOW = VirtualClock().now()
ROOT = Path(__file__).resolve().parent.parent.parent
WORDS = (
    "printer spooler outlook teams vpn mailbox profile certificate driver update domain password "
    "account sync network switch firewall dns laptop screen slow crash license office backup disk"
)

START = """
import time
began = time.perf_counter()
import asyncio, sys
from pathlib import Path
class Clock:
    def now(self):
        from datetime import UTC, datetime
        return datetime.now(UTC)
    monotonic = staticmethod(time.monotonic)
ready = time.perf_counter()
{imports}
loaded = time.perf_counter()
async def main():
    start = time.perf_counter()
    {opening}
    return time.perf_counter() - start
print(loaded - ready, asyncio.run(main()))
"""
STORE = "from flowpilot_desktop.store import Store"
OPENING = "await Store.open(Path(sys.argv[1]), Clock())"


def run() -> list[Measure]:
    """Return the figures; takes about a minute and a gigabyte of disk."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measured(Path(folder)))


async def _measured(folder: Path) -> list[Measure]:
    store = await Store.open(folder / "profile", VirtualClock())
    session = Session(
        "s", "ana", "ana", SessionStatus.ACTIVE, Intake("Outlook does not start"), NOW, NOW
    )
    await store.save(session)
    commits = await _commits(store)
    floor = _raw_commits(store, folder / "raw.db")
    await store.aclose()
    return [
        Measure(
            "commit a card (5 KB)",
            median(commits),
            median(floor),
            "raw sqlite3, the same bytes, pragmas and triggers",
            percentile_99(commits),
        ),
        *_starts(folder / "profile"),
        *await _history(folder / "history"),
        *await _beside_a_backup(folder / "large"),
    ]


def _cards() -> itertools.chain[Step]:
    text = "Does Outlook start in safe mode? " * 70
    return itertools.chain.from_iterable(
        (
            Step(
                f"{n:08}",
                "s",
                n,
                Question(text, why=text, options=(Option("Yes", "y"), Option("No", "n"))),
                Source.CLAUDE,
                NOW,
                "ana",
            ),
        )
        for n in itertools.count(1)
    )


async def _commits(store: Store) -> list[float]:
    seconds = []
    for card in itertools.islice(_cards(), COMMITS):
        start = time.perf_counter()
        await store.save(card)
        seconds.append(time.perf_counter() - start)
    return seconds


def _raw_commits(store: Store, path: Path) -> list[float]:
    """Commit the rows that the store wrote once more, with sqlite3 alone and on this thread."""

    def copied() -> tuple[list[str], list[Any]]:
        raw = raw_of(store._opened._connection)
        schema = [
            sql
            for name, sql in raw.execute("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL")
            if not name.startswith(("session_texts", "ticket_texts", "sqlite_"))
        ]
        session = raw.execute("SELECT * FROM sessions").fetchall()
        return schema, [session, raw.execute("SELECT * FROM steps ORDER BY number").fetchall()]

    schema, (sessions, steps) = store._worker.submit(copied).result()
    with contextlib.closing(connect_raw(path)) as raw:
        for statement in schema:
            raw.execute(statement)
        marks = ", ".join("?" * len(sessions[0]))
        raw.executemany(f"INSERT INTO sessions VALUES ({marks})", sessions)
        rows = iter(steps)
        insert = f"INSERT INTO steps VALUES ({', '.join('?' * len(steps[0]))})"

        def commit() -> None:
            raw.execute("BEGIN IMMEDIATE")
            raw.execute(insert, next(rows))
            raw.execute("COMMIT")

        return timed(commit, len(steps))


def _starts(profile: Path) -> list[Measure]:
    """Import and open an existing store in fresh processes; the floor is a raw connection."""

    def started(imports: str, opening: str) -> tuple[float, float]:
        code = START.format(imports=imports, opening=opening)
        command = [sys.executable, "-c", code, str(profile)]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        loaded, opened = map(float, told.stdout.split())
        return loaded, opened

    ours = [started(STORE, OPENING) for _ in range(STARTS)]
    path = "Path(sys.argv[1]) / 'flowpilot.db'"
    raw = [
        started("import sqlite3", f"sqlite3.connect({path}).execute('SELECT 1 FROM sessions')")
        for _ in range(STARTS)
    ]
    floor = median([sum(both) for both in raw])
    return [
        Measure("start: import", median([loaded for loaded, _ in ours])),
        Measure("start: open an existing store", median([opened for _, opened in ours])),
        Measure(
            "start: both", median([sum(both) for both in ours]), floor, "import and open sqlite3"
        ),
    ]


async def _history(folder: Path) -> list[Measure]:
    """Search ten thousand sessions of five steps each."""
    store = await Store.open(folder, VirtualClock())
    words = WORDS.split()

    def said(n: int, count: int) -> str:
        return " ".join(words[(n * 7 + i * i * 3 + i) % len(words)] for i in range(count))

    for first in range(0, HISTORY, 500):
        records: list[Any] = []
        for n in range(first, first + 500):
            session = Session(
                f"s{n}",
                "ana",
                "ana",
                SessionStatus.RESOLVED if n % 3 else SessionStatus.ACTIVE,
                Intake(said(n, 8)),
                NOW,
                NOW,
                problem_summary=f"{said(n + 1, 6)} HOST-{n:05}",
                company=f"Company {n % 50}",
            )
            steps = [
                Step(f"{n}-{i}", session.id, i, Note(said(n + i, 25)), Source.FLOW, NOW, "ana")
                for i in range(1, 6)
            ]
            records += [session, *steps]
        await store.save(*records)
    start = time.perf_counter()
    await store.sessions(search="warm")
    indexed = (time.perf_counter() - start) / HISTORY

    async def each(ask: Callable[[int], Awaitable[object]], times: int = 30) -> list[float]:
        seconds = []
        for n in range(times):
            start = time.perf_counter()
            await ask(n)
            seconds.append(time.perf_counter() - start)
        return seconds

    found = {
        "list the newest 50": await each(lambda _: store.sessions()),
        "search a host name": await each(lambda n: store.sessions(search=f"HOST-{n:05}")),
        "search two words": await each(lambda n: store.sessions(search=said(n, 2))),
        "search one letter": await each(lambda _: store.sessions(search="p")),
        "solved before": await each(lambda n: store.similar_sessions(said(n, 20), 5)),
    }
    changed = await store.session("s1")
    assert changed is not None

    async def after_a_change(n: int) -> None:
        await store.save(replace(changed, problem_summary=f"changed {n}"))
        await store.sessions(search="changed")

    found["save a session and find it"] = await each(after_a_change)
    raw = store._worker.submit(lambda: _scan(store)).result()
    copied = await _copied(store)
    await store.aclose()
    return [
        Measure("index one session of five steps", indexed),
        *(
            Measure(f"{name} in {HISTORY:,}", median(seconds), raw, "read them all by SQL")
            for name, seconds in found.items()
        ),
        copied,
    ]


def _scan(store: Store) -> float:
    """Return how long a search takes that has no index: reading every session and step."""
    raw = raw_of(store._opened._connection)
    query = (
        "SELECT count(*) FROM sessions JOIN steps ON steps.session_id = sessions.id "
        "WHERE steps.body LIKE '%nothing has this%' OR sessions.intake LIKE '%nor this%'"
    )
    return median(timed(lambda: raw.execute(query).fetchone(), 5))


async def _copied(store: Store) -> Measure:
    path = store.folder / "flowpilot.db"
    raw = raw_of(store._opened._connection)
    folder = store.folder / "copies"

    def back_up() -> float:
        store._opened.copying.faults()
        Backups(folder).take(raw, NOW)
        return path.stat().st_size

    start = time.perf_counter()
    size = store._worker.submit(back_up).result()
    taken = time.perf_counter() - start
    name = f"check and back up {size / 1e6:.0f} MB at once"
    return Measure(name, taken, _plainly_copied(path, folder), "copy the file")


def _plainly_copied(path: Path, folder: Path) -> float:
    start = time.perf_counter()
    plain = folder / "plain"
    with path.open("rb") as source, plain.open("wb") as file:
        shutil.copyfileobj(source, file, 2**20)
        file.flush()
        os.fsync(file.fileno())
    taken = time.perf_counter() - start
    plain.unlink()
    return taken


async def _beside_a_backup(folder: Path) -> list[Measure]:
    """Save what is typed while a large store is checked and copied, as happens every hour."""
    clock = VirtualClock()
    store = await Store.open(folder, clock)
    session = Session("s", "ana", "ana", SessionStatus.ACTIVE, Intake("Outlook"), NOW, NOW)
    await store.save(session)
    for n in range(LARGE):
        content = os.urandom(1_000_000)
        kept = Attachment(f"{n}", "s", f"{n}.txt", "text/plain", content, NOW, "intake")
        await store.save(kept)
    backups = Backups(folder / "backups")
    await asyncio.to_thread(store._opened.copying.wait)  # the one that the first save began

    async def typed(n: int) -> float:
        start = time.perf_counter()
        await store.save(Draft("s", f"field {n % 50}", "It still does not print. " * 8, NOW))
        return time.perf_counter() - start

    alone = [await typed(n) for n in range(200)]
    count = len(backups.all())
    clock.advance(hours=1)
    beside: list[float] = []
    start = time.perf_counter()
    while len(backups.all()) == count:
        beside.append(await typed(len(beside)))
        await asyncio.sleep(0.01)
    taken = time.perf_counter() - start
    plain = _plainly_copied(folder / "flowpilot.db", folder / "backups")
    await store.aclose()
    return [
        Measure(
            f"save a draft beside a backup of {LARGE} MB",
            median(beside),
            median(alone),
            "without the backup",
            percentile_99(beside),
        ),
        Measure("the longest of them", max(beside), max(alone), "without the backup"),
        Measure(f"check and back up {LARGE} MB beside saving", taken, plain, "copy the file"),
    ]
