"""The briefing: what a handler sees first after a pickup, in amber.

What was tried is folded, for it may be long; what was ruled out, what is left and what to do next
are not. Two ways to go on, and room for what the handler knows already.
"""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from flowpilot_desktop.core.counting import counted
from flowpilot_desktop.core.session import (
    BRIEFING_CONTINUE,
    BRIEFING_FRESH,
    Briefing,
    HypothesisStatus,
    Response,
)
from flowpilot_desktop.ui.cards.card import StepCard
from flowpilot_desktop.ui.controls import AnswerButton, Button, FoldedText
from flowpilot_desktop.ui.text import PlainText
from flowpilot_desktop.ui.theme import theme


class BriefingCard(StepCard):
    """Hands a session over."""

    tone = "amber"
    icon_ink = "amber_text"

    def _kicker(self) -> str:
        body = self._briefing
        hop = f" · hand-off {body.hop}" if body.hop > 1 else ""
        return f"Escalation from {body.escalated_by}{hop}" if body.escalated_by else "Escalation"

    @property
    def _briefing(self) -> Briefing:
        body = self.step.body
        assert isinstance(body, Briefing)
        return body

    def _build_before(self, rows: QVBoxLayout) -> None:
        super()._build_before(rows)
        body = self._briefing
        left = [
            f"{h.text} ({round(h.confidence * 100)} %)" if h.confidence else h.text
            for h in body.hypotheses
            if h.status is not HypothesisStatus.RULED_OUT
        ]
        sections = (
            ("Reason", body.reason),
            ("Ruled out", "\n".join(body.ruled_out)),
            ("Could be", "\n".join(left)),
            ("Next", "\n".join(body.next_steps)),
            ("Systems", "\n".join(body.environment)),
        )
        grid = QGridLayout()
        grid.setHorizontalSpacing(theme().px(12))
        grid.setVerticalSpacing(theme().px(6))
        grid.setColumnStretch(1, 1)
        for head, text in sections:
            if text:
                line = grid.rowCount()
                label = PlainText(head, self.frame, role="strong", wraps=False)
                grid.addWidget(label, line, 0, Qt.AlignmentFlag.AlignTop)
                grid.addWidget(FoldedText(text, self.frame), line, 1)
        rows.addLayout(grid)
        if body.steps:
            self._build_steps(rows, body)

    def _build_steps(self, rows: QVBoxLayout, body: Briefing) -> None:
        self._steps = QWidget(self.frame)
        lines = QVBoxLayout(self._steps)
        lines.setContentsMargins(theme().px(4), 0, 0, 0)
        lines.setSpacing(theme().px(6))
        for number, step in enumerate(body.steps, 1):
            lines.addWidget(FoldedText(f"{number}. {step.text}", self._steps))
            if step.outcome:
                lines.addWidget(FoldedText(f"    → {step.outcome}", self._steps, tone="muted"))
        self._steps.hide()
        self._unfold = Button(icon="chevron-right", variant="link", parent=self.frame)
        self._unfold.clicked.connect(self._toggle)
        self._name_unfold()
        row = QHBoxLayout()
        row.addWidget(self._unfold)
        row.addStretch(1)
        rows.addLayout(row)
        rows.addWidget(self._steps)

    def _build_controls(self, rows: QVBoxLayout) -> None:
        words = "Anything you know already, or want tried first? (optional)"
        rows.addWidget(self._answer_field(words, "What you know already", sends=False))
        line = QHBoxLayout()
        line.setSpacing(theme().px(8))
        go_on = AnswerButton("Continue Where They Left Off", variant="amber", parent=self.frame)
        go_on.clicked.connect(self._continue)
        fresh = AnswerButton("Start Fresh With Context", parent=self.frame)
        fresh.clicked.connect(self._start_fresh)
        line.addWidget(go_on)
        line.addWidget(fresh)
        line.addStretch(1)
        rows.addLayout(line)
        self._buttons = [go_on, fresh]

    def press(self, number: int) -> bool:
        """Choose one of the two ways."""
        if not self.content.is_live or not 1 <= number <= len(self._buttons):
            return False
        self._buttons[number - 1].click()
        return True

    def _name_unfold(self) -> None:
        count = len(self._briefing.steps)
        verb = "Hide" if self._steps.isVisibleTo(self.frame) else "Show"
        self._unfold.show_text(
            f"{verb} the {counted(count, 'step')} tried" if count > 1 else f"{verb} the step tried"
        )

    @Slot()
    def _toggle(self) -> None:
        is_open = not self._steps.isVisibleTo(self.frame)
        self._steps.setVisible(is_open)
        self._unfold.show_icon("chevron-down" if is_open else "chevron-right")
        self._name_unfold()

    @Slot()
    def _continue(self) -> None:
        self._answer(Response(option=BRIEFING_CONTINUE, text=self._typed))

    @Slot()
    def _start_fresh(self) -> None:
        self._answer(Response(option=BRIEFING_FRESH, text=self._typed))
