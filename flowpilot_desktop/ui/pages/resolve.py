"""The page that ends a session: solution, note, time and status, before anything leaves."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QWidget

from flowpilot_desktop.ui.controls import AnswerEdit, Button
from flowpilot_desktop.ui.pages.closing import ClosingPage
from flowpilot_desktop.ui.text import PlainText
from flowpilot_desktop.ui.words import joined
from flowpilot_desktop.viewmodels.push import PushViewModel
from flowpilot_desktop.viewmodels.resolve import ResolveViewModel

_PUSH_TONES = {"sent": "green", "pending": "amber", "pending_retry": "amber", "failed": "red"}


class ResolvePage(ClosingPage):
    """What the solution was, and what goes to the ticket."""

    def __init__(
        self, model: ResolveViewModel, push: PushViewModel, parent: QWidget | None = None
    ) -> None:
        self._model = model
        self.resolve = Button("Resolve", variant="primary", icon="check")
        self.resolve.clicked.connect(model.resolve)
        super().__init__(model, push, self.resolve, words=("Resolve", "Resolved"), parent=parent)

    def _panels(self) -> Sequence[QWidget]:
        return self._verification_panel(), self._solution_panel(), self._pushed_panel()

    def _first_field(self) -> QWidget:
        return self.summary

    def _verification_panel(self) -> QFrame:
        self.verification, rows = self._panel("Verification")
        line = QHBoxLayout()
        words = "Nobody has verified yet that the fix holds. A session ends as resolved after that."
        line.addWidget(PlainText(words, self.verification, tone="amber"), 1)
        self.verify = Button("Verify now", icon="verification", variant="amber")
        self.verify.clicked.connect(self._model.ask_verification)
        line.addWidget(self.verify)
        rows.addLayout(line)
        return self.verification

    def _solution_panel(self) -> QFrame:
        panel, rows = self._panel("Solution")
        self.summary = AnswerEdit(
            "What was the cause, and what solved it? One sentence is enough.",
            "Solution in a sentence",
            panel,
            sends=False,
            lines=2,
        )
        self.summary.textChanged.connect(self._summary_typed)
        self.action = AnswerEdit(
            "What was done (optional)", "What was done", panel, sends=False, lines=2
        )
        self.action.textChanged.connect(self._action_typed)
        rows.addWidget(self.summary)
        rows.addWidget(self.action)
        return panel

    def _render_own(self, *, is_closed: bool) -> None:
        model = self._model
        self.verification.setVisible(
            model.view is not None and not model.is_verified and not is_closed
        )
        self._fill(self.summary, model.summary, is_closed=is_closed)
        self._fill(self.action, model.action, is_closed=is_closed)
        self.resolve.setEnabled(model.can_resolve)
        self.resolve.show_text("Resolving…" if model.is_closing else "Resolve")

    def _foot_words(self) -> tuple[str, str]:
        model = self._model
        if model.closing is not None:
            words = model.push_words or "Resolved. The note is in the history."
            status = model.view.push_status.value if model.view is not None else ""
            return joined(words, model.closing.member_mapping_warning), _PUSH_TONES.get(
                status, "green"
            )
        if model.view is not None and not model.summary.strip():
            return "Say in a sentence what the solution was.", "muted"
        return "", "muted"

    @Slot()
    def _summary_typed(self) -> None:
        self._model.set_summary(self.summary.toPlainText())

    @Slot()
    def _action_typed(self) -> None:
        self._model.set_action(self.action.toPlainText())
