"""The small parts that everything is built of: buttons, badges, icons, the field for answers.

Sizes come from ``theme().px`` and font metrics; colours from the stylesheet, or, where a part
paints itself, from ``theme().colour`` at the moment of painting, so that a change of theme needs
no more than a repaint. It is long because it is a shelf: many small parts that share nothing but
that rule, each used by several pages.
"""

from __future__ import annotations

from math import ceil

from PySide6.QtCore import QEvent, QMimeData, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QColor,
    QFocusEvent,
    QFont,
    QFontMetrics,
    QFontMetricsF,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QTextOption,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from flowpilot_desktop.core.counting import counted
from flowpilot_desktop.ui.text import SHOWN_LIMIT, PlainText, bounded_runs, copied, displayable, tip
from flowpilot_desktop.ui.theme import theme

_ICON_TOKENS = {
    "primary": "on_accent",
    "amber": "on_amber",
    "danger": "on_red",
    "quiet": "muted",
    "icon": "muted",
    "link": "accent_text",
}
_TEXT_LIMIT = 200_000
_FOLD_LENGTH = 900
_FOLD_LINES = 12
_CODE_LINES = 20


def with_tone(widget: QWidget, tone: str, name: str = "tone") -> None:
    """Set a dynamic property that the stylesheet looks at, and let it take effect."""
    if widget.property(name) != tone:
        widget.setProperty(name, tone)
        widget.style().unpolish(widget)
        widget.style().polish(widget)
        widget.update()


def announce(widget: QWidget, words: str) -> None:
    """Let a screen reader say what has appeared without moving the focus to it."""
    QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(widget, words))


class Button(QPushButton):
    """A push button with a tinted icon.

    ``variant`` is primary, amber, danger, quiet, link, icon, or empty for a plain one.
    """

    def __init__(
        self,
        text: str = "",
        *,
        icon: str = "",
        variant: str = "",
        hint: str = "",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._icon_name = icon
        self._variant = variant
        self._stand_in: QWidget | None = None
        if variant:
            self.setProperty("variant", variant)
        self.setAutoDefault(False)
        self.setToolTip(hint)
        self.setAccessibleName(text or hint)
        if text:
            self.setText(text.replace("&", "&&"))
        self._tint()

    def show_text(self, text: str) -> None:
        """Change the words, also for screen readers."""
        shown = text.replace("&", "&&")
        if shown != self.text():
            self.setText(shown)
            self.setAccessibleName(text)

    def show_icon(self, name: str) -> None:
        """Change the icon."""
        if name != self._icon_name:
            self._icon_name = name
            self._tint()

    def setEnabled(self, enabled: bool) -> None:  # noqa: FBT001 - Qt's own signature
        """Let a button that had the focus have it again after it was off for a while.

        Qt passes the focus on to whatever comes next. Who meanwhile went elsewhere, or types,
        stays there.
        """
        had_focus = not enabled and self.hasFocus()
        super().setEnabled(enabled)
        if had_focus:
            self._stand_in = QApplication.focusWidget()
        elif enabled and (stand_in := self._stand_in) is not None:
            self._stand_in = None
            types = Qt.WidgetAttribute.WA_InputMethodEnabled
            if QApplication.focusWidget() is stand_in and not stand_in.testAttribute(types):
                self.setFocus()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Press with Enter as with the space bar."""
        keys = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        held = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if event.key() in keys and not held and not event.isAutoRepeat():
            self.click()
        else:
            super().keyPressEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        """Tint the icon anew when the theme changed."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._tint()

    def _tint(self) -> None:
        if self._icon_name:
            ink = _ICON_TOKENS.get(self._variant, "text")
            gap = theme().px(3) if self.text() else 0  # Fusion's own four pixels are too few
            self.setIcon(theme().icon(self._icon_name, ink, gap=gap))
            size = theme().icon_size()
            self.setIconSize(QSize(size.width() + gap, size.height()))


class LineButton(Button):
    """A link on one line whose beginning gives way where the room ends, never its ending."""

    def __init__(self, *, icon: str = "", parent: QWidget | None = None) -> None:
        super().__init__("", icon=icon, variant="link", parent=parent)
        self._words, self._ending = "", ""
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def show_line(self, words: str, ending: str) -> None:
        """Show what may be cut, then what may not; the tip says it whole when it was cut."""
        if (words, ending) != (self._words, self._ending):
            self._words, self._ending = words, ending
            self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Cut anew for the new room."""
        super().resizeEvent(event)
        self._fit()

    def minimumSizeHint(self) -> QSize:
        """Room for the ending and a few letters."""
        hint = super().minimumSizeHint()
        metrics = self.fontMetrics()
        ending = metrics.horizontalAdvance(self._ending) + metrics.averageCharWidth() * 8
        return QSize(min(hint.width(), ending), hint.height())

    def _fit(self) -> None:
        self.ensurePolished()
        metrics = self.fontMetrics()
        around = self.iconSize().width() + theme().px(10)
        room = self.width() - around - metrics.horizontalAdvance(self._ending)
        shown = metrics.elidedText(self._words, Qt.TextElideMode.ElideRight, max(0, room))
        whole = self._words + self._ending
        self.show_text(shown + self._ending)
        self.setAccessibleName(whole)
        self.setToolTip(tip(whole) if shown != self._words else "")


class FoldedText(QWidget):
    """A text that shows its beginning, and all of it (up to ``SHOWN_LIMIT``) on demand."""

    def __init__(
        self, text: str = "", parent: QWidget | None = None, *, role: str = "", tone: str = ""
    ) -> None:
        super().__init__(parent)
        self._whole = ""
        self._is_open = False
        self._label = PlainText("", self, role=role, tone=tone)
        self._more: Button | None = None  # few texts are long, and a button costs
        self._rows = QVBoxLayout(self)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(2)
        self._rows.addWidget(self._label)
        self.show_text(text)

    @property
    def text(self) -> str:
        """The whole text."""
        return self._whole

    def show_text(self, text: str) -> None:
        """Show a text, folded if it is long."""
        self._whole = text
        beginning = self._beginning()
        is_long = len(beginning) < len(text)
        shows_all = self._is_open or not is_long
        self._label.show_text(text if shows_all else beginning.rstrip() + " …", whole=text)
        if is_long and self._more is None:
            self._more = Button("Show all", variant="link", parent=self)
            self._more.clicked.connect(self._toggle)
            self._rows.addWidget(self._more, 0, Qt.AlignmentFlag.AlignLeft)
        if self._more is not None:
            self._more.setVisible(is_long)
            hidden = len(text) - SHOWN_LIMIT
            tail = f" (Copy all copies {counted(hidden, 'more character')})" if hidden > 0 else ""
            more = f"Show all ({len(text):,} characters)"
            self._more.show_text(f"Show less{tail}" if self._is_open else more)

    def _beginning(self) -> str:
        lines = self._whole.split("\n", _FOLD_LINES)
        text = "\n".join(lines[:_FOLD_LINES]) if len(lines) > _FOLD_LINES else self._whole
        # A fold that hides three words would only be in the way.
        return text[:_FOLD_LENGTH] if len(text) > _FOLD_LENGTH * 1.2 else text

    @Slot()
    def _toggle(self) -> None:
        self._is_open = not self._is_open
        self.show_text(self._whole)


class IconView(QWidget):
    """A tinted icon."""

    def __init__(
        self, icon: str, ink: str = "muted", size: int = 16, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._icon, self._ink, self._size = icon, ink, size
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def show_icon(self, icon: str, ink: str | None = None) -> None:
        """Change icon and colour."""
        self._icon, self._ink = icon, ink or self._ink
        self.update()

    def sizeHint(self) -> QSize:
        """Square."""
        return theme().icon_size(self._size)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - Qt's signature
        """Paint the icon in the middle."""
        pixels = theme().px(self._size)
        painter = QPainter(self)
        left, top = (self.width() - pixels) // 2, (self.height() - pixels) // 2
        pixmap = theme().pixmap(self._icon, self._ink, pixels, self.devicePixelRatioF())
        painter.drawPixmap(left, top, pixmap)
        painter.end()


BADGE_COLOURS = {
    "neutral": ("badge", "badge_text", ""),
    "red": ("red", "on_red", ""),
    "amber": ("amber", "on_amber", ""),
    "accent": ("accent_soft", "accent_text", "accent_border"),
    "green": ("green_card", "green_text", "green_border"),
    "soft_amber": ("amber_card", "amber_text", "amber_border"),
    "soft_red": ("red_card", "red_text", "red_border"),
}


class Badge(QWidget):
    """A word or a number in a pill; tones are the keys of ``_BADGE_COLOURS``."""

    def __init__(
        self, text: str = "", tone: str = "neutral", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._text, self._tone = "", tone
        self._is_small = False
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.show_text(text, tone)

    @property
    def text(self) -> str:
        """What it says."""
        return self._text

    def show_small(self, *, small: bool) -> None:
        """Leave no more room at the ends than a number needs."""
        if small != self._is_small:
            self._is_small = small
            self.updateGeometry()
            self.update()

    def show_text(self, text: str, tone: str | None = None) -> None:
        """Show words in a tone."""
        line = " ".join(displayable(text, 200).split())
        if line != self._text:
            self._text = copied(line)
            self.setAccessibleName(self._text)
            self.updateGeometry()
        self._tone = tone or self._tone
        self.update()

    def sizeHint(self) -> QSize:
        """Return room for the text and the round ends."""
        metrics = QFontMetrics(self._font())
        height = metrics.height() + theme().px(2 if self._is_small else 4)
        width = metrics.horizontalAdvance(self._text) + 2 * theme().px(5 if self._is_small else 9)
        return QSize(max(width, height), height)

    def minimumSizeHint(self) -> QSize:
        """Narrow enough to be elided."""
        hint = self.sizeHint()
        return QSize(min(hint.width(), theme().px(44)), hint.height())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - Qt's signature
        """Paint pill and text."""
        ground, ink, border = BADGE_COLOURS[self._tone]
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect())
        if border:
            box.adjust(0.5, 0.5, -0.5, -0.5)
            painter.setPen(QPen(theme().colour(border), 1))
        else:
            painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().colour(ground))
        painter.drawRoundedRect(box, box.height() / 2, box.height() / 2)
        painter.setPen(theme().colour(ink))
        font = self._font()
        painter.setFont(font)
        room = self.width() - theme().px(6)
        text = QFontMetrics(font).elidedText(self._text, Qt.TextElideMode.ElideRight, room)
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, text)
        painter.end()
        self.setToolTip("" if text == self._text else tip(self._text))

    def _font(self) -> QFont:
        return theme().font("kicker", QFont.Weight.DemiBold)


class Dot(QWidget):
    """A small filled circle in the colour of a ink; hollow when nothing is set up."""

    def __init__(self, ink: str = "muted", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ink, self._is_hollow = ink, False
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)

    def show_ink(self, ink: str, *, hollow: bool = False) -> None:
        """Change the colour."""
        self._ink, self._is_hollow = ink, hollow
        self.update()

    def sizeHint(self) -> QSize:
        """Square."""
        return QSize(theme().px(8), theme().px(8))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - Qt's signature
        """Paint the circle."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        colour = theme().colour(self._ink)
        painter.setPen(QPen(colour, 1.4) if self._is_hollow else Qt.PenStyle.NoPen)
        painter.setBrush(Qt.BrushStyle.NoBrush if self._is_hollow else colour)
        painter.drawEllipse(box)
        painter.end()


class Meter(QWidget):
    """A bar from amber to green with a tick where the guess becomes guidance."""

    def __init__(self, tick: float, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tick = tick
        self._value = 0.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_value(self, value: float) -> None:
        """Show a value of 0..1."""
        value = min(1.0, max(0.0, value))
        if value != self._value:
            self._value = value
            self.update()

    def sizeHint(self) -> QSize:
        """Return room for a bar and its tick."""
        return QSize(theme().px(120), theme().px(20))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - Qt's signature
        """Paint track, bar and tick."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        height = theme().px(8)
        track = QRectF(0, (self.height() - height) / 2, self.width(), height)
        painter.setBrush(theme().colour("track"))
        painter.drawRoundedRect(track, height / 2, height / 2)
        if self._value > 0:
            filled = QRectF(track)
            filled.setWidth(max(height, track.width() * self._value))
            painter.setBrush(self._colour())
            painter.drawRoundedRect(filled, height / 2, height / 2)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)
        place = round(self.width() * self._tick)
        painter.fillRect(place, 0, max(1, theme().px(1.5)), self.height(), theme().colour("text"))
        painter.end()

    def _colour(self) -> QColor:
        """Amber below the tick, green from it: one colour says one thing."""
        return theme().colour("green" if self._value >= self._tick else "amber")


class AnswerButton(Button):
    """A button that answers a card: the second click of a double click is nothing.

    By then another card may lie under the mouse.
    """

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Do not press a second time."""
        event.accept()


class OptionButton(QPushButton):
    """An answer to choose: a key cap with its number, and a label that wraps."""

    def __init__(self, number: int, label: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("variant", "option")
        self.setAutoDefault(False)
        self.setAccessibleName(copied(displayable(label)))
        px = theme().px
        row = QHBoxLayout(self)
        row.setContentsMargins(px(10), px(8), px(12), px(8))
        row.setSpacing(px(10))
        if number <= 9:  # noqa: PLR2004 - the keys 1 to 9
            cap = PlainText(str(number), self, role="keycap", wraps=False, selectable=False)
            cap.setAlignment(Qt.AlignmentFlag.AlignCenter)
            cap.setFixedWidth(px(20))
            row.addWidget(cap, 0, Qt.AlignmentFlag.AlignVCenter)
            self.setAccessibleDescription(f"Press {number}")
        self._label = PlainText(label, self, selectable=False)
        row.addWidget(self._label, 1, Qt.AlignmentFlag.AlignVCenter)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Do not press a second time: by then another card may lie under the mouse."""
        event.accept()

    @property
    def natural_width(self) -> int:
        """The width that the label wants on one line."""
        self._label.ensurePolished()
        text = self._label.fontMetrics().horizontalAdvance(copied(self._label.text()))
        return text + theme().px(62)

    def sizeHint(self) -> QSize:
        """Return what its own layout wants, not what a push button's text would."""
        layout = self.layout()
        assert layout is not None
        return layout.totalSizeHint()

    def minimumSizeHint(self) -> QSize:
        """Return what its own layout needs."""
        layout = self.layout()
        assert layout is not None
        return layout.totalMinimumSize()


class CodeBox(QPlainTextEdit):
    """Something to run, exactly as it is: monospaced, read-only, as high as its text."""

    def __init__(self, text: str, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setReadOnly(True)
        self.setAccessibleName(name)
        self.setProperty("role", "code")
        self.setTabChangesFocus(True)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAnywhere)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.document().setDocumentMargin(0)
        shown = bounded_runs(text[:_TEXT_LIMIT])
        self._lines = shown.split("\n")
        self.setPlainText(shown)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the feed when there is nothing to scroll here."""
        if self.verticalScrollBarPolicy() is Qt.ScrollBarPolicy.ScrollBarAlwaysOff:
            event.ignore()
        else:
            super().wheelEvent(event)

    def hasHeightForWidth(self) -> bool:
        """Return True: a narrow box is higher."""
        return True

    def heightForWidth(self, width: int) -> int:
        """As high as the text on that width, one to twenty lines."""
        self.ensurePolished()
        metrics = self.fontMetrics()
        padding = 2 * theme().px(10) + 2
        room = max(1, width - padding)
        lines = sum(max(1, ceil(metrics.horizontalAdvance(line) / room)) for line in self._lines)
        if lines > _CODE_LINES:
            self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        line = QFontMetricsF(self.font()).lineSpacing()
        return ceil(min(lines, _CODE_LINES) * line) + 2 * theme().px(8) + 3

    def sizeHint(self) -> QSize:
        """Wide, and one line high until the width is known."""
        return QSize(theme().px(400), self.heightForWidth(theme().px(400)))

    def minimumSizeHint(self) -> QSize:
        """Narrow, one line high."""
        self.ensurePolished()
        return QSize(theme().px(80), self.fontMetrics().lineSpacing() + 2 * theme().px(8) + 2)


class AnswerEdit(QPlainTextEdit):
    """A field that grows with what is typed: Enter sends, Shift+Enter begins a new line.

    ``shortened`` tells how many pasted characters did not fit.
    """

    submitted = Signal()
    shortened = Signal(int)
    left = Signal()
    pictured = Signal(object)

    def __init__(
        self,
        placeholder: str,
        name: str,
        parent: QWidget | None = None,
        *,
        sends: bool = True,
        lines: int = 1,
    ) -> None:
        super().__init__(parent)
        self._sends = sends
        self._least_lines = lines
        self._height = 0
        self.setPlaceholderText(placeholder)
        self.setAccessibleName(name)
        self.setTabChangesFocus(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.document().setDocumentMargin(0)
        self.textChanged.connect(self._grow)

    @property
    def text(self) -> str:
        """What was typed."""
        return self.toPlainText()

    def show_text(self, text: str) -> None:
        """Put a text in, the cursor at its end."""
        if text != self.toPlainText():
            self.setPlainText(bounded_runs(text[:_TEXT_LIMIT]))
            cursor = self.textCursor()
            cursor.movePosition(cursor.MoveOperation.End)
            self.setTextCursor(cursor)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Send with Enter."""
        is_enter = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        shift = event.modifiers() & Qt.KeyboardModifier.ShiftModifier
        control = event.modifiers() & Qt.KeyboardModifier.ControlModifier
        if is_enter and ((self._sends and not shift) or control):
            self.submitted.emit()
            event.accept()
        else:
            super().keyPressEvent(event)

    def canInsertFromMimeData(self, source: QMimeData) -> bool:
        """Take text, and pictures by paste or drop."""
        return source.hasText() or source.hasImage() or source.hasUrls()

    def insertFromMimeData(self, source: QMimeData) -> None:
        """Paste plain text only; endless lines are broken, for laying them out takes minutes.

        A picture is no text: ``pictured`` hands it on.
        """
        is_file = any(url.isLocalFile() for url in source.urls())
        if is_file or (source.hasImage() and not source.hasText()):
            self.pictured.emit(source)
            return
        cursor = self.textCursor()
        replaced = cursor.selectionEnd() - cursor.selectionStart()
        room = max(0, _TEXT_LIMIT - (self.document().characterCount() - 1 - replaced))
        text = source.text()
        self.insertPlainText(bounded_runs(text[:room]))
        if len(text) > room:
            self.shortened.emit(len(text) - room)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the page when there is nothing to scroll here."""
        if self.verticalScrollBarPolicy() is Qt.ScrollBarPolicy.ScrollBarAlwaysOff:
            event.ignore()
        else:
            super().wheelEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Tell that the technician went elsewhere, so that the draft is saved now."""
        super().focusOutEvent(event)
        self.left.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Grow with the lines that this width makes."""
        super().resizeEvent(event)
        self._grow()

    def sizeHint(self) -> QSize:
        """As high as the text, one to eight lines."""
        self.ensurePolished()
        lines = max(self._least_lines, round(self.document().size().height()))
        self._height = self._height_of(min(8, lines))
        return QSize(theme().px(200), self._height)

    def minimumSizeHint(self) -> QSize:
        """As high as the text."""
        return QSize(theme().px(80), self.sizeHint().height())

    @Slot()
    def _grow(self) -> None:
        lines = round(self.document().size().height())
        policy = Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        if lines > 8:  # noqa: PLR2004 - the most that is shown at once
            policy = Qt.ScrollBarPolicy.ScrollBarAsNeeded
        if policy != self.verticalScrollBarPolicy():
            self.setVerticalScrollBarPolicy(policy)
        if self.sizeHint().height() != self.height():
            self.updateGeometry()

    def _height_of(self, lines: int) -> int:
        # The stylesheet's padding and border are in the viewport's margins only once it is shown.
        line = QFontMetricsF(self.font()).lineSpacing()
        return ceil(lines * line) + 2 * theme().px(8) + 3
