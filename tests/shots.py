"""Pictures of every screen in the practice company: ``python -m tests.shots [folder]``.

Each screen is shown light and dark at 1440×900 and 1024×700, the main ones also with long and
hostile text, with errors, and at one and a half times the size of text. The folder is
``.work/shots`` unless another is named.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import qasync
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication, QPlainTextEdit

from flowpilot_desktop.app import Application
from flowpilot_desktop.core.escalation import EscalationFilter
from flowpilot_desktop.core.session import Intake, Question, Response, Result
from flowpilot_desktop.profile import Profile
from flowpilot_desktop.psa.practice import PracticePsa
from flowpilot_desktop.services.escalations import QueueEntry
from flowpilot_desktop.services.queue import practice
from tests import tray_shots
from tests.e2e.driver import Technician, until
from tests.e2e.tray_story import Scene, played
from tests.simulators.postgres import shared_server

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
        psa = await app.desk.tickets.psa()
        assert isinstance(psa, PracticePsa)
        psa.away = True
        picker = app.intake_model.picker
        picker.open()
        await until(lambda: picker.error is not None, "that ConnectWise is away")
        await self.take("intake-away")
        app.window.banners.show_banner(
            "shots",
            "Couldn't save",
            "The disk is full. Everything saved so far is safe. Free some space; FlowPilot then "
            "goes on by itself.",
            tone="red",
        )
        await self.take("banner")


class HandOffTour:
    """The hand-off between two windows and four people, on one Postgres."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        self.scene = scene
        self.jordan = Photographer(scene.jordan.app, folder)
        self.priya = Photographer(scene.priya.app, folder)
        self.queue = scene.priya.app.hand_off.queue_model

    async def walk(self) -> None:
        """Take every state of an escalation."""
        for photographer in (self.jordan, self.priya):
            photographer.app.window.resize(*SIZES[0])
            photographer.app.window.show()
        await self.giving()
        await self.queueing()
        await self.taking()
        await self.settings()
        await self.offline()

    async def session(self, photographer: Photographer, ticket: str, cards: int = 3) -> str:
        """Start from a ticket and answer some cards."""
        engine = photographer.app.desk.engine
        session_id = (await engine.start_session(Intake("", "practice", ticket))).session.id
        for number in range(cards):
            step = await engine.next_step(session_id)
            assert step is not None
            if isinstance(step.body, Question):
                response = Response(option=step.body.options[-1].value)
            else:
                response = Response(result=Result.DID_NOT_WORK, text="No change." * (number == 1))
            await engine.respond(session_id, step.id, response)
        await engine.next_step(session_id)
        return session_id

    async def giving(self) -> None:
        """The page that hands over, before and after; the originator's session."""
        app, shows = self.jordan.app, self.jordan
        session_id = await self.session(shows, "12352")
        app.open_session(session_id)
        await shows.settled()
        app.session_page.escalate()
        model, page = app.hand_off.escalate_model, app.hand_off.escalate_page
        await until(lambda: model.preview is not None and model.seen is not None, "the preview")
        await until(lambda: model.members, "the team")
        await shows.take("escalate-empty")
        page.reason.setPlainText("I have no rights on the print server; labels are needed today.")
        priya = next(one for one in model.members if one.name == "Priya Nair")
        model.assign(priya.id)
        await asyncio.sleep(0.6)
        await shows.take("escalate")
        model.escalate()
        await shows.technician.reads("Your team sees it")
        await asyncio.sleep(0.6)
        await shows.take("escalated")
        app.open_session(session_id)
        await shows.settled()
        await shows.take("session-waits-for-a-teammate")
        self.given = session_id
        other = await self.session(shows, "12345", 1)
        await app.desk.engine.escalate_session(other, LONG)
        self.long = other

    async def queueing(self) -> None:
        """The queue with several people in it: each kind of row, each filter."""
        app, shows, database = self.priya.app, self.priya, self.scene.database
        names = ("Sam Okafor", "Lena Fischer")
        server = practice.PracticeServer(
            {name: database.invite(self.scene.team, name).token() for name in names}
        )
        await practice.play(server, names, app.desk.clock, pause=0)
        own = await self.session(shows, "12347", 2)
        await app.desk.engine.escalate_session(own, "I need somebody who knows the firewall.")
        app.hand_off.show_queue()
        self.queue.refresh()
        await until(lambda: self.queue.entries.rowCount() == 5, "five escalations")
        await until(lambda: not self.queue.is_refreshing, "the queue")
        await shows.take("escalations")
        for name, wanted in (
            ("for-you", lambda entry: entry.for_me),
            ("your-own", lambda entry: entry.is_mine),
            ("long", lambda entry: entry.escalation.session_id == self.long),
        ):
            self.choose(wanted)
            await asyncio.sleep(0.1)
            await shows.take(f"escalations-{name}")
        for name, which in (
            ("mine", EscalationFilter.MINE),
            ("unassigned", EscalationFilter.UNASSIGNED),
        ):
            self.queue.filter_by(which)
            await asyncio.sleep(0.2)
            await shows.take(f"escalations-{name}")
        self.queue.filter_by(EscalationFilter.ALL)
        app.window.show_page("history")
        page = app.history_page
        titles = [page.tabs.tabText(place) for place in range(page.tabs.count())]
        page.tabs.setCurrentIndex(titles.index("Escalated"))
        await asyncio.sleep(0.2)
        await shows.take("history-escalated")

    def choose(self, wanted: Callable[[QueueEntry], bool]) -> None:
        """Choose a row as a click does."""
        entry = next(entry for entry in self.queue.entries.rows if wanted(entry))
        self.queue.choose(entry.escalation.id)

    async def taking(self) -> None:
        """The briefing, who has it, a handler gone silent, and a withdrawal."""
        app, shows = self.priya.app, self.priya
        app.hand_off.show_queue()
        await until(lambda: self.queue.entries.rowCount() == 5, "all five")
        self.choose(lambda entry: entry.for_me)
        page = app.hand_off.escalations_page
        page.read_back.setPlainText("I take it; next: the driver on SRV-PRINT01")
        self.queue.pick_up()
        await until(lambda: app.window.current_page == "session", "the session")
        await shows.settled()
        await shows.take("briefing")
        theirs, model = self.jordan.app, self.jordan.app.session_model
        theirs.open_session(self.given)
        me = theirs.desk.engine.me.id
        await until(lambda: model.view and model.view.session.handler_id != me, "the pickup")
        await self.jordan.settled()
        await self.jordan.take("session-handled-by-a-teammate")
        theirs.hand_off.show_queue()
        queue = theirs.hand_off.queue_model
        await until(lambda: queue.entries.rowCount() == 5, "the queue")
        entry = next(one for one in queue.entries.rows if one.escalation.session_id == self.given)
        queue.choose(entry.escalation.id)
        await asyncio.sleep(0.2)
        await self.jordan.take("escalations-handled")
        silent = replace(entry.escalation, lease_until=theirs.desk.clock.now())
        await theirs.desk.store.save(silent)
        queue.reload()
        await until(lambda: queue.chosen and queue.chosen.is_silent, "the silence")
        await self.jordan.take("escalations-silent")
        theirs.open_session(self.long)
        await self.jordan.settled()
        await theirs.desk.engine.withdraw_escalation(self.long)
        await until(lambda: model.view and model.view.open_step, "the session again")
        await self.jordan.settled()
        await self.jordan.take("session-withdrawn")

    async def settings(self) -> None:
        """The team queue's settings: joined, and an invitation without an authority."""
        app, shows = self.priya.app, self.priya
        app._open_settings("Team queue")
        model = app.hand_off.team_model
        model.open()
        await until(lambda: model.team is not None, "the team")
        await shows.take("settings-team-queue-joined")
        invitation = self.scene.database.invite(self.scene.team, "Dana Whitfield")
        field = shows.technician._field("Invitation")
        assert isinstance(field, QPlainTextEdit)
        field.setPlainText(replace(invitation, plain=False).token())
        await asyncio.sleep(0.2)
        model.join()
        await until(lambda: not model.is_busy, "an answer")
        await shows.take("settings-team-queue-untrusted")
        field.clear()

    async def offline(self) -> None:
        """The queue's page while the server is away."""
        app, shows = self.priya.app, self.priya
        app.hand_off.show_queue()
        self.scene.database.connection.close()
        shared_server("plain").halt()
        try:
            self.queue.refresh()
            await until(lambda: self.queue.error is not None, "that it is away", limit=40.0)
            await until(lambda: not self.queue.is_refreshing, "a rest")
            await shows.take("escalations-away")
        finally:
            shared_server("plain").launch()


async def hand_over(folder: Path) -> int:
    """Take the hand-off's pictures."""
    with tempfile.TemporaryDirectory(prefix="flowpilot-shots-") as profiles:
        async with played(Path(profiles)) as scene:
            tour = HandOffTour(scene, folder)
            await tour.walk()
    taken = len(tour.jordan.taken) + len(tour.priya.taken)
    print(f"{taken} pictures of the hand-off in {folder}")
    return 0


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
    gc.disable()
    qt = QApplication(sys.argv[:1])
    loop = qasync.QEventLoop(qt)
    asyncio.set_event_loop(loop)
    with loop:
        code = int(loop.run_until_complete(photograph(qt, folder, Photographer.walk)))
        code |= int(loop.run_until_complete(hand_over(folder)))
    return code or tray_shots.main([str(folder)])


if __name__ == "__main__":
    sys.exit(main())
