"""The session's page: head, feed of cards, note, foot, and the column at the right.

``SessionPage(viewmodel)`` puts its parts together and keeps the keys; each part shows what the
view-model knows of its own (``show_session``) and hands on what the technician does. What leaves
this page (escalating, resolving, linking a ticket, a new session) are signals; the window knows
which page comes next.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QAction, QHideEvent, QKeyEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from flowpilot_desktop.core.lifecycle import Verb
from flowpilot_desktop.services.engine import SessionView
from flowpilot_desktop.ui.actions import Actions
from flowpilot_desktop.ui.banner import Banners
from flowpilot_desktop.ui.cards import StepCard
from flowpilot_desktop.ui.pages.session_bars import ActionBar, SessionHead
from flowpilot_desktop.ui.pages.session_feed import SessionFeed
from flowpilot_desktop.ui.pages.session_note import NoteBar
from flowpilot_desktop.ui.pages.session_side import SessionSide
from flowpilot_desktop.ui.probe_bar import ProbeBar
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.ui.viewer import Viewer
from flowpilot_desktop.viewmodels.session import SessionViewModel

_SIDE_NEEDS = 900
"""Below this page width, in design pixels, the column is shown on demand only."""


class SessionPage(QWidget):
    """The screen on which a session is worked through."""

    escalate_requested = Signal(str)
    resolve_requested = Signal(str)
    withdraw_requested = Signal(str)
    link_requested = Signal(str)
    new_requested = Signal()
    retitled = Signal(str)

    def __init__(self, viewmodel: SessionViewModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewmodel = viewmodel
        self.setProperty("role", "page")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self._title = ""
        self._rendered_view: SessionView | None = None
        self._rendered_for: tuple[object, ...] = ()
        self._is_side_wanted = False
        self._is_stale = False
        self._dismissed_advice = ""
        self._actions: dict[Verb, QAction] = {}
        self._live_actions: tuple[QAction, ...] = ()
        self._shown_actions: tuple[QAction, ...] = ()
        self._stop_action: QAction | None = None
        self._across = across = QHBoxLayout(self)
        across.setContentsMargins(0, 0, 0, 0)
        across.setSpacing(0)
        centre = QVBoxLayout()
        centre.setContentsMargins(0, 0, 0, 0)
        centre.setSpacing(0)
        across.addLayout(centre, 1)
        self.head = SessionHead(self)
        self.banners = Banners(self)
        self.feed = SessionFeed(viewmodel, self)
        self.probe = ProbeBar(self)
        self.note = NoteBar(viewmodel, self)
        self.foot = ActionBar(self)
        for part in (self.head, self.banners, self.feed, self.probe, self.note, self.foot):
            centre.addWidget(part, int(part is self.feed))
        self._side_frame = QFrame(self)
        self._side_frame.setProperty("role", "side")
        inside = QHBoxLayout(self._side_frame)
        inside.setContentsMargins(1, 0, 0, 0)
        self.side = SessionSide(self._side_frame)
        inside.addWidget(self.side)
        across.addWidget(self._side_frame)
        self.viewer = Viewer(self)
        self.setFocusProxy(self.feed)
        self._tick = QTimer(self)
        self._tick.setTimerType(Qt.TimerType.PreciseTimer)
        self._tick.setSingleShot(True)
        self._tick.timeout.connect(self._show_time)
        self._connect()
        self._render()

    def _connect(self) -> None:
        model = self.viewmodel
        self.side.link_requested.connect(self._link)
        self.side.refresh_requested.connect(model.refresh_ticket)
        self.side.keep_from_models.connect(model.keep_from_models)
        self.head.side_button.toggled.connect(self._toggle_side)
        self.banners.acted.connect(self._act_on_banner)
        self.banners.dismissed.connect(self._dismiss_banner)
        self.feed.chosen.connect(self._choose)
        self.feed.correction_wanted.connect(self.note.open)
        self.probe.asked.connect(model.probe)
        self.probe.stopped.connect(model.stop_probe)
        self.probe.closed.connect(self._close_probe)
        self.note.closed.connect(self.feed.focus_open_card)
        self.foot.pause_wanted.connect(self.pause_or_resume)
        self.foot.note_wanted.connect(self.compose)
        self.foot.probe_wanted.connect(self.open_probe)
        self.foot.escalate_wanted.connect(self.escalate)
        self.foot.resolve_wanted.connect(self.resolve)
        model.exhibit_opened.connect(self.viewer.show_attachment)
        model.escalation_advised.connect(self._follow_advice)
        model.changed.connect(self._render)
        model.failed.connect(self._render)

    @property
    def page_title(self) -> str:
        """What the window's title says after "FlowPilot"."""
        return self._title

    def register(self, actions: Actions) -> None:
        """Register what can be done on this page; the keys work while it is on the screen."""
        add, model, group = actions.add, self.viewmodel, "Session"
        self._actions = {
            Verb.PAUSE: add(
                "session.pause", "Pause or resume", self.pause_or_resume, "Ctrl+P", group
            ),
            Verb.ESCALATE: add("session.escalate", "Escalate", self.escalate, "Ctrl+E", group),
            Verb.RESOLVE: add("session.resolve", "Resolve", self.resolve, "Ctrl+R", group),
        }
        self._live_actions = (
            add("session.note", "Log a step by hand", self.compose, "Ctrl+L", group),
            add("session.back", "Back to the last card", model.go_back, "Alt+Left", group),
            add("session.probe", "Probe a host", self.open_probe, "Ctrl+Shift+O", group),
            add("session.refresh", "Refresh ticket", model.refresh_ticket, "F5", group),
        )
        self._stop_action = add("session.stop", "Stop Claude", model.stop, "Ctrl+.", group)
        self._shown_actions = (
            add("session.card", "Go to the open card", self.focus_open_card, "Ctrl+J", group),
            add("session.next", "Next card", self.feed.next_card, "Alt+Down", group),
            add("session.previous", "Previous card", self.feed.previous_card, "Alt+Up", group),
            add("session.side", "Show or hide the ticket", self.flip_side, "Ctrl+B", group),
        )
        self._enable_actions()

    def _enable_actions(self) -> None:
        model, shown = self.viewmodel, self.isVisible()
        for verb, action in self._actions.items():
            allowed = model.allows(verb) or (verb is Verb.PAUSE and model.allows(Verb.RESUME))
            action.setEnabled(shown and allowed and not model.is_busy)
        for action in self._live_actions:
            action.setEnabled(shown and model.is_live)
        if self._stop_action is not None:
            self._stop_action.setEnabled(shown and model.is_thinking)
        for action in self._shown_actions:
            action.setEnabled(shown and model.view is not None)

    # --- what the technician does; the window's actions call these too ---

    @Slot()
    def pause_or_resume(self) -> None:
        """Pause an active session, go on with a paused one."""
        if self.viewmodel.allows(Verb.RESUME):
            self.viewmodel.resume()
        elif self.viewmodel.allows(Verb.PAUSE):
            self.viewmodel.flush_drafts()
            self.viewmodel.pause()

    @Slot()
    def compose(self) -> None:
        """Open the field for a step logged by hand."""
        self.note.open()

    @Slot()
    def open_probe(self) -> None:
        """Open the bar from which a host is looked at."""
        if self.viewmodel.is_live:
            self.probe.open()

    @Slot()
    def _close_probe(self) -> None:
        self.probe.hide()
        self.focus_open_card()

    @Slot()
    def escalate(self) -> None:
        """Ask the window for the escalation page."""
        if self.viewmodel.allows(Verb.ESCALATE):
            self.viewmodel.flush_drafts()
            self.escalate_requested.emit(self.viewmodel.session_id)

    @Slot()
    def resolve(self) -> None:
        """Ask the window for the resolve page."""
        if self.viewmodel.allows(Verb.RESOLVE):
            self.viewmodel.flush_drafts()
            self.resolve_requested.emit(self.viewmodel.session_id)

    @Slot()
    def flip_side(self) -> None:
        """Show the column where it is hidden for want of room, or hide it again."""
        if not self._has_room:
            self.head.side_button.toggle()

    @Slot()
    def focus_open_card(self) -> None:
        """Give the focus to the card that waits, else to the last one."""
        self.feed.focus_open_card()

    # --- rendering ---

    @Slot()
    def _render(self) -> None:
        model, view = self.viewmodel, self.viewmodel.view
        if not self.isVisible():
            self._is_stale = True
            return
        self._is_stale = False
        if view is not None and model.progress is not None and self._only_progress_changed():
            self.feed.show_progress()
            return
        title = self.head.show_session(model)
        if title != self._title:
            self._title = title
            self.retitled.emit(title)
        self._render_banners()
        self.feed.show_session()
        if not model.is_live:
            self.probe.hide()
        self.probe.show_running(running=model.is_probing)
        self.foot.show_session(model)
        self.note.show_session()
        if view is not None:
            self.side.show_view(view, busy=model.is_busy, can_link=model.is_live)
            self.side.ticket.show_privacy(model.client, is_kept=model.is_kept_from_models)
        self._place_side()
        self._show_time()
        self._enable_actions()
        self._rendered_view, self._rendered_for = view, self._state()

    def _render_banners(self) -> None:
        model = self.viewmodel
        if model.notice and model.is_live:
            self.banners.show_banner(
                "notice",
                "Go on with Claude?" if model.asks_budget else "Going on without Claude",
                model.notice,
                tone="amber",
                action="Go on this month" if model.asks_budget else "",
                fixed=True,
            )
        else:
            self.banners.hide_banner("notice")
        if model.advice and model.advice != self._dismissed_advice:
            can = model.allows(Verb.ESCALATE)
            self.banners.show_banner(
                "advice",
                "This may need a fresh pair of eyes",
                model.advice,
                action="Escalate" if can else "",
            )
        else:
            self.banners.hide_banner("advice")

    def _state(self) -> tuple[object, ...]:
        model = self.viewmodel
        return (
            model.is_thinking,
            model.is_busy,
            model.is_saved,
            model.notice,
            model.asks_budget,
            model.is_probing,
            model.session_id,
            model.was_stopped,
            model.has_no_more,
        )

    def _only_progress_changed(self) -> bool:
        return self.viewmodel.view is self._rendered_view and self._state() == self._rendered_for

    # --- the side and the time ---

    @property
    def _has_room(self) -> bool:
        return self.width() >= theme().px(_SIDE_NEEDS)

    @Slot(bool)
    def _toggle_side(self, shown: bool) -> None:  # noqa: FBT001 - Qt's signal
        self._is_side_wanted = shown
        self._place_side()

    def _place_side(self) -> None:
        """Put the column beside the cards, or, where there is no room, over them on demand."""
        has_view, has_room = self.viewmodel.view is not None, self._has_room
        self.head.side_button.setVisible(has_view and not has_room)
        self._side_frame.setVisible(has_view and (has_room or self._is_side_wanted))
        is_beside = self._across.indexOf(self._side_frame) >= 0
        if has_room and not is_beside:
            self._across.addWidget(self._side_frame)
        elif not has_room and is_beside:
            self._across.removeWidget(self._side_frame)
        if not has_room:
            width = min(self._side_frame.sizeHint().width(), self.width())
            top = self.head.sizeHint().height()
            foot = self.foot.sizeHint().height() if self.foot.isVisible() else 0
            height = max(0, self.height() - top - foot)
            self._side_frame.setGeometry(self.width() - width, top, width, height)
            self._side_frame.raise_()
        self.viewer.raise_()

    @Slot()
    def _show_time(self) -> None:
        """Show the time and wait for the next full second of it, so that nothing drifts."""
        view = self.viewmodel.view
        if view is None:
            self._tick.stop()
            return
        seconds = self.viewmodel.active_seconds()
        self.side.time.show_time(seconds, runs=view.clock_runs)
        if view.clock_runs and self.isVisible():
            self._tick.start(max(20, round((1 - seconds % 1) * 1000) + 5))
        else:
            self._tick.stop()

    # --- Qt's side ---

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show the column where there is room."""
        super().resizeEvent(event)
        self._place_side()

    def showEvent(self, event: QShowEvent) -> None:
        """Let the time run on the screen, and the keys work."""
        super().showEvent(event)
        if self._is_stale:
            self._render()
        self._show_time()
        self._enable_actions()

    def hideEvent(self, event: QHideEvent) -> None:
        """Save what was typed."""
        super().hideEvent(event)
        self._tick.stop()
        self._enable_actions()
        self.viewmodel.flush_drafts()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Answer the open card by number wherever on the page the focus is; Esc stops."""
        if event.key() == Qt.Key.Key_Escape:
            if self.note.isVisible() and self.note.isAncestorOf(self.focusWidget()):
                self.note.end()
            elif self.viewmodel.is_thinking:
                self.viewmodel.stop()
            elif self._is_side_wanted and not self._has_room:
                self.head.side_button.setChecked(False)
            return
        card = self.feed.card(self.feed.open_key)
        if isinstance(card, StepCard) and card.take_key(event):
            return
        super().keyPressEvent(event)

    # --- slots ---

    @Slot(str)
    def _choose(self, choice: str) -> None:
        model = self.viewmodel
        match choice:
            case "reload":
                model.reload()
            case "think":
                model.think()
            case "note":
                self.compose()
            case "resume":
                model.resume()
            case "resolve":
                self.resolve()
            case "withdraw":
                self.withdraw_requested.emit(model.session_id)
            case "retry":
                model.retry_push()
            case "new":
                self.new_requested.emit()

    @Slot(str)
    def _follow_advice(self, session_id: str) -> None:
        """Go on to the escalation page: the technician has just chosen so."""
        if session_id == self.viewmodel.session_id and self.isVisible():
            self.escalate()

    @Slot(str)
    def _act_on_banner(self, key: str) -> None:
        if key == "notice":
            self.viewmodel.agree_to_spend()
        else:
            self.viewmodel.take_advice()

    @Slot(str)
    def _dismiss_banner(self, key: str) -> None:
        if key == "advice":
            self._dismissed_advice = self.viewmodel.advice

    @Slot()
    def _link(self) -> None:
        self.link_requested.emit(self.viewmodel.session_id)
