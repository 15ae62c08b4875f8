"""The session's two edges: the head with what it is about, the foot with what can be done."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from flowpilot_desktop.core.lifecycle import Verb
from flowpilot_desktop.ui.cards.card import moment_words
from flowpilot_desktop.ui.controls import Badge, Button
from flowpilot_desktop.ui.pages.session_standing import status_words
from flowpilot_desktop.ui.text import ElidedText
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.ui.words import joined
from flowpilot_desktop.viewmodels.session import SessionViewModel


class _Bar(QFrame):
    """One line of widgets."""

    def __init__(self, role: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setProperty("role", role)
        px = theme().px
        self.row = QHBoxLayout(self)
        self.row.setContentsMargins(px(24), px(10), px(20), px(10))
        self.row.setSpacing(px(8))


class SessionHead(_Bar):
    """The problem, the facts, the state, whether all is saved."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__("pagehead", parent)
        words = QVBoxLayout()
        words.setSpacing(theme().px(2))
        self._title = ElidedText("", self, role="head")
        self.facts = ElidedText("", self, role="small", tone="muted")
        words.addWidget(self._title)
        words.addWidget(self.facts)
        self.row.addLayout(words, 1)
        self.status = Badge("", "neutral", self)
        self.saved = Badge("Saved", "neutral", self)
        self.side_button = Button(
            icon="panel", variant="icon", hint="Show ticket and confidence", parent=self
        )
        self.side_button.setCheckable(True)
        for widget in (self.status, self.saved, self.side_button):
            self.row.addWidget(widget)

    def show_session(self, model: SessionViewModel) -> str:
        """Show the session; return the page's title."""
        view = model.view
        title = view.session.problem_summary or "Session" if view is not None else ""
        line, words, tone = "", "", "neutral"
        if view is not None:
            session = view.session
            latest = view.open_step or (view.steps[-1] if view.steps else None)
            line = joined(
                f"#{session.ticket_id}" if session.ticket_id else "",
                session.company,
                f"started {moment_words(session.created_at)}",
                f"step {latest.number}" if latest else "",
                view.flow_title and f"flow: {view.flow_title}",
            )
            words, tone = status_words(view, is_mine=model.is_mine)
        self._title.show_text(title or ("Opening…" if model.is_loading else "Sessions"))
        self.facts.show_text(line)
        self.facts.setVisible(bool(line))
        self.status.setVisible(bool(words))
        self.status.show_text(words, tone)
        self.saved.setVisible(view is not None)
        self.saved.show_text("Saved" if model.is_saved and not model.is_busy else "Saving…")
        return title


class ActionBar(_Bar):
    """Pause, Log a step, Probe, Escalate, Resolve."""

    pause_wanted = Signal()
    note_wanted = Signal()
    probe_wanted = Signal()
    escalate_wanted = Signal()
    resolve_wanted = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__("pagefoot", parent)
        self.pause = Button("Pause", icon="pause", parent=self)
        self.write = Button("Log a step", icon="note", parent=self)
        words = "Probe a host: ping, name, port, route or web server"
        self.probe = Button(icon="search", variant="icon", hint=words, parent=self)
        self.probe.setAccessibleName("Probe")
        self._saved = ElidedText("", self, tone="muted")
        self.escalate = Button("Escalate", icon="escalation", variant="amber", parent=self)
        self.resolve = Button("Resolve", icon="check", variant="primary", parent=self)
        for button, wanted in (
            (self.pause, self.pause_wanted),
            (self.write, self.note_wanted),
            (self.probe, self.probe_wanted),
            (self.escalate, self.escalate_wanted),
            (self.resolve, self.resolve_wanted),
        ):
            button.clicked.connect(wanted)
        for widget in (self.pause, self.write, self.probe):
            self.row.addWidget(widget)
        self.row.addSpacing(theme().px(4))
        self.row.addWidget(self._saved, 1)
        self.row.addWidget(self.escalate)
        self.row.addWidget(self.resolve)

    def show_session(self, model: SessionViewModel) -> None:
        """Offer what the life cycle allows now."""
        is_open = model.view is not None and not model.view.session.status.is_final
        self.setVisible(is_open)
        if not is_open:
            return
        can_resume, busy = model.allows(Verb.RESUME), model.is_busy
        self.pause.show_text("Resume" if can_resume else "Pause")
        self.pause.show_icon("play" if can_resume else "pause")
        self.pause.setEnabled((can_resume or model.allows(Verb.PAUSE)) and not busy)
        self.write.setEnabled(model.is_live)
        self.probe.setEnabled(model.is_live)
        self.escalate.setEnabled(model.allows(Verb.ESCALATE) and not busy)
        self.resolve.setEnabled(model.allows(Verb.RESOLVE) and not busy)
        is_saved = model.is_saved and not busy
        self._saved.show_text("All work saved" if is_saved else "Saving…")
