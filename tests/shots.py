"""Pictures of every screen in the practice company: ``python -m tests.shots [folder]``.

Each screen is shown light and dark at 1440×900 and 1024×700, the main ones also with long and
hostile text, with errors, and at one and a half times the size of text. The folder is
``.work/shots`` unless another is named.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import qasync
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication

from flowpilot_desktop.app import Application
from flowpilot_desktop.core.errors import PsaUnreachable
from flowpilot_desktop.core.session import Question, Response, Result
from flowpilot_desktop.profile import Profile
from tests import tray_shots
from tests.e2e.driver import Technician, until

SIZES = ((1440, 900), (1024, 700))
LOOKS = ("dark", "light")
OUTLOOK = "12345"
LONG = (
    "The finance team's shared mailbox stopped syncing after the migration weekend; "
    "\u202eright-to-left\u202c <b>bold?</b> <img src=x> C:\\Users\\someone\\AppData\\Local\\"
    + "very-long-folder-name-without-a-break" * 8
    + " 🧑‍💻 Ünïcödé — “quotes” & ampersands"
)


class Photographer:
    """Walks through the app and takes pictures."""

    def __init__(self, app: Application, folder: Path) -> None:
        self.app = app
        self.folder = folder
        self.technician = Technician(app)
        self.taken: list[str] = []

    async def take(self, name: str) -> None:
        """Take the screen as it is, in every look and size."""
        for look in LOOKS:
            self.app.theme.show(look)
            for width, height in SIZES:
                self.app.window.resize(width, height)
                for _ in range(3):
                    QCoreApplication.sendPostedEvents()
                    await asyncio.sleep(0.02)
                picture = f"{name}-{look}-{width}x{height}.png"
                self.app.window.grab().save(str(self.folder / picture))
                self.taken.append(picture)

    async def settled(self) -> None:
        """Wait until no card is being thought of and nothing is being saved."""
        model = self.app.session_model
        await until(
            lambda: model.view is not None and not model.is_busy and not model.is_thinking,
            "a settled session",
        )
        await asyncio.sleep(0.1)

    async def answer(self, result: Result = Result.WORKED, option: int = 0) -> None:
        """Answer the open card."""
        model = self.app.session_model
        await self.settled()
        assert model.view is not None
        step = model.view.open_step
        assert step is not None
        if isinstance(step.body, Question):
            response = Response(option=step.body.options[option].value)
        else:
            response = Response(result=result)
        model.answer(step.id, response)
        await until(
            lambda: model.view is not None and model.view.open_step != step, "the next card"
        )
        await self.settled()

    async def walk(self) -> None:
        """Take every screen."""
        app = self.app
        await until(lambda: app.intake_model.picker.tickets.rowCount() > 3, "tickets")
        await self.take("intake")
        tickets = app.intake_model.picker.tickets.rows
        app.intake_model.choose(next(ticket for ticket in tickets if ticket.id == OUTLOOK))
        app.intake_page.words.setPlainText("Only this laptop; webmail works for her.")
        await asyncio.sleep(0.4)
        await self.take("intake-ticket")
        app.intake_model.start()
        await until(lambda: app.window.current_page == "session", "the session")
        await self.settled()
        await self.take("session-first-card")
        await self.answer()
        await self.answer()
        await self.answer()
        await self.settled()
        await self.take("session")
        app.actions["palette"].trigger()
        await self.take("palette")
        app.window.palette_sheet.close()
        app.session_page.compose()
        await self.take("session-log-a-step")
        session_id = app.session_model.session_id
        await app.desk.engine.add_note(session_id, LONG)
        await asyncio.sleep(0.3)
        await self.take("session-long-text")
        app.theme.show(text_scale=1.5)
        await self.take("session-large-type")
        app.theme.show(text_scale=1.0)
        await self.resolve(session_id)
        await self.elsewhere(session_id)
        await self.errors()

    async def resolve(self, session_id: str) -> None:
        """Verify, resolve, and show where the documentation is."""
        app = self.app
        await self.answer()
        view = app.session_model.view
        if view is not None and not view.is_verified:
            step = await app.desk.engine.ask_verification(session_id)
            response = Response(result=Result.WORKED)
            await app.desk.engine.respond(session_id, step.id, response)
        app._open_resolve(session_id)
        await until(lambda: app.resolve_model.preview is not None, "the preview")
        app.resolve_page.summary.setPlainText("Outlook was set to Work Offline.")
        app.resolve_page.action.setPlainText("Switched it off; temporary password is Winter-2031!")
        await asyncio.sleep(0.6)
        await self.take("resolve")
        app.resolve_model.resolve()
        await self.technician.reads("Documentation pushed")
        await self.take("resolved")

    async def elsewhere(self, session_id: str) -> None:
        """History and settings."""
        app = self.app
        app.window.show_page("history")
        await until(lambda: app.history_model.sessions.rowCount() > 0, "the history")
        app.history_model.choose(session_id)
        await until(lambda: app.history_model.chosen is not None, "the details")
        await self.take("history")
        app.set_up()
        await self.take("welcome")
        app.window.show_page("settings")
        for place in range(app.settings_page.tabs.count()):
            title = app.settings_page.tabs.tabText(place)
            app.settings_page.show_section(title)
            await asyncio.sleep(0.1)
            await self.take(f"settings-{title.lower().replace(' ', '-')}")

    async def errors(self) -> None:
        """What it looks like when things fail."""
        app = self.app
        app.new_session()
        model = app.intake_model.picker
        model.error = PsaUnreachable("No connection to the practice company.")
        model.from_cache = True
        model.changed.emit()
        await self.take("intake-away")
        app.window.banners.show_banner(
            "shots",
            "Couldn't save",
            "The disk is full. Everything saved so far is safe. Free some space; FlowPilot then "
            "goes on by itself.",
            tone="red",
        )
        await self.take("banner")


async def photograph(
    qt: QApplication, folder: Path, walk: Callable[[Photographer], Awaitable[None]]
) -> int:
    """Open the practice company and walk."""
    profile = Path(tempfile.mkdtemp(prefix="flowpilot-shots-"))
    app = Application(qt, Profile(profile, is_demo=True, latency=0.0))
    try:
        app.window.resize(*SIZES[0])
        await app.open()
        photographer = Photographer(app, folder)
        await walk(photographer)
    finally:
        await app.aclose()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        shutil.rmtree(profile, ignore_errors=True)
    print(f"{len(photographer.taken)} pictures in {folder}")
    return 0


def main() -> int:
    """Take all pictures."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".work/shots")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    qt = QApplication(sys.argv[:1])
    loop = qasync.QEventLoop(qt)
    asyncio.set_event_loop(loop)
    with loop:
        code = int(loop.run_until_complete(photograph(qt, folder, Photographer.walk)))
    return code or tray_shots.main([str(folder)])


if __name__ == "__main__":
    sys.exit(main())
