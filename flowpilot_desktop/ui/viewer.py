"""What is kept beside a session, whole: a long paste to read and search, a screenshot to look at.

The text is plain, read-only and never markup; endless lines are broken, since laying one out takes
minutes. It lies over its page as a sheet: Tab goes round in it, Escape closes it.
"""

from __future__ import annotations

import re

from PySide6.QtCore import QEvent, Qt, Slot
from PySide6.QtGui import (
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QPixmap,
    QResizeEvent,
    QTextCursor,
    QTextDocument,
)
from PySide6.QtWidgets import (
    QApplication,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from flowpilot_desktop.core.attachment import Attachment
from flowpilot_desktop.core.counting import counted
from flowpilot_desktop.core.ticket import cleaned
from flowpilot_desktop.ui.controls import Button, announce
from flowpilot_desktop.ui.palette import Overlay
from flowpilot_desktop.ui.text import ElidedText, PlainText, bounded_runs
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.ui.thumbnails import size_words

_SHOWN_LIMIT = 2_000_000
"""Characters of a paste that are shown; more can't have been kept."""
_MARGIN = 40


class Viewer(Overlay):
    """Shows one attachment."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__("What is kept", parent)
        self._content = ""
        self._picture = QPixmap()
        self._is_fitted = True
        self._is_open = False
        px = theme().px
        rows = QVBoxLayout(self.sheet)
        rows.setContentsMargins(px(16), px(10), px(10), px(14))
        rows.setSpacing(px(8))
        rows.addLayout(self._head())
        rows.addWidget(self._build_finder())
        self.text = QPlainTextEdit(self.sheet)
        self.text.setReadOnly(True)
        self.text.setProperty("role", "code")
        self.text.setAccessibleName("The kept text")
        self.text.setTabChangesFocus(True)
        self.text.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        rows.addWidget(self.text, 1)
        self.area = QScrollArea(self.sheet)
        self.area.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.area.setAccessibleName("The kept screenshot")
        self._label = QLabel(self.area)
        self._label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.area.setWidget(self._label)
        rows.addWidget(self.area, 1)

    def _head(self) -> QHBoxLayout:
        px = theme().px
        head = QHBoxLayout()
        head.setSpacing(px(8))
        self.name = ElidedText("", self.sheet, role="title")
        self.size_words = PlainText("", self.sheet, role="small", tone="muted", wraps=False)
        self.actual = Button("Actual size", variant="quiet", parent=self.sheet)
        self.actual.clicked.connect(self._toggle_size)
        self.copy = Button("Copy", icon="copy", variant="quiet", parent=self.sheet)
        self.copy.setAccessibleName("Copy all")
        self.copy.clicked.connect(self._copy)
        self.close_button = Button(
            icon="close", variant="icon", hint="Close (Esc)", parent=self.sheet
        )
        self.close_button.setAccessibleName("Close what is shown")
        self.close_button.clicked.connect(self.end)
        head.addWidget(self.name, 1)
        for widget in (self.size_words, self.actual, self.copy, self.close_button):
            head.addWidget(widget)
        return head

    def _build_finder(self) -> QWidget:
        px = theme().px
        self._finder = QWidget(self.sheet)
        line = QHBoxLayout(self._finder)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(px(8))
        self.search = QLineEdit(self._finder)
        self.search.setAccessibleName("Search in this text")
        self.search.setPlaceholderText("Search in this text (Enter for the next match)")
        self.search.setClearButtonEnabled(True)
        self.search.setMaxLength(1000)
        self.search.textChanged.connect(self._search)
        self.found = PlainText("", self._finder, role="small", tone="muted", wraps=False)
        self.previous = Button(
            icon="chevron-up", variant="icon", hint="Previous match", parent=self._finder
        )
        self.previous.clicked.connect(self.find_previous)
        self.next = Button(
            icon="chevron-down", variant="icon", hint="Next match", parent=self._finder
        )
        self.next.clicked.connect(self.find_next)
        line.addWidget(self.search, 1)
        for widget in (self.found, self.previous, self.next):
            line.addWidget(widget)
        return self._finder

    @Slot(object)
    def show_attachment(self, kept: Attachment) -> None:
        """Open on a text or a picture."""
        is_picture = kept.media_type.startswith("image/")
        self.name.show_text(kept.name)
        self.setAccessibleName(kept.name)
        for widget in (self._finder, self.text, self.copy):
            widget.setVisible(not is_picture)
        for widget in (self.area, self.actual):
            widget.setVisible(is_picture)
        if is_picture:
            self._picture = QPixmap()
            self._picture.loadFromData(kept.content)
            size = self._picture.size()
            self.size_words.show_text(
                f"{size.width()} by {size.height()} pixels, {size_words(len(kept.content))}"
            )
            self._label.setAccessibleName(kept.name)
            self._is_fitted = True
        else:
            self._content = kept.content.decode("utf-8", "replace")
            self.text.setPlainText(bounded_runs(cleaned(self._content, _SHOWN_LIMIT)))
            lines = counted(self.text.document().blockCount(), "line")
            self.size_words.show_text(f"{lines}, {size_words(len(kept.content))}")
            self.search.clear()
            self._search()
        self._is_open = True
        super().open()
        self._fit_picture()
        (self.area if is_picture else self.text).setFocus(Qt.FocusReason.OtherFocusReason)

    @Slot()
    def end(self) -> None:
        """Close, and let go of what was shown."""
        self._is_open = False  # Qt moves the focus on while it hides: not round in here
        super().end()
        self.text.clear()
        self._label.clear()
        self._content, self._picture = "", QPixmap()

    @Slot()
    def find_next(self) -> None:
        """Mark the next match; after the last one comes the first."""
        self._find(QTextDocument.FindFlag(0), QTextCursor.MoveOperation.Start)

    @Slot()
    def find_previous(self) -> None:
        """Mark the match before; before the first one comes the last."""
        self._find(QTextDocument.FindFlag.FindBackward, QTextCursor.MoveOperation.End)

    def _find(self, flags: QTextDocument.FindFlag, again_from: QTextCursor.MoveOperation) -> None:
        sought = self.search.text()
        if sought and not self.text.find(sought, flags):
            before = self.text.textCursor()
            self.text.moveCursor(again_from)
            if not self.text.find(sought, flags):
                self.text.setTextCursor(before)

    @Slot()
    def _search(self) -> None:
        """Count the matches and mark the first."""
        sought = self.search.text()
        pattern = re.compile(re.escape(sought), re.IGNORECASE)
        count = sum(1 for _ in pattern.finditer(self.text.toPlainText())) if sought else 0
        words = counted(count, "match", "matches") if count else "No match"
        self.found.show_text(words if sought else "")
        for button in (self.previous, self.next):
            button.setEnabled(count > 0)
        cursor = self.text.textCursor()
        cursor.setPosition(0)
        self.text.setTextCursor(cursor)
        if sought:
            announce(self.search, words)
            self.find_next()

    # --- Qt's side ---

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Go from match to match; the rest as with every sheet."""
        is_shift = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        is_enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        if self.text.isVisible():
            if event.matches(QKeySequence.StandardKey.Find):
                self.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
                self.search.selectAll()
                return
            if event.key() == Qt.Key.Key_F3 or (is_enter and self.search.hasFocus()):
                (self.find_previous if is_shift else self.find_next)()
                return
        super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        """Take Ctrl+F for itself: the window's own would leave the page."""
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.matches(QKeySequence.StandardKey.Find)
        ):
            event.accept()
            return True
        return super().event(event)

    def focusNextPrevChild(self, next: bool) -> bool:  # noqa: A002, FBT001 - Qt's signature
        """Go round in the sheet."""
        if not self._is_open:
            return False
        ring = [
            widget
            for widget in (
                *(self.search, self.previous, self.next, self.text, self.area),
                *(self.actual, self.copy, self.close_button),
            )
            if widget.isVisible() and widget.isEnabled()
        ]
        focus = QApplication.focusWidget()
        place = ring.index(focus) if focus in ring else -1
        reason = Qt.FocusReason.TabFocusReason if next else Qt.FocusReason.BacktabFocusReason
        ring[(place + (1 if next else -1)) % len(ring)].setFocus(reason)
        return True

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the picture anew."""
        super().resizeEvent(event)
        self._fit_picture()

    def _place(self) -> None:
        parent = self.parentWidget()
        assert parent is not None
        self.setGeometry(parent.rect())
        edge = theme().px(_MARGIN) if self.width() > theme().px(900) else theme().px(12)
        self.sheet.setGeometry(self.rect().adjusted(edge, edge, -edge, -edge))

    def _fit_picture(self) -> None:
        if self._picture.isNull():
            return
        room = self.area.maximumViewportSize()
        shown = self._picture
        is_larger = shown.width() > room.width() or shown.height() > room.height()
        self.actual.setEnabled(is_larger)
        self.actual.show_text("Actual size" if self._is_fitted else "Fit the window")
        if is_larger and self._is_fitted:
            shown = shown.scaled(
                room,
                Qt.AspectRatioMode.KeepAspectRatio,
                Qt.TransformationMode.SmoothTransformation,
            )
        self._label.setPixmap(shown)
        self._label.resize(shown.size())

    @Slot()
    def _toggle_size(self) -> None:
        self._is_fitted = not self._is_fitted
        self._fit_picture()

    @Slot()
    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._content)
