"""Cards that ask how something went: an action, a verification, a proposed resolution.

The three answers have the keys 1 to 3. A command stands in a box as it is, with its risk in the
head line and how to undo it below; the copy button says "Copied" once the clipboard holds it.
"""

from __future__ import annotations

from typing import ClassVar

from PySide6.QtCore import QTimer, Slot
from PySide6.QtWidgets import QApplication, QHBoxLayout, QVBoxLayout, QWidget

from flowpilot_desktop.core.session import (
    Action,
    Command,
    Resolution,
    Response,
    Result,
    Risk,
    Verification,
)
from flowpilot_desktop.ui.cards.card import StepCard
from flowpilot_desktop.ui.controls import AnswerButton, Button, CodeBox, FoldedText, IconView
from flowpilot_desktop.ui.text import PlainText
from flowpilot_desktop.ui.theme import theme

RISK_WORDS = {
    Risk.READ_ONLY: ("Read-only", "green"),
    Risk.CHANGES_ONE: ("Changes this system", "accent"),
    Risk.CHANGES_MANY: ("Changes many systems", "soft_amber"),
    Risk.DESTRUCTIVE: ("Destructive", "red"),
}
_SHELLS = {"powershell": "PowerShell", "cmd": "Command Prompt", "bash": "bash", "zsh": "zsh"}
_COPIED_FOR_MS = 2_000


class CommandBox(QWidget):
    """A command, its shell, a button that copies it, and the line that undoes it."""

    def __init__(self, command: Command, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._command = command
        px = theme().px
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(px(6))
        rows.addWidget(CodeBox(command.text, f"Command for {command.shell or 'a shell'}", self))
        line = QHBoxLayout()
        line.setSpacing(px(10))
        self._copy = Button("Copy command", icon="copy", parent=self)
        # As wide as its longest words, so that nothing moves when they change.
        widths = []
        for words in ("Copied", "Couldn't copy", "Copy command"):
            self._copy.show_text(words)
            widths.append(self._copy.sizeHint().width())
        self._copy.setMinimumWidth(max(widths))
        self._copy.clicked.connect(self._copy_command)
        line.addWidget(self._copy)
        if command.shell:
            words = f"Run in {_SHELLS.get(command.shell.casefold(), command.shell)}"
            line.addWidget(PlainText(words, self, role="small", tone="muted"), 1)
        else:
            line.addStretch(1)
        rows.addLayout(line)
        if command.undo:
            undo = QHBoxLayout()
            undo.setSpacing(px(6))
            undo.addWidget(IconView("undo", "muted", 14, self))
            label = PlainText(f"To undo: {command.undo}", self, role="small", tone="muted")
            undo.addWidget(label, 1)
            rows.addLayout(undo)
        elif command.risk is Risk.DESTRUCTIVE:
            words = "There is no way back from this command. Check the target first."
            rows.addWidget(PlainText(words, self, role="small", tone="red"))
        self._calm = QTimer(self)
        self._calm.setSingleShot(True)
        self._calm.setInterval(_COPIED_FOR_MS)
        self._calm.timeout.connect(self._offer_copy)

    @Slot()
    def _copy_command(self) -> None:
        clipboard = QApplication.clipboard()
        clipboard.setText(self._command.text)
        is_there = clipboard.text() == self._command.text
        self._copy.show_text("Copied" if is_there else "Couldn't copy")
        self._copy.show_icon("check" if is_there else "error")
        self._calm.start()

    @Slot()
    def _offer_copy(self) -> None:
        self._copy.show_text("Copy command")
        self._copy.show_icon("copy")


class VerdictCard(StepCard):
    """Asks for one of three results, and what was seen."""

    verdicts: ClassVar[tuple[tuple[str, Result], ...]] = (
        ("Worked", Result.WORKED),
        ("Did not work", Result.DID_NOT_WORK),
        ("Could not try", Result.COULD_NOT_TRY),
    )
    placeholder: ClassVar[str] = "What did you see? Paste output here (optional)"

    def _build_controls(self, rows: QVBoxLayout) -> None:
        rows.addWidget(self._answer_field(self.placeholder, "What you saw", sends=False))
        line = QHBoxLayout()
        line.setSpacing(theme().px(8))
        self._buttons: list[AnswerButton] = []
        for number, (words, result) in enumerate(self.verdicts, 1):
            variant = "primary" if result is Result.WORKED else ""
            button = AnswerButton(words, variant=variant, hint=f"Press {number}", parent=self.frame)
            button.setAccessibleName(words)
            button.setProperty("result", result.value)
            button.clicked.connect(self._choose)
            self._buttons.append(button)
            line.addWidget(button)
        line.addStretch(1)
        rows.addLayout(line)

    def press(self, number: int) -> bool:
        """Choose the result with that number."""
        if not self.content.is_live or not 1 <= number <= len(self._buttons):
            return False
        self._buttons[number - 1].click()
        return True

    def _expectation(self, rows: QVBoxLayout, text: str) -> None:
        if text:
            rows.addWidget(FoldedText(f"You should see: {text}", self.frame, tone="muted"))

    @Slot()
    def _choose(self) -> None:
        sender = self.sender()
        if isinstance(sender, Button):
            result = Result(sender.property("result"))
            self._answer(Response(result=result, text=self._typed))


class ActionCard(VerdictCard):
    """Something to try."""

    def _badges(self) -> list[tuple[str, str]]:
        body = self.step.body
        assert isinstance(body, Action)
        return [RISK_WORDS[body.command.risk]] if body.command is not None else []

    def _build_before(self, rows: QVBoxLayout) -> None:
        super()._build_before(rows)
        body = self.step.body
        assert isinstance(body, Action)
        if body.command is not None:
            rows.addWidget(CommandBox(body.command, self.frame))
        self._expectation(rows, body.expected_outcome)


class VerificationCard(VerdictCard):
    """Asks whether the fix held."""

    verdicts = (
        ("Yes, it holds", Result.WORKED),
        ("No, it's still there", Result.DID_NOT_WORK),
        ("Can't verify now", Result.COULD_NOT_TRY),
    )
    placeholder = "How did you check? (optional)"

    def _build_before(self, rows: QVBoxLayout) -> None:
        super()._build_before(rows)
        body = self.step.body
        assert isinstance(body, Verification)
        self._expectation(rows, body.expected_outcome)


class ResolutionCard(VerdictCard):
    """Proposes how the session ends."""

    verdicts = (
        ("Confirm", Result.WORKED),
        ("Not resolved", Result.DID_NOT_WORK),
    )
    placeholder = "Anything to add or correct? (optional)"

    def _build_before(self, rows: QVBoxLayout) -> None:
        super()._build_before(rows)
        body = self.step.body
        assert isinstance(body, Resolution)
        for head, lines in (
            ("What was done", (body.action_taken,) if body.action_taken else ()),
            ("Follow-ups", tuple(f"•  {line}" for line in body.follow_ups)),
        ):
            if lines:
                rows.addWidget(PlainText(head, self.frame, role="strong"))
                rows.addWidget(FoldedText("\n".join(lines), self.frame, tone="muted"))
