"""The feed of cards: real widgets, but only those that can be seen.

A layout of five hundred cards takes seconds to build and a tenth of a second for each streamed
word. So the feed places its cards itself: it knows the height of every card it has measured,
guesses the others, and has widgets only for what is in sight and a little beyond. What it has are
real widgets: they take the focus, they can be selected from, screen readers find them.

Two promises on scrolling. Whatever grows or comes above, the card at the top edge stays where the
eye has it. And the feed follows its end, until the technician scrolls up; a card higher than the
window is followed to its beginning, not to its end.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from PySide6.QtCore import QEvent, Qt, Signal, Slot
from PySide6.QtGui import QFocusEvent, QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QAbstractScrollArea, QApplication, QFrame, QWidget

from flowpilot_desktop.ui.controls import Button
from flowpilot_desktop.ui.theme import theme

_MAX_WIDTH = 760
_GAP = 12
_MARGIN = 20
_SIDE_MARGIN = 24
_GUESSED_HEIGHT = 130
_KEPT_WIDGETS = 40
_PASSES = 5


class FeedCard(QWidget):
    """What the feed asks of a card."""

    def fit(self, width: int) -> int:
        """Arrange the inside for a width and return the height that it needs."""
        layout = self.layout()
        assert layout is not None
        if layout.hasHeightForWidth():
            return layout.totalHeightForWidth(width)
        return layout.totalSizeHint().height()

    def show_content(self, content: Any) -> bool:
        """Show other content in place; False asks to be built anew."""
        del content
        return False

    def take_focus(self) -> None:
        """Take the focus where it is most useful."""
        self.setFocus(Qt.FocusReason.OtherFocusReason)


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One card to show. ``pinned`` cards keep their widget when out of sight."""

    key: str
    content: Any
    build: Callable[[Any, QWidget], FeedCard]
    pinned: bool = False


class Feed(QAbstractScrollArea):
    """Shows items from top to bottom. ``show_items`` tells it all; the rest it finds out."""

    scrolled = Signal()

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.viewport().setProperty("role", "feed")
        self.viewport().setAccessibleName(name)
        self.viewport().setAutoFillBackground(False)
        self._items: list[FeedItem] = []
        self._heights: dict[str, int] = {}
        self._fitted_width = 0
        self._tops: list[int] = [0]
        self._gap = 0
        self._unit = theme().px(100)
        self._widgets: dict[str, FeedCard] = {}
        self._follows = True
        self._is_arranging = False
        self._latest = Button("Latest", icon="chevron-down", parent=self)
        self._latest.setToolTip("Scroll to the latest card (End)")
        self._latest.clicked.connect(self.follow)
        self._latest.hide()
        theme().changed.connect(self._measure_anew)

    # --- what is shown ---

    @property
    def items(self) -> tuple[FeedItem, ...]:
        """What is shown."""
        return tuple(self._items)

    @property
    def follows(self) -> bool:
        """Whether the end is kept in sight."""
        return self._follows

    @property
    def widget_count(self) -> int:
        """How many cards have a widget now."""
        return len(self._widgets)

    def show_items(self, items: Sequence[FeedItem]) -> None:
        """Show these items; cards whose content is the same are left alone."""
        anchor = self._anchor()
        before = {item.key: item for item in self._items}
        focus = self._focused_key()
        had_focus = self._widgets.get(focus or "")
        self._items = list(items)
        keys = {item.key for item in items}
        for key in before.keys() - keys:
            self._drop(key)
            self._heights.pop(key, None)
        for item in items:
            former = before.get(item.key)
            if former is not None and former.content != item.content:
                self._renew(item)
        self._arrange(anchor)
        if focus is not None and self._widgets.get(focus) is not had_focus:
            self._give_focus_back(focus)

    def show_item(self, item: FeedItem) -> None:
        """Show other content of one item that is there already."""
        for place, former in enumerate(self._items):
            if former.key == item.key:
                if former.content != item.content:
                    anchor = self._anchor()
                    self._items[place] = item
                    self._renew(item)
                    self._arrange(anchor)
                return

    def card(self, key: str) -> FeedCard | None:
        """Return the widget of an item if it has one now."""
        return self._widgets.get(key)

    def focus_card(self, key: str) -> None:
        """Bring a card into sight and give it the focus."""
        for place, item in enumerate(self._items):
            if item.key == key:
                self._reveal(place)
                self._widgets[key].take_focus()
                return

    @Slot()
    def follow(self) -> None:
        """Go to the end and stay there."""
        self._follows = True
        self._arrange(None)

    # --- Qt's side ---

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Arrange for the new size; the card at the top edge stays."""
        super().resizeEvent(event)
        self._arrange(self._anchor())

    def scrollContentsBy(self, dx: int, dy: int) -> None:  # noqa: ARG002 - Qt's signature
        """Move the cards; Qt calls this for every change of the scroll bar."""
        if self._is_arranging:
            return
        bar = self.verticalScrollBar()
        self._follows = bar.value() >= min(bar.maximum(), self._end()) - theme().px(4)
        self._arrange(self._anchor(), follow=False)
        self.scrolled.emit()

    def viewportEvent(self, event: QEvent) -> bool:
        """Measure anew when a card says that its size changed."""
        if event.type() == QEvent.Type.LayoutRequest:
            self._arrange(self._anchor())
            return True
        return super().viewportEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Go from card to card with the arrows, to the ends with Home and End."""
        key, bar = event.key(), self.verticalScrollBar()
        if key in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self.step(1 if key == Qt.Key.Key_Down else -1)
        elif key == Qt.Key.Key_Home:
            self._focus_place(0)
        elif key == Qt.Key.Key_End:
            self.follow()
            self._focus_place(len(self._items) - 1)
        elif key == Qt.Key.Key_PageUp:
            bar.setValue(bar.value() - self.viewport().height() + theme().px(40))
        elif key == Qt.Key.Key_PageDown:
            bar.setValue(bar.value() + self.viewport().height() - theme().px(40))
        else:
            event.ignore()

    @Slot()
    def next_card(self) -> None:
        """Give the focus to the next card."""
        self.step(1)

    @Slot()
    def previous_card(self) -> None:
        """Give the focus to the card before."""
        self.step(-1)

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Hand the focus that Tab brings to the card that waits, or to the last one."""
        super().focusInEvent(event)
        if event.reason() in (Qt.FocusReason.TabFocusReason, Qt.FocusReason.OtherFocusReason):
            waiting = [place for place, item in enumerate(self._items) if item.pinned]
            self._focus_place(waiting[-1] if waiting else len(self._items) - 1)

    def step(self, by: int) -> None:
        """Give the focus to the card that many after the one that has it."""
        focused = self._focused_key()
        keys = [item.key for item in self._items]
        if focused in keys:
            self._focus_place(keys.index(focused) + by)
        else:
            self._focus_place(len(keys) - 1)

    def focusNextPrevChild(self, next: bool) -> bool:  # noqa: A002, FBT001 - Qt's signature
        """Let Tab go on, and keep what gets the focus in sight."""
        moved = super().focusNextPrevChild(next)
        widget = QApplication.focusWidget()
        if moved and widget is not None and self.viewport().isAncestorOf(widget):
            top = widget.mapTo(self.viewport(), widget.rect().topLeft()).y()
            self._scroll_to(top, top + widget.height())
        return moved

    # --- placing ---

    def _column(self) -> tuple[int, int]:
        """Left edge and width of the cards."""
        px = theme().px
        room = self.viewport().width()
        width = min(px(_MAX_WIDTH), room - 2 * px(_SIDE_MARGIN))
        return (room - width) // 2, max(width, px(160))

    def _anchor(self) -> tuple[str, int] | None:
        """Return the item at the top edge and how far the edge is below its top."""
        if not self._items or len(self._tops) != len(self._items) + 1:
            return None
        value = self.verticalScrollBar().value()
        last = len(self._items) - 1
        place = min(max(bisect_right(self._tops, value) - 1, 0), last)
        if place < last and value >= self._tops[place + 1] - self._gap:
            place += 1  # the edge lies between two cards: the lower one is what is read
        return self._items[place].key, value - self._tops[place]

    def _arrange(self, anchor: tuple[str, int] | None, *, follow: bool = True) -> None:
        if self._is_arranging:
            return
        self._is_arranging = True
        try:
            self._place_all(anchor, follow=follow)
        finally:
            self._is_arranging = False

    def _place_all(self, anchor: tuple[str, int] | None, *, follow: bool) -> None:
        left, width = self._column()
        if width != self._fitted_width:
            self._fitted_width = width
            self._heights.clear()
        bar, height = self.verticalScrollBar(), self.viewport().height()
        for _ in range(_PASSES):
            self._stack()
            value = self._wanted_value(anchor, follow=follow)
            if not self._measure_sight(value - height // 2, value + height + height // 2):
                break
        bar.setPageStep(height)
        bar.setSingleStep(theme().px(36))
        bar.setRange(0, max(0, self._tops[-1] - height))
        bar.setValue(value)
        value = bar.value()
        shown = self._in_sight(value - height // 2, value + height + height // 2)
        for place in shown:
            item = self._items[place]
            self._widgets[item.key].setGeometry(
                left, self._tops[place] - value, width, self._heights[item.key]
            )
        self._retire({self._items[place].key for place in shown})
        self._show_latest()

    def _stack(self) -> None:
        gap, margin = theme().px(_GAP), theme().px(_MARGIN)
        self._gap = gap
        known = self._heights.values()
        guess = sum(known) // len(known) if known else theme().px(_GUESSED_HEIGHT)
        heights = (self._heights.get(item.key, guess) + gap for item in self._items)
        self._tops = list(accumulate(heights, initial=margin))
        self._tops[-1] += margin - gap if self._items else 0

    def _end(self) -> int:
        """Where following the end scrolls to: to the last card's top if it is too high."""
        height = self.viewport().height()
        bottom = max(0, self._tops[-1] - height)
        if not self._items:
            return 0
        return max(0, min(bottom, self._tops[len(self._items) - 1] - theme().px(_GAP)))

    def _wanted_value(self, anchor: tuple[str, int] | None, *, follow: bool) -> int:
        if (follow and self._follows) or anchor is None:
            return self._end()
        key, offset = anchor
        for place, item in enumerate(self._items):
            if item.key == key:
                return max(0, self._tops[place] + offset)
        return self.verticalScrollBar().value()

    def _in_sight(self, top: int, bottom: int) -> range:
        first = max(0, bisect_right(self._tops, top) - 1)
        last = min(len(self._items), bisect_right(self._tops, bottom))
        return range(first, last)

    def _measure_sight(self, top: int, bottom: int) -> bool:
        """Give everything between a widget and measure it; return whether a height changed."""
        changed = False
        new: list[int] = []
        for place in self._in_sight(top, bottom):
            item = self._items[place]
            widget = self._widgets.get(item.key)
            if widget is None:
                widget = item.build(item.content, self.viewport())
                self._widgets[item.key] = widget
                widget.show()
                new.append(place)
            height = widget.fit(self._fitted_width)
            if self._heights.get(item.key) != height:
                self._heights[item.key] = height
                changed = True
        for place in new:
            self._join_tab_order(place)
        return changed

    def _retire(self, shown: set[str]) -> None:
        """Let go of widgets out of sight, but of pinned ones and the one with the focus."""
        if len(self._widgets) == len(shown):
            return
        focus = self._focused_key()
        pinned = {item.key for item in self._items if item.pinned}
        spare = len(self._widgets) - _KEPT_WIDGETS
        for key in list(self._widgets):
            if key in shown:
                continue
            if spare > 0 and key != focus and key not in pinned:
                self._drop(key)
                spare -= 1
            else:  # kept, but far away
                widget = self._widgets[key]
                widget.move(widget.x(), -widget.height() - 10_000)

    def _join_tab_order(self, place: int) -> None:
        """Let Tab come to a new card after the one above it, not after all that came before."""
        earlier = (self._items[before].key for before in range(place - 1, -1, -1))
        last: QWidget = self
        for key in earlier:
            if key in self._widgets and (stops := _tab_stops(self._widgets[key])):
                last = stops[-1]
                break
        for stop in _tab_stops(self._widgets[self._items[place].key]):
            QWidget.setTabOrder(last, stop)
            last = stop

    def _renew(self, item: FeedItem) -> None:
        widget = self._widgets.get(item.key)
        if widget is None:
            self._heights.pop(item.key, None)
        elif not widget.show_content(item.content):
            self._drop(item.key)

    def _drop(self, key: str) -> None:
        widget = self._widgets.pop(key, None)
        if widget is not None:
            focus = QApplication.focusWidget()
            if focus is not None and widget.isAncestorOf(focus):
                # Hiding it would hand the focus to whatever comes next on the page.
                self.setFocus(Qt.FocusReason.NoFocusReason)
            widget.hide()
            widget.deleteLater()

    @Slot()
    def _measure_anew(self) -> None:
        anchor = self._anchor()
        self._heights.clear()
        if self._unit != theme().px(100):
            # Cards keep the room they were built with: those that hold no text are built anew.
            self._unit = theme().px(100)
            focus = self._focused_key()
            pinned = {item.key for item in self._items if item.pinned}
            for key in self._widgets.keys() - pinned - {focus}:
                self._drop(key)
        self._arrange(anchor)

    # --- focus and scrolling ---

    def _focused_key(self) -> str | None:
        widget = QApplication.focusWidget()
        while widget is not None and widget.parentWidget() is not self.viewport():
            widget = widget.parentWidget()
        return next((key for key, card in self._widgets.items() if card is widget), None)

    def _give_focus_back(self, key: str) -> None:
        """After a card with the focus was built anew: its successor has it, else the feed."""
        widget = self._widgets.get(key)
        if widget is not None:
            widget.take_focus()
        else:
            self.setFocus(Qt.FocusReason.NoFocusReason)

    def _focus_place(self, place: int) -> None:
        if self._items:
            place = min(max(place, 0), len(self._items) - 1)
            self._reveal(place)
            self._widgets[self._items[place].key].setFocus(Qt.FocusReason.OtherFocusReason)

    def _reveal(self, place: int) -> None:
        value = self.verticalScrollBar().value()
        self._scroll_to(self._tops[place] - value, self._tops[place + 1] - value)
        if self._items[place].key not in self._widgets:
            self._arrange(self._anchor(), follow=False)

    def _scroll_to(self, top: int, bottom: int) -> None:
        """Bring a stretch, relative to the window, into sight; its top if it is too long."""
        bar, margin, height = self.verticalScrollBar(), theme().px(_GAP), self.viewport().height()
        if bottom + margin > height:
            bar.setValue(bar.value() + min(bottom + margin - height, top - margin))
        elif top < margin:
            bar.setValue(bar.value() + top - margin)

    def _show_latest(self) -> None:
        bar = self.verticalScrollBar()
        is_away = bool(self._items) and bar.value() < self._end() - theme().px(60)
        if is_away != self._latest.isVisibleTo(self):
            self._latest.setVisible(is_away)
        if is_away:
            hint, px = self._latest.sizeHint(), theme().px
            self._latest.setGeometry(
                (self.viewport().width() - hint.width()) // 2,
                self.viewport().height() - hint.height() - px(12),
                hint.width(),
                hint.height(),
            )
            self._latest.raise_()


def _tab_stops(card: FeedCard) -> list[QWidget]:
    """Return what takes the focus on a card: the frame from the arrow keys, the rest from Tab."""
    return [
        child
        for child in [card, *card.findChildren(QWidget)]
        if child.focusPolicy() & Qt.FocusPolicy.TabFocus or child.property("role") == "card"
    ]
