"""The settings: drawn from their declarations, with the outside systems among them."""

from __future__ import annotations

from datetime import time
from enum import Enum
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt, QTime, Signal, Slot
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QScrollArea,
    QSpinBox,
    QTabBar,
    QVBoxLayout,
    QWidget,
)

from flowpilot_desktop.core.errors import FlowPilotError
from flowpilot_desktop.services.doctor import Verdict
from flowpilot_desktop.settings import QuietHours, Section, Setting, TokenPrice
from flowpilot_desktop.ui.controls import AnswerEdit, Button
from flowpilot_desktop.ui.fields import Amount, Choice, Number, TimeOfDay
from flowpilot_desktop.ui.pages.usage import UsagePanel
from flowpilot_desktop.ui.text import PlainText
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.ui.words import joined, told
from flowpilot_desktop.viewmodels.settings import PsaForm, SettingsViewModel

_COLUMN = 760
_UNLIMITED = 1_000_000


class SettingField(QWidget):
    """One declared setting: its field by type, its help, and what is wrong with what was typed."""

    edited = Signal(object, object)

    def __init__(self, setting: Setting[Any], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setting = setting
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(theme().px(3))
        self.field = self._field()
        self.field.setAccessibleName(setting.title)
        self.field.setAccessibleDescription(setting.help)
        if not isinstance(self.field, QCheckBox):
            rows.addWidget(PlainText(setting.title, self, role="strong"))
        rows.addWidget(self.field, 0, self._alignment())
        rows.addWidget(PlainText(setting.help, self, role="small", tone="muted"))
        self.fault = PlainText("", self, tone="red")
        self.fault.hide()
        rows.addWidget(self.fault)

    def _alignment(self) -> Qt.AlignmentFlag:
        wide = isinstance(self.field, QLineEdit | AnswerEdit)
        return Qt.AlignmentFlag(0) if wide else Qt.AlignmentFlag.AlignLeft

    def _field(self) -> QWidget:
        setting = self.setting
        match setting.default:
            case Enum():
                box = Choice(self)
                for value, label in setting.choices:
                    box.addItem(label, value)
                box.activated.connect(self._chosen)
                return box
            case bool():
                tick = QCheckBox(setting.title, self)
                tick.clicked.connect(self._ticked)
                return tick
            case int():
                number = Number(self)
                number.setRange(int(setting.least), int(min(setting.most, _UNLIMITED)))
                number.setSuffix(f" {setting.unit}" if setting.unit else "")
                number.editingFinished.connect(self._numbered)
                return number
            case float():
                money = Amount(self)
                money.setRange(setting.least, min(setting.most, _UNLIMITED))
                money.setSuffix(f" {setting.unit}" if setting.unit else "")
                money.editingFinished.connect(self._numbered)
                return money
            case str():
                line = QLineEdit(self)
                line.setMaxLength(500)
                line.editingFinished.connect(self._typed)
                return line
            case QuietHours():
                return self._hours()
            case _:
                lines = AnswerEdit("One a line", setting.title, self, sends=False, lines=3)
                lines.left.connect(self._lines_typed)
                return lines

    def _hours(self) -> QWidget:
        both = QWidget(self)
        row = QHBoxLayout(both)
        row.setContentsMargins(0, 0, 0, 0)
        self.ends = (TimeOfDay(both), TimeOfDay(both))
        for name, edit in zip(("from", "to"), self.ends, strict=True):
            edit.setDisplayFormat("HH:mm")
            edit.setAccessibleName(f"{self.setting.title} {name}")
            edit.editingFinished.connect(self._hours_typed)
            row.addWidget(edit)
        return both

    def show_value(self, value: Any, error: FlowPilotError | None) -> None:  # noqa: C901 - one case a type
        """Show a value, unless it is just being edited."""
        self.fault.show_text(error.message if error else "")
        self.fault.setVisible(error is not None)
        if error is not None:
            return
        with QSignalBlocker(self.field):
            match self.field:
                case QComboBox() as box:
                    box.setCurrentIndex(box.findData(value))
                case QCheckBox() as tick:
                    tick.setChecked(value)
                case QSpinBox() | QDoubleSpinBox() as number:
                    if not number.hasFocus():
                        number.setValue(value)
                case QLineEdit() as line:
                    if not line.hasFocus():
                        line.setText(value)
                case AnswerEdit() as lines:
                    if not lines.hasFocus():
                        lines.show_text(_as_lines(value))
                case _:
                    for edit, end in zip(self.ends, (value.start, value.end), strict=True):
                        edit.setTime(QTime(end.hour, end.minute))

    @Slot(int)
    def _chosen(self, place: int) -> None:
        assert isinstance(self.field, QComboBox)
        self.edited.emit(self.setting, self.field.itemData(place))

    @Slot(bool)
    def _ticked(self, on: bool) -> None:  # noqa: FBT001 - Qt's signature
        self.edited.emit(self.setting, on)

    @Slot()
    def _numbered(self) -> None:
        assert isinstance(self.field, QSpinBox | QDoubleSpinBox)
        self.edited.emit(self.setting, self.field.value())

    @Slot()
    def _typed(self) -> None:
        assert isinstance(self.field, QLineEdit)
        self.edited.emit(self.setting, self.field.text())

    @Slot()
    def _lines_typed(self) -> None:
        assert isinstance(self.field, AnswerEdit)
        self.edited.emit(self.setting, _from_lines(self.field.text, self.setting.default))

    @Slot()
    def _hours_typed(self) -> None:
        start, end = (time(edit.time().hour(), edit.time().minute()) for edit in self.ends)
        self.edited.emit(self.setting, QuietHours(start, end))


class SettingsPage(QWidget):
    """Tabs by section; a change is kept at once."""

    def __init__(
        self,
        model: SettingsViewModel,
        parent: QWidget | None = None,
        *,
        team_queue: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._model = model
        self._team_queue = team_queue
        self._fields: list[SettingField] = []
        self.setProperty("role", "page")
        px = theme().px
        head = QFrame(self)
        head.setProperty("role", "pagehead")
        row = QHBoxLayout(head)
        row.setContentsMargins(px(24), px(8), px(20), px(8))
        row.setSpacing(px(12))
        row.addWidget(PlainText("Settings", head, role="head", wraps=False))
        self.tabs = QTabBar(head)
        self.tabs.setAccessibleName("Settings section")
        self.tabs.setDrawBase(False)
        self.tabs.setUsesScrollButtons(True)
        self.tabs.setExpanding(False)
        self.tabs.currentChanged.connect(self._show_tab)
        row.addWidget(self.tabs, 1)
        self._sections: dict[str, QWidget] = {}
        scroll = QScrollArea(self)
        scroll.setAccessibleName("Settings")  # Tab stops here, so that keys can scroll it
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        middle = QWidget(scroll)
        across = QHBoxLayout(middle)
        across.setContentsMargins(px(16), px(16), px(16), px(16))
        across.addStretch(1)
        column = QWidget(middle)
        column.setMaximumWidth(px(_COLUMN))
        self._rows = QVBoxLayout(column)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(px(12))
        across.addWidget(column, 100)
        across.addStretch(1)
        scroll.setWidget(middle)
        for section in Section:
            self._add_section(section)
        self._rows.addStretch(1)
        page = QVBoxLayout(self)
        page.setContentsMargins(0, 0, 0, 0)
        page.setSpacing(0)
        page.addWidget(head)
        page.addWidget(scroll, 1)
        model.changed.connect(self._render)
        self._show_tab(0)
        self._render()
        model.open()

    def show_section(self, title: str) -> None:
        """Show a section."""
        titles = list(self._sections)
        if title in titles:
            self.tabs.setCurrentIndex(titles.index(title))

    # Building

    def _add_section(self, section: Section) -> None:
        body = QWidget(self)
        rows = QVBoxLayout(body)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(theme().px(12))
        if section is Section.INTEGRATIONS:
            rows.addWidget(self._psa_panel())
            rows.addWidget(self._mapping_panel())
        if section is Section.CLAUDE:
            rows.addWidget(self._claude_panel())
            self.usage = UsagePanel(body)
            rows.addWidget(self.usage)
        if section is Section.TEAM_QUEUE and self._team_queue is not None:
            rows.addWidget(self._team_queue)
        declared = self._model.declared(section)
        if declared:
            title = "FlowPilot" if section is Section.INTEGRATIONS else section.value
            panel, inside = self._panel(title)
            inside.setSpacing(theme().px(14))
            for setting in declared:
                field = SettingField(setting, panel)
                field.edited.connect(self._edited)
                self._fields.append(field)
                inside.addWidget(field)
            rows.addWidget(panel)
        if section is Section.SYSTEM:
            rows.addWidget(self._doctor_panel())
        self.tabs.addTab(section.value)
        self._sections[section.value] = body
        self._rows.addWidget(body)

    def _panel(self, title: str) -> tuple[QFrame, QVBoxLayout]:
        px = theme().px
        panel = QFrame(self)
        panel.setProperty("role", "panel")
        rows = QVBoxLayout(panel)
        rows.setContentsMargins(px(16), px(12), px(16), px(16))
        rows.setSpacing(px(8))
        rows.addWidget(PlainText(title.upper(), panel, role="kicker", tone="muted", wraps=False))
        return panel, rows

    def _line(self, name: str, hint: str = "", *, secret: bool = False) -> QLineEdit:
        line = QLineEdit(self)
        line.setAccessibleName(name)
        line.setPlaceholderText(hint)
        line.setMaxLength(500)
        if secret:
            line.setEchoMode(QLineEdit.EchoMode.Password)
        return line

    def _form(self, *rows: tuple[str, QWidget]) -> QFormLayout:
        form = QFormLayout()
        form.setHorizontalSpacing(theme().px(12))
        form.setVerticalSpacing(theme().px(8))
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        for label, field in rows:
            form.addRow(PlainText(label, self, tone="muted", wraps=False), field)
        return form

    def _psa_panel(self) -> QFrame:
        panel, rows = self._panel("ConnectWise")
        self.site = self._line("ConnectWise site", "na.myconnectwise.net or your own server")
        self.company = self._line("ConnectWise company id", "what you type at sign-in")
        self.public_key = self._line("Public key")
        self.private_key = self._line("Private key", secret=True)
        self.ca_file = self._line("CA file", "only for a server with a private certificate")
        rows.addLayout(
            self._form(
                ("Site", self.site),
                ("Company id", self.company),
                ("Public key", self.public_key),
                ("Private key", self.private_key),
                ("CA file", self.ca_file),
            )
        )
        self.psa_test = Button("Test", icon="verification", parent=panel)
        self.psa_test.clicked.connect(self._test_psa)
        self._model.psa_connected.connect(self._forget_keys)
        self.psa_connect = Button("Connect", icon="link", variant="primary", parent=panel)
        self.psa_connect.clicked.connect(self._connect_psa)
        self.psa_disconnect = Button("Disconnect", variant="quiet", parent=panel)
        self.psa_disconnect.clicked.connect(self._model.disconnect_psa)
        buttons = QHBoxLayout()
        for button in (self.psa_connect, self.psa_test, self.psa_disconnect):
            buttons.addWidget(button)
        buttons.addStretch(1)
        rows.addLayout(buttons)
        self.psa_words = PlainText("", panel)
        rows.addWidget(self.psa_words)
        return panel

    def _mapping_panel(self) -> QFrame:
        self.mapping, rows = self._panel("Your ConnectWise member")
        self.mapping_words = PlainText("", self.mapping)
        rows.addWidget(self.mapping_words)
        line = QHBoxLayout()
        self.member_search = self._line("Search members", "Name, identifier or e-mail")
        self.member_search.returnPressed.connect(self._find_members)
        self.member_find = Button("Find", icon="search", parent=self.mapping)
        self.member_find.clicked.connect(self._find_members)
        self.members = Choice(self.mapping)
        self.members.setAccessibleName("Members found")
        self.member_take = Button("That's me", icon="person", parent=self.mapping)
        self.member_take.clicked.connect(self._map)
        line.addWidget(self.member_search, 1)
        line.addWidget(self.member_find)
        line.addWidget(self.members, 1)
        line.addWidget(self.member_take)
        rows.addLayout(line)
        return self.mapping

    def _claude_panel(self) -> QFrame:
        panel, rows = self._panel("Claude")
        self.model_key = self._line(
            "Claude key", "paste a key; it goes to the keyring", secret=True
        )
        rows.addLayout(self._form(("Key", self.model_key)))
        self.model_keep = Button("Keep and test", icon="key", variant="primary", parent=panel)
        self.model_keep.clicked.connect(self._keep_model_key)
        self._model.model_key_kept.connect(self.model_key.clear)
        self.model_test = Button("Test", icon="verification", parent=panel)
        self.model_test.clicked.connect(self._model.test_model)
        self.model_forget = Button("Forget the key", variant="quiet", parent=panel)
        self.model_forget.clicked.connect(self._model.forget_model_key)
        buttons = QHBoxLayout()
        for button in (self.model_keep, self.model_test, self.model_forget):
            buttons.addWidget(button)
        buttons.addStretch(1)
        rows.addLayout(buttons)
        self.model_words = PlainText("", panel)
        rows.addWidget(self.model_words)
        return panel

    def _doctor_panel(self) -> QFrame:
        panel, rows = self._panel("Self-test")
        self.examine = Button("Examine this computer", icon="verification", parent=panel)
        self.examine.clicked.connect(self._model.examine)
        rows.addWidget(self.examine, 0, Qt.AlignmentFlag.AlignLeft)
        self.findings = PlainText("", panel)
        rows.addWidget(self.findings)
        return panel

    # Showing

    def showEvent(self, event: QShowEvent) -> None:
        """Count up what Claude has cost by now."""
        super().showEvent(event)
        self._model.count_up()

    @Slot()
    def _render(self) -> None:
        model = self._model
        for field in self._fields:
            field.show_value(model.value(field.setting), model.errors.get(field.setting.key))
        self._render_psa()
        self._render_claude()
        self.usage.show_account(self._model.account)
        self.examine.setEnabled(not model.is_examining)
        self.examine.show_text("Examining…" if model.is_examining else "Examine this computer")
        marks = {Verdict.GOOD: "✓", Verdict.NOTE: "·", Verdict.BAD: "✗"}
        self.findings.show_text(
            "\n".join(
                f"{marks[one.verdict]} {one.check}: {one.detail}"
                + (f"\n      {one.fix}" if one.fix else "")
                for one in model.findings
            )
        )
        self.findings.setVisible(bool(model.findings))

    def _render_psa(self) -> None:
        model = self._model
        kept = model.connection
        if kept is not None:
            for line, text in (
                (self.site, kept.site),
                (self.company, kept.company_id),
                (self.ca_file, kept.ca_file),
            ):
                if not line.hasFocus() and not line.isModified():
                    line.setText(text)
        hint = "kept in the keyring" if model.has_keys else ""
        self.public_key.setPlaceholderText(hint)
        self.private_key.setPlaceholderText(hint)
        self.psa_disconnect.setVisible(kept is not None)
        busy = model.is_testing_psa
        for button in (self.psa_test, self.psa_connect, self.psa_disconnect):
            button.setEnabled(not busy)
        words, tone = "", "muted"
        if busy:
            words = "Asking ConnectWise…"
        elif model.psa_error is not None:
            words, tone = told(model.psa_error.message, model.psa_error.hint), "red"
        elif model.psa_test is not None:
            missing = [check for check in model.psa_test.checks if not check.passed]
            who = model.psa_test.member.name if model.psa_test.member else "an API member"
            words = f"Connected to {model.psa_test.server} as {who}."
            words += "".join(f"\n✗ {check.what}: {check.fix}" for check in missing)
            tone = "amber" if missing else "green"
        elif kept is not None:
            words = f"Connected: {joined(kept.name, kept.site)}"
        self.psa_words.show_text(words)
        self.psa_words.set_tone(tone)
        self.psa_words.setVisible(bool(words))
        self._render_mapping()

    def _render_mapping(self) -> None:
        model = self._model
        self.mapping.setVisible(model.connection is not None)
        found = model.mapping
        words = "Not mapped: no time entries are made for you."
        if found is not None:
            words = f"You are {found.member_name or found.member_identifier}."
        self.mapping_words.show_text(words)
        self.mapping_words.set_tone("muted" if found is not None else "amber")
        names = [joined(member.name, member.identifier) for member in model.members]
        if [self.members.itemText(i) for i in range(self.members.count())] != names:
            self.members.clear()
            self.members.addItems(names)
        self.members.setVisible(bool(names))
        self.member_take.setVisible(bool(names))

    def _render_claude(self) -> None:
        model = self._model
        busy = model.is_testing_model
        self.model_key.setPlaceholderText(
            "kept in the keyring" if model.has_model_key else "paste a key; it goes to the keyring"
        )
        for button in (self.model_keep, self.model_test, self.model_forget):
            button.setEnabled(not busy)
        self.model_test.setVisible(model.has_model_key)
        self.model_forget.setVisible(model.has_model_key)
        words, tone = model.model_words, "green"
        if busy:
            words, tone = "Asking Claude…", "muted"
        elif model.model_error is not None:
            words, tone = told(model.model_error.message, model.model_error.hint), "red"
        elif not words and not model.has_model_key:
            words, tone = "Without a key, sessions go on by flow and by hand.", "muted"
        self.model_words.show_text(words)
        self.model_words.set_tone(tone)
        self.model_words.setVisible(bool(words))

    # Doing

    @Slot(int)
    def _show_tab(self, place: int) -> None:
        for number, body in enumerate(self._sections.values()):
            body.setVisible(number == place)

    @Slot(object, object)
    def _edited(self, setting: Setting[Any], value: Any) -> None:
        # The old value typed again keeps nothing, but takes back what was said of the wrong one.
        if value != self._model.value(setting) or setting.key in self._model.errors:
            self._model.change(setting, value)

    def _psa_form(self) -> PsaForm:
        return PsaForm(
            site=self.site.text(),
            company_id=self.company.text(),
            public_key=self.public_key.text(),
            private_key=self.private_key.text(),
            ca_file=self.ca_file.text(),
        )

    @Slot()
    def _test_psa(self) -> None:
        self._model.test_psa(self._psa_form())

    @Slot()
    def _connect_psa(self) -> None:
        self._model.connect_psa(self._psa_form())

    @Slot()
    def _forget_keys(self) -> None:
        self.public_key.clear()
        self.private_key.clear()

    @Slot()
    def _keep_model_key(self) -> None:
        self._model.keep_model_key(self.model_key.text())

    @Slot()
    def _find_members(self) -> None:
        self._model.find_members(self.member_search.text())

    @Slot()
    def _map(self) -> None:
        place = self.members.currentIndex()
        if 0 <= place < len(self._model.members):
            self._model.map_to(self._model.members[place])


def _as_lines(value: Any) -> str:
    """Return names, or a price table, one a line."""
    if isinstance(value, tuple):
        return "\n".join(value)
    return "\n".join(
        f"{name} {price.input:g} {price.output:g} {price.cache_write:g} {price.cache_read:g}"
        for name, price in value.items()
    )


def _from_lines(text: str, default: Any) -> Any:
    """Return what lines mean; a price line that can't be read is handed on to be refused."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if isinstance(default, tuple):
        return tuple(lines)
    try:
        words = [line.split() for line in lines]
        return {name: TokenPrice(*map(float, prices)) for name, *prices in words}
    except (TypeError, ValueError):
        return lines
