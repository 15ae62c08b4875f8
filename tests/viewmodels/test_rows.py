"""Keyed differences: any list becomes any other, and views are told exactly what changed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QItemSelectionModel, Qt
from PySide6.QtTest import QAbstractItemModelTester

from flowpilot_desktop.viewmodels.rows import Rows, row_at

Row = tuple[int, str]
rows = st.lists(st.tuples(st.integers(0, 12), st.sampled_from("ab")), max_size=12)


def model() -> Rows[Row]:
    return Rows(key=lambda row: row[0], text=lambda row: f"{row[0]}{row[1]}")


def unique(listed: list[Row]) -> tuple[Row, ...]:
    kept: dict[int, Row] = {}
    for row in listed:
        kept.setdefault(row[0], row)
    return tuple(kept.values())


@given(rows, rows)
def test_any_list_becomes_any_other(before: list[Row], after: list[Row]):
    shown = model()
    tester = QAbstractItemModelTester(shown, QAbstractItemModelTester.FailureReportingMode.Fatal)
    mirror: list[Row] = []
    shown.rowsRemoved.connect(lambda _, first, last: mirror.__delitem__(slice(first, last + 1)))
    shown.rowsInserted.connect(
        lambda _, first, last: mirror.__setitem__(slice(first, first), shown.rows[first : last + 1])
    )
    shown.rowsMoved.connect(
        lambda _, source, end, __, target: mirror.insert(target, mirror.pop(source))
    )
    shown.dataChanged.connect(
        lambda first, last: mirror.__setitem__(first.row(), shown.rows[first.row()])
    )
    for listed in (before, after):
        shown.show(listed)
        assert shown.rows == unique(listed)
        assert tuple(mirror) == unique(listed)
    tester.deleteLater()


def test_a_selection_survives_what_does_not_concern_it():
    shown = model()
    shown.show([(1, "a"), (2, "a"), (3, "a")])
    selection = QItemSelectionModel(shown)
    selection.setCurrentIndex(shown.index_of(2), QItemSelectionModel.SelectionFlag.Select)
    shown.show([(9, "a"), (3, "a"), (2, "b"), (4, "a")])
    assert row_at(selection.currentIndex()) == (2, "b")
    assert shown.index_of(77).isValid() is False
    assert shown.index(0).data(Qt.ItemDataRole.AccessibleTextRole) == "9a"
