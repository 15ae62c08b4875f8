"""Text on the screen, most of it from strangers: tickets, teammates, models, commands' output.

Nothing of it is ever markup: every label is ``PlainText``. Qt's line breaking is quadratic in the
length of a word, so runs of more than ``RUN_LIMIT`` characters without a break are broken before
they are shown; words too long for a line get invisible places to break, which never reach the
clipboard; what is long is folded, and even unfolded no more than ``SHOWN_LIMIT`` is laid out.
"""

from __future__ import annotations

import re

from PySide6.QtCore import QSize, Qt, Slot
from PySide6.QtGui import QContextMenuEvent, QFontMetrics, QKeyEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import QApplication, QLabel, QMenu, QSizePolicy, QWidget

from flowpilot_desktop.core.ticket import cleaned

RUN_LIMIT = 2_000
"""Characters that may follow each other without a place to break."""
SHOWN_LIMIT = 20_000
"""Characters of one text that are ever laid out; the rest can be copied."""
_LONG_WORD = 20
_PIECE = 12
_BREAK = "\u200b"
_LONG_RUN = re.compile(rf"\S{{{_LONG_WORD + 1},}}")
_AFTER = re.compile(r"(?<=[/\\_.,;:=&?)\]}@-])(?=[^\s/\\_.,;:=&?)\]}@-])")


def displayable(text: str, limit: int = SHOWN_LIMIT) -> str:
    """Return text fit for a label: clean, of bounded length, with places to break long words."""
    return _LONG_RUN.sub(_with_breaks, cleaned(text, limit))


def bounded_runs(text: str) -> str:
    """Return text for an editor: runs beyond ``RUN_LIMIT`` characters get line breaks."""
    return re.sub(rf"(\S{{{RUN_LIMIT}}})(?=\S)", r"\1\n", text)


def tip(text: str) -> str:
    """Return text for a tooltip: Qt takes what looks like HTML for HTML, so nothing may."""
    return copied(displayable(text, RUN_LIMIT)).replace("<", "\u2039").replace(">", "\u203a")


def copied(text: str) -> str:
    """Return what belongs on the clipboard for a shown text: without the invisible breaks."""
    return text.replace(_BREAK, "")


def _with_breaks(match: re.Match[str]) -> str:
    pieces = []
    for run in bounded_runs(match[0]).split("\n"):
        parts = [
            part[start : start + _PIECE]
            for part in _AFTER.split(run)
            for start in range(0, len(part), _PIECE)
        ]
        pieces.append(_BREAK.join(parts))
    return "\n".join(pieces)


class PlainText(QLabel):
    """A label that shows text as it is: wrapped, selectable with the mouse, never markup."""

    def __init__(
        self,
        text: str = "",
        parent: QWidget | None = None,
        *,
        role: str = "",
        tone: str = "",
        wraps: bool = True,
        selectable: bool = True,
    ) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(wraps)
        if role:
            self.setProperty("role", role)
        if tone:
            self.setProperty("tone", tone)
        if selectable:
            self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
            self.setCursor(Qt.CursorShape.IBeamCursor)
        else:
            # Otherwise clicks on a label inside a button would end at the label.
            self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._whole = ""
        if text:
            self.show_text(text)

    def show_text(self, text: str, whole: str | None = None) -> None:
        """Show a text; ``whole`` is what "Copy all" copies when that is more than is shown."""
        self._whole = text if whole is None else whole
        shown = displayable(text)
        if shown != self.text():
            self.setText(shown)
            self.setAccessibleName(copied(shown))

    def set_tone(self, tone: str) -> None:
        """Change the colour to that of a tone."""
        if self.property("tone") != tone:
            self.setProperty("tone", tone)
            self.style().unpolish(self)
            self.style().polish(self)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Copy without the invisible breaks."""
        if event.matches(QKeySequence.StandardKey.Copy):
            self._copy()
            event.accept()
        else:
            super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Offer to copy."""
        if not self.textInteractionFlags() & Qt.TextInteractionFlag.TextSelectableByMouse:
            event.ignore()
            return
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        copy = menu.addAction("Copy")
        copy.setShortcut(QKeySequence.StandardKey.Copy)
        copy.setEnabled(self.hasSelectedText())
        copy.triggered.connect(self._copy)
        menu.addAction("Copy all").triggered.connect(self._copy_all)
        menu.popup(event.globalPos())

    @Slot()
    def _copy(self) -> None:
        if self.hasSelectedText():
            QApplication.clipboard().setText(copied(self.selectedText()))

    @Slot()
    def _copy_all(self) -> None:
        QApplication.clipboard().setText(self._whole)


class ElidedText(QLabel):
    """One line of text that ends in an ellipsis where the room ends; the tip says it whole."""

    def __init__(
        self, text: str = "", parent: QWidget | None = None, *, role: str = "", tone: str = ""
    ) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("role", role)
        self.setProperty("tone", tone)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents, on=False)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._whole = ""
        self.show_text(text)

    def show_text(self, text: str) -> None:
        """Show a text on one line."""
        whole = " ".join(cleaned(text, RUN_LIMIT).split())
        if whole != self._whole:
            self._whole = whole
            self.setAccessibleName(whole)
            self.updateGeometry()
        self._elide()

    def set_tone(self, tone: str) -> None:
        """Change the colour to that of a tone."""
        if self.property("tone") != tone:
            self.setProperty("tone", tone)
            self.style().unpolish(self)
            self.style().polish(self)

    def sizeHint(self) -> QSize:
        """Room for the whole text."""
        self.ensurePolished()
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(self._whole) + 2, metrics.height())

    def minimumSizeHint(self) -> QSize:
        """Room for a few letters."""
        self.ensurePolished()
        metrics = self.fontMetrics()
        few = min(metrics.horizontalAdvance("mmm…"), self.sizeHint().width())
        return QSize(few, metrics.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Cut anew."""
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        self.ensurePolished()
        metrics = QFontMetrics(self.font())
        shown = metrics.elidedText(self._whole, Qt.TextElideMode.ElideRight, max(self.width(), 1))
        if shown != self.text():
            self.setText(shown)
        self.setToolTip("" if shown == self._whole else tip(self._whole))
