"""Killed at any moment: whatever was acknowledged is there, and nothing is half."""

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest

from flowpilot_desktop.store import Store
from tests.clock import VirtualClock
from tests.store.records import NOON

ROOT = Path(__file__).resolve().parent.parent.parent
KILLS = 30

WRITER = """
import asyncio, itertools, sys
from dataclasses import replace
from pathlib import Path
from flowpilot_desktop.core.session import Draft, Response
from flowpilot_desktop.store import Store
from tests.clock import VirtualClock
from tests.store import records as make
from tests.store.records import NOON, at

async def main():
    folder, first = Path(sys.argv[1]), int(sys.argv[2])
    clock = VirtualClock(NOON)
    store = await Store.open(folder, clock)
    print("open", flush=True)
    for n in itertools.count(first):
        # A card appears, text is typed, the answer takes the draft's place: three commits.
        name = f"s{n}"
        step = make.a_step(f"{name}-1", name)
        await store.save(make.a_session(name), step)
        await store.save(Draft(name, step.id, "typed " * 200, NOON))
        print(f"typed {n}", flush=True)
        answer = replace(step, response=Response(option="y"), answered_at=at(1), answered_by="ana")
        item = make.a_push_item(f"{name}-p", name)
        await store.save(answer, item, clear_drafts=[(name, step.id)])
        print(f"answered {n}", flush=True)
        if n % 7 == 0:
            clock.advance(hours=1)  # so that some kills meet a backup being made
            await store.sessions(search="outlook")  # and some the index catching up

asyncio.run(main())
"""


async def written_until_killed(folder: Path, first: int, chance: random.Random) -> tuple[int, int]:
    """Lets the writer write some, kills it a moment later; returns the last it acknowledged."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(folder), str(first), cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"open\n"
    lines, moment = chance.randint(1, 16), chance.uniform(0, 0.01)
    typed = answered = first - 1
    async for line in process.stdout:
        lines -= 1
        if lines == 0:
            asyncio.get_running_loop().call_later(moment, process.kill)
        word, number = line.decode().split()
        if word == "typed":
            typed = int(number)
        else:
            answered = int(number)
    assert await process.wait() != 0
    return typed, answered


@pytest.mark.timeout(300)
async def test_every_acknowledged_commit_survives_every_kill(tmp_path: Path):
    chance = random.Random(7)
    first = 0
    for _ in range(KILLS):
        typed, answered = await written_until_killed(tmp_path, first, chance)
        store = await Store.open(tmp_path, VirtualClock(NOON))
        assert not store.report.ended_clean
        assert store.report.recovery is None
        for n in range(first, typed + 1):
            (step,) = await store.steps(f"s{n}")
            drafts = await store.drafts(f"s{n}")
            items = await store.push_items(f"s{n}")
            # The answer, its note to the ticket and the end of its draft came together or not.
            assert (len(drafts), len(items)) == ((1, 0) if step.response is None else (0, 1))
            if n <= answered:
                assert step.response is not None
        assert await store.integrity_faults() == ()
        count = len(await store.sessions(limit=100_000))
        assert len(await store.sessions(search="outlook", limit=100_000)) == count
        await store.aclose()
        first = count
    assert first > KILLS, "the writer must have written between the kills"
