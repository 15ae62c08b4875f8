"""Two technicians and a tray: ``python -m tests.e2e.tray_story SCENE FOLDER``.

Off screen there is no tray, so the scenes play in a process of their own, in a session that
``test_tray`` opens. The shell is the one of ``tests.simulators.desktop_shell``: what the icons and
notifications are is what they tell the bus, and clicks go the same way.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import qasync
from PySide6.QtWidgets import QApplication

from flowpilot_desktop.core.events import SettingsChanged
from flowpilot_desktop.core.session import Intake
from flowpilot_desktop.profile import Profile
from flowpilot_desktop.services.queue import INVITATION_NAME, SETTING
from tests.e2e.driver import Technician, at_the_desk, until
from tests.simulators.desktop_shell import DesktopShell, Notification, TrayIcon, desktop_shell
from tests.simulators.postgres import QueueDatabase, shared_server

REASON = "I have no rights on the print server"
OTHER = "I am out of ideas"


@dataclass
class Scene:
    """Who and what is there."""

    desktop: DesktopShell | None
    database: QueueDatabase
    team: UUID
    jordan: Technician
    priya: Technician

    @property
    def shell(self) -> DesktopShell:
        """The tray and notifications, where they are ours."""
        assert self.desktop is not None
        return self.desktop

    @property
    def icon(self) -> TrayIcon:
        """Priya's; she came second."""
        return self.shell.icons[1]

    async def escalates(self, reason: str = REASON, ticket: str = "12352") -> str:
        """Let Jordan hand a session over."""
        desk = self.jordan.app.desk
        intake = Intake("The label printer is offline", "practice", ticket)
        started = await desk.engine.start_session(intake)
        await desk.engine.escalate_session(started.session.id, reason)
        return str(started.session.id)

    async def told(self, count: int = 1) -> Notification:
        """Wait for a notification; return the last."""
        every = self.shell.notifications.every
        await until(lambda: len(every) >= count, f"{count} notifications")
        return every[-1]

    async def tips(self, words: str, icon: TrayIcon | None = None) -> None:
        """Wait until an icon says these words."""
        shown = ""
        async with asyncio.timeout(20):
            while words not in shown:
                shown = await (icon or self.icon).tip()
                await asyncio.sleep(0.02)

    def claims(self) -> list[tuple[str, str]]:
        """Return state and handler's name of every escalation, as the server has them."""
        rows = self.database.connection.execute(
            "select e.state, coalesce(m.display, '') from fp.escalation e"
            " left join fp.member m on m.engineer_id = e.handler order by e.created_at"
        ).fetchall()
        return [(str(state), str(name)) for state, name in rows]


@asynccontextmanager
async def played(folder: Path, shell: DesktopShell | None = None) -> AsyncIterator[Scene]:
    """Open both desktops on one queue; without a shell the session has its own."""
    async with AsyncExitStack() as stack:
        database = stack.enter_context(shared_server("plain").database())
        team = database.add_team("Helpdesk")
        technicians: list[Technician] = []
        for name, is_second in (("Jordan Blake", False), ("Priya Nair", True)):
            profile = Profile(folder / name, is_demo=True, latency=0.0, is_second=is_second)
            beside = technicians[0] if technicians else None
            technician = await stack.enter_async_context(
                at_the_desk(folder, profile=profile, beside=beside)
            )
            app = technician.app
            await app.desk.secrets.write(INVITATION_NAME, database.invite(team, name).token())
            app.events.publish(SettingsChanged(SETTING))
            await app.desk.escalations.refresh()
            model = app.hand_off.queue_model
            await until(lambda m=model: m.picture and m.picture.as_of, "the queue")  # type: ignore[misc]
            alerts = app.hand_off.alerts
            await until(lambda a=alerts: a._known is not None, "what is no news")  # type: ignore[misc]
            technicians.append(technician)
            if shell is not None and shell.has_tray:
                await until(lambda: len(shell.icons) == len(technicians), "the icon")
        yield Scene(shell, database, team, *technicians)


async def the_action_picks_up(scene: Scene) -> None:
    """The button takes the escalation it belongs to, also when a later one is on the screen."""
    plain = await scene.icon.picture()
    session_id = await scene.escalates()
    told = await scene.told()
    assert "printer" in told.title.lower(), told
    assert "Jordan Blake asks the team" in told.text, told
    assert REASON in told.text
    assert list(told.actions.values()) == ["", "Pick up"], told
    await scene.tips("1 waiting")
    assert await scene.icon.picture() != plain, "the icon carries no count"
    app = scene.priya.app
    app.hand_off.alerts._last = None  # the burst is over
    await scene.escalates(OTHER, "12358")
    assert OTHER in (await scene.told(2)).text
    await scene.tips("2 waiting")
    await scene.tips("nobody waits", scene.shell.icons[0])
    app.window.hide()
    scene.shell.notifications.press(told, "Pick up")
    await until(lambda: app.window.current_page == "session", "the session")
    await until(app.window.isVisible, "the window")
    await scene.priya.reads("ESCALATION FROM JORDAN BLAKE")
    assert app.session_model.session_id == session_id
    assert scene.claims() == [("claimed", "Priya Nair"), ("open", "")]
    await scene.tips("1 waiting")
    assert len(scene.shell.notifications.every) == 2, "somebody was told of their own escalation"


async def closing_hides(scene: Scene) -> None:
    """The first close explains, the next hides; notifications and the icon bring it back."""
    app = scene.priya.app
    app.window.close()
    await scene.priya.reads("FlowPilot keeps running")
    assert app.window.isVisible()
    await until(lambda: app.settings.close_to_tray_explained, "the setting")
    app.window.close()
    assert not app.window.isVisible()
    await scene.escalates()
    told = await scene.told()
    assert not app._left.done()
    scene.shell.notifications.click(told)
    await until(lambda: app.window.isVisible() and app.window.current_page == "escalations", "it")
    await scene.priya.reads(REASON)
    chosen = app.hand_off.queue_model.chosen
    assert chosen is not None
    assert chosen.escalation.reason == REASON
    assert scene.claims() == [("open", "")], "a look is no pickup"
    app.window.close()
    assert not app.window.isVisible()
    await scene.icon.click()
    await until(app.window.isVisible, "the window")
    await app.settings.change(type(app.settings).close_to_tray, value=False)
    app.window.close()
    await until(app._left.done, "the end")


async def the_menu_works(scene: Scene) -> None:
    """Open, queue, mute, quiet hours, quit: each does what it says."""
    app, icon = scene.priya.app, scene.icon
    entries = list(await icon.menu())
    assert entries == ["Open FlowPilot", "Escalations", "Mute for an hour", "Quiet hours…", "Quit"]
    app.window.hide()
    await icon.choose("Open FlowPilot")
    await until(app.window.isVisible, "the window")
    await icon.choose("Mute for an hour")
    await until(lambda: app.hand_off.alerts.muted_until, "the quiet hour")
    assert await icon.checked() == {"Mute for an hour"}
    await scene.escalates()
    await scene.tips("1 waiting")
    assert list(await icon.menu())[1] == "Escalations (1)"
    await icon.choose("Escalations (1)")
    await until(lambda: app.window.current_page == "escalations", "the queue")
    await app.hand_off._look()
    assert scene.shell.notifications.every == [], "it was muted"
    await icon.choose("Mute for an hour")
    await until(lambda: app.hand_off.alerts.muted_until is None, "the end of the quiet hour")
    await scene.escalates(OTHER, "12358")
    assert OTHER in (await scene.told()).text
    await icon.choose("Quiet hours…")
    await until(lambda: app.window.current_page == "settings", "the settings")
    page = app.settings_page
    assert page.tabs.tabText(page.tabs.currentIndex()) == "Alerts"
    await icon.choose("Quit")
    await until(app._left.done, "the end")


async def a_lost_tray_brings_the_window_back(scene: Scene) -> None:
    """A window that hid in a tray is not lost with it."""
    app = scene.priya.app
    await app.settings.change(type(app.settings).close_to_tray_explained, value=True)
    app.window.close()
    assert not app.window.isVisible()
    await scene.shell.lose_tray()
    await until(app.window.isVisible, "the window")


async def without_a_tray(scene: Scene) -> None:
    """Notifications come all the same, a hidden window comes back, closing it ends FlowPilot."""
    app = scene.priya.app
    app.window.hide()
    await until(app.window.isVisible, "the window")
    await scene.escalates()
    scene.shell.notifications.click(await scene.told())
    await until(lambda: app.window.current_page == "escalations", "the queue")
    app.window.close()
    await until(app._left.done, "the end")


async def without_actions(scene: Scene) -> None:
    """Where notifications have no buttons, the tray's own message tells the same."""
    scene.shell.notifications.has_actions = False
    await scene.escalates()
    told = await scene.told()
    assert "Jordan Blake asks the team" in told.text
    assert REASON in told.text
    assert told.actions == {}
    await scene.tips("1 waiting")


SCENES: dict[str, Callable[[Scene], Awaitable[None]]] = {
    play.__name__: play
    for play in (
        the_action_picks_up,
        the_menu_works,
        closing_hides,
        a_lost_tray_brings_the_window_back,
        without_a_tray,
        without_actions,
    )
}


async def _play(name: str, folder: Path) -> None:
    tray = name != without_a_tray.__name__
    async with desktop_shell(tray=tray) as shell, played(folder, shell) as scene:
        await SCENES[name](scene)


def main(name: str, folder: Path) -> int:
    """Play one scene; an assertion that fails ends the process with its words."""
    gc.disable()
    qt = QApplication(sys.argv[:1])
    loop = qasync.QEventLoop(qt)
    asyncio.set_event_loop(loop)
    with loop:
        loop.run_until_complete(_play(name, folder))
    print(f"{name}: seen")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
