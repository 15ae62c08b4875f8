"""The desktop application: start-up, pages, and the way out.

Start-up, in this order, because a technician waits for it: one instance (a second start raises the
first one's window), settings, theme, an empty window on the screen. Only then the profile is
opened on its worker thread, the pages are built, the last open session comes back with its card
and its unsent text, and what happens by itself begins to tick. Leaving goes the same way back:
unsent text is saved, tasks end, the running time is closed, the store says good-bye.

Everything runs on one thread with one loop, Qt's and asyncio's (qasync). Garbage is collected on
that thread by a timer, since a collection on a worker could destroy a widget there.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from contextlib import AsyncExitStack
from typing import TypeVar

from PySide6.QtCore import QObject, QTimer, QUrl, Slot
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QApplication

from flowpilot_desktop.composition import Desk, open_desk
from flowpilot_desktop.core.errors import (
    FlowPilotError,
    ProfileInUse,
)
from flowpilot_desktop.core.events import ReachChanged, SettingsChanged, System
from flowpilot_desktop.core.history import SessionFilter, TicketListing
from flowpilot_desktop.core.ticket import Ticket
from flowpilot_desktop.diagnostics import watch_for_bugs
from flowpilot_desktop.profile import Profile
from flowpilot_desktop.services.audit import Audit
from flowpilot_desktop.services.engine import SessionView
from flowpilot_desktop.services.tickets import TRY_EVERY
from flowpilot_desktop.ui.appearance import Appearance
from flowpilot_desktop.ui.hand_off import HandOffScreens
from flowpilot_desktop.ui.instance import FirstInstance, raise_starting_instance
from flowpilot_desktop.ui.notices import Notices
from flowpilot_desktop.ui.pages.flows import FlowsPage
from flowpilot_desktop.ui.pages.history import HistoryPage
from flowpilot_desktop.ui.pages.intake import IntakePage
from flowpilot_desktop.ui.pages.link import LinkPage
from flowpilot_desktop.ui.pages.resolve import ResolvePage
from flowpilot_desktop.ui.pages.session import SessionPage
from flowpilot_desktop.ui.pages.settings import SettingsPage
from flowpilot_desktop.ui.pages.welcome import WelcomePage
from flowpilot_desktop.ui.shell import Shell
from flowpilot_desktop.viewmodels.flows import FlowsViewModel
from flowpilot_desktop.viewmodels.history import HistoryViewModel
from flowpilot_desktop.viewmodels.intake import IntakeViewModel, TicketPicker
from flowpilot_desktop.viewmodels.push import AuditViewModel, PushViewModel
from flowpilot_desktop.viewmodels.resolve import ResolveViewModel
from flowpilot_desktop.viewmodels.session import SessionViewModel
from flowpilot_desktop.viewmodels.settings import SettingsViewModel
from flowpilot_desktop.viewmodels.tasks import Tasks
from flowpilot_desktop.viewmodels.viewmodel import ViewModel
from flowpilot_desktop.viewmodels.welcome import WelcomeViewModel

log = logging.getLogger(__name__)
M = TypeVar("M", bound=ViewModel)

GARBAGE_MILLISECONDS = 1_000
_GENERATION_LIMITS = (700, 10, 10)


async def live(
    qt: QApplication, profile: Profile, shell: Shell | None = None, *, minimized: bool = False
) -> int:
    """Fill the window, wait until the technician quits, and close everything."""
    app = Application(qt, profile, shell)
    try:
        await app.open(minimized=minimized)
        await app.until_left()
    except FlowPilotError as error:
        log.warning("FlowPilot could not open the profile: %s", error.message)
        if isinstance(error, ProfileInUse):  # both were started before either listened
            app.window.hide()
            if await raise_starting_instance(profile.folder):
                return 0
        await app.explain(error)
        return 1
    except Exception:
        log.exception("FlowPilot could not start")
        await app.explain(
            FlowPilotError(
                "Something that nobody expected got in the way.",
                title="FlowPilot could not start",
                hint="Everything saved so far is safe. Start it again; if it comes back, send the "
                f"log in {profile.logs} to support.",
            )
        )
        return 1
    finally:
        await app.aclose()
    return 0


class Application(QObject):
    """The window on a desk, and everything between them."""

    def __init__(self, qt: QApplication, profile: Profile, shell: Shell | None = None) -> None:
        super().__init__()
        qt.setQuitOnLastWindowClosed(False)
        self.qt = qt
        self.profile = profile
        shell = shell or Shell(qt, profile.folder)
        self.events = shell.events
        self.settings = shell.settings
        self.theme = shell.theme
        self.actions = shell.actions
        self.window = shell.window
        self.window.close_requested.connect(self._close_window)
        self._is_open = False
        self.notices = Notices(self.window, self.events, self)
        self.tasks = Tasks(self.notices.show_failure)
        self.appearance = Appearance(self.settings, self.theme, self.events, self.tasks, self)
        self._left = asyncio.get_running_loop().create_future()
        self._stack = AsyncExitStack()
        self._models: list[ViewModel] = []
        self._verifying = ""
        self._listening = [
            self.events.listen(ReachChanged, self.window.show_reach),
            self.events.listen(SettingsChanged, self._settings_changed),
            self.notices.end,
            self.appearance.end,
        ]
        self.desk: Desk

    # Start-up

    async def open(self, *, minimized: bool = False) -> None:
        """Show the window, then open the profile and fill it."""
        self._stack.callback(watch_for_bugs(self.notices.show_crash))
        self._watch_signals()
        if not minimized:
            self.window.show()
        self._collect_garbage_here()
        await asyncio.sleep(0)  # the empty window paints before the profile opens
        self.desk = await self._stack.enter_async_context(
            open_desk(self.profile, settings=self.settings, events=self.events)
        )
        self.first = FirstInstance(self.profile.folder, self)
        self.first.asked.connect(self._second_start)
        self._build_pages()
        self._register_actions()
        await self._restore()
        self.desk.ticking.every(TRY_EVERY, "ConnectWise again", self.desk.tickets.try_again)
        self.desk.ticking.start()
        self.tasks.start("claude's key", self.desk.assistant.look_for_key())
        self.hand_off.start()
        self._is_open = True
        unsafe = str(getattr(self.desk.secrets, "words", ""))
        self.notices.show_reports(self.settings.report, self.desk.store.report.words, unsafe)
        if self.profile.own_flows.is_dir():
            self.tasks.start("own flows", self._tell_flow_faults())

    def _build_pages(self) -> None:
        engine = self.desk.engine
        self.intake_model = self._kept(IntakeViewModel(engine))
        self.open_sessions = self._kept(HistoryViewModel(engine, SessionFilter.OPEN))
        self.session_model = self._kept(SessionViewModel(engine, settings=self.settings))
        self.resolve_model = self._kept(ResolveViewModel(engine))
        self.link_model = self._kept(TicketPicker(engine))
        self.history_model = self._kept(HistoryViewModel(engine))
        self.closed_push_model = self._kept(PushViewModel(engine))
        self.history_push_model = self._kept(PushViewModel(engine))
        self.audit_model = self._kept(AuditViewModel(engine, Audit(self.desk.store)))
        self.settings_model = self._kept(
            SettingsViewModel(
                settings=self.settings,
                engine=engine,
                access=self.desk.access,
                secrets=self.desk.secrets,
                doctor=self.desk.doctor,
                events=self.events,
            )
        )
        self.hand_off = HandOffScreens(
            engine=engine,
            escalations=self.desk.escalations,
            settings=self.settings,
            events=self.events,
            clock=self.desk.clock,
            window=self.window,
            tasks=self.tasks,
            parent=self,
        )
        for model in self.hand_off.models:
            self._kept(model)
        self._stack.push_async_callback(self.hand_off.aclose)
        self.intake_page = IntakePage(self.intake_model, self.open_sessions)
        self.session_page = SessionPage(self.session_model)
        self.resolve_page = ResolvePage(self.resolve_model, self.closed_push_model)
        self.link_page = LinkPage(self.link_model)
        self.flows_model = self._kept(FlowsViewModel(self.desk.shelf))
        self.flows_page = FlowsPage(self.flows_model)
        self.flows_model.open()
        self.history_page = HistoryPage(
            self.history_model,
            self.history_push_model,
            self.audit_model,
            queue=self.hand_off.queue_list(),
        )
        self.settings_page = SettingsPage(
            self.settings_model, team_queue=self.hand_off.team_panel()
        )
        self.welcome_model = self._kept(
            WelcomeViewModel(
                self.settings_model,
                self.desk.store.remembered,
                self.desk.store.remember,
            )
        )
        self.welcome_page = WelcomePage(self.welcome_model, self.hand_off.team_panel())
        window = self.window
        window.add_page(
            "sessions", self.intake_page, icon="sessions", title="Sessions", shortcut="Ctrl+1"
        )
        window.add_page("session", self.session_page, title="Session")
        window.add_page("resolve", self.resolve_page, title="Resolve")
        window.add_page("link", self.link_page, title="Link a ticket")
        window.add_page("welcome", self.welcome_page, title="Welcome")
        self.hand_off.add_pages()
        window.add_page(
            "history", self.history_page, icon="history", title="History", shortcut="Ctrl+3"
        )
        window.add_page("flows", self.flows_page, icon="action", title="Flows", shortcut="Ctrl+4")
        window.add_page(
            "settings",
            self.settings_page,
            icon="settings",
            title="Settings",
            shortcut="Ctrl+,",
            at_bottom=True,
        )
        self._connect_pages()

    def _connect_pages(self) -> None:
        window = self.window
        window.page_changed.connect(self._page_changed)
        window.system_chosen.connect(self._system_chosen)
        self.intake_model.started.connect(self.open_session)
        self.intake_page.session_chosen.connect(self.open_session)
        self.intake_page.ticket_shown.connect(self._show_ticket)
        self.history_page.session_opened.connect(self.open_session)
        self.history_page.flow_wanted.connect(self._draft_flow)
        self.history_page.ticket_wanted.connect(self._start_from)
        # The page that follows quotes what was typed and not sent, so that is saved first.
        self.session_page.resolve_requested.connect(self.session_model.flush_drafts)
        self.session_page.escalate_requested.connect(self.session_model.flush_drafts)
        self.session_page.resolve_requested.connect(self._open_resolve)
        self.session_page.escalate_requested.connect(self.hand_off.escalate)
        self.session_page.withdraw_requested.connect(self.hand_off.withdraw)
        self.hand_off.escalate_model.escalated.connect(self._resolved)
        self.hand_off.session_opened.connect(self.open_session)
        self.hand_off.new_requested.connect(self.new_session)
        self.hand_off.settings_wanted.connect(self._open_settings)
        self.hand_off.quit_requested.connect(self.quit)
        self.session_page.link_requested.connect(self._open_link)
        self.session_page.new_requested.connect(self.new_session)
        self.resolve_page.left.connect(self.open_session)
        self.resolve_page.finished.connect(self.new_session)
        self.resolve_page.settings_wanted.connect(self._open_integrations)
        self.resolve_model.verification_asked.connect(self._verify)
        self.session_model.changed.connect(self._verified)
        self.resolve_model.resolved.connect(self._resolved)
        self.link_page.left.connect(self._leave_link)
        self.welcome_model.finished.connect(self.new_session)
        self.link_page.chosen.connect(self._link)
        for system in System:
            state = self.desk.reach.state(system)
            window.show_reach(ReachChanged(system, state.reach, state.reason))

    def _register_actions(self) -> None:
        add = self.actions.add
        self.session_page.register(self.actions)
        self.hand_off.register(self.actions)
        add("session.new", "New session", self.new_session, "Ctrl+N", "Session")
        add("ticket.open", "Open the ticket in ConnectWise", self._open_ticket, "Ctrl+T", "Ticket")
        add("ticket.link", "Link a ticket", self._link_current, "Ctrl+Shift+T", "Ticket")
        add("history.search", "Search the history", self._search_history, "Ctrl+F", "Go")
        add("welcome", "Set FlowPilot up step by step", self.set_up, "", "Window")
        self.appearance.register(self.actions)
        add("app.quit", "Quit FlowPilot", self.quit, "Ctrl+Q", "Window")

    async def _restore(self) -> None:
        session_id = await self.desk.engine.last_open_session()
        self.intake_model.open()
        self.open_sessions.show()
        if session_id:
            self.open_session(session_id)
        elif not self.profile.is_demo and await self.welcome_model.is_wanted():
            self.set_up()
        else:
            self.window.show_page("sessions")

    def _kept(self, model: M) -> M:
        self._models.append(model)
        model.failed.connect(self.notices.show_failure)
        return model

    def _watch_signals(self) -> None:
        if sys.platform != "win32":
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self.quit)
                self._stack.callback(loop.remove_signal_handler, number)

    def _collect_garbage_here(self) -> None:
        gc.disable()  # for good: worker threads outlive the window
        self._garbage = QTimer(self)
        self._garbage.setInterval(GARBAGE_MILLISECONDS)
        self._garbage.timeout.connect(self._collect)
        self._garbage.start()
        self._stack.callback(self._garbage.stop)

    @Slot()
    def _collect(self) -> None:
        """Collect the youngest generation that has grown enough, as Python itself would."""
        counts = gc.get_count()
        for generation in (2, 1, 0):
            if counts[generation] > _GENERATION_LIMITS[generation]:
                gc.collect(generation)
                return

    # The way out

    async def until_left(self) -> None:
        """Return when the technician quits."""
        await self._left

    @Slot()
    def _close_window(self) -> None:
        """Hide to the tray, or leave: a window that is closed is not always a program that ends."""
        if not self._is_open or not self.hand_off.close_requested(is_ready=self._is_open):
            self.quit()

    @Slot()
    def quit(self) -> None:
        """Begin to leave."""
        if not self._left.done():
            self._left.set_result(None)

    async def aclose(self) -> None:
        """Save what is unsent and close everything in reverse."""
        for end in self._listening:
            end()
        try:
            await self.tasks.aclose()
            for model in reversed(self._models):
                await self._close_model(model)
            self.window.leave()
        finally:
            await self._stack.aclose()
            self.window.deleteLater()

    async def _close_model(self, model: ViewModel) -> None:
        """Close a model; one that can't save its last words holds up nobody else."""
        try:
            await model.aclose()
        except Exception:
            log.exception("%s did not close well", type(model).__name__)
            await ViewModel.aclose(model)

    async def explain(self, error: FlowPilotError) -> None:
        """Keep the window open on an error that stopped the start, until it is closed."""
        self.window.show()
        self.window.banners.show_banner(
            "start", error.title, f"{error.message} {error.hint}".strip(), tone="red", fixed=True
        )
        await self._left

    # Going places

    @Slot(str)
    def open_session(self, session_id: str) -> None:
        """Show a session."""
        self.session_model.open(session_id)
        self.window.show_page("session", under="sessions")
        self.session_page.focus_open_card()

    @Slot()
    def new_session(self) -> None:
        """Show the page on which a session starts."""
        self.window.show_page("sessions")
        self.intake_page.focus_first()

    @Slot(object)
    def _show_ticket(self, found: TicketListing) -> None:
        """Show what was read of a ticket, in the history."""
        self.window.show_page("history")
        self.history_model.choose_ticket(found)

    @Slot(object)
    def _start_from(self, ticket: Ticket) -> None:
        self.new_session()
        self.intake_model.choose(ticket)
        self.intake_page.words.setFocus()

    @Slot()
    def set_up(self) -> None:
        """Show the set-up of the first start, from its beginning."""
        self.welcome_model.begin()
        self.window.show_page("welcome", under="sessions")
        self.welcome_page.focus_step()

    @Slot(str)
    def _open_resolve(self, session_id: str) -> None:
        self.resolve_model.asks_status = self.settings.status_on_resolution
        self.resolve_model.open(session_id)
        self.window.show_page("resolve", under="sessions")

    @Slot(str)
    def _verify(self, session_id: str) -> None:
        """Show the verification that resolving still needs."""
        self._verifying = session_id
        self.open_session(session_id)

    @Slot()
    def _verified(self) -> None:
        """Go back to the resolve page once the fix holds; an older question can wait."""
        model = self.session_model
        if self._verifying and model.session_id != self._verifying:
            self._verifying = ""
        if (
            self._verifying
            and self.window.current_page == "session"
            and model.view is not None
            and model.view.is_verified
            and not model.is_busy
        ):
            session_id, self._verifying = self._verifying, ""
            self._open_resolve(session_id)

    @Slot(str)
    def _resolved(self, _: str) -> None:
        self.desk.ticking.wake()

    @Slot(str)
    def _open_link(self, session_id: str) -> None:
        self.link_page.open(session_id)
        self.window.show_page("link", under="sessions")

    @Slot(str, object)
    def _link(self, session_id: str, ticket: Ticket) -> None:
        self.session_model.open(session_id)
        self.session_model.link_ticket(self.link_model.connection_id, ticket.id)
        self.window.show_page("session", under="sessions")

    @Slot(str)
    def _leave_link(self, session_id: str) -> None:
        self.open_session(session_id)

    @Slot()
    def _link_current(self) -> None:
        if self.session_model.session_id:
            self._open_link(self.session_model.session_id)

    @Slot()
    def _open_ticket(self) -> None:
        view = self.session_model.view
        url = QUrl(view.ticket_url) if view is not None else QUrl()
        if url.scheme() in ("https", "http"):
            QDesktopServices.openUrl(url)

    @Slot(object)
    def _draft_flow(self, view: SessionView) -> None:
        self.flows_model.draft(view)
        self.window.show_page("flows")

    @Slot()
    def _search_history(self) -> None:
        self.window.show_page("history")
        self.history_page.search.setFocus()

    @Slot()
    def _open_integrations(self) -> None:
        self.window.show_page("settings")
        self.settings_page.show_section("Integrations")

    @Slot(str)
    def _open_settings(self, section: str) -> None:
        self.window.show_page("settings")
        self.settings_page.show_section(section)

    @Slot(str)
    def _page_changed(self, name: str) -> None:
        for page, model in (("history", self.history_model), ("sessions", self.open_sessions)):
            if page == name:
                model.show()
            else:
                model.hide()

    @Slot(str)
    def _system_chosen(self, system: str) -> None:
        self.window.show_page("settings")
        sections = {System.MODEL: "Claude", System.QUEUE: "Team queue"}
        self.settings_page.show_section(sections.get(System(system), "Integrations"))

    @Slot(str)
    def _second_start(self, message: str) -> None:
        self.window.bring_to_front()
        if message.startswith("session "):
            self.open_session(message.removeprefix("session "))

    # News

    def _settings_changed(self, event: SettingsChanged) -> None:
        if event.key == "model.key" and self._is_open:
            self.tasks.start("claude's key", self.desk.assistant.look_for_key())

    async def _tell_flow_faults(self) -> None:
        self.notices.show_flow_faults([str(one) for one in (await self.desk.flows()).findings])
