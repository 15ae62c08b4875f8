"""Runs a command so that nothing of it stays behind: not after a time limit, not after Ctrl+C.

On Linux this process adopts the orphans of what it starts, so that a database server or a keyring
daemon that a test put in the background is still found, ended and named. Elsewhere the process
group (macOS) or tree (Windows) of the command is what can be ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PR_SET_CHILD_SUBREAPER = 36
_GRACE = 3.0  # seconds in which what was told to end may still end
LAST_WORDS = 30.0  # seconds for what the time limit interrupts


def call(
    command: Sequence[str | Path],
    *,
    folder: Path,
    limit: float | None = None,
    last_words: float = LAST_WORDS,
) -> int:
    """Runs a command to its end and returns its exit code, 124 after `limit` seconds.

    At the limit it is interrupted and has `last_words` seconds to say what it knows: pytest prints
    its failures. 130 answers Ctrl+C or a termination signal. A command that leaves processes behind
    fails with 1, even if it said that all was well.
    """
    _adopt_orphans()
    flags = 0
    if sys.platform == "win32":
        own_group = limit is not None  # only the first of a group can be interrupted by another
        flags = subprocess.CREATE_NEW_PROCESS_GROUP if own_group else 0
    else:
        # With a terminal it stays in our group: Ctrl+C and a debugger's prompt work as usual.
        own_group = not sys.stdin.isatty()
    process = subprocess.Popen(
        command, cwd=folder, start_new_session=own_group, creationflags=flags
    )
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        code = process.wait(limit)
    except subprocess.TimeoutExpired:
        print(f"\nStopping: this takes longer than {limit:.0f} s.", flush=True)
        _wind_up(process, last_words, own_group=own_group)
        print(f"\nStopped: this took longer than {limit:.0f} s. Its processes were ended.")
        return 124
    except KeyboardInterrupt:
        _wind_up(process, 2 * _GRACE, own_group=own_group, all_were_told=not own_group)
        return 130
    if left := _sweep():
        print(f"\nLeft running, and ended now: {', '.join(left)}. Whoever started it ends it.")
        return code or 1
    return code


def replace(command: Sequence[str | Path]) -> int:
    """Becomes the command, where the system can; otherwise runs it and returns its exit code."""
    sys.stdout.flush()
    if sys.platform != "win32":
        os.execv(command[0], [str(part) for part in command])  # noqa: S606  # a shell is not wanted
    return subprocess.run(command, check=False).returncode


def _interrupted(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _wind_up(
    process: subprocess.Popen[bytes],
    last_words: float,
    *,
    own_group: bool,
    all_were_told: bool = False,
) -> None:
    """Interrupts a command, gives it a while to end by itself, and ends what is left of it.

    `all_were_told` when the terminal has interrupted everybody in front of it already.
    """
    with contextlib.suppress(subprocess.TimeoutExpired, ProcessLookupError, KeyboardInterrupt):
        if all_were_told:
            pass
        elif sys.platform == "win32":
            # Ctrl+C reaches no group of its own; tests/conftest.py lets Break mean the same.
            process.send_signal(signal.CTRL_BREAK_EVENT)
        elif own_group:
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGINT)
        process.wait(last_words)
    _end(process, own_group=own_group)


def _end(process: subprocess.Popen[bytes], *, own_group: bool) -> None:
    """Ends a command and all that can be found of what it started."""
    if sys.platform == "win32":
        if process.poll() is None:
            subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], check=False)
    else:
        with contextlib.suppress(ProcessLookupError):
            if own_group:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
    process.wait()
    _sweep(grace=0)


def _adopt_orphans() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _sweep(grace: float = _GRACE) -> list[str]:
    """Ends every descendant that is alive after the grace; returns their names. Linux only."""
    deadline = time.monotonic() + grace
    while (alive := dict(_descendants())) and time.monotonic() < deadline:
        time.sleep(0.05)
    named = [f"{name} ({pid})" for pid, name in alive.items()]
    while alive:  # killing one may orphan, that is hand us, the next
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        alive = dict(_descendants())
    return named


def _descendants() -> Iterator[tuple[int, str]]:
    """Process id and name of each living descendant of this process; reaps the dead ones."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    children: dict[int, list[tuple[int, str]]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended while we looked
            before, _, after = entry.read_text(errors="replace").rpartition(")")
            number, _, name = before.partition(" (")
            state, parent = after.split()[:2]
            if state != "Z":
                children.setdefault(int(parent), []).append((int(number), name))
    waiting = [os.getpid()]
    while waiting:
        for pid, name in children.get(waiting.pop(), ()):
            waiting.append(pid)
            yield pid, name
