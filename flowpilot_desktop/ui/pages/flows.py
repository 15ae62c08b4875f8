"""The troubleshooting flows: a list, the file of the chosen one, and what is wrong with it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QPlainTextEdit,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from flowpilot_desktop.core.counting import counted
from flowpilot_desktop.services.flow_shelf import FlowListing
from flowpilot_desktop.ui.controls import Button
from flowpilot_desktop.ui.lists import RowList, RowWords
from flowpilot_desktop.ui.text import PlainText
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.ui.words import joined, told
from flowpilot_desktop.viewmodels.flows import FlowsViewModel

_FILES = "Flows (*.yaml *.yml)"


def flow_words(flow: FlowListing) -> RowWords:
    """Return how a flow reads in the list."""
    badge = ("Own", "accent") if flow.is_own else ("Shipped", "neutral")
    return RowWords(flow.title, joined(flow.domain, counted(flow.cards, "card")), (badge,))


class FlowsPage(QWidget):
    """Flows can be read, edited, checked, imported and exported; they are in use at once."""

    def __init__(self, model: FlowsViewModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._loaded = 0
        self.setProperty("role", "page")
        px = theme().px
        head = QFrame(self)
        head.setProperty("role", "pagehead")
        row = QHBoxLayout(head)
        row.setContentsMargins(px(24), px(8), px(20), px(8))
        row.setSpacing(px(8))
        row.addWidget(PlainText("Troubleshooting flows", head, role="head", wraps=False), 1)
        self.take_in = Button("Import…", icon="download", parent=head)
        self.take_in.clicked.connect(self._choose_import)
        self.give_out = Button("Export…", icon="external", parent=head)
        self.give_out.clicked.connect(self._choose_export)
        row.addWidget(self.take_in)
        row.addWidget(self.give_out)
        split = QSplitter(Qt.Orientation.Horizontal, self)
        split.setChildrenCollapsible(False)
        self.list = RowList(model.flows, flow_words, "Troubleshooting flows", split)
        self.list.chosen.connect(model.choose)
        split.addWidget(self.list)
        split.addWidget(self._file())
        split.setStretchFactor(0, 2)
        split.setStretchFactor(1, 3)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        rows.addWidget(head)
        rows.addWidget(split, 1)
        model.changed.connect(self._render)
        self._render()

    def _file(self) -> QFrame:
        px = theme().px
        panel = QFrame(self)
        panel.setProperty("role", "panel")
        rows = QVBoxLayout(panel)
        rows.setContentsMargins(px(16), px(12), px(16), px(12))
        rows.setSpacing(px(8))
        self.edit = QPlainTextEdit(panel)
        self.edit.setProperty("role", "code")
        self.edit.setAccessibleName("The flow's file")
        self.edit.setPlaceholderText("Choose a flow, import one, or make one from the history")
        self.edit.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.edit.textChanged.connect(self._text_changed)
        self.words = PlainText("", panel)
        self.check = Button("Check", icon="verification", parent=panel)
        self.check.clicked.connect(self._check)
        self.keep = Button("Keep as my own", icon="check", variant="primary", parent=panel)
        self.keep.clicked.connect(self._keep)
        self.remove = Button("Remove", icon="trash", variant="quiet", parent=panel)
        self.remove.clicked.connect(self._model.remove)
        buttons = QHBoxLayout()
        for button in (self.keep, self.check, self.remove):
            buttons.addWidget(button)
        buttons.addStretch(1)
        rows.addWidget(self.edit, 1)
        rows.addWidget(self.words)
        rows.addLayout(buttons)
        return panel

    @Slot()
    def _render(self) -> None:
        model = self._model
        if model.loaded != self._loaded:
            self._loaded = model.loaded
            self.edit.setPlainText(model.text)
        error = model.error
        self.words.show_text(told(error.message, error.hint) if error else model.words)
        self.words.set_tone("red" if error else "muted")
        self.words.setVisible(bool(error or model.words))
        self._text_changed()
        self.give_out.setEnabled(model.chosen is not None)
        self.remove.setVisible(model.chosen is not None and model.chosen.is_own)

    @Slot()
    def _text_changed(self) -> None:
        has_text = not self.edit.document().isEmpty()
        self.check.setEnabled(has_text)
        self.keep.setEnabled(has_text)

    @Slot()
    def _check(self) -> None:
        self._model.examine(self.edit.toPlainText())

    @Slot()
    def _keep(self) -> None:
        self._model.keep(self.edit.toPlainText())

    @Slot()
    def _choose_import(self) -> None:
        dialog = QFileDialog(self, "Import a flow", filter=_FILES)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._model.take_in)
        dialog.open()

    @Slot()
    def _choose_export(self) -> None:
        chosen = self._model.chosen
        if chosen is None:
            return
        dialog = QFileDialog(self, "Export a flow", filter=_FILES)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.selectFile(f"{chosen.id}.yaml")
        dialog.fileSelected.connect(self._model.give_out)
        dialog.open()
