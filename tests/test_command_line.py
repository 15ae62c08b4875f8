"""The commands by real process: ``--help``, exit codes, ``flows check``, ``export``."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flowpilot_desktop import __version__, assets
from flowpilot_desktop.composition import open_desk
from flowpilot_desktop.core.events import Events
from flowpilot_desktop.core.session import Intake, Response, Result
from flowpilot_desktop.profile import Profile
from flowpilot_desktop.settings import Settings
from flowpilot_desktop.ui.instance import raise_first_instance
from tests.commands import LIMIT, ROOT, arguments_of, flowpilot


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--help",), ("doctor", "flows", "export", "--demo", "--profile")),
        (("doctor", "--help"), ("--json",)),
        (("flows", "check", "--help"), ("files or folders",)),
        (("export", "--help"), ("--output", "session")),
    ],
)
def test_help_is_told_with_success(tmp_path, arguments, words):
    outcome = flowpilot(tmp_path, *arguments)
    assert outcome.code == 0
    assert outcome.err == ""
    for word in words:
        assert word in outcome.out
    assert not list(tmp_path.iterdir())


def test_the_version(tmp_path):
    assert flowpilot(tmp_path, "--version").out == f"FlowPilot {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nonsense",), "invalid choice"),
        (("flows",), "required"),
        (("export",), "required"),
        (("doctor", "--xml"), "unrecognized"),
        (("--second",), "--second goes with --demo"),
    ],
)
def test_what_is_mistyped_is_told_with_code_2(tmp_path, arguments, words):
    outcome = flowpilot(tmp_path, *arguments)
    assert outcome.code == 2
    assert words in outcome.err
    assert "usage: flowpilot" in outcome.err
    assert not list(tmp_path.iterdir())


# --- flows check -----------------------------------------------------------------------------


def test_the_shipped_flows_are_sound(tmp_path):
    outcome = flowpilot(tmp_path, "flows", "check")
    assert outcome.code == 0
    assert "0 findings" in outcome.out


def test_a_folder_and_a_file_of_ones_own(tmp_path):
    shipped = min(assets.path("flows").glob("*.yaml"))
    own = tmp_path / "own"
    own.mkdir()
    shutil.copy(shipped, own / shipped.name)
    for place in (own, own / shipped.name):
        outcome = flowpilot(tmp_path, "flows", "check", str(place))
        assert (outcome.code, outcome.err) == (0, "")
        assert outcome.out.startswith("1 file")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "id: 7\n", "id: a\n  title: b\n", "\x00", "id: &a [*a]\n", "id: !!python/name:os\n"],
)
def test_a_file_that_is_no_flow_is_told_with_its_name_and_line(tmp_path, text):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    outcome = flowpilot(tmp_path, "flows", "check", str(file))
    assert outcome.code == 1
    assert "mine.yaml:" in outcome.out
    assert "Traceback" not in outcome.out + outcome.err


def test_a_file_that_is_not_there(tmp_path):
    outcome = flowpilot(tmp_path, "flows", "check", str(tmp_path / "nowhere.yaml"))
    assert outcome.code == 1
    assert "nowhere.yaml" in outcome.out + outcome.err
    assert "Traceback" not in outcome.out + outcome.err


# --- export ----------------------------------------------------------------------------------


async def a_session(folder: Path) -> str:
    """Work on a session in the practice company; return its id."""
    events = Events()
    settings = Settings(folder, events)
    profile = Profile(folder, is_demo=True, latency=0.0)
    async with open_desk(profile, settings=settings, events=events) as desk:
        started = await desk.engine.start_session(
            Intake(text="Outlook asks for a password, pw is Winter-2031!")
        )
        step = await desk.engine.next_step(started.session.id)
        assert step is not None
        await desk.engine.add_note(started.session.id, "Rebooted — läuft wieder 🎉")
        await desk.engine.respond(started.session.id, step.id, _answer(step))
        return started.session.id


def _answer(step) -> Response:
    options = getattr(step.body, "options", ())
    return Response(option=options[0].value) if options else Response(result=Result.WORKED)


async def test_a_note_goes_to_the_terminal_and_to_a_file_redacted(tmp_path):
    profile = tmp_path / "profile"
    profile.mkdir()
    session = await a_session(profile)
    told = flowpilot(profile, "export", session, demo=True)
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("═══ FlowPilot Session Documentation ═══")
    assert "läuft wieder 🎉" in told.out
    assert "Winter-2031!" not in told.out
    file = tmp_path / "note.txt"
    kept = flowpilot(profile, "export", session, "--output", str(file), demo=True)
    assert (kept.code, kept.out, kept.err) == (0, "", "")
    steps = "── Diagnosis Path ──"
    assert file.read_text(encoding="utf-8").split(steps)[1:] != []
    assert file.read_text(encoding="utf-8").splitlines()[:2] == told.out.splitlines()[:2]


async def test_what_cannot_be_exported_is_told_with_code_1(tmp_path):
    profile = tmp_path / "profile"
    profile.mkdir()
    session = await a_session(profile)
    unknown = flowpilot(profile, "export", "nobody", demo=True)
    nowhere = flowpilot(
        profile, "export", session, "--output", str(tmp_path / "no" / "note.txt"), demo=True
    )
    for outcome, words in ((unknown, "not on this computer"), (nowhere, "note.txt")):
        assert (outcome.code, outcome.out) == (1, "")
        assert words in outcome.err
        assert "Traceback" not in outcome.err


# --- the window ------------------------------------------------------------------------------


def _window(profile: Path, *arguments: str, demo: bool = True) -> subprocess.Popen[str]:
    return subprocess.Popen(
        arguments_of(profile, *arguments, demo=demo),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _until_it_listens(profile: Path, process: subprocess.Popen[str]) -> None:
    deadline = LIMIT
    while not raise_first_instance(profile, "") and deadline > 0:
        assert process.poll() is None, process.stdout
        deadline -= 0.5
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            continue
    assert deadline > 0


def test_a_second_start_raises_the_first_and_ends(tmp_path, qapp):
    first = _window(tmp_path)
    try:
        _until_it_listens(tmp_path, first)
        second = _window(tmp_path)
        words, _ = second.communicate(timeout=30)
        assert second.returncode == 0, words
        assert first.poll() is None
    finally:
        first.send_signal(signal.SIGTERM)
        words, _ = first.communicate(timeout=30)
    assert first.returncode == 0, words
    assert "raise()" in words  # what Qt says off screen when a window is brought to the front
    again = _window(tmp_path)
    try:
        _until_it_listens(tmp_path, again)
    finally:
        again.send_signal(signal.SIGTERM)
        again.communicate(timeout=30)
    assert again.returncode == 0


def test_two_starts_at_once_make_one_window(tmp_path, qapp):
    """An impatient double click: the one that comes too late ends by itself, without a word."""
    both = [_window(tmp_path) for _ in range(2)]
    try:
        deadline = time.monotonic() + LIMIT
        while all(one.poll() is None for one in both) and time.monotonic() < deadline:
            with contextlib.suppress(subprocess.TimeoutExpired):
                both[0].wait(0.2)
        codes = [one.poll() for one in both]
        assert sorted(map(str, codes)) == ["0", "None"]
    finally:
        for one in both:
            one.send_signal(signal.SIGTERM)
            one.communicate(timeout=LIMIT)
    assert [one.returncode for one in both] == [0, 0]


def test_the_log_says_as_much_as_was_chosen(tmp_path, qapp):
    log = tmp_path / "logs" / "flowpilot.log"
    for level, says in (("info", True), ("warning", False)):
        (tmp_path / "settings.json").write_text(f'{{"system.log_level": "{level}"}}')
        log.unlink(missing_ok=True)
        process = _window(tmp_path)
        try:
            _until_it_listens(tmp_path, process)
        finally:
            process.send_signal(signal.SIGTERM)
            words, _ = process.communicate(timeout=LIMIT)
        assert process.returncode == 0, words
        assert (" INFO " in log.read_text(encoding="utf-8")) is says


# Starts the window as ``flowpilot`` does, reads its labels, and quits when the words are there.
READER = """
import os, signal, sys
from pathlib import Path
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QLabel
from flowpilot_desktop.profile import Profile
from flowpilot_desktop.start import run

qt = QApplication(["flowpilot"])

def read():
    labels = (w.text() for w in qt.allWidgets() if isinstance(w, QLabel) and w.isVisible())
    text = " ".join(labels).replace("\u200b", "")
    if sys.argv[2] in text:
        print(text, "" if qt.windowIcon().pixmap(32).isNull() else "(with an icon)")
        timer.stop()
        os.kill(os.getpid(), signal.SIGTERM)

timer = QTimer()
timer.timeout.connect(read)
timer.start(50)
sys.exit(run(Profile(Path(sys.argv[1]), is_demo=True)))
"""


BROKEN = """
from flowpilot_desktop.store import Store

async def open(*_):
    raise ZeroDivisionError("the pw is Winter-2031!")

Store.open = open
"""


def test_a_bug_in_the_way_of_a_start_is_told_in_the_window(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", BROKEN + READER, str(tmp_path), "could not start"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "Everything saved so far is safe." in done.stdout
    assert str(tmp_path / "logs") in done.stdout
    log = (tmp_path / "logs" / "flowpilot.log").read_text(encoding="utf-8")
    assert "ZeroDivisionError" in log
    assert "Winter-2031!" not in log


def test_the_window_has_the_icon_of_flowpilot(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", READER, str(tmp_path), "Sessions"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "(with an icon)" in done.stdout


def _without_privileges() -> list[str]:
    """Return what takes from root the right to write anywhere."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return []
    rights = "-dac_override,-dac_read_search"
    return ["setpriv", "--bounding-set", rights, "--inh-caps", rights]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_profile_on_a_read_only_folder_is_told_in_the_window(tmp_path, is_there):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    profile = locked if is_there else locked / "profile"
    done = subprocess.run(
        [*_without_privileges(), sys.executable, "-c", READER, str(profile), "can't be used"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=LIMIT,
        check=False,
    )
    assert "Check that it exists and that you may write to it." in done.stdout
    assert "Traceback" not in done.stderr
    assert done.returncode == 1
    assert not list(locked.iterdir())
