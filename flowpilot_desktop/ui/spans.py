"""A stretch of time to read and to change: start and end, in the technician's own time.

What is not touched keeps its seconds; the moments that come back are UTC, so a night on which the
clocks change makes no entry longer or shorter than it was.
"""

from __future__ import annotations

from datetime import UTC, datetime

from PySide6.QtCore import QDateTime, QSignalBlocker, Signal, Slot
from PySide6.QtWidgets import QDateTimeEdit, QHBoxLayout, QWidget

from flowpilot_desktop.ui.fields import Moment
from flowpilot_desktop.ui.text import PlainText
from flowpilot_desktop.ui.theme import theme


class SpanEdit(QWidget):
    """Start and end of a time entry."""

    edited = Signal(object, object)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._span: tuple[datetime, datetime] | None = None
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme().px(8))
        self.start = self._end_edit(f"{name} starts")
        self.end = self._end_edit(f"{name} ends")
        row.addWidget(self.start)
        row.addWidget(PlainText("to", self, tone="muted", wraps=False))
        row.addWidget(self.end)

    def _end_edit(self, name: str) -> QDateTimeEdit:
        edit = Moment(self)
        edit.setAccessibleName(name)
        edit.setDisplayFormat("ddd d MMM HH:mm")
        edit.setCalendarPopup(False)
        edit.editingFinished.connect(self._finished)
        return edit

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The span as it stands, in UTC."""
        shown = (_from_qt(self.start.dateTime()), _from_qt(self.end.dateTime()))
        if self._span is None:
            return shown
        # An end that still reads as it was shown is the very moment that was shown.
        start, end = (
            kept if _to_qt(kept) == edit.dateTime() else now
            for kept, now, edit in zip(self._span, shown, (self.start, self.end), strict=True)
        )
        return start, end

    def show_span(self, start: datetime, end: datetime) -> None:
        """Show a span, unless it is just being edited."""
        if (start, end) == self._span or self.start.hasFocus() or self.end.hasFocus():
            return
        self._span = (start, end)
        for edit, moment in ((self.start, start), (self.end, end)):
            with QSignalBlocker(edit):
                edit.setDateTime(_to_qt(moment))

    @Slot()
    def _finished(self) -> None:
        span = self.span
        if span != self._span:
            self._span = span
            self.edited.emit(*span)


def _to_qt(moment: datetime) -> QDateTime:
    return QDateTime.fromSecsSinceEpoch(int(moment.timestamp()))


def _from_qt(moment: QDateTime) -> datetime:
    return datetime.fromtimestamp(moment.toSecsSinceEpoch(), UTC)
