"""Pictures of the tray as a desktop really shows it: ``python -m tests.tray_shots [folder]``.

An X server without a screen, a session bus, Xfce's panel for the icon and a notification service
for what arrives: the second technician's count, menu and notifications, photographed off the root
window. Where those programs are not installed it says so and takes no picture. The folder is
``.work/shots`` unless another is named.
"""

from __future__ import annotations

import asyncio
import gc
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import qasync
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication

from tests.e2e.driver import until
from tests.e2e.tray_story import Scene, played
from tests.simulators.desktop_session import PROGRAMS, DesktopSession, desktop_session

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = "xvfb dbus xfce4-panel xfconf xfce4-notifyd dunst"
_XFCE = Path("/usr/lib/x86_64-linux-gnu/xfce4")
_PANEL = """<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array">
    <value type="int" value="1"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=8;x=0;y=0"/>
      <property name="length" type="uint" value="100"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="size" type="uint" value="40"/>
      <property name="icon-size" type="uint" value="24"/>
      <property name="plugin-ids" type="array">
        <value type="int" value="1"/>
        <value type="int" value="2"/>
        <value type="int" value="3"/>
      </property>
    </property>
  </property>
  <property name="plugins" type="empty">
    <property name="plugin-1" type="string" value="separator">
      <property name="expand" type="bool" value="true"/>
      <property name="style" type="uint" value="0"/>
    </property>
    <property name="plugin-2" type="string" value="systray">
      <property name="square-icons" type="bool" value="true"/>
      <property name="icon-size" type="int" value="24"/>
    </property>
    <property name="plugin-3" type="string" value="clock"/>
  </property>
</channel>
"""
_DUNST = """[global]
width = 420
offset = 24x24
origin = top-right
font = Sans 12
show_indicators = yes
"""
SERVICES = {
    "xfce4-notifyd": _XFCE / "notifyd" / "xfce4-notifyd",
    "dunst": Path("/usr/bin/dunst"),
}
"""Two kinds: one draws the buttons of a notification, one takes a click on its text."""
NEEDED = (Path("/usr/bin/xfce4-panel"), _XFCE / "xfconf" / "xfconfd", *SERVICES.values())


def missing() -> list[str]:
    """Return what isn't installed here."""
    return [name for name in PROGRAMS if shutil.which(name) is None] + [
        path.name for path in NEEDED if not path.exists()
    ]


def photograph(folder: Path, service: str) -> int:
    """Open a desktop with one of the notification services and take its pictures."""
    home = Path(tempfile.mkdtemp(prefix="flowpilot-tray-"))
    try:
        with desktop_session(home) as session:
            _furnish(session, service)
            return subprocess.run(
                [sys.executable, "-m", "tests.tray_shots", "--inside", service, str(folder)],
                env=session.environment | {"QT_QPA_PLATFORM": "xcb"},
                cwd=ROOT,
                timeout=180,
                check=False,
            ).returncode
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _furnish(session: DesktopSession, service: str) -> None:
    """Start the panel and the notification service."""
    panel = session.home / "config/xfce4/xfconf/xfce-perchannel-xml/xfce4-panel.xml"
    panel.parent.mkdir(parents=True)
    panel.write_text(_PANEL)
    dunst = session.home / "config/dunst/dunstrc"
    dunst.parent.mkdir(parents=True)
    dunst.write_text(_DUNST)
    session.start([str(_XFCE / "xfconf" / "xfconfd")])
    session.start(["xfce4-panel", "--disable-wm-check"])
    session.start([str(SERVICES[service])])


async def _tour(folder: Path, service: str) -> None:
    with tempfile.TemporaryDirectory(prefix="flowpilot-tray-") as profiles:
        async with played(Path(profiles)) as scene:
            await _photographs(scene, folder, service)


async def _photographs(scene: Scene, folder: Path, service: str) -> None:
    jordan, priya = scene.jordan.app, scene.priya.app
    for app in (jordan, priya):
        await until(lambda app=app: app.hand_off.tray.is_shown, "the icon")  # type: ignore[misc]
    jordan.window.hide()  # his icon stays in the tray, without a count
    priya.window.setGeometry(24, 60, 980, 760)
    priya.hand_off.show_queue()
    await scene.escalates()
    tray = priya.hand_off.tray
    await until(lambda: "1 waiting" in tray.icon.toolTip(), "the count")
    await until(lambda: priya.hand_off.shown_alerts, "the alert")
    model = priya.hand_off.queue_model
    await until(model.entries.rowCount, "the list")
    model.choose(model.entries.rows[0].escalation.id)
    await _at_rest()
    _take(folder, f"tray-notification-{service}")
    priya.hand_off.alerts._last = None
    await scene.escalates("I am out of ideas, and my shift ends in ten minutes", "12358")
    await until(lambda: len(priya.hand_off.shown_alerts) > 1, "the other alert")
    await _at_rest()
    _take(folder, f"tray-two-{service}")
    priya.window.close()
    await scene.priya.reads("FlowPilot keeps running")
    await _at_rest()
    _take(folder, f"tray-closing-{service}")


async def _at_rest(seconds: float = 1.5) -> None:
    """Give programs that tell nobody the time to paint."""
    await asyncio.sleep(seconds)


def _take(folder: Path, name: str) -> None:
    """Photograph the root window: everything on the screen, whoever painted it."""
    screen = QGuiApplication.primaryScreen()
    picture = screen.grabWindow(0)
    assert picture.save(str(folder / f"{name}.png")), "the picture could not be written"


def main(arguments: list[str]) -> int:
    """Take the pictures, or say what is missing."""
    if arguments[:1] == ["--inside"]:
        gc.disable()
        qt = QApplication(sys.argv[:1])
        loop = qasync.QEventLoop(qt)
        asyncio.set_event_loop(loop)
        with loop:
            loop.run_until_complete(_tour(Path(arguments[2]), arguments[1]))
        return 0
    folder = Path(arguments[0] if arguments else ".work/shots").resolve()
    if lacking := missing():
        print(
            f"No pictures of the tray: {', '.join(lacking)} not found. On Debian: "
            f"apt-get install {PACKAGES}"
        )
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    code = 0
    for service in SERVICES:
        code |= photograph(folder, service)
    taken = sorted(path.name for path in folder.glob("tray-*.png"))
    print(f"{len(taken)} pictures of the tray in {folder}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
