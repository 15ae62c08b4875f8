"""The team's queue: the list, and beside it the request that is chosen.

``QueueList`` is the list with its filters; the history shows the same one.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from PySide6.QtCore import QSignalBlocker, QTimer, Signal, Slot
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QSplitter,
    QTabBar,
    QVBoxLayout,
    QWidget,
)

from flowpilot_desktop.core.counting import counted
from flowpilot_desktop.core.escalation import Escalation, EscalationFilter, EscalationState
from flowpilot_desktop.services.escalations import QueueEntry
from flowpilot_desktop.ui.controls import AnswerEdit, Badge, Button, FoldedText
from flowpilot_desktop.ui.fields import Choice
from flowpilot_desktop.ui.lists import RowList, RowWords
from flowpilot_desktop.ui.text import ElidedText, PlainText, copied, displayable
from flowpilot_desktop.ui.theme import theme
from flowpilot_desktop.ui.words import ago, joined, told
from flowpilot_desktop.viewmodels.escalations import EscalationsViewModel

_TABS = (
    ("All", EscalationFilter.ALL),
    ("Assigned to me", EscalationFilter.MINE),
    ("Unassigned", EscalationFilter.UNASSIGNED),
)
_AGES_EVERY = 20_000
"""Milliseconds between looks at the ages on the screen."""
_PRESENT = timedelta(minutes=3)
_NAME_LIMIT = 80
EVERYBODY = "Anybody in the team"
READ_BACK = "I take it; next: "


def entry_words(entry: QueueEntry) -> RowWords:
    """Return how a request reads in the list."""
    row = entry.escalation
    number = f"#{row.ticket_number}" if row.ticket_number else ""
    return RowWords(
        row.summary or "(no summary)",
        joined(number, _from(entry), ago(row.raised_at), _steps(row), row.reason),
        _badges(entry),
    )


def _steps(row: Escalation) -> str:
    """Return how many steps it was raised with: what was appended since counts answers too."""
    return counted(row.step_count, "step")


def _from(entry: QueueEntry) -> str:
    return "from you" if entry.is_mine else f"from {entry.raised_by}"


def _badges(entry: QueueEntry) -> tuple[tuple[str, str], ...]:
    row = entry.escalation
    badges: list[tuple[str, str]] = []
    if entry.is_unsent:
        badges.append(("Waits to be sent", "soft_amber"))
    elif entry.is_silent:
        badges.append((f"{entry.handler or 'Handler'} is silent", "soft_red"))
    elif row.state is EscalationState.CLAIMED:
        badges.append((f"Handled by {entry.handler or 'a teammate'}", "accent"))
    elif entry.for_me:
        badges.append(("For you", "amber"))
    elif row.assigned_to:
        badges.append((f"For {entry.assigned_to or 'a teammate'}", "neutral"))
    else:
        badges.append(("Unassigned", "soft_amber"))
    return tuple(badges)


class QueueList(QWidget):
    """Filters, how old it is, and the list."""

    chosen = Signal(str)

    def __init__(self, model: EscalationsViewModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        px = theme().px
        self.tabs = QTabBar(self)
        self.tabs.setAccessibleName("Which escalations")
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        for label, _ in _TABS:
            self.tabs.addTab(label)
        self.tabs.currentChanged.connect(self._show_tab)
        self.age = PlainText("", self, role="small", tone="muted")
        self.list = RowList(model.entries, entry_words, "Escalations", self)
        self.list.chosen.connect(self._choose)
        self._marked_id = ""
        self.empty = PlainText("", self, tone="muted")
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(px(6))
        rows.addWidget(self.tabs)
        rows.addWidget(self.age)
        rows.addWidget(self.empty)
        rows.addWidget(self.list, 1)
        self._ages = QTimer(self)
        self._ages.setInterval(_AGES_EVERY)
        self._ages.timeout.connect(model.reload)
        model.changed.connect(self._render)
        self._render()

    @Slot()
    def _render(self) -> None:
        model, picture = self._model, self._model.picture
        with QSignalBlocker(self.tabs):
            self.tabs.setCurrentIndex([which for _, which in _TABS].index(model.which))
        rows = model.entries.rowCount()
        self.list.setVisible(rows > 0)
        words = ""
        if picture is None:
            words = "Reading…"
        elif not picture.is_set_up:
            words = "Your team queue is not set up yet. Paste your invitation in Settings."
        elif not rows:
            words = "Nobody waits for help." if model.which is EscalationFilter.ALL else "None."
        self.empty.show_text(words)
        self.empty.setVisible(bool(words))
        age, tone = self._age_words()
        self.age.show_text(age)
        self.age.set_tone(tone)
        self.age.setVisible(bool(age))
        self._mark_chosen()
        self.list.viewport().update()

    def _mark_chosen(self) -> None:
        """Mark what was chosen elsewhere, in a notification say, once; then the keys are free."""
        model = self._model
        if model.chosen_id == self._marked_id:
            return
        ids = [entry.escalation.id for entry in model.entries.rows]
        if model.chosen_id in ids:
            self._marked_id = model.chosen_id
            self.list.setCurrentIndex(model.entries.index(ids.index(model.chosen_id)))

    def _age_words(self) -> tuple[str, str]:
        picture = self._model.picture
        if picture is None or not picture.is_set_up:
            return "", "muted"
        seen = f"as of {ago(picture.as_of)}" if picture.as_of else "never read yet"
        if picture.error is not None:
            return f"{picture.error.message} This is the last known state, {seen}.", "amber"
        if picture.limit is not None:
            return f"{picture.limit.message} What you see is up to date, {seen}.", "amber"
        return (f"Up to date, {seen}" if picture.as_of else ""), "muted"

    @Slot(int)
    def _show_tab(self, place: int) -> None:
        self._model.filter_by(_TABS[place][1])

    @Slot(object)
    def _choose(self, entry: QueueEntry) -> None:
        self._model.choose(entry.escalation.id)
        self.chosen.emit(entry.escalation.id)

    def showEvent(self, event: QShowEvent) -> None:
        """Let ages grow while they can be seen."""
        super().showEvent(event)
        self._model.reload()
        self._ages.start()

    def hideEvent(self, event: QHideEvent) -> None:
        """Stop looking."""
        super().hideEvent(event)
        self._ages.stop()


class EscalationsPage(QWidget):
    """The queue and what can be done with a request."""

    session_opened = Signal(str)
    settings_wanted = Signal(str)
    cancel_wanted = Signal(str)

    def __init__(self, model: EscalationsViewModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._shown_id = ""
        self.setProperty("role", "page")
        px = theme().px
        head = QFrame(self)
        head.setProperty("role", "pagehead")
        head_row = QHBoxLayout(head)
        head_row.setContentsMargins(px(24), px(8), px(20), px(8))
        head_row.setSpacing(px(12))
        self.refresh = Button("Refresh", icon="refresh", parent=head)
        self.refresh.clicked.connect(model.refresh)
        self.set_up = Button("Set up the team queue", icon="settings", parent=head)
        self.set_up.clicked.connect(self._set_up)
        head_row.addWidget(PlainText("Escalations", head, role="head", wraps=False), 1)
        head_row.addWidget(self.set_up)
        head_row.addWidget(self.refresh)
        self.queue = QueueList(model, self)
        left = QWidget(self)
        left_rows = QVBoxLayout(left)
        left_rows.setContentsMargins(px(12), px(10), px(6), px(10))
        left_rows.addWidget(self.queue)
        self.details = self._details()
        split = QSplitter(self)
        split.addWidget(left)
        split.addWidget(self.details)
        split.setStretchFactor(0, 3)
        split.setStretchFactor(1, 3)
        split.setChildrenCollapsible(False)
        left.setMinimumWidth(px(320))
        self.details.setMinimumWidth(px(320))
        split.setSizes([px(520), px(520)])
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(0)
        rows.addWidget(head)
        rows.addWidget(split, 1)
        model.changed.connect(self._render)
        self._render()

    def _details(self) -> QFrame:
        px = theme().px
        panel = QFrame(self)
        panel.setProperty("role", "panel")
        rows = QVBoxLayout(panel)
        rows.setContentsMargins(px(18), px(14), px(18), px(14))
        rows.setSpacing(px(8))
        line = QHBoxLayout()
        self.title = PlainText("", panel, role="title")
        self.badge = Badge("", "neutral", panel)
        line.addWidget(self.title, 1)
        line.addWidget(self.badge)
        self.line = ElidedText("", panel, tone="muted")
        self.presence = PlainText("", panel, role="small", tone="muted")
        self.reason_head = PlainText("Reason", panel, role="strong", wraps=False)
        self.reason = FoldedText("", panel)
        self.said_head = PlainText("Said at pickup", panel, role="strong", wraps=False)
        self.said = FoldedText("", panel)
        self.read_back = AnswerEdit(
            f"{READ_BACK}what you do first (optional)",
            "What you do first",
            panel,
            sends=False,
            lines=2,
        )
        self.read_back.textChanged.connect(self._read_back_typed)
        self.pick_up = Button("Pick up", icon="team", variant="amber", parent=panel)
        self.pick_up.clicked.connect(self._model.pick_up)
        self.withdraw = Button("Withdraw", icon="undo", parent=panel)
        self.withdraw.clicked.connect(self._withdraw)
        self.cancel = Button("End request…", variant="quiet", parent=panel)
        self.cancel.clicked.connect(self._cancel)
        self.take_back = Button("Put back for everybody", icon="undo", parent=panel)
        self.take_back.clicked.connect(self._model.take_back)
        self.open = Button("Open session", icon="sessions", parent=panel)
        self.open.clicked.connect(self._open)
        buttons = QHBoxLayout()
        for button in (self.pick_up, self.withdraw, self.cancel, self.take_back, self.open):
            buttons.addWidget(button)
        buttons.addStretch(1)
        self.assigning = QWidget(panel)
        assign = QHBoxLayout(self.assigning)
        assign.setContentsMargins(0, 0, 0, 0)
        assign.addWidget(PlainText("Assigned to", self.assigning, tone="muted", wraps=False))
        self.members = Choice(self.assigning)
        self.members.setAccessibleName("Assigned to")
        self.members.activated.connect(self._reassign)
        assign.addWidget(self.members)
        assign.addStretch(1)
        self.words = PlainText("", panel)
        rows.addLayout(line)
        for widget in (
            self.line,
            self.presence,
            self.reason_head,
            self.reason,
            self.said_head,
            self.said,
            self.read_back,
        ):
            rows.addWidget(widget)
        rows.addWidget(self.assigning)
        rows.addLayout(buttons)
        rows.addWidget(self.words)
        rows.addStretch(1)
        return panel

    # Showing

    @Slot()
    def _render(self) -> None:
        model = self._model
        picture = model.picture
        self.set_up.setVisible(picture is not None and not picture.is_set_up)
        self.refresh.setVisible(picture is None or picture.is_set_up)
        self.refresh.setEnabled(not model.is_refreshing)
        self.refresh.show_text("Reading…" if model.is_refreshing else "Refresh")
        entry = model.chosen
        words, tone = "", "muted"
        if model.error is not None:
            words, tone = told(model.error.message, model.error.hint), "red"
        elif entry is None and model.entries.rowCount():
            words = "Choose an escalation to see why somebody needs help."
        self.words.show_text(words)
        self.words.set_tone(tone)
        self.words.setVisible(bool(words))
        always: tuple[QWidget, ...] = (
            self.title,
            self.line,
            self.badge,
            self.reason_head,
            self.reason,
        )
        for part in always:
            part.setVisible(entry is not None)
        if entry is None:
            for part in (
                self.presence,
                self.said_head,
                self.said,
                self.read_back,
                self.pick_up,
                self.withdraw,
                self.cancel,
                self.take_back,
                self.open,
                self.assigning,
            ):
                part.hide()
            return
        self._show(entry)

    def _show(self, entry: QueueEntry) -> None:
        model, row = self._model, entry.escalation
        if row.id != self._shown_id:
            self._shown_id = row.id
            with QSignalBlocker(self.read_back):
                self.read_back.setPlainText(model.read_back)
        self.title.show_text(row.summary or "(no summary)")
        text, tone = _badges(entry)[0]
        self.badge.show_text(text, tone)
        hop = f"hand-off {row.hop_count}" if row.hop_count > 1 else ""
        number = f"#{row.ticket_number}" if row.ticket_number else "no ticket"
        self.line.show_text(joined(_from(entry), number, _steps(row), ago(row.raised_at), hop))
        self.presence.show_text(_presence(entry))
        self.presence.setVisible(bool(_presence(entry)))
        self.reason.show_text(row.reason)
        has_word = bool(row.read_back) and row.state is EscalationState.CLAIMED
        self.said.show_text(row.read_back)
        self.said.setVisible(has_word)
        self.said_head.setVisible(has_word)
        busy = model.is_busy
        self.read_back.setVisible(entry.can_pick_up)
        self.read_back.setEnabled(not busy)
        self.pick_up.setVisible(entry.can_pick_up)
        self.pick_up.setEnabled(not busy)
        self.pick_up.show_text("Picking up…" if busy else "Pick up")
        is_waiting = row.state is EscalationState.OPEN
        self.withdraw.setVisible(entry.is_mine and is_waiting)
        self.withdraw.setEnabled(not busy)
        self.cancel.setVisible(entry.can_cancel)
        self.cancel.setEnabled(not busy)
        self.take_back.setVisible(entry.can_take_back)
        self.take_back.setEnabled(not busy)
        self.open.setVisible(entry.is_mine or entry.handler == "you")
        self._show_members(entry, is_waiting=is_waiting)

    def _show_members(self, entry: QueueEntry, *, is_waiting: bool) -> None:
        may = is_waiting and (entry.is_mine or entry.can_cancel)
        self.assigning.setVisible(may)
        if not may:
            return
        names = [
            EVERYBODY,
            *(copied(displayable(m.name, _NAME_LIMIT)) for m in self._model.members),
        ]
        if [self.members.itemText(i) for i in range(self.members.count())] != names:
            self.members.clear()
            self.members.addItems(names)
        ids = ["", *(member.id for member in self._model.members)]
        to = entry.escalation.assigned_to
        if not self._model.is_busy:  # what was just chosen stays until the queue has said its word
            self.members.setCurrentIndex(ids.index(to) if to in ids else 0)
        self.members.setEnabled(not self._model.is_busy)

    # Doing

    @Slot()
    def _read_back_typed(self) -> None:
        self._model.set_read_back(self.read_back.toPlainText())

    @Slot()
    def _withdraw(self) -> None:
        self._model.withdraw()

    @Slot()
    def _cancel(self) -> None:
        entry = self._model.chosen
        if entry is not None:
            self.cancel_wanted.emit(entry.escalation.session_id)

    @Slot()
    def _open(self) -> None:
        entry = self._model.chosen
        if entry is not None:
            self.session_opened.emit(entry.escalation.session_id)

    @Slot(int)
    def _reassign(self, place: int) -> None:
        members = self._model.members
        self._model.reassign(members[place - 1].id if 0 < place <= len(members) else "")

    @Slot()
    def _set_up(self) -> None:
        self.settings_wanted.emit("Team queue")


def _presence(entry: QueueEntry) -> str:
    if entry.is_mine or entry.last_seen is None:
        return ""
    if datetime.now(UTC) - entry.last_seen < _PRESENT:
        return f"{entry.raised_by} is there now; you can ask."
    return f"{entry.raised_by} was last seen {ago(entry.last_seen)}."
