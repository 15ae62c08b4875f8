"""The bar from which a technician looks at a host: what, where, and a button that ends it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QWidget

from flowpilot_desktop.services.probes import PROBE_WORDS, Probe, ProbeKind
from flowpilot_desktop.ui.controls import Button
from flowpilot_desktop.ui.fields import Choice, Number
from flowpilot_desktop.ui.text import PlainText
from flowpilot_desktop.ui.theme import theme

_PORT = 443
_WITH_PORT = (ProbeKind.PORT, ProbeKind.WEB)


class ProbeBar(QFrame):
    """Asks for a probe; ``asked(Probe)`` only ever follows a click or Enter here."""

    asked = Signal(object)
    stopped = Signal()
    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "pagefoot")
        px = theme().px
        row = QHBoxLayout(self)
        row.setContentsMargins(px(24), px(10), px(20), px(10))
        row.setSpacing(px(8))
        self.kind = Choice(self)
        self.kind.setAccessibleName("What to look at")
        for kind, words in PROBE_WORDS.items():
            self.kind.addItem(words, kind)
        self.kind.activated.connect(self._show_port)
        self.target = QLineEdit(self)
        self.target.setAccessibleName("Host name or address")
        self.target.setPlaceholderText("Host name or address")
        self.target.setMaxLength(253)
        self.target.returnPressed.connect(self._ask)
        self.port = Number(self)
        self.port.setAccessibleName("Port")
        self.port.setRange(1, 65_535)
        self.port.setValue(_PORT)
        self.words = PlainText("Only looks, changes nothing", self, role="small", tone="muted")
        self.go = Button("Look", icon="search", variant="primary", parent=self)
        self.go.clicked.connect(self._ask)
        self.stop = Button("Stop looking", icon="stop", parent=self)
        self.stop.clicked.connect(self.stopped)
        close = Button(icon="close", variant="icon", hint="Close", parent=self)
        close.setAccessibleName("Close the probe")
        close.clicked.connect(self.closed)
        row.addWidget(self.kind)
        row.addWidget(self.target, 1)
        row.addWidget(self.port)
        row.addWidget(self.words)
        row.addWidget(self.go)
        row.addWidget(self.stop)
        row.addWidget(close)
        self.show_running(running=False)
        self._show_port()
        self.hide()

    def open(self) -> None:
        """Show the bar and wait for a target."""
        self.show()
        self.target.setFocus(Qt.FocusReason.OtherFocusReason)

    def show_running(self, *, running: bool) -> None:
        """Show whether a probe is under way."""
        self.go.setVisible(not running)
        self.stop.setVisible(running)
        self.target.setReadOnly(running)
        self.words.show_text("Looking…" if running else "Only looks, changes nothing")

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Close with Escape; no key typed here answers a card."""
        if event.key() == Qt.Key.Key_Escape:
            self.closed.emit()
        event.accept()

    @Slot()
    def _show_port(self) -> None:
        self.port.setVisible(self.kind.currentData() in _WITH_PORT)

    @Slot()
    def _ask(self) -> None:
        if self.target.text().strip() and self.go.isVisibleTo(self):
            kind = ProbeKind(self.kind.currentData())
            self.asked.emit(Probe(kind, self.target.text(), self.port.value()))
