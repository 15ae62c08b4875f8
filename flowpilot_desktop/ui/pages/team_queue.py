"""The settings' part about the team's queue: the invitation, whom to trust, and the team."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QVBoxLayout, QWidget

from flowpilot_desktop.ui.controls import AnswerEdit, Button
from flowpilot_desktop.ui.text import ElidedText, PlainText
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.ui.words import ago, joined, told
from flowpilot_desktop.viewmodels.team_queue import TeamQueueViewModel

_HELP = (
    "Whoever runs your team's Postgres gives you an invitation: one line that begins with “fpq1.”. "
    "It names the server and you, and works once and on one computer: joining replaces the "
    "password in it, and only the keyring knows the new one."
)
_AUTHORITY_HELP = (
    "This invitation names no certificate authority: the server's certificate has to be signed by "
    "one that this computer trusts, or by the one in the file that you choose."
)
_FILES = "Certificates (*.pem *.crt *.cer *.der);;All files (*)"


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
        self.invitation.textChanged.connect(self._typed)
        rows.addWidget(self.invitation)
        rows.addWidget(self._authority_row())
        self.join = Button("Join", icon="team", variant="primary", parent=self)
        self.join.setAccessibleName("Join the team queue")
        self.test = Button("Test", icon="verification", parent=self)
        self.test.setAccessibleName("Test the team queue")
        self.leave = Button("Leave", variant="quiet", parent=self)
        self.leave.setAccessibleName("Leave the team queue")
        self.leave.clicked.connect(model.leave)
        self.join.clicked.connect(model.join)
        self.test.clicked.connect(model.test)
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
        model.joined.connect(self.invitation.clear)
        self._render()
        model.open()

    def _authority_row(self) -> QWidget:
        px = theme().px
        self.authority = QWidget(self)
        rows = QVBoxLayout(self.authority)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(px(6))
        rows.addWidget(PlainText(_AUTHORITY_HELP, self.authority, role="small", tone="muted"))
        line = QHBoxLayout()
        line.setSpacing(px(8))
        line.addWidget(PlainText("Certificate authority", self.authority, wraps=False))
        self.authority_name = ElidedText("", self.authority, tone="muted")
        line.addWidget(self.authority_name, 1)
        self.choose = Button("Choose file…", icon="key", parent=self.authority)
        self.choose.setAccessibleName("Choose the certificate authority's file")
        self.choose.clicked.connect(self._choose)
        self.trust_computer = Button("Use this computer's", variant="quiet", parent=self.authority)
        self.trust_computer.clicked.connect(self._trust_computer)
        line.addWidget(self.choose)
        line.addWidget(self.trust_computer)
        rows.addLayout(line)
        return self.authority

    @Slot()
    def _render(self) -> None:
        model = self._model
        for button in (self.join, self.test, self.leave):
            button.setEnabled(not model.is_busy)
        self.leave.setVisible(model.is_set_up)
        self.authority.setVisible(model.asks_authority)
        self.authority_name.show_text(model.authority_name or "those that this computer trusts")
        self.trust_computer.setVisible(bool(model.authority_name))
        self.choose.setEnabled(not model.is_busy)
        words, tone = "", "muted"
        if model.is_busy:
            words = "Asking the team queue…"
        elif model.error is not None:
            title = f"{model.error.title.rstrip('.')}."
            words, tone = told(title, model.error.message, model.error.hint), "red"
            if model.error.message.rstrip(".") == model.error.title.rstrip("."):
                words = told(model.error.message, model.error.hint)
        elif model.team is not None:
            opens = "You are in" if model.is_set_up else "The invitation works: it opens"
            words = f"{opens} the team queue of {model.team.name} as {model.team.me.name}."
            tone = "green"
            words = told(words, model.team.notice)
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
    def _typed(self) -> None:
        self._model.set_token(self.invitation.text)

    @Slot()
    def _choose(self) -> None:
        dialog = QFileDialog(self, "The certificate authority's file", filter=_FILES)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self._model.choose_authority)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    @Slot()
    def _trust_computer(self) -> None:
        self._model.choose_authority("")
