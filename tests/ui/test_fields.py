"""The wheel turns a field only while it has the focus; otherwise it scrolls the page."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from PySide6.QtCore import QDateTime, QPoint, QPointF, Qt, QTime
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDateTimeEdit,
    QVBoxLayout,
    QWidget,
)

from flowpilot_desktop.ui.fields import Amount, Choice, Moment, Number, TimeOfDay
from flowpilot_desktop.ui.theme import Theme
from tests.ui.conftest import until


def _choice(page: QWidget) -> QWidget:
    box = Choice(page)
    box.addItems(["Internal only", "Internal and external"])
    return box


def _number(page: QWidget) -> QWidget:
    box = Number(page)
    box.setValue(15)
    return box


def _amount(page: QWidget) -> QWidget:
    box = Amount(page)
    box.setValue(15)
    return box


def _time(page: QWidget) -> QWidget:
    edit = TimeOfDay(page)
    edit.setTime(QTime(8, 30))
    return edit


def _moment(page: QWidget) -> QWidget:
    edit = Moment(page)
    edit.setDateTime(QDateTime.fromSecsSinceEpoch(1_800_000_000))
    return edit


def _value(field: QWidget) -> str:
    match field:
        case QComboBox() as box:
            return box.currentText()
        case QDateTimeEdit() as edit:
            return edit.dateTime().toString()
        case QAbstractSpinBox() as spin:
            return spin.text()
    raise AssertionError(field)


def _turn(field: QWidget) -> QWheelEvent:
    middle = QPointF(field.rect().center())
    event = QWheelEvent(
        middle,
        QPointF(field.mapToGlobal(field.rect().center())),
        QPoint(),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(field, event)
    return event


@pytest.mark.parametrize("made", [_choice, _number, _amount, _time, _moment])
async def test_the_wheel_turns_only_what_has_the_focus(
    theme: Theme, made: Callable[[QWidget], QWidget]
) -> None:
    page = QWidget()
    rows = QVBoxLayout(page)
    field = made(page)
    rows.addWidget(field)
    page.show()
    page.activateWindow()
    await until(page.isActiveWindow)
    field.clearFocus()
    before = _value(field)
    event = _turn(field)
    assert _value(field) == before
    assert not event.isAccepted()
    assert field.focusPolicy() is Qt.FocusPolicy.StrongFocus
    field.setFocus()
    assert field.hasFocus()
    _turn(field)
    assert _value(field) != before
    page.close()
    page.deleteLater()


@pytest.mark.parametrize("made", [_number, _amount, _time, _moment])
def test_a_number_does_not_touch_its_left_edge(
    theme: Theme, made: Callable[[QWidget], QWidget]
) -> None:
    page = QWidget()
    field = made(page)
    assert isinstance(field, QAbstractSpinBox)
    assert field.lineEdit().textMargins().left() == theme.px(6)
    page.deleteLater()
