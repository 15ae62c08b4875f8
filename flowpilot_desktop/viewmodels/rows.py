"""Lists on the screen: one model that is told the whole new list and works out the difference.

Clearing and filling again would lose selection and scroll position, so ``show`` finds out by key
which rows went, came, moved or changed, and tells the views exactly that.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Generic, TypeVar, cast

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

Row = TypeVar("Row")
Index = QModelIndex | QPersistentModelIndex

ROW = int(Qt.ItemDataRole.UserRole)
"""The role under which a view finds the row itself."""


class Rows(QAbstractListModel, Generic[Row]):
    """Rows that are told apart by ``key`` and read by people as ``text``."""

    def __init__(
        self,
        key: Callable[[Row], Hashable],
        text: Callable[[Row], str],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._key = key
        self._text = text
        self._rows: list[Row] = []

    @property
    def rows(self) -> tuple[Row, ...]:
        """What is shown now."""
        return tuple(self._rows)

    def show(self, rows: Iterable[Row]) -> None:
        """Show these rows, in this order. Of rows with the same key only the first is kept."""
        wanted: dict[Hashable, Row] = {}
        for row in rows:
            wanted.setdefault(self._key(row), row)
        keys = list(wanted)
        self._drop_absent(wanted)
        place = 0
        while place < len(keys):
            key = keys[place]
            if place < len(self._rows) and self._key(self._rows[place]) == key:
                self._change(place, wanted[key])
                place += 1
                continue
            found = self._place_of(key, place + 1)
            if found is not None:
                self._move(found, place)
                continue
            # Everything up to the next row that is shown already comes in at once.
            known = {self._key(row) for row in self._rows[place:]}
            end = place + 1
            while end < len(keys) and keys[end] not in known:
                end += 1
            self.beginInsertRows(QModelIndex(), place, end - 1)
            self._rows[place:place] = [wanted[key] for key in keys[place:end]]
            self.endInsertRows()
            place = end

    def row(self, index: Index) -> Row | None:
        """Return the row at an index, or None."""
        return self._rows[index.row()] if 0 <= index.row() < len(self._rows) else None

    def index_of(self, key: Hashable) -> QModelIndex:
        """Return the index of the row with that key; an invalid one when there is none."""
        place = self._place_of(key, 0)
        return QModelIndex() if place is None else self.index(place)

    def rowCount(self, parent: Index | None = None) -> int:
        """Return how many rows there are."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        """Return a row, or its text."""
        row = self.row(index)
        if row is None:
            return None
        if role == ROW:
            return row
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._text(row)
        return None

    def _place_of(self, key: Hashable, start: int) -> int | None:
        for place in range(start, len(self._rows)):
            if self._key(self._rows[place]) == key:
                return place
        return None

    def _drop_absent(self, wanted: dict[Hashable, Row]) -> None:
        end = len(self._rows)
        while end > 0:
            if self._key(self._rows[end - 1]) in wanted:
                end -= 1
                continue
            start = end - 1
            while start > 0 and self._key(self._rows[start - 1]) not in wanted:
                start -= 1
            self.beginRemoveRows(QModelIndex(), start, end - 1)
            del self._rows[start:end]
            self.endRemoveRows()
            end = start

    def _change(self, place: int, row: Row) -> None:
        if self._rows[place] != row:
            self._rows[place] = row
            index = self.index(place)
            self.dataChanged.emit(index, index)

    def _move(self, source: int, target: int) -> None:
        self.beginMoveRows(QModelIndex(), source, source, QModelIndex(), target)
        self._rows.insert(target, self._rows.pop(source))
        self.endMoveRows()


def row_at(index: Index) -> Any:
    """Return the row that a view's index stands for, through proxies as well."""
    return cast("Any", index.data(ROW))
