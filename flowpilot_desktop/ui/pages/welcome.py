"""The set-up of the first start: one short step on the screen, each skippable."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import (
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from flowpilot_desktop.settings import Section
from flowpilot_desktop.ui.controls import AnswerEdit, Button, announce
from flowpilot_desktop.ui.pages.settings import SettingField
from flowpilot_desktop.ui.text import PlainText
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.ui.words import told
from flowpilot_desktop.viewmodels.settings import PsaForm
from flowpilot_desktop.viewmodels.welcome import WelcomeStep, WelcomeViewModel

_COLUMN = 640
_HELP = {
    WelcomeStep.YOU: "Your name stands in the notes that you write. Everything stays on this "
    "computer until you connect something.",
    WelcomeStep.PSA: "With ConnectWise, sessions start from its tickets, and notes and time go "
    "back by themselves. The keys go into the system's keyring.",
    WelcomeStep.MODEL: "With a key, Claude thinks along. Without one, sessions go on by "
    "troubleshooting flow and by hand.",
    WelcomeStep.QUEUE: "With the team queue, you can hand a session to a colleague who goes on "
    "where you stopped.",
}


class WelcomePage(QWidget):
    """Steps, the fields of one of them, and Back, Skip and Next."""

    def __init__(
        self,
        model: WelcomeViewModel,
        team_queue: QWidget,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._model = model
        self._shown: WelcomeStep | None = None
        self.setProperty("role", "page")
        px = theme().px
        page = QVBoxLayout(self)
        page.setContentsMargins(0, 0, 0, 0)
        page.setSpacing(0)
        page.addWidget(self._head())
        scroll = QScrollArea(self)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        middle = QWidget(scroll)
        across = QHBoxLayout(middle)
        across.setContentsMargins(px(16), px(20), px(16), px(16))
        across.addStretch(1)
        column = QWidget(middle)
        column.setMaximumWidth(px(_COLUMN))
        rows = QVBoxLayout(column)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(px(12))
        self._trail(rows, column)
        self._bodies: dict[WelcomeStep, QWidget] = {
            WelcomeStep.YOU: self._you(column),
            WelcomeStep.PSA: self._psa(column),
            WelcomeStep.MODEL: self._claude(column),
            WelcomeStep.QUEUE: self._queue(column, team_queue),
        }
        for body in self._bodies.values():
            rows.addWidget(body)
        rows.addStretch(1)
        across.addWidget(column, 100)
        across.addStretch(1)
        scroll.setWidget(middle)
        page.addWidget(scroll, 1)
        page.addWidget(self._foot())
        model.changed.connect(self._render)
        model.settings.model_key_kept.connect(self.key.clear)
        model.settings.psa_connected.connect(self._forget_keys)
        self._render()

    # Building

    def _head(self) -> QFrame:
        px = theme().px
        head = QFrame(self)
        head.setProperty("role", "pagehead")
        row = QHBoxLayout(head)
        row.setContentsMargins(px(24), px(10), px(20), px(10))
        row.addWidget(PlainText("Welcome to FlowPilot", head, role="head", wraps=False), 1)
        self.leave = Button("Skip the set-up", variant="quiet", parent=head)
        self.leave.clicked.connect(self._model.finish)
        row.addWidget(self.leave)
        return head

    def _foot(self) -> QFrame:
        px = theme().px
        foot = QFrame(self)
        foot.setProperty("role", "pagefoot")
        row = QHBoxLayout(foot)
        row.setContentsMargins(px(24), px(10), px(20), px(10))
        row.setSpacing(px(8))
        self.back = Button("Back", icon="chevron-left", variant="quiet", parent=foot)
        self.back.clicked.connect(self._model.go_back)
        self.skip = Button("Skip this step", variant="quiet", parent=foot)
        self.skip.clicked.connect(self._model.skip)
        self.next = Button("Next", variant="primary", parent=foot)
        self.next.clicked.connect(self._go_on)
        row.addWidget(self.back)
        row.addStretch(1)
        row.addWidget(self.skip)
        row.addWidget(self.next)
        return foot

    def _trail(self, rows: QVBoxLayout, column: QWidget) -> None:
        line = QHBoxLayout()
        line.setSpacing(theme().px(18))
        self._marks = {}
        for step in self._model.steps:
            mark = PlainText(step.value, column, role="strong", tone="muted", wraps=False)
            self._marks[step] = mark
            line.addWidget(mark)
        line.addStretch(1)
        rows.addLayout(line)

    def _body(self, step: WelcomeStep, column: QWidget) -> tuple[QFrame, QVBoxLayout]:
        px = theme().px
        panel = QFrame(column)
        panel.setProperty("role", "panel")
        rows = QVBoxLayout(panel)
        rows.setContentsMargins(px(20), px(16), px(20), px(20))
        rows.setSpacing(px(12))
        rows.addWidget(PlainText(step.value, panel, role="title"))
        rows.addWidget(PlainText(_HELP[step], panel, tone="muted"))
        return panel, rows

    def _you(self, column: QWidget) -> QFrame:
        panel, rows = self._body(WelcomeStep.YOU, column)
        self._fields = []
        for setting in self._model.settings.declared(Section.YOU):
            field = SettingField(setting, panel)
            field.edited.connect(self._model.settings.change)
            if isinstance(field.field, QLineEdit):
                field.field.returnPressed.connect(self._go_on)
            self._fields.append(field)
            rows.addWidget(field)
        return panel

    def _psa(self, column: QWidget) -> QFrame:
        panel, rows = self._body(WelcomeStep.PSA, column)
        self.site = self._line(panel, "ConnectWise site", "na.myconnectwise.net, or your server")
        self.company = self._line(panel, "ConnectWise company id", "what you type at sign-in")
        self.public_key = self._line(panel, "Public key")
        self.private_key = self._line(panel, "Private key", secret=True)
        form = self._form()
        for label, line in (
            ("Site", self.site),
            ("Company id", self.company),
            ("Public key", self.public_key),
            ("Private key", self.private_key),
        ):
            form.addRow(PlainText(label, panel, tone="muted", wraps=False), line)
        rows.addLayout(form)
        self.psa_test = Button("Test", icon="verification", parent=panel)
        self.psa_test.setAccessibleName("Test ConnectWise")
        self.psa_test.clicked.connect(self._test_psa)
        rows.addWidget(self.psa_test, 0, Qt.AlignmentFlag.AlignLeft)
        self.psa_words = PlainText("", panel)
        rows.addWidget(self.psa_words)
        return panel

    def _claude(self, column: QWidget) -> QFrame:
        panel, rows = self._body(WelcomeStep.MODEL, column)
        self.key = self._line(panel, "Claude key", "sk-ant-…", secret=True)
        form = self._form()
        form.addRow(PlainText("Key", panel, tone="muted", wraps=False), self.key)
        rows.addLayout(form)
        self.model_test = Button("Keep and test", icon="verification", parent=panel)
        self.model_test.setAccessibleName("Keep and test the key")
        self.model_test.clicked.connect(self._test_model)
        rows.addWidget(self.model_test, 0, Qt.AlignmentFlag.AlignLeft)
        self.model_words = PlainText("", panel)
        rows.addWidget(self.model_words)
        return panel

    def _queue(self, column: QWidget, team_queue: QWidget) -> QWidget:
        body = QWidget(column)
        rows = QVBoxLayout(body)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(theme().px(12))
        rows.addWidget(PlainText(_HELP[WelcomeStep.QUEUE], body, tone="muted"))
        rows.addWidget(team_queue)
        return body

    def _form(self) -> QFormLayout:
        form = QFormLayout()
        form.setHorizontalSpacing(theme().px(12))
        form.setVerticalSpacing(theme().px(8))
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        return form

    def _line(
        self, panel: QWidget, name: str, hint: str = "", *, secret: bool = False
    ) -> QLineEdit:
        line = QLineEdit(panel)
        line.setAccessibleName(name)
        line.setPlaceholderText(hint)
        line.setMaxLength(500)
        if secret:
            line.setEchoMode(QLineEdit.EchoMode.Password)
        line.returnPressed.connect(self._go_on)
        return line

    # Showing

    @Slot()
    def _render(self) -> None:
        model = self._model
        for step, mark in self._marks.items():
            is_done = model.is_done(step) and step is not model.step
            mark.show_text(f"✓ {step.value}" if is_done else step.value)
            mark.set_tone("" if step is model.step else "green" if is_done else "muted")
        for step, body in self._bodies.items():
            body.setVisible(step is model.step)
        if model.step is WelcomeStep.YOU:  # a field that is being left has its own last word
            for field in self._fields:
                setting = field.setting
                field.show_value(
                    model.settings.value(setting), model.settings.errors.get(setting.key)
                )
        self._render_psa()
        self._render_claude()
        self.back.setVisible(not model.is_first)
        self.skip.setVisible(not model.is_first)
        self.skip.show_text("Skip this step" if not model.is_last else "Skip and start")
        self.next.setEnabled(not model.is_busy)
        self.next.show_text("Start working" if model.is_last else "Next")
        if self._shown is not model.step:
            self._shown = model.step
            self.focus_step()

    def _render_psa(self) -> None:
        model = self._model.settings
        words, tone = "", "muted"
        if model.is_testing_psa:
            words = "Asking ConnectWise…"
        elif model.psa_error is not None:
            words, tone = told(model.psa_error.message, model.psa_error.hint), "red"
        elif model.psa_test is not None:
            missing = [check for check in model.psa_test.checks if not check.passed]
            who = model.psa_test.member.name if model.psa_test.member else "an API member"
            words = f"It works: {model.psa_test.server} knows you as {who}."
            words += "".join(f"\n✗ {check.what}: {check.fix}" for check in missing)
            tone = "amber" if missing else "green"
        hint = "kept in the keyring" if model.has_keys else ""
        self.public_key.setPlaceholderText(hint)
        self.private_key.setPlaceholderText(hint)
        self.psa_test.setEnabled(not model.is_testing_psa)
        self._say(self.psa_words, words, tone)

    def _render_claude(self) -> None:
        model = self._model.settings
        words, tone = model.model_words, "green"
        if model.is_testing_model:
            words, tone = "Asking Claude…", "muted"
        elif model.model_error is not None:
            words, tone = told(model.model_error.message, model.model_error.hint), "red"
        self.model_test.setEnabled(not model.is_testing_model)
        self.key.setPlaceholderText("kept in the keyring" if model.has_model_key else "sk-ant-…")
        self._say(self.model_words, words, tone)

    def _say(self, label: PlainText, words: str, tone: str) -> None:
        if words and words != label.text():
            announce(label, words)
        label.show_text(words)
        label.set_tone(tone)
        label.setVisible(bool(words))

    @Slot()
    def focus_step(self) -> None:
        """Give the focus to the first field of the step."""
        first = {
            WelcomeStep.YOU: self._fields[0].field,
            WelcomeStep.PSA: self.site,
            WelcomeStep.MODEL: self.key,
            WelcomeStep.QUEUE: self._bodies[WelcomeStep.QUEUE].findChild(AnswerEdit),
        }[self._model.step]
        if first is not None:
            first.setFocus(Qt.FocusReason.TabFocusReason)

    # Doing

    @Slot()
    def _go_on(self) -> None:
        for field in self._fields:
            if isinstance(field.field, QLineEdit) and field.isVisible():
                self._model.settings.change(field.setting, field.field.text())
        self._model.go_on(self._typed(), self.key.text())

    def _typed(self) -> PsaForm:
        return PsaForm(
            site=self.site.text(),
            company_id=self.company.text(),
            public_key=self.public_key.text(),
            private_key=self.private_key.text(),
        )

    @Slot()
    def _forget_keys(self) -> None:
        """Empty the fields of keys that are in the keyring now."""
        self.public_key.clear()
        self.private_key.clear()

    @Slot()
    def _test_psa(self) -> None:
        self._model.settings.test_psa(self._typed())

    @Slot()
    def _test_model(self) -> None:
        self._model.settings.keep_model_key(self.key.text())
