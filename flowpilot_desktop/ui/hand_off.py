"""The hand-off on the screen: its pages, the badge, the tray, and who is interrupted when.

The composition root makes one ``HandOffScreens``, adds its pages between the others, starts it
when the window stands, and closes it before the desk.
"""

from __future__ import annotations

import logging
import time
from datetime import datetime

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from flowpilot_desktop.core.events import (
    EscalationsChanged,
    Events,
    SettingsChanged,
)
from flowpilot_desktop.core.ports import Clock
from flowpilot_desktop.services.alerts import Alert, AlertKind, AlertRules, Alerts
from flowpilot_desktop.services.engine import FlowPilotEngine
from flowpilot_desktop.services.escalations import Escalations
from flowpilot_desktop.settings import Settings
from flowpilot_desktop.ui.actions import Actions
from flowpilot_desktop.ui.autostart import set_autostart
from flowpilot_desktop.ui.pages.escalate import EscalatePage
from flowpilot_desktop.ui.pages.escalations import EscalationsPage, QueueList
from flowpilot_desktop.ui.pages.team_queue import TeamQueuePanel
from flowpilot_desktop.ui.presence import Presence
from flowpilot_desktop.ui.questions import typed
from flowpilot_desktop.ui.tray import Tray
from flowpilot_desktop.ui.window import MainWindow
from flowpilot_desktop.viewmodels.escalate import EscalateViewModel
from flowpilot_desktop.viewmodels.escalations import EscalationsViewModel
from flowpilot_desktop.viewmodels.push import PushViewModel
from flowpilot_desktop.viewmodels.tasks import Tasks
from flowpilot_desktop.viewmodels.team_queue import TeamQueueViewModel
from flowpilot_desktop.viewmodels.viewmodel import ViewModel

log = logging.getLogger(__name__)

LOOK_MILLISECONDS = 3_000
_SLEPT_SECONDS = 30.0
_CLOSING_WORDS = (
    "FlowPilot stays beside the clock, so that escalations reach you. Close the window again to "
    "hide it; Quit ends FlowPilot. Settings → System changes this."
)


class HandOffScreens(QObject):
    """Pages and tray of the hand-off."""

    session_opened = Signal(str)
    new_requested = Signal()
    settings_wanted = Signal(str)
    quit_requested = Signal()

    def __init__(
        self,
        *,
        engine: FlowPilotEngine,
        escalations: Escalations,
        settings: Settings,
        events: Events,
        clock: Clock,
        window: MainWindow,
        tasks: Tasks,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._engine = engine
        self._escalations = escalations
        self._settings = settings
        self._clock = clock
        self._window = window
        self._tasks = tasks
        self._started_at: datetime | None = None
        self._last_look = time.monotonic()
        self.escalate_model = EscalateViewModel(engine, escalations)
        self.push_model = PushViewModel(engine)
        self.queue_model = EscalationsViewModel(engine, escalations)
        self.team_model = TeamQueueViewModel(escalations.link, events)
        self.alerts = Alerts(clock, self._rules)
        self.shown_alerts: list[Alert] = []
        self.presence = Presence()
        self.tray = Tray(self)
        self._looking = QTimer(self)
        self._looking.setInterval(LOOK_MILLISECONDS)
        self._looking.timeout.connect(self._look_soon)
        self._listening = [
            events.listen(EscalationsChanged, self._hear),
            events.listen(SettingsChanged, self._settings_changed),
        ]
        escalations.told = self._tell

    @property
    def models(self) -> tuple[ViewModel, ...]:
        """The view-models, for whoever keeps and closes them."""
        return (self.escalate_model, self.push_model, self.queue_model, self.team_model)

    # Building

    def add_pages(self) -> None:
        """Add the pages at this place of the navigation."""
        window = self._window
        self.escalate_page = EscalatePage(self.escalate_model, self.push_model)
        self.escalations_page = EscalationsPage(self.queue_model)
        window.add_page("escalate", self.escalate_page, title="Escalate")
        window.add_page(
            "escalations",
            self.escalations_page,
            icon="escalation",
            title="Escalations",
            shortcut="Ctrl+2",
        )
        self.escalate_page.left.connect(self.session_opened)
        self.escalate_page.finished.connect(self.new_requested)
        self.escalate_page.settings_wanted.connect(self.settings_wanted)
        self.escalations_page.session_opened.connect(self.session_opened)
        self.escalations_page.settings_wanted.connect(self.settings_wanted)
        self.escalations_page.cancel_wanted.connect(self._cancel)
        self.queue_model.picked_up.connect(self.session_opened)
        self.queue_model.changed.connect(self._show_count)
        tray = self.tray
        tray.open_requested.connect(window.bring_to_front)
        tray.queue_requested.connect(self.show_queue)
        tray.mute_requested.connect(self._mute)
        tray.quiet_hours_requested.connect(self._show_quiet_hours)
        tray.quit_requested.connect(self.quit_requested)
        tray.alert_opened.connect(self._open_alert)
        tray.alert_picked_up.connect(self._pick_up_alert)

    def queue_list(self) -> QueueList:
        """Return the queue's list for another page; a choice there opens the queue's own."""
        queue = QueueList(self.queue_model)
        queue.chosen.connect(self._open_queue)
        return queue

    def team_panel(self) -> TeamQueuePanel:
        """Return the settings' part about the queue."""
        return TeamQueuePanel(self.team_model)

    def register(self, actions: Actions) -> None:
        """Register what can be done from anywhere."""
        actions.add(
            "queue.refresh", "Read the team queue", self.queue_model.refresh, "Ctrl+Shift+F5", "Go"
        )
        actions.add("queue.mute", "Mute notifications for an hour", self._flip_mute, "", "Window")

    def start(self) -> None:
        """Begin to follow the queue; appear beside the clock."""
        self._started_at = self._clock.now()
        self.queue_model.reload()
        self._escalations.start()
        self._stay_reachable()
        self._looking.start()

    async def aclose(self) -> None:
        """Disappear and hear nothing more."""
        self._looking.stop()
        for end in self._listening:
            end()
        self.tray.aclose()

    # Going places

    @Slot(str)
    def escalate(self, session_id: str) -> None:
        """Show the page that hands a session over."""
        self.escalate_model.asks_status = self._settings.status_on_escalation
        self.escalate_model.open(session_id)
        self._window.show_page("escalate", under="sessions")

    @Slot(str)
    def withdraw(self, session_id: str) -> None:
        """Take a session back."""
        self._tasks.start_unless_running("withdraw", self._withdraw(session_id))

    async def _withdraw(self, session_id: str) -> None:
        await self._engine.withdraw_escalation(session_id)
        self.session_opened.emit(session_id)

    @Slot(str)
    def _cancel(self, session_id: str) -> None:
        self._tasks.start_unless_running("cancel", self._cancelled(session_id))

    async def _cancelled(self, session_id: str) -> None:
        reason = await typed(
            self._window,
            "End this request?",
            "Nobody can pick it up any more, and the session ends with your reason.",
            label="Why it is no longer needed",
            yes="End request",
        )
        if reason:
            await self._engine.cancel_escalation(session_id, reason)

    @Slot()
    def show_queue(self) -> None:
        """Show the queue, from wherever the window is."""
        self._window.bring_to_front()
        self._window.show_page("escalations")

    @Slot(str)
    def _open_queue(self, escalation_id: str) -> None:
        self.queue_model.choose(escalation_id)
        self._window.show_page("escalations")

    @Slot()
    def _show_quiet_hours(self) -> None:
        self._window.bring_to_front()
        self.settings_wanted.emit("Alerts")

    def close_requested(self, *, is_ready: bool) -> bool:
        """Hide to the tray where that is wanted; return False when FlowPilot is to end."""
        if not (is_ready and self.tray.is_available and self._settings.close_to_tray):
            return False
        if self._settings.close_to_tray_explained:
            self._window.hide()
            return True
        self._window.banners.show_banner("tray", "FlowPilot keeps running", _CLOSING_WORDS)
        explained = self._settings.change(Settings.close_to_tray_explained, value=True)
        self._tasks.start("tray explained", explained)
        return True

    # News

    def _rules(self) -> AlertRules:
        return AlertRules(self._settings.alerts, self._settings.quiet_hours)

    def _hear(self, _: EscalationsChanged) -> None:
        self._look_soon()
        if self._window.current_page != "escalations":
            self.queue_model.reload()

    def _settings_changed(self, event: SettingsChanged) -> None:
        if event.key == Settings.start_at_login.key:
            self._tasks.start("autostart", self._autostart())

    async def _autostart(self) -> None:
        try:
            set_autostart(on=self._settings.start_at_login)
        except OSError as error:
            self._tell("Starting with the session", f"It could not be set up: {error.strerror}.")

    def _tell(self, title: str, words: str) -> None:
        self._window.banners.show_banner(f"queue {title}", title, words, tone="amber")

    @Slot()
    def _show_count(self) -> None:
        waiting = self.queue_model.waiting
        self._window.show_count("escalations", waiting)
        self.tray.show_count(waiting)

    @Slot()
    def _look_soon(self) -> None:
        self._escalations.set_idle(idle=self.presence.is_away)
        self._tasks.start_unless_running("alerts", self._look())

    def _stay_reachable(self) -> None:
        """Show the icon; where there is no tray (any more), a hidden window has no way back."""
        if self.tray.is_shown and self._window.isVisible():
            return
        if self.tray.is_available:
            self.tray.show()
        elif not self._window.isVisible():
            self._window.showMinimized()

    async def _look(self) -> None:
        self._stay_reachable()
        now = time.monotonic()
        slept = now - self._last_look > _SLEPT_SECONDS
        self._last_look = now
        if slept:
            self.alerts.woke()
        picture = await self._engine.escalation_queue()
        self.tray.show_muted(muted=self.alerts.muted_until is not None)
        if picture.as_of is None or self._started_at is None or picture.as_of < self._started_at:
            return  # what was known before the start is no news
        for alert in self.alerts.look(picture.entries):
            self.shown_alerts = [*self.shown_alerts[-9:], alert]
            await self.tray.notify(alert)

    @Slot(bool)
    def _mute(self, muted: bool) -> None:  # noqa: FBT001 - Qt's signal
        if muted:
            self.alerts.mute()
        else:
            self.alerts.unmute()

    @Slot()
    def _flip_mute(self) -> None:
        self._mute(self.alerts.muted_until is None)
        self.tray.show_muted(muted=self.alerts.muted_until is not None)

    @Slot(object)
    def _open_alert(self, alert: Alert) -> None:
        self._window.bring_to_front()
        if alert.kind is AlertKind.STALE and alert.session_id:
            self.session_opened.emit(alert.session_id)
            return
        if alert.escalation_id:
            self.queue_model.choose(alert.escalation_id)
        self._window.show_page("escalations")

    @Slot(object)
    def _pick_up_alert(self, alert: Alert) -> None:
        self._open_alert(alert)
        self.queue_model.pick_up_now(alert.escalation_id)
