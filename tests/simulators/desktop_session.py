"""A desktop session of one's own: an X server, a session bus, a home, and nothing else.

What a process does in it (tray, notifications, windows on the screen) is seen by nobody else and
sees nothing of the person who runs the tests. Programs started in it end with it.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("Xvfb", "dbus-daemon")
_DISPLAYS = (120, 60_000)
_TRIES = 5
_LIMIT = 20.0

# No folder of services: nothing on this bus is started by its name.
_BUS = """
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir={folder}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


@dataclass
class DesktopSession:
    """An open session; ``environment`` leads a process into it."""

    home: Path
    environment: dict[str, str]
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(
        self, command: Sequence[str], *, extra: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program that ends with the session; what it says goes to a file of its name."""
        name = Path(command[0]).name
        with (self.home / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                list(command),
                env=self.environment | dict(extra or {}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,
            )
        self._running.append(process)
        return process

    def stop(self) -> None:
        """End what was started, the last first."""
        while self._running:
            _end(self._running.pop())


@contextmanager
def desktop_session(home: Path, *, size: str = "1440x900") -> Iterator[DesktopSession]:
    """Open a session whose programs find their home in a folder."""
    run = home / "run"
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "America/Chicago",
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),
    }
    for name in ("cache", "config", "data", "state"):
        environment[f"XDG_{name.upper()}_HOME"] = str(home / name)
    environment["XDG_RUNTIME_DIR"] = str(run)
    with contextlib.ExitStack() as closing:
        environment["DISPLAY"] = closing.enter_context(_screen(size))
        environment["DBUS_SESSION_BUS_ADDRESS"] = closing.enter_context(_bus(home, environment))
        session = DesktopSession(home, environment)
        closing.callback(session.stop)
        yield session


@contextmanager
def _screen(size: str) -> Iterator[str]:
    """Start an X server on a display that nobody uses."""
    assert shutil.which("Xvfb"), "these tests need an X server without a screen: install xvfb"
    for _ in range(_TRIES):
        display = f":{random.randint(*_DISPLAYS)}"
        process = subprocess.Popen(
            ["Xvfb", display, "-screen", "0", f"{size}x24", "-nolisten", "tcp"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            socket = Path(f"/tmp/.X11-unix/X{display[1:]}")
            end = time.monotonic() + _LIMIT
            while process.poll() is None and not socket.exists():
                assert time.monotonic() < end, "the X server did not come up"
                time.sleep(0.02)
            if process.poll() is None:
                yield display
                return
        finally:
            _end(process)
    raise AssertionError("no display is free for an X server")


@contextmanager
def _bus(home: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Start a session bus; return its address."""
    assert shutil.which("dbus-daemon"), "these tests need a session bus: install dbus"
    config = home / "bus.conf"
    config.write_text(_BUS.format(folder=home / "run"))
    process = subprocess.Popen(
        ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address=1"],
        stdout=subprocess.PIPE,
        env=dict(environment),
        text=True,
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address, "the bus did not come up"
        yield address
    finally:
        _end(process)
        if process.stdout is not None:
            process.stdout.close()


def _end(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
