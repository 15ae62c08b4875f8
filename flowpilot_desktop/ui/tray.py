"""The icon in the tray: how many wait, a menu, and notifications.

A notification is the system's own where it offers actions (a "Pick up" button), else the tray's
balloon. Either way a click opens the escalation. The icon may sit in the system's overflow, so
nothing is told by it alone: the same count stands in the window.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, QRectF, Qt, Signal, Slot
from PySide6.QtGui import QAction, QColor, QFont, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from flowpilot_desktop.services.alerts import Alert
from flowpilot_desktop.ui.text import copied, displayable
from flowpilot_desktop.ui.theme import theme

log = logging.getLogger(__name__)

_SIZE = 64
_TITLE_LIMIT = 80
_TEXT_LIMIT = 240
_MOST = 9


class Tray(QObject):
    """FlowPilot beside the clock."""

    open_requested = Signal()
    queue_requested = Signal()
    mute_requested = Signal(bool)
    quiet_hours_requested = Signal()
    quit_requested = Signal()
    alert_opened = Signal(object)
    alert_picked_up = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._count = -1
        self._shown: Alert | None = None
        self._notifier: Any = None
        self.menu = QMenu()
        self.open = self._entry("Open FlowPilot", self.open_requested.emit)
        self.queue = self._entry("Escalations", self.queue_requested.emit)
        self.menu.addSeparator()
        self.mute = self._entry("Mute for an hour", None)
        self.mute.setCheckable(True)
        self.mute.toggled.connect(self.mute_requested)
        self.quiet = self._entry("Quiet hours…", self.quiet_hours_requested.emit)
        self.menu.addSeparator()
        self.leave = self._entry("Quit", self.quit_requested.emit)
        self.icon = QSystemTrayIcon(self)
        if sys.platform != "darwin":  # there a click opens the menu by itself
            self.icon.activated.connect(self._activated)
        self.icon.messageClicked.connect(self._clicked)
        self.icon.setContextMenu(self.menu)
        theme().changed.connect(self._paint)
        self.show_count(0)

    def _entry(self, words: str, slot: Callable[[], None] | None) -> QAction:
        action = QAction(words, self.menu)
        if slot is not None:
            action.triggered.connect(slot)
        self.menu.addAction(action)
        return action

    @property
    def is_available(self) -> bool:
        """Whether this desktop has a tray."""
        return QSystemTrayIcon.isSystemTrayAvailable()

    @property
    def is_shown(self) -> bool:
        """Whether the icon was put into the tray."""
        return self.icon.isVisible()

    def show(self) -> None:
        """Appear."""
        self.icon.show()

    def show_count(self, count: int) -> None:
        """Show how many escalations ask for this technician or for anybody."""
        if count != self._count:
            self._count = count
            self._paint()
            who = f"{count} waiting" if count else "nobody waits"
            self.icon.setToolTip(f"FlowPilot: {who}")
            self.queue.setText(f"Escalations ({count})" if count else "Escalations")

    def show_muted(self, *, muted: bool) -> None:
        """Show whether notifications are held back for an hour."""
        self.mute.blockSignals(True)  # noqa: FBT003 - Qt's signature
        self.mute.setChecked(muted)
        self.mute.blockSignals(False)  # noqa: FBT003

    async def notify(self, alert: Alert) -> None:
        """Show a notification, with or without a tray; what teammates wrote is cut and plain."""
        title = _line(alert.title, _TITLE_LIMIT)
        text = _line(alert.text, _TEXT_LIMIT)
        if not await self._notified(alert, title, text) and self.is_shown:
            self._shown = alert
            self.icon.showMessage(title, text, self.icon.icon())

    def aclose(self) -> None:
        """Disappear, and hear of no notification any more."""
        self._hang_up()
        self.icon.hide()
        self.icon.setContextMenu(None)  # type: ignore[arg-type]  # Qt takes none
        self.menu.deleteLater()

    # Inside

    def _hang_up(self) -> None:
        """Leave the session bus; the library keeps its connection open for ever."""
        backend = getattr(self._notifier, "_backend", None)
        bus = getattr(backend, "bus", None)
        if bus is not None:
            bus.disconnect()
        self._notifier = None

    async def _notified(self, alert: Alert, title: str, text: str) -> bool:
        """Return whether the system's own notifications took it."""
        if sys.platform.startswith("linux") and "DBUS_SESSION_BUS_ADDRESS" not in os.environ:
            return False
        try:
            from desktop_notifier import (  # noqa: PLC0415 - heavy, and only when needed
                Button,
                Capability,
                DesktopNotifier,
            )

            if self._notifier is None:
                self._notifier = DesktopNotifier(app_name="FlowPilot", app_icon=None)
            known = await self._notifier.get_capabilities()
            if Capability.BUTTONS not in known:
                return False
            opens = partial(self.alert_opened.emit, alert)
            buttons = []
            if alert.can_pick_up:
                pick_up = partial(self.alert_picked_up.emit, alert)
                buttons.append(Button(title="Pick up", on_pressed=pick_up))
            if Capability.ON_CLICKED not in known:  # some take no click on the text
                buttons.append(Button(title="Open", on_pressed=opens))
            await self._notifier.send(title=title, message=text, buttons=buttons, on_clicked=opens)
        except Exception as error:  # noqa: BLE001 - a desktop without a notification service
            log.info("No notification with actions here: %s", type(error).__name__)
            return False
        return True

    @Slot()
    def _clicked(self) -> None:
        if self._shown is not None:
            self.alert_opened.emit(self._shown)

    @Slot(QSystemTrayIcon.ActivationReason)
    def _activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason in (
            QSystemTrayIcon.ActivationReason.Trigger,
            QSystemTrayIcon.ActivationReason.DoubleClick,
        ):
            self.open_requested.emit()

    @Slot()
    def _paint(self) -> None:
        self.icon.setIcon(QIcon(_picture(self._count)))


def _picture(count: int) -> QPixmap:
    """Return the icon with its count."""
    picture = QPixmap(_SIZE, _SIZE)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme().colour("accent"))
    painter.drawRoundedRect(QRectF(4, 4, 56, 56), 14, 14)
    painter.setPen(QColor("white"))
    font = QFont(theme().font("head"))
    font.setPixelSize(40)
    font.setBold(True)
    painter.setFont(font)
    letter = QRectF(4, 0, 36, 48) if count > 0 else QRectF(4, 4, 56, 56)
    painter.drawText(letter, int(Qt.AlignmentFlag.AlignCenter), "F")
    if count > 0:
        badge = QRectF(20, 20, 44, 44)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme().colour("amber"))
        painter.drawEllipse(badge)
        painter.setPen(theme().colour("on_amber"))
        font.setPixelSize(34 if count <= _MOST else 26)
        painter.setFont(font)
        words = str(count) if count <= _MOST else f"{_MOST}+"
        painter.drawText(badge, int(Qt.AlignmentFlag.AlignCenter), words)
    painter.end()
    return picture


def _line(text: str, limit: int) -> str:
    line = " ".join(copied(displayable(text[: 4 * limit], 4 * limit)).split())
    return line if len(line) <= limit else f"{line[: limit - 1].rstrip()}…"
