"""Starting with the session: the place that each system has for it, for this user only.

Linux and its kin read ``autostart/flowpilot.desktop``, macOS a launch agent, Windows the ``Run``
key, which the installer may have written as well: what the system says is true (``is_set``). Only
what FlowPilot itself wrote is changed or removed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

_LABEL = "FlowPilot"
_AGENT = "com.resolutionflow.flowpilot"
_RUN = r"Software\Microsoft\Windows\CurrentVersion\Run"


def command() -> tuple[str, ...]:
    """Return what starts this FlowPilot into the tray, without a terminal's window."""
    program = _windowed(sys.executable) if sys.platform == "win32" else sys.executable
    if getattr(sys, "frozen", False):
        return (program, "--minimized")
    return (program, "-m", "flowpilot_desktop", "--minimized")


def is_set() -> bool:
    """Return whether FlowPilot starts with the session."""
    if sys.platform == "win32":
        return _has_run_key()
    return _file().is_file()


def set_autostart(*, on: bool, arguments: Sequence[str] = ()) -> None:
    """Start FlowPilot with the session, or no longer. Raises OSError."""
    words = tuple(arguments) or command()
    if sys.platform == "win32":
        _set_run_key(words if on else ())
        return
    path = _file()
    if not on:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if sys.platform == "darwin":
        import plistlib  # noqa: PLC0415 - only here, and the start is short of time

        agent = {"Label": _AGENT, "ProgramArguments": list(words), "RunAtLoad": True}
        path.write_bytes(plistlib.dumps(agent))
    else:
        path.write_text(
            "[Desktop Entry]\nType=Application\nName=FlowPilot\n"
            f"Exec={' '.join(_quoted(word) for word in words)}\n"
            "X-GNOME-Autostart-enabled=true\n",
            encoding="utf-8",
        )


def _windowed(program: str) -> str:
    """Return the program beside a console program that opens a window only, if there is one.

    They are named like ``python.exe`` and ``pythonw.exe``.
    """
    path = Path(program)
    windowed = path.with_name(f"{path.stem}w{path.suffix}")
    return str(windowed) if windowed.is_file() else program


def _file() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "LaunchAgents" / f"{_AGENT}.plist"
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "autostart" / "flowpilot.desktop"


def _quoted(word: str) -> str:
    """Return a word as the desktop entry's rules want it."""
    escaped = "".join(f"\\{sign}" if sign in '"`$\\' else sign for sign in word)
    return f'"{escaped}"'.replace("%", "%%")


def _has_run_key() -> bool:
    if sys.platform == "win32":
        import winreg  # noqa: PLC0415 - Windows alone has it

        try:
            with winreg.OpenKey(winreg.HKEY_CURRENT_USER, _RUN) as key:
                winreg.QueryValueEx(key, _LABEL)
        except OSError:
            return False
        return True
    return False


def _set_run_key(words: Sequence[str]) -> None:
    if sys.platform == "win32":
        import subprocess  # noqa: PLC0415 - only for its quoting rules
        import winreg  # noqa: PLC0415 - Windows alone has it

        with winreg.CreateKey(winreg.HKEY_CURRENT_USER, _RUN) as key:
            if words:
                value = subprocess.list2cmdline(list(words))
                winreg.SetValueEx(key, _LABEL, 0, winreg.REG_SZ, value)
            else:
                try:
                    winreg.DeleteValue(key, _LABEL)
                except FileNotFoundError:
                    return
