"""Lists of two-line rows: a title, a quieter line under it, badges at the right.

A page says how a row reads (``RowWords``); painting, keyboard, hover and selection are the same
for tickets, sessions and escalations. Rows are painted, not widgets: fifty thousand of them cost
what ten do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import (
    QAbstractItemModel,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    Slot,
)
from PySide6.QtCore import Signal as QtSignal
from PySide6.QtGui import QFont, QFontMetrics, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QAbstractItemView,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from flowpilot_desktop.ui.controls import BADGE_COLOURS
from flowpilot_desktop.ui.text import RUN_LIMIT
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.viewmodels.rows import row_at

_NEAR_THE_END = 300
"""Pixels from the bottom at which the next page is asked for."""


@dataclass(frozen=True, slots=True)
class RowWords:
    """How a row reads. ``badges`` are pairs of words and tone, the outermost first."""

    title: str
    subtitle: str = ""
    badges: tuple[tuple[str, str], ...] = ()


Index = QModelIndex | QPersistentModelIndex


class TwoLines(QStyledItemDelegate):
    """Paints a row."""

    def __init__(self, words: Callable[[Any], RowWords], parent: QWidget) -> None:
        super().__init__(parent)
        self._words = words

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: ARG002 - Qt's signature
        """Two lines and air."""
        px = theme().px
        title = QFontMetrics(theme().font("body", QFont.Weight.DemiBold)).height()
        return QSize(px(200), title + QFontMetrics(theme().font("small")).height() + px(17))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Paint ground, title, subtitle and badges."""
        row = row_at(index)
        if row is None:
            return
        words = self._words(row)
        px, rect = theme().px, QRect(option.rect)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        state = option.state
        if state & QStyle.StateFlag.State_Selected:
            self._ground(painter, rect, "accent_soft")
        elif state & QStyle.StateFlag.State_MouseOver:
            self._ground(painter, rect, "button")
        if state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(theme().colour("focus"))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(rect.adjusted(1, 1, -2, -2), px(6), px(6))
        inner = rect.adjusted(px(12), px(7), -px(12), -px(7))
        right = inner.right()
        for text, tone in words.badges:
            right = self._badge(painter, inner, right, text, tone) - px(6)
        room = max(px(60), right - inner.left())
        title_font = theme().font("body", QFont.Weight.DemiBold)
        metrics = QFontMetrics(title_font)
        painter.setFont(title_font)
        painter.setPen(theme().colour("text"))
        line = QRect(inner.left(), inner.top(), room, metrics.height())
        self._line(painter, metrics, line, words.title)
        small = theme().font("small")
        metrics = QFontMetrics(small)
        painter.setFont(small)
        painter.setPen(theme().colour("muted"))
        bottom = QRect(
            inner.left(), inner.bottom() - metrics.height() + 1, inner.width(), metrics.height()
        )
        self._line(painter, metrics, bottom, words.subtitle)
        painter.restore()

    def _line(self, painter: QPainter, metrics: QFontMetrics, rect: QRect, text: str) -> None:
        one_line = " ".join(text[:RUN_LIMIT].split())
        shown = metrics.elidedText(one_line, Qt.TextElideMode.ElideRight, rect.width())
        painter.drawText(
            rect, int(Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine), shown
        )

    def _ground(self, painter: QPainter, rect: QRect, token: str) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().colour(token))
        painter.drawRoundedRect(rect.adjusted(1, 1, -1, -1), theme().px(6), theme().px(6))

    def _badge(self, painter: QPainter, inner: QRect, right: int, text: str, tone: str) -> int:
        px = theme().px
        ground, ink, border = BADGE_COLOURS[tone]
        font = theme().font("kicker", QFont.Weight.DemiBold)
        metrics = QFontMetrics(font)
        shown = metrics.elidedText(" ".join(text.split()), Qt.TextElideMode.ElideRight, px(150))
        width = metrics.horizontalAdvance(shown) + 2 * px(8)
        height = metrics.height() + px(3)
        box = QRect(right - width, inner.top(), width, height)
        painter.setPen(theme().colour(border) if border else Qt.PenStyle.NoPen)
        painter.setBrush(theme().colour(ground))
        painter.drawRoundedRect(box, height / 2, height / 2)
        painter.setFont(font)
        painter.setPen(theme().colour(ink))
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter), shown)
        return box.left()


class RowList(QListView):
    """A list of two-line rows: Enter or a click chooses, nearing the end asks for more."""

    chosen = QtSignal(object)
    ending = QtSignal()

    def __init__(
        self,
        model: QAbstractItemModel,
        words: Callable[[Any], RowWords],
        name: str,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setModel(model)
        self.setItemDelegate(TwoLines(words, self))
        self.setAccessibleName(name)
        self.setMouseTracking(True)
        self.setUniformItemSizes(True)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.clicked.connect(self._choose)
        self.verticalScrollBar().valueChanged.connect(self._scrolled)
        theme().changed.connect(self._restyle)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Choose with Enter."""
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.currentIndex().isValid():
            self._choose(self.currentIndex())
            event.accept()
        else:
            super().keyPressEvent(event)

    @Slot(QModelIndex)
    def _choose(self, index: QModelIndex) -> None:
        row = row_at(index)
        if row is not None:
            self.chosen.emit(row)

    @Slot(int)
    def _scrolled(self, value: int) -> None:
        if value >= self.verticalScrollBar().maximum() - _NEAR_THE_END:
            self.ending.emit()

    @Slot()
    def _restyle(self) -> None:
        self.scheduleDelayedItemsLayout()
        self.viewport().update()
