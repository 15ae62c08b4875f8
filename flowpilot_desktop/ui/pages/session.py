"""The session's page: head, feed of cards, foot, and the column at the right.

``SessionPage(viewmodel)`` renders what its view-model knows and hands on what the technician
does. What leaves this page (escalating, resolving, linking a ticket, a new session) are signals;
the window knows which page comes next.
"""

from __future__ import annotations

from PySide6.QtCore import QMimeData, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QAction, QHideEvent, QKeyEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QApplication, QFrame, QHBoxLayout, QVBoxLayout, QWidget

from flowpilot_desktop.core.errors import FlowPilotError
from flowpilot_desktop.core.lifecycle import Verb
from flowpilot_desktop.core.push import PsaPushStatus
from flowpilot_desktop.core.session import Session, SessionStatus, Step
from flowpilot_desktop.services.engine import SessionView
from flowpilot_desktop.ui.actions import Actions
from flowpilot_desktop.ui.banner import Banners
from flowpilot_desktop.ui.cards import CARD_WIDGETS, CardContent, StepCard
from flowpilot_desktop.ui.cards.card import moment_words
from flowpilot_desktop.ui.cards.writing import StandingCard, StandingContent, WritingCard
from flowpilot_desktop.ui.controls import AnswerEdit, Badge, Button, announce
from flowpilot_desktop.ui.feed import Feed, FeedItem
from flowpilot_desktop.ui.pages.session_side import SessionSide
from flowpilot_desktop.ui.probe_bar import ProbeBar
from flowpilot_desktop.ui.text import ElidedText
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.ui.thumbnails import Thumbnails, pictures_of
from flowpilot_desktop.viewmodels.session import NOTE, SessionViewModel

_NOTE_WORDS = "What did you do or see? (Enter to log)"
_STANDING = "standing"
_WRITING = "writing"
_SIDE_NEEDS = 900
"""Below this page width, in design pixels, the column is shown on demand only."""
_STATUS_BADGES = {
    SessionStatus.ACTIVE: ("", "neutral"),
    SessionStatus.PAUSED: ("Paused", "soft_amber"),
    SessionStatus.REQUESTING_ESCALATION: ("Waiting for pickup", "amber"),
    SessionStatus.ESCALATED: ("Resolved by a teammate", "neutral"),
    SessionStatus.RESOLVED: ("Resolved", "green"),
    SessionStatus.ABANDONED: ("Closed without documentation", "neutral"),
}


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
        self._open_key = ""
        self._fed_session = ""
        self._is_side_wanted = False
        self._is_logging = False
        self._is_stale = False
        self._corrects = ""
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
        self._banners = self._build_banners()
        self.feed = Feed("Cards of this session", self)
        self._head_frame = self._build_head()
        centre.addWidget(self._head_frame)
        centre.addWidget(self._banners)
        centre.addWidget(self.feed, 1)
        for dock in (self._build_thumbnails(), self._build_probe(), self._build_composer()):
            centre.addWidget(dock)
        centre.addWidget(self._build_foot())
        self._side_frame = QFrame(self)
        self._side_frame.setProperty("role", "side")
        inside = QHBoxLayout(self._side_frame)
        inside.setContentsMargins(1, 0, 0, 0)
        self.side = SessionSide(self._side_frame)
        inside.addWidget(self.side)
        across.addWidget(self._side_frame)
        self.setFocusProxy(self.feed)
        self._tick = QTimer(self)
        self._tick.setTimerType(Qt.TimerType.PreciseTimer)
        self._tick.setSingleShot(True)
        self._tick.timeout.connect(self._show_time)
        self.side.link_requested.connect(self._link)
        self.side.refresh_requested.connect(viewmodel.refresh_ticket)
        viewmodel.changed.connect(self._render)
        viewmodel.failed.connect(self._render)
        self._render()

    @property
    def page_title(self) -> str:
        """What the window's title says after "FlowPilot"."""
        return self._title

    def _build_probe(self) -> ProbeBar:
        self.probe = ProbeBar(self)
        self.probe.asked.connect(self.viewmodel.probe)
        self.probe.stopped.connect(self.viewmodel.stop_probe)
        self.probe.closed.connect(self._close_probe)
        return self.probe

    def _build_thumbnails(self) -> Thumbnails:
        self.thumbnails = Thumbnails(self)
        self.thumbnails.removed.connect(self.viewmodel.remove_picture)
        return self.thumbnails

    def _build_banners(self) -> Banners:
        self._dismissed_advice = ""
        banners = Banners(self)
        banners.acted.connect(self._act_on_banner)
        banners.dismissed.connect(self._dismiss_banner)
        return banners

    def _build_head(self) -> QWidget:
        px = theme().px
        head = QFrame(self)
        head.setProperty("role", "pagehead")
        row = QHBoxLayout(head)
        row.setContentsMargins(px(24), px(10), px(20), px(10))
        row.setSpacing(px(10))
        words = QVBoxLayout()
        words.setSpacing(px(2))
        self._head = ElidedText("", head, role="head")
        self._facts = ElidedText("", head, role="small", tone="muted")
        words.addWidget(self._head)
        words.addWidget(self._facts)
        row.addLayout(words, 1)
        self._status = Badge("", "neutral", head)
        self._saved = Badge("Saved", "neutral", head)
        self._side_button = Button(
            icon="panel", variant="icon", hint="Show ticket and confidence", parent=head
        )
        self._side_button.setCheckable(True)
        self._side_button.toggled.connect(self._toggle_side)
        row.addWidget(self._status)
        row.addWidget(self._saved)
        row.addWidget(self._side_button)
        return head

    _put_aside = ""
    """The session whose composer was closed with words in it: it opens again when asked for."""

    def _build_composer(self) -> QWidget:
        px = theme().px
        self._composer = QFrame(self)
        self._composer.setProperty("role", "pagefoot")
        row = QHBoxLayout(self._composer)
        row.setContentsMargins(px(24), px(10), px(20), px(10))
        row.setSpacing(px(8))
        self._note = AnswerEdit(_NOTE_WORDS, "Step to log by hand", self._composer)
        self._note.submitted.connect(self._log_note)
        self._note.textChanged.connect(self._draft_note)
        self._note.left.connect(self.viewmodel.flush_drafts)
        self._note.pictured.connect(self._attach)
        self._log = Button("Log", variant="primary", parent=self._composer)
        self._log.setAccessibleName("Log this step")
        self._log.clicked.connect(self._log_note)
        close = Button(icon="close", variant="icon", hint="Close", parent=self._composer)
        close.setAccessibleName("Close the note")
        close.clicked.connect(self._close_composer)
        row.addWidget(self._note, 1)
        row.addWidget(self._log)
        row.addWidget(close)
        self._composer.hide()
        return self._composer

    def _build_foot(self) -> QWidget:
        px = theme().px
        self._foot = QFrame(self)
        self._foot.setProperty("role", "pagefoot")
        row = QHBoxLayout(self._foot)
        row.setContentsMargins(px(24), px(10), px(20), px(10))
        row.setSpacing(px(8))
        self._pause = Button("Pause", icon="pause", parent=self._foot)
        self._pause.clicked.connect(self.pause_or_resume)
        self._write = Button("Log a step", icon="note", parent=self._foot)
        self._write.clicked.connect(self.compose)
        self._saved_words = ElidedText("", self._foot, tone="muted")
        self._escalate = Button("Escalate", icon="escalation", variant="amber", parent=self._foot)
        self._escalate.clicked.connect(self.escalate)
        self._resolve = Button("Resolve", icon="check", variant="primary", parent=self._foot)
        self._resolve.clicked.connect(self.resolve)
        row.addWidget(self._pause)
        words = "Probe a host: ping, name, port, route or web server"
        self._look = Button(icon="search", variant="icon", hint=words, parent=self._foot)
        self._look.setAccessibleName("Probe")
        self._look.clicked.connect(self.open_probe)
        row.addWidget(self._write)
        row.addWidget(self._look)
        row.addSpacing(px(4))
        row.addWidget(self._saved_words, 1)
        row.addWidget(self._escalate)
        row.addWidget(self._resolve)
        return self._foot

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
        self.correct("")

    @Slot()
    def open_probe(self) -> None:
        """Open the bar from which a host is looked at."""
        if self.viewmodel.is_live:
            self.probe.open()

    @Slot()
    def _close_probe(self) -> None:
        self.probe.hide()
        self.focus_open_card()

    @Slot(str)
    def correct(self, step_id: str) -> None:
        """Open the field for the correction of an answer; answers themselves never change."""
        model = self.viewmodel
        if not model.is_live or model.view is None:
            return
        number = next((step.number for step in model.view.steps if step.id == step_id), 0)
        self._corrects = step_id if number else ""
        words = f"What is right about step {number}? (Enter to log)" if number else _NOTE_WORDS
        self._note.setPlaceholderText(words)
        self._put_aside = ""
        self._composer.show()
        self._note.setFocus(Qt.FocusReason.OtherFocusReason)

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
    def stop_thinking(self) -> None:
        """Stop Claude."""
        self.viewmodel.stop()

    @Slot()
    def flip_side(self) -> None:
        """Show the column where it is hidden for want of room, or hide it again."""
        if not self._has_room:
            self._side_button.toggle()

    @Slot()
    def focus_open_card(self) -> None:
        """Give the focus to the card that waits, else to the last one."""
        if self._open_key:
            self.feed.focus_card(self._open_key)
        else:
            self.feed.setFocus(Qt.FocusReason.OtherFocusReason)

    # --- rendering ---

    @Slot()
    def _render(self) -> None:
        model, view = self.viewmodel, self.viewmodel.view
        if not self.isVisible():
            self._is_stale = True
            return
        self._is_stale = False
        if view is not None and model.progress is not None and self._only_progress_changed():
            self.feed.show_item(self._writing_item())
            return
        self._render_head(view)
        self._render_feed(view)
        self._render_foot(view)
        self.thumbnails.show_pictures(model.pictures if model.is_live else ())
        if view is not None:
            self.side.show_view(view, busy=model.is_busy, can_link=model.is_live)
        self._place_side()
        self._show_time()
        self._enable_actions()
        self._rendered_view, self._rendered_for = view, self._state()

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

    def _render_head(self, view: SessionView | None) -> None:
        model = self.viewmodel
        title = view.session.problem_summary or "Session" if view is not None else ""
        facts: list[str] = []
        words, tone = "", "neutral"
        if view is not None:
            session = view.session
            open_step = view.open_step or (view.steps[-1] if view.steps else None)
            facts = [
                f"#{session.ticket_id}" if session.ticket_id else "",
                session.company,
                f"started {moment_words(session.created_at)}",
                f"step {open_step.number}" if open_step else "",
                view.flow_title and f"flow: {view.flow_title}",
            ]
            words, tone = _status_words(session)
        self._head.show_text(title or ("Opening…" if model.is_loading else "Sessions"))
        line = " · ".join(filter(None, facts))
        self._facts.show_text(line)
        self._facts.setVisible(bool(line))
        self._status.setVisible(bool(words))
        self._status.show_text(words, tone)
        self._saved.setVisible(view is not None)
        is_saved = model.is_saved and not model.is_busy
        self._saved.show_text("Saved" if is_saved else "Saving…")
        if model.notice:
            self._banners.show_banner(
                "notice",
                "Go on with Claude?" if model.asks_budget else "Going on without Claude",
                model.notice,
                tone="amber",
                action="Go on this month" if model.asks_budget else "",
                fixed=True,
            )
        else:
            self._banners.hide_banner("notice")
        if model.advice and model.advice != self._dismissed_advice:
            can = model.allows(Verb.ESCALATE)
            self._banners.show_banner(
                "advice",
                "This may need a fresh pair of eyes",
                model.advice,
                action="Escalate" if can else "",
            )
        else:
            self._banners.hide_banner("advice")
        if title != self._title:
            self._title = title
            self.retitled.emit(title)

    def _render_foot(self, view: SessionView | None) -> None:
        model = self.viewmodel
        is_open = view is not None and not view.session.status.is_final
        self._foot.setVisible(is_open)
        if not model.is_live:
            self._composer.hide()
            self.probe.hide()
        self.probe.show_running(running=model.is_probing)
        if not is_open:
            return
        can_resume = model.allows(Verb.RESUME)
        busy = model.is_busy
        self._pause.show_text("Resume" if can_resume else "Pause")
        self._pause.show_icon("play" if can_resume else "pause")
        self._pause.setEnabled((can_resume or model.allows(Verb.PAUSE)) and not busy)
        self._write.setEnabled(model.is_live)
        self._look.setEnabled(model.is_live)
        self._log.setEnabled(not busy)
        self._escalate.setEnabled(model.allows(Verb.ESCALATE) and not busy)
        self._resolve.setEnabled(model.allows(Verb.RESOLVE) and not busy)
        is_saved = model.is_saved and not busy
        self._saved_words.show_text("All work saved" if is_saved else "Saving…")
        if self._is_logging and not busy:
            self._is_logging = False
            if NOTE not in model.drafts:  # it is on the disk as a step now
                self._note.clear()
                self._corrects = ""
                self._composer.hide()
                self.focus_open_card()
        elif not self._note.hasFocus():
            self._note.show_text(model.drafts.get(NOTE, ""))
            is_put_aside = self._put_aside == model.session_id
            if model.drafts.get(NOTE) and model.is_live and not is_put_aside:
                self._composer.show()

    def _render_feed(self, view: SessionView | None) -> None:
        model = self.viewmodel
        items = [self._step_item(step, view) for step in view.steps] if view is not None else []
        if model.is_thinking:
            items.append(self._writing_item())
        else:
            standing = self._standing(view)
            if standing is not None:
                items.append(FeedItem(_STANDING, standing, self._build_standing))
        was_inside = self._has_focus_to_give()
        self.feed.show_items(items)
        if model.session_id != self._fed_session:
            self._fed_session = model.session_id
            self._corrects = ""
            self.feed.follow()
        open_step = view.open_step if view is not None and model.is_live else None
        key = open_step.id if open_step is not None else ""
        if key != self._open_key:
            self._open_key = key
            if key and was_inside:
                self.feed.focus_card(key)
            elif key and (card := self.feed.card(key)) is not None:
                announce(self, card.accessibleName())

    def _has_focus_to_give(self) -> bool:
        """Whether moving the focus to a new card takes it from nobody who types elsewhere."""
        focus = QApplication.focusWidget()
        if focus is None or not self.isVisible():
            return self.isVisible()
        return focus is self or focus is self.feed or self.feed.isAncestorOf(focus)

    def _step_item(self, step: Step, view: SessionView) -> FeedItem:
        model = self.viewmodel
        # After a pickup the card that was open waits behind the briefing.
        is_live = step is view.open_step and model.is_live
        content = CardContent(
            step=step,
            is_live=is_live,
            is_busy=model.busy_step == step.id,
            author=view.engineers.get(step.created_by, ""),
            answered_by=model.name(step.answered_by),
            can_correct=model.is_live and step.response is not None,
            corrected=next((s.number for s in view.steps if s.id == step.corrects), 0),
            draft=model.drafts.get(step.id, ""),
        )
        return FeedItem(step.id, content, self._build_card, pinned=is_live)

    def _writing_item(self) -> FeedItem:
        return FeedItem(_WRITING, self.viewmodel.progress, self._build_writing, pinned=True)

    def _build_card(self, content: CardContent, parent: QWidget) -> StepCard:
        card = CARD_WIDGETS[content.step.kind](content, parent)
        card.answered.connect(self.viewmodel.answer)
        card.drafted.connect(self.viewmodel.draft)
        card.left.connect(self.viewmodel.flush_drafts)
        card.pictured.connect(self._attach)
        card.correction_wanted.connect(self.correct)
        return card

    def _build_writing(self, progress: object, parent: QWidget) -> WritingCard:
        card = WritingCard(self.viewmodel.progress or progress, parent)  # type: ignore[arg-type]  # the feed carries any content
        card.stopped.connect(self.viewmodel.stop)
        return card

    def _build_standing(self, content: StandingContent, parent: QWidget) -> StandingCard:
        card = StandingCard(content, parent)
        card.chosen.connect(self._choose)
        return card

    def _standing(self, view: SessionView | None) -> StandingContent | None:
        """Return what the feed ends with when no card waits for an answer."""
        model = self.viewmodel
        if view is None:
            return self._standing_without_view()
        session = view.session
        since = moment_words(session.paused_at) if session.paused_at else ""
        match session.status:
            case SessionStatus.PAUSED:
                mine = (("resume", "Resume", "primary"),) if model.allows(Verb.RESUME) else ()
                return StandingContent(
                    "pause",
                    f"Paused since {since}" if since else "Paused",
                    "Time has stopped. Resuming brings back the same card; nothing is asked anew.",
                    choices=mine,
                )
            case SessionStatus.REQUESTING_ESCALATION:
                return self._standing_escalation(view)
            case SessionStatus.RESOLVED | SessionStatus.ESCALATED | SessionStatus.ABANDONED:
                return self._standing_end(view)
        if not model.is_mine:
            who = view.engineers.get(session.handler_id, "A teammate")
            return StandingContent(
                "person", f"{who} works on this session", "Their steps appear here as they happen."
            )
        if view.open_step is not None:
            return None
        return self._standing_next()

    def _standing_without_view(self) -> StandingContent:
        error = self.viewmodel.load_error
        if error is not None:
            return _error_content(error, "reload")
        if self.viewmodel.is_loading:
            return StandingContent("clock", "Opening the session…")
        return StandingContent(
            "sessions",
            "No session is open",
            "Start one from a ticket or from a few words about the problem.",
            choices=(("new", "New Session", "primary"),),
        )

    def _standing_next(self) -> StandingContent:
        model = self.viewmodel
        log = ("note", "Log a step", "")
        if model.think_error is not None:
            return _error_content(model.think_error, "think", log)
        if model.is_over:
            return StandingContent(
                "resolution",
                "Ready to resolve",
                "The resolution is confirmed. Resolving writes the documentation to the ticket; "
                "you can read and edit it first.",
                choices=(("resolve", "Resolve", "primary"), log),
            )
        if model.was_stopped:
            return StandingContent(
                "stop",
                "Stopped",
                "Every answer is saved. Ask again for the next card, or go on by hand.",
                choices=(("think", "Next card", "primary"), log),
            )
        return StandingContent(
            "note",
            "No further card for now",
            "Log what you do next by hand, ask again, or resolve when the problem is solved.",
            choices=(("think", "Ask again", "primary"), log, ("resolve", "Resolve", "")),
        )

    def _standing_escalation(self, view: SessionView) -> StandingContent:
        session = view.session
        to = session.escalated_to and view.engineers.get(session.escalated_to, session.escalated_to)
        since = moment_words(session.escalated_at) if session.escalated_at else ""
        can = self.viewmodel.allows(Verb.WITHDRAW)
        return StandingContent(
            "escalation",
            f"Waiting for {to}" if to else "Waiting for a teammate",
            f"Escalated {since}. {session.escalation_reason}".strip(),
            "You can take it back as long as nobody has picked it up." if can else "",
            tone="amber",
            choices=(("withdraw", "Withdraw", ""),) if can else (),
        )

    def _standing_end(self, view: SessionView) -> StandingContent:
        session = view.session
        words, _ = _status_words(session)
        ended = f"{words}, {moment_words(session.updated_at)}"
        number = f"ticket #{session.ticket_id}"
        text, hint = session.resolution_summary or session.end_reason, ""
        choices: tuple[tuple[str, str, str], ...] = ()
        shade = "plain"
        match view.push_status if session.ticket_id else PsaPushStatus.NO_PSA:
            case PsaPushStatus.SENT:
                hint = f"Documentation pushed to {number}"
            case PsaPushStatus.PENDING | PsaPushStatus.PENDING_RETRY:
                hint = f"Documentation for {number} is queued, will sync shortly"
                shade = "amber"
            case PsaPushStatus.FAILED:
                hint = f"Documentation did not reach {number}: {view.push_error}"
                shade, choices = "red", (("retry", "Retry", "primary"),)
        return StandingContent("check", ended, text, hint, shade, choices)

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
        self._side_button.setVisible(has_view and not has_room)
        self._side_frame.setVisible(has_view and (has_room or self._is_side_wanted))
        is_beside = self._across.indexOf(self._side_frame) >= 0
        if has_room and not is_beside:
            self._across.addWidget(self._side_frame)
        elif not has_room and is_beside:
            self._across.removeWidget(self._side_frame)
        if not has_room:
            width = min(self._side_frame.sizeHint().width(), self.width())
            top = self._head_frame.sizeHint().height()
            foot = self._foot.sizeHint().height() if self._foot.isVisible() else 0
            height = max(0, self.height() - top - foot)
            self._side_frame.setGeometry(self.width() - width, top, width, height)
            self._side_frame.raise_()

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
            if self._composer.isVisible() and self._composer.isAncestorOf(self.focusWidget()):
                self._close_composer()
            elif self.viewmodel.is_thinking:
                self.viewmodel.stop()
            elif self._is_side_wanted and not self._has_room:
                self._side_button.setChecked(False)
            return
        card = self.feed.card(self._open_key)
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

    @Slot(object)
    def _attach(self, source: QMimeData) -> None:
        self.viewmodel.attach_pictures(pictures_of(source))

    @Slot(str)
    def _act_on_banner(self, key: str) -> None:
        if key == "notice":
            self.viewmodel.agree_to_spend()
        else:
            self.escalate()

    @Slot(str)
    def _dismiss_banner(self, key: str) -> None:
        if key == "advice":
            self._dismissed_advice = self.viewmodel.advice

    @Slot()
    def _log_note(self) -> None:
        text = self._note.text.strip()
        if text and not self.viewmodel.is_busy:
            self._is_logging = True
            self.viewmodel.log_note(text, self._corrects)

    @Slot()
    def _close_composer(self) -> None:
        self._composer.hide()
        self._corrects = ""
        self._put_aside = self.viewmodel.session_id
        self.viewmodel.flush_drafts()
        self.focus_open_card()

    @Slot()
    def _draft_note(self) -> None:
        if self._note.text != self.viewmodel.drafts.get(NOTE, ""):
            self.viewmodel.draft(NOTE, self._note.text)

    @Slot()
    def _link(self) -> None:
        self.link_requested.emit(self.viewmodel.session_id)


def _status_words(session: Session) -> tuple[str, str]:
    """Return a session's state as a badge says it, and the badge's tone."""
    if session.status is SessionStatus.ESCALATED and session.end_reason:
        return "Escalation ended", "neutral"  # cancelled or expired: nobody resolved it
    return _STATUS_BADGES[session.status]


def _error_content(
    error: FlowPilotError, again: str, *more: tuple[str, str, str]
) -> StandingContent:
    return StandingContent(
        "error",
        error.title,
        error.message,
        error.hint,
        tone="red",
        choices=((again, "Try again", "primary"), *more),
    )
