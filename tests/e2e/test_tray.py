"""The tray in a real desktop session: icon, count, notifications with buttons, closing to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.tray_story import SCENES
from tests.simulators.desktop_session import desktop_session


@pytest.mark.parametrize("scene", SCENES)
def test_the_tray(scene: str, tmp_path: Path):
    with desktop_session(tmp_path / "home") as session:
        played = subprocess.run(
            [sys.executable, "-m", "tests.e2e.tray_story", scene, str(tmp_path / "profiles")],
            env=session.environment | {"QT_QPA_PLATFORM": "xcb", "PYTHONWARNINGS": "default"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert played.returncode == 0, played.stderr
    assert f"{scene}: seen" in played.stdout
