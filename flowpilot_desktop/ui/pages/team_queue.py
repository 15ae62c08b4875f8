"""The settings' part about the team's queue: the invitation, a test, and the team."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from flowpilot_desktop.ui.controls import AnswerEdit, Button
from flowpilot_desktop.ui.text import PlainText
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.ui.words import ago, joined
from flowpilot_desktop.viewmodels.team_queue import TeamQueueViewModel

_HELP = (
    "Whoever runs your team's Postgres gives you an invitation: one line that begins with “fpq1.”. "
    "It names the server, its certificate authority and you. It is kept in the keyring."
)


class TeamQueuePanel(QFrame):
    """Paste, test, join, leave; who is in the team."""

    def __init__(self, model: TeamQueueViewModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        px = theme().px
        self.setProperty("role", "panel")
        rows = QVBoxLayout(self)
        rows.setContentsMargins(px(16), px(12), px(16), px(16))
        rows.setSpacing(px(8))
        rows.addWidget(PlainText("TEAM QUEUE", self, role="kicker", tone="muted", wraps=False))
        rows.addWidget(PlainText(_HELP, self, role="small", tone="muted"))
        self.invitation = AnswerEdit("fpq1.…", "Invitation", self, sends=False, lines=2)
        rows.addWidget(self.invitation)
        self.join = Button("Join", icon="team", variant="primary", parent=self)
        self.join.setAccessibleName("Join the team queue")
        self.join.clicked.connect(self._join)
        self.test = Button("Test", icon="verification", parent=self)
        self.test.setAccessibleName("Test the team queue")
        self.test.clicked.connect(self._test)
        self.leave = Button("Leave", variant="quiet", parent=self)
        self.leave.setAccessibleName("Leave the team queue")
        self.leave.clicked.connect(model.leave)
        buttons = QHBoxLayout()
        for button in (self.join, self.test, self.leave):
            buttons.addWidget(button)
        buttons.addStretch(1)
        rows.addLayout(buttons)
        self.words = PlainText("", self)
        self.team = PlainText("", self)
        rows.addWidget(self.words)
        rows.addWidget(self.team)
        model.changed.connect(self._render)
        self._render()
        model.open()

    @Slot()
    def _render(self) -> None:
        model = self._model
        for button in (self.join, self.test, self.leave):
            button.setEnabled(not model.is_busy)
        self.leave.setVisible(model.is_set_up)
        words, tone = "", "muted"
        if model.is_busy:
            words = "Asking the team queue…"
        elif model.error is not None:
            words, tone = joined(model.error.title, model.error.message, model.error.hint), "red"
            if model.error.message.rstrip(".") == model.error.title.rstrip("."):
                words = joined(model.error.message, model.error.hint)
        elif model.team is not None:
            kept = "You are in the team queue" if model.is_set_up else "The invitation works"
            words, tone = f"{kept} of {model.team.name} as {model.team.me.name}.", "green"
            words = joined(words, model.team.notice)
        elif not model.is_set_up:
            words = "Not set up yet. Without it, sessions can't be handed over."
        self.words.show_text(words)
        self.words.set_tone(tone)
        self.words.setVisible(bool(words))
        lines = [
            joined(one.name, f"seen {ago(one.last_seen)}" if one.last_seen else "not seen yet")
            for one in model.members
        ]
        self.team.show_text("\n".join(lines))
        self.team.setVisible(bool(lines))

    @Slot()
    def _join(self) -> None:
        self._model.join(self.invitation.text)
        self.invitation.clear()

    @Slot()
    def _test(self) -> None:
        self._model.test(self.invitation.text)
