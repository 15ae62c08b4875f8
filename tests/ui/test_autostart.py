"""Starting with the session: what is written for each system, and what is read back."""

from __future__ import annotations

import plistlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from flowpilot_desktop.core.events import Events
from flowpilot_desktop.settings import Settings
from flowpilot_desktop.start import agree_on_autostart
from flowpilot_desktop.ui import autostart

RUN = r"Software\Microsoft\Windows\CurrentVersion\Run"


class Registry:
    """The few calls of ``winreg`` that are needed, around one dictionary of the user's keys."""

    HKEY_CURRENT_USER = "user"
    REG_SZ = 1

    def __init__(self) -> None:
        self.keys: dict[str, dict[str, str]] = {}

    @contextmanager
    def CreateKey(self, root: str, path: str) -> Iterator[dict[str, str]]:  # noqa: N802
        assert root == self.HKEY_CURRENT_USER
        yield self.keys.setdefault(path, {})

    @contextmanager
    def OpenKey(self, root: str, path: str) -> Iterator[dict[str, str]]:  # noqa: N802
        assert root == self.HKEY_CURRENT_USER
        if path not in self.keys:
            raise FileNotFoundError
        yield self.keys[path]

    def QueryValueEx(self, key: dict[str, str], name: str) -> tuple[str, int]:  # noqa: N802
        if name not in key:
            raise FileNotFoundError
        return key[name], self.REG_SZ

    def SetValueEx(  # noqa: N802
        self, key: dict[str, str], name: str, _reserved: int, kind: int, value: str
    ) -> None:
        assert kind == self.REG_SZ
        key[name] = value

    def DeleteValue(self, key: dict[str, str], name: str) -> None:  # noqa: N802
        if key.pop(name, None) is None:
            raise FileNotFoundError


def _on(monkeypatch: pytest.MonkeyPatch, platform: str, program: Path, *, frozen: bool) -> None:
    pretend = SimpleNamespace(platform=platform, executable=str(program), frozen=frozen)
    monkeypatch.setattr(autostart, "sys", pretend)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Registry:
    """An installation on Windows: both programs, and the console's one runs."""
    folder = tmp_path / "Program Files"
    folder.mkdir()
    for name in ("flowpilot.exe", "flowpilotw.exe"):
        (folder / name).touch()
    _on(monkeypatch, "win32", folder / "flowpilot.exe", frozen=True)
    registry = Registry()
    monkeypatch.setitem(sys.modules, "winreg", registry)
    return registry


@pytest.mark.parametrize("running", ["flowpilot.exe", "flowpilotw.exe"])
def test_windows_starts_the_program_without_a_terminal(
    windows: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, running: str
):
    folder = tmp_path / "Program Files"
    _on(monkeypatch, "win32", folder / running, frozen=True)
    assert not autostart.is_set()
    autostart.set_autostart(on=True)
    started = subprocess.list2cmdline([str(folder / "flowpilotw.exe"), "--minimized"])
    assert windows.keys == {RUN: {"FlowPilot": started}}
    assert autostart.is_set()
    autostart.set_autostart(on=False)
    autostart.set_autostart(on=False)
    assert windows.keys == {RUN: {}}
    assert not autostart.is_set()


def test_a_checkout_on_windows_starts_pythonw(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "pythonw.exe").touch()
    _on(monkeypatch, "win32", tmp_path / "python.exe", frozen=False)
    assert autostart.command() == (
        str(tmp_path / "pythonw.exe"),
        "-m",
        "flowpilot_desktop",
        "--minimized",
    )


@pytest.mark.parametrize("platform", ["win32", "linux", "darwin"])
def test_without_another_program_the_running_one_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, platform: str
):
    _on(monkeypatch, platform, tmp_path / "flowpilot", frozen=True)
    assert autostart.command() == (str(tmp_path / "flowpilot"), "--minimized")


def test_macos_gets_a_launch_agent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    _on(monkeypatch, "darwin", tmp_path / "flowpilot", frozen=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    autostart.set_autostart(on=True)
    (file,) = (tmp_path / "Library" / "LaunchAgents").iterdir()
    agent = plistlib.loads(file.read_bytes())
    assert agent["ProgramArguments"] == [str(tmp_path / "flowpilot"), "--minimized"]
    assert agent["RunAtLoad"] is True
    assert autostart.is_set()
    autostart.set_autostart(on=False)
    assert not file.exists()
    assert not autostart.is_set()


async def test_what_an_installer_chose_is_what_the_setting_says(windows: Registry, tmp_path: Path):
    settings = Settings(tmp_path, Events())
    autostart.set_autostart(on=True)  # what the installer writes
    await agree_on_autostart(settings)
    assert settings.start_at_login
    assert Settings(tmp_path, Events()).start_at_login
    windows.keys.clear()  # what the removal does
    await agree_on_autostart(settings)
    assert not settings.start_at_login
