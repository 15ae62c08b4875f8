"""The page that hands a session over: why, to whom, what goes along, what the ticket gets."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QWidget

from flowpilot_desktop.core.escalation import HandOff
from flowpilot_desktop.ui.controls import AnswerEdit, Button, FoldedText
from flowpilot_desktop.ui.fields import Choice
from flowpilot_desktop.ui.pages.closing import ClosingPage
from flowpilot_desktop.ui.text import PlainText, copied, displayable
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.ui.words import ago, joined, told
from flowpilot_desktop.viewmodels.escalate import EscalateViewModel
from flowpilot_desktop.viewmodels.push import PushViewModel

_NAME_LIMIT = 80
EVERYBODY = "Anybody in the team"


class EscalatePage(ClosingPage):
    """Why, to whom, and what leaves."""

    def __init__(
        self, model: EscalateViewModel, push: PushViewModel, parent: QWidget | None = None
    ) -> None:
        self._model = model
        self.escalate = Button("Escalate", variant="amber", icon="escalation")
        self.escalate.clicked.connect(model.escalate)
        super().__init__(model, push, self.escalate, words=("Escalate", "Escalated"), parent=parent)

    def _panels(self) -> Sequence[QWidget]:
        return (
            self._queue_panel(),
            self._reason_panel(),
            self._pushed_panel(),
            self._package_panel(),
        )

    def _first_field(self) -> QWidget:
        return self.reason

    def _queue_panel(self) -> QFrame:
        self.queue, rows = self._panel("Team queue")
        line = QHBoxLayout()
        self.queue_words = PlainText("", self.queue, tone="amber")
        line.addWidget(self.queue_words, 1)
        self.set_up = Button("Set up", icon="settings", variant="amber", parent=self.queue)
        self.set_up.setAccessibleName("Set up the team queue")
        self.set_up.clicked.connect(self._set_up_queue)
        line.addWidget(self.set_up)
        rows.addLayout(line)
        return self.queue

    def _reason_panel(self) -> QFrame:
        panel, rows = self._panel("Why somebody else should look at it")
        self.reason = AnswerEdit(
            "What is needed that you don't have: rights, knowledge, time? (required)",
            "Reason for escalating",
            panel,
            sends=False,
            lines=2,
        )
        self.reason.textChanged.connect(self._reason_typed)
        rows.addWidget(self.reason)
        line = QHBoxLayout()
        line.setSpacing(theme().px(10))
        line.addWidget(PlainText("Assign to", panel, tone="muted", wraps=False))
        self.members = Choice(panel)
        self.members.setAccessibleName("Assign to")
        self.members.setMinimumWidth(theme().px(260))
        self.members.activated.connect(self._member_chosen)
        line.addWidget(self.members)
        line.addStretch(1)
        rows.addLayout(line)
        return panel

    def _package_panel(self) -> QFrame:
        self.package, rows = self._panel("What your teammate gets")
        grid = QGridLayout()
        grid.setHorizontalSpacing(theme().px(12))
        grid.setVerticalSpacing(theme().px(6))
        grid.setColumnStretch(1, 1)
        self.parts: dict[str, tuple[PlainText, FoldedText]] = {}
        for place, name in enumerate(
            ("Problem", "Steps tried", "Ruled out", "Could be", "Next", "Systems")
        ):
            head = PlainText(name, self.package, role="strong", wraps=False)
            text = FoldedText("", self.package)
            grid.addWidget(head, place, 0, Qt.AlignmentFlag.AlignTop)
            grid.addWidget(text, place, 1)
            self.parts[name] = (head, text)
        rows.addLayout(grid)
        words = "Passwords and keys are masked. Claude may add what to look at next."
        rows.addWidget(PlainText(words, self.package, role="small", tone="muted"))
        return self.package

    def _render_own(self, *, is_closed: bool) -> None:
        model = self._model
        error = model.queue_error
        self.queue.setVisible(error is not None)
        self.queue_words.show_text(told(error.message, error.hint) if error else "")
        self._fill(self.reason, model.reason, is_closed=is_closed)
        self._render_members(is_closed=is_closed)
        self._render_package(model.hand_off)
        self.escalate.setEnabled(model.can_escalate)
        self.escalate.show_text(model.escalate_label)

    def _foot_words(self) -> tuple[str, str]:
        model = self._model
        if model.closing is not None:
            words = "Your team sees it as soon as the queue has it."
            warning = model.closing.member_mapping_warning
            return joined(words, model.push_words, warning), "green"
        if model.view is not None and not model.reason.strip():
            return "Say in a sentence why somebody else should look at it.", "muted"
        return "", "muted"

    def _render_members(self, *, is_closed: bool) -> None:
        names = [EVERYBODY]
        for one in self._model.members:
            seen = f"seen {ago(one.last_seen)}" if one.last_seen else ""
            names.append(joined(copied(displayable(one.name, _NAME_LIMIT)), seen))
        ids = ["", *(one.id for one in self._model.members)]
        if [self.members.itemText(i) for i in range(self.members.count())] != names:
            self.members.clear()
            self.members.addItems(names)
        if self._model.assign_to in ids:
            self.members.setCurrentIndex(ids.index(self._model.assign_to))
        self.members.setEnabled(not is_closed)

    def _render_package(self, hand_off: HandOff | None) -> None:
        self.package.setVisible(hand_off is not None)
        if hand_off is None:
            return
        steps = [
            f"{number}. {step.text}" + (f"\n    → {step.outcome}" if step.outcome else "")
            for number, step in enumerate(hand_off.steps, 1)
        ]
        likely = [
            f"{one.text} ({round(one.confidence * 100)} %)" if one.confidence else one.text
            for one in hand_off.hypotheses
        ]
        texts = {
            "Problem": hand_off.problem,
            "Steps tried": "\n".join(steps) or "None yet.",
            "Ruled out": "\n".join(hand_off.ruled_out),
            "Could be": "\n".join(likely),
            "Next": "\n".join(hand_off.next_steps),
            "Systems": "\n".join(hand_off.environment),
        }
        for name, (head, text) in self.parts.items():
            text.show_text(texts[name])
            head.setVisible(bool(texts[name]))
            text.setVisible(bool(texts[name]))

    @Slot()
    def _reason_typed(self) -> None:
        self._model.set_reason(self.reason.toPlainText())

    @Slot(int)
    def _member_chosen(self, place: int) -> None:
        members = self._model.members
        self._model.assign(members[place - 1].id if 0 < place <= len(members) else "")

    @Slot()
    def _set_up_queue(self) -> None:
        self.settings_wanted.emit("Team queue")
