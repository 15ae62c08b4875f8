"""What lies over the window for a moment: the command palette and the list of shortcuts.

They are widgets of the window, no dialogs: nothing is modal, Escape and a click beside them close
them, and the focus goes back to where it was.
"""

from __future__ import annotations

from PySide6.QtCore import (
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    Slot,
)
from PySide6.QtGui import (
    QAction,
    QColor,
    QFontMetrics,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
)
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QGridLayout,
    QLineEdit,
    QListView,
    QScrollArea,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from flowpilot_desktop.ui.actions import CARD_KEYS, Actions, shortcut_words
from flowpilot_desktop.ui.controls import announce
from flowpilot_desktop.ui.text import PlainText
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.viewmodels.rows import Rows, row_at

_WIDTH = 560
_SHOWN_ROWS = 9


def fuzzy_score(pattern: str, text: str) -> int | None:
    """Return how well the letters of a pattern follow each other in a text; None if they don't.

    Letters in a row and at the beginnings of words count more, letters passed over count less.
    """
    sought, among = pattern.lower().replace(" ", ""), text.lower()
    score, place, streak = 0, -1, 0
    for letter in sought:
        found = among.find(letter, place + 1)
        if found < 0:
            return None
        is_start = found == 0 or not among[found - 1].isalnum()
        streak = streak + 1 if found == place + 1 and place >= 0 else 0
        score += 10 + 8 * streak + (12 if is_start else 0) - min(found - place - 1, 10)
        place = found
    return score - len(among) // 8


class Overlay(QWidget):
    """A sheet over a darkened window."""

    def __init__(self, name: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self._focus_before: QWidget | None = None
        self.sheet = QFrame(self)
        self.sheet.setProperty("role", "sheet")
        self.sheet.setAccessibleName(name)
        parent.installEventFilter(self)
        self.hide()

    def open(self) -> None:
        """Show the sheet."""
        self._focus_before = QApplication.focusWidget()
        self._place()
        self.show()
        self.raise_()

    @Slot()
    def end(self) -> None:
        """Hide it and give the focus back."""
        if self.isVisible():
            self.hide()
            if self._focus_before is not None:
                self._focus_before.setFocus(Qt.FocusReason.OtherFocusReason)
            self._focus_before = None

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the window's size."""
        if event.type() == QEvent.Type.Resize and self.isVisible():
            self._place()
        return super().eventFilter(watched, event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Close with Escape; no other key reaches the page below."""
        if event.key() == Qt.Key.Key_Escape:
            self.end()
        event.accept()

    def focusNextPrevChild(self, next: bool) -> bool:  # noqa: A002, ARG002, FBT001 - Qt's signature
        """Keep the focus on the sheet."""
        return False

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Close with a click beside the sheet."""
        if not self.sheet.geometry().contains(event.position().toPoint()):
            self.end()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - Qt's signature
        """Darken what lies below."""
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(0, 0, 0, 110))
        painter.end()

    def _place(self) -> None:
        parent = self.parentWidget()
        assert parent is not None
        self.setGeometry(parent.rect())
        px = theme().px
        width = min(px(_WIDTH), self.width() - px(32))
        self.sheet.setFixedWidth(width)
        height = min(self.sheet.sizeHint().height(), self.height() - px(64))
        top = min(px(96), max(px(16), (self.height() - height) // 4))
        self.sheet.setGeometry((self.width() - width) // 2, top, width, height)


class CommandRows(QStyledItemDelegate):
    """Draws a command: its title, its group, its shortcut."""

    def sizeHint(
        self,
        option: QStyleOptionViewItem,  # noqa: ARG002 - Qt's signature
        index: QModelIndex | QPersistentModelIndex,  # noqa: ARG002
    ) -> QSize:
        """One line."""
        return QSize(theme().px(200), theme().px(34))

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """Paint title left, shortcut right."""
        px, look = theme().px, theme()
        box = QRect(option.rect)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(look.colour("accent_soft"))
            painter.drawRoundedRect(box.adjusted(px(6), 0, -px(6), 0), px(6), px(6))
        action: QAction = row_at(index)
        inner = box.adjusted(px(18), 0, -px(18), 0)
        keys = shortcut_words(action)
        font = look.font()
        metrics = QFontMetrics(font)
        painter.setFont(font)
        painter.setPen(look.colour("muted"))
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(inner, int(middle | Qt.AlignmentFlag.AlignRight), keys)
        room = inner.width() - metrics.horizontalAdvance(keys) - px(16)
        group = action.property("group") or ""
        title = metrics.elidedText(action.text(), Qt.TextElideMode.ElideRight, room)
        painter.setPen(look.colour("text"))
        painter.drawText(inner, int(middle | Qt.AlignmentFlag.AlignLeft), title)
        used = metrics.horizontalAdvance(title) + px(10)
        if group and room - used > px(40):
            painter.setPen(look.colour("muted"))
            rest = inner.adjusted(used, 0, 0, 0)
            painter.drawText(rest, int(middle | Qt.AlignmentFlag.AlignLeft), group)
        painter.restore()


class CommandPalette(Overlay):
    """Find an action by a few letters of its name and run it."""

    def __init__(self, actions: Actions, parent: QWidget) -> None:
        super().__init__("Command palette", parent)
        self._actions = actions
        px = theme().px
        rows = QVBoxLayout(self.sheet)
        rows.setContentsMargins(0, px(6), 0, px(6))
        rows.setSpacing(0)
        self._field = QLineEdit(self.sheet)
        self._field.setProperty("role", "bare")
        self._field.setPlaceholderText("Type a command")
        self._field.setAccessibleName("Type a command")
        self._field.textChanged.connect(self._search)
        self._field.returnPressed.connect(self._run)
        self._field.installEventFilter(self)
        rows.addWidget(self._field)
        rule = QFrame(self.sheet)
        rule.setProperty("role", "rule")
        rows.addWidget(rule)
        rows.addSpacing(px(6))
        self._found: Rows[QAction] = Rows(_action_key, _action_words, self)
        self._list = QListView(self.sheet)
        self._list.setAccessibleName("Commands")
        self._list.setModel(self._found)
        self._list.setItemDelegate(CommandRows(self._list))
        self._list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._list.clicked.connect(self._run)
        rows.addWidget(self._list)
        self._nothing = PlainText("No command has that name.", self.sheet, tone="muted")
        self._nothing.setContentsMargins(px(18), px(8), px(18), px(10))
        rows.addWidget(self._nothing)

    @property
    def found(self) -> tuple[QAction, ...]:
        """What is listed now, best first."""
        return self._found.rows

    @Slot()
    def open(self) -> None:
        """Show all commands that can be run now."""
        self._field.clear()
        self._search("")
        super().open()
        self._field.setFocus(Qt.FocusReason.OtherFocusReason)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Move in the list with the arrows while typing."""
        if watched is self._field and isinstance(event, QKeyEvent):
            if event.type() == QEvent.Type.KeyPress and event.key() in (
                Qt.Key.Key_Up,
                Qt.Key.Key_Down,
            ):
                by = 1 if event.key() == Qt.Key.Key_Down else -1
                count = self._found.rowCount()
                if count:
                    row = (self._list.currentIndex().row() + by) % count
                    self._list.setCurrentIndex(self._found.index(row))
                    announce(self._field, self._found.index(row).data())
                return True
            return False
        return super().eventFilter(watched, event)

    @Slot(str)
    def _search(self, words: str) -> None:
        scored = []
        for place, action in enumerate(self._actions.all):
            if not action.isEnabled() or action.objectName() == "palette":
                continue
            score = fuzzy_score(words, action.text())
            if score is not None:
                scored.append((-score if words.strip() else 0, place, action))
        self._found.show([action for _, _, action in sorted(scored, key=_by_score)])
        count = self._found.rowCount()
        self._list.setVisible(count > 0)
        self._nothing.setVisible(count == 0)
        self._list.setFixedHeight(min(max(count, 1), _SHOWN_ROWS) * theme().px(34))
        if count:
            self._list.setCurrentIndex(self._found.index(0))
        if self.isVisible():
            self._place()

    @Slot()
    def _run(self) -> None:
        action = row_at(self._list.currentIndex())
        if action is not None:
            self.end()
            action.trigger()


class ShortcutList(Overlay):
    """All keys, in one sheet."""

    def __init__(self, actions: Actions, parent: QWidget) -> None:
        super().__init__("Keyboard shortcuts", parent)
        self._actions = actions
        px = theme().px
        rows = QVBoxLayout(self.sheet)
        rows.setContentsMargins(px(20), px(16), px(8), px(14))
        rows.setSpacing(px(10))
        rows.addWidget(PlainText("Keyboard shortcuts", self.sheet, role="title"))
        self._area = QScrollArea(self.sheet)
        self._area.setAccessibleName("Keyboard shortcuts")
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        rows.addWidget(self._area)

    @Slot()
    def open(self) -> None:
        """Show what can be done from the keyboard."""
        px = theme().px
        inside = QWidget()
        grid = QGridLayout(inside)
        grid.setContentsMargins(0, 0, px(12), 0)
        grid.setHorizontalSpacing(px(18))
        grid.setVerticalSpacing(px(7))
        grid.setColumnStretch(1, 1)
        lines = [(shortcut_words(a), a.text()) for a in self._actions.all if shortcut_words(a)]
        for row, (keys, words) in enumerate([*lines, *CARD_KEYS]):
            cap = PlainText(keys, inside, role="keycap", wraps=False, selectable=False)
            grid.addWidget(cap, row, 0, Qt.AlignmentFlag.AlignLeft)
            grid.addWidget(PlainText(words, inside, selectable=False), row, 1)
        self._area.setWidget(inside)
        self._area.setMinimumHeight(min(inside.sizeHint().height(), px(420)))
        super().open()
        self._area.setFocus(Qt.FocusReason.OtherFocusReason)


def _action_key(action: QAction) -> str:
    return action.objectName()


def _action_words(action: QAction) -> str:
    keys = shortcut_words(action)
    return f"{action.text()}, {keys}" if keys else action.text()


def _by_score(entry: tuple[int, int, QAction]) -> tuple[int, int]:
    return entry[0], entry[1]
