"""A question: numbered answers in one or two columns, own words, or skip."""

from __future__ import annotations

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QVBoxLayout

from flowpilot_desktop.core.session import Question, Response
from flowpilot_desktop.ui.cards.card import StepCard
from flowpilot_desktop.ui.controls import AnswerButton, OptionButton
from flowpilot_desktop.ui.theme import theme


class QuestionCard(StepCard):
    """Asks something; keys 1 to 9 choose, Enter sends what was typed."""

    _columns = 0

    def _build_controls(self, rows: QVBoxLayout) -> None:
        body = self.step.body
        assert isinstance(body, Question)
        px = theme().px
        self._options: list[OptionButton] = []
        self._grid = QGridLayout()
        self._grid.setSpacing(px(8))
        for number, option in enumerate(body.options, 1):
            button = OptionButton(number, option.label, self.frame)
            button.setProperty("answer", option.value)
            button.clicked.connect(self._choose)
            self._options.append(button)
        rows.addLayout(self._grid)
        line = QHBoxLayout()
        line.setSpacing(px(8))
        if body.free_text_allowed:
            words = "Or type what you see… (Enter to send)"
            if not body.options:
                words = "Type what you see… (Enter to send)"
            field = self._answer_field(words, "Your answer in your own words", sends=True)
            field.submitted.connect(self._send)
            line.addWidget(field, 1)
        else:
            line.addStretch(1)
        if body.skip_allowed:
            skip = AnswerButton("Skip", icon="skip", variant="quiet", hint="Skip this question")
            skip.clicked.connect(self._skip)
            line.addWidget(skip)
        if line.count():
            rows.addLayout(line)
        self._lay_out(1)

    def fit(self, width: int) -> int:
        """Use two columns where every answer fits half the card on one line."""
        if self.content.is_live and self._options:
            px = theme().px
            half = (width - 2 * px(17) - px(8)) // 2
            fits = all(option.natural_width <= half for option in self._options)
            self._lay_out(2 if fits and len(self._options) > 1 else 1)
        return super().fit(width)

    def press(self, number: int) -> bool:
        """Choose the answer with that number."""
        if not self.content.is_live or not 1 <= number <= len(self._options):
            return False
        self._options[number - 1].click()
        return True

    def _lay_out(self, columns: int) -> None:
        if columns == self._columns:
            return
        self._columns = columns
        for place, option in enumerate(self._options):
            self._grid.addWidget(option, place // columns, place % columns)
        for column in range(2):
            self._grid.setColumnStretch(column, 1 if column < columns else 0)

    @Slot()
    def _choose(self) -> None:
        sender = self.sender()
        if isinstance(sender, OptionButton):
            self._answer(Response(option=sender.property("answer"), text=self._typed))

    @Slot()
    def _send(self) -> None:
        text = self._typed
        if text:
            self._answer(Response(text=text))

    @Slot()
    def _skip(self) -> None:
        self._answer(Response(text=self._typed, skipped=True))
