"""Questions that need an answer before something can go on.

A question is a window-modal sheet that is opened and a Future that is awaited: no nested event
loop, so nothing else stops. Errors and news are never questions; they stand on the page.
"""

from __future__ import annotations

import asyncio

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QHBoxLayout, QVBoxLayout, QWidget

from flowpilot_desktop.ui.controls import AnswerEdit, Button
from flowpilot_desktop.ui.text import PlainText
from flowpilot_desktop.ui.theme import theme


async def confirmed(
    parent: QWidget, title: str, text: str, *, yes: str, no: str = "Cancel", danger: bool = False
) -> bool:
    """Return whether the technician said yes. The safe answer has the focus."""
    sheet = _Sheet(parent, title, text, yes=yes, no=no, variant="danger" if danger else "primary")
    (sheet.no if danger else sheet.yes).setFocus()
    return await sheet.answered()


async def typed(
    parent: QWidget, title: str, text: str, *, label: str, yes: str = "OK", value: str = ""
) -> str | None:
    """Return what the technician typed, stripped; None when they thought better of it."""
    sheet = _Sheet(parent, title, text, yes=yes, no="Cancel", variant="primary")
    field = AnswerEdit(label, label, sheet)
    field.show_text(value)
    field.submitted.connect(sheet.accept)
    sheet.rows.insertWidget(2, field)
    field.setFocus()
    return field.text.strip() if await sheet.answered() else None


class _Sheet(QDialog):
    """A title, a text, two buttons."""

    def __init__(
        self, parent: QWidget, title: str, text: str, *, yes: str, no: str, variant: str
    ) -> None:
        super().__init__(parent)
        px = theme().px
        self.setWindowTitle("FlowPilot")
        self.setAccessibleName(title)
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setMinimumWidth(px(380))
        self.rows = QVBoxLayout(self)
        self.rows.setContentsMargins(px(20), px(18), px(20), px(16))
        self.rows.setSpacing(px(10))
        self.rows.addWidget(PlainText(title, self, role="title"))
        self.rows.addWidget(PlainText(text, self, tone="muted"))
        line = QHBoxLayout()
        line.setSpacing(px(8))
        line.addStretch(1)
        self.no = Button(no, parent=self)
        self.yes = Button(yes, variant=variant, parent=self)
        self.no.clicked.connect(self.reject)
        self.yes.clicked.connect(self.accept)
        line.addWidget(self.no)
        line.addWidget(self.yes)
        self.rows.addSpacing(px(4))
        self.rows.addLayout(line)
        self._answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.finished.connect(self._finish)

    async def answered(self) -> bool:
        """Open and wait; a cancelled wait closes the question."""
        self.open()
        try:
            return await self._answer
        finally:
            self.hide()
            self.deleteLater()

    def _finish(self, result: int) -> None:
        if not self._answer.done():
            self._answer.set_result(result == QDialog.DialogCode.Accepted)
