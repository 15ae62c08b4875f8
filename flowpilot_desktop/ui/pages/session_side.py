"""The session's right column: the ticket, the confidence, what it could be, the working time.

Each panel is told the whole session and keeps still unless what it shows has changed.
"""

from __future__ import annotations

from datetime import UTC, datetime

from PySide6.QtCore import QSignalBlocker, Qt, QUrl, Signal, Slot
from PySide6.QtGui import QDesktopServices, QFont
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from flowpilot_desktop.core.counting import counted
from flowpilot_desktop.core.session import ContextStatus, Hypothesis, HypothesisStatus, Tier, tier
from flowpilot_desktop.core.ticket import Ticket
from flowpilot_desktop.services.engine import SessionView
from flowpilot_desktop.ui.controls import Badge, Button, IconView, Meter
from flowpilot_desktop.ui.pages.usage import money_words, token_words
from flowpilot_desktop.ui.text import PlainText, copied, displayable
from flowpilot_desktop.ui.theme import theme

GUIDED_FROM = 0.8
_TIER_WORDS = {
    Tier.DISCOVERY: "gathering facts",
    Tier.EXPLORING: "narrowing it down",
    Tier.GUIDED: "likely cause found",
}
_SHOWN_DEVICES = 3
_NAME_LIMIT = 60
_URGENT_WORDS = ("critical", "emergency", "urgent", "high", "p1", "p2", "priority 1", "priority 2")
_RAISED_WORDS = ("medium", "p3", "priority 3")
_WIDTH = 308


def priority_tone(name: str) -> str:
    """Return the badge tone of a priority by its words: MSPs name priorities as they like."""
    lowered = name.lower()
    if any(word in lowered for word in _URGENT_WORDS):
        return "red"
    return "soft_amber" if any(word in lowered for word in _RAISED_WORDS) else "neutral"


def age_words(since: datetime, now: datetime | None = None) -> str:
    """Return how long ago a moment was: minutes, hours, or days."""
    seconds = max(0.0, ((now or datetime.now(UTC)) - since).total_seconds())
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86_400)
    if days:
        return counted(days, "day")
    if hours:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    return f"{minutes} min" if minutes else "just now"


def clock_words(seconds: float) -> str:
    """Return a running time as ``h:mm:ss``."""
    whole = max(0, int(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


class Panel(QFrame):
    """A titled box of the column."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "panel")
        self.setAccessibleName(title)
        px = theme().px
        self.rows = QVBoxLayout(self)
        self.rows.setContentsMargins(px(16), px(12), px(16), px(14))
        self.rows.setSpacing(px(8))
        kicker = PlainText(title.upper(), self, role="kicker", tone="muted", wraps=False)
        kicker.setAccessibleName(title)
        self.rows.addWidget(kicker)
        self._inside: QWidget | None = None

    def renew(self) -> QVBoxLayout:
        """Empty the panel and return the rows to fill anew."""
        if self._inside is not None:
            self.rows.removeWidget(self._inside)
            self._inside.hide()
            self._inside.deleteLater()
        self._inside = QWidget(self)
        rows = QVBoxLayout(self._inside)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(theme().px(8))
        self.rows.insertWidget(1, self._inside)  # right below the title
        return rows


class TicketPanel(Panel):
    """The ticket and what came with it."""

    link_requested = Signal()
    refresh_requested = Signal()
    keep_from_models = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Ticket", parent)
        self._privacy = QWidget(self)
        inside = QVBoxLayout(self._privacy)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(theme().px(3))
        self.keep_out = QCheckBox("Not to the model", self._privacy)
        self.keep_out.toggled.connect(self.keep_from_models)
        self._privacy_words = PlainText("", self._privacy, role="small", tone="muted")
        inside.addWidget(self.keep_out)
        inside.addWidget(self._privacy_words)
        self._privacy.hide()
        self.rows.addWidget(self._privacy)
        self._shown: object = None
        self._url = ""
        self._refresh: Button | None = None

    def show_view(self, view: SessionView, *, busy: bool, can_link: bool) -> None:
        """Show the session's ticket, or that there is none."""
        session = view.session
        shown = (
            session.ticket_id,
            session.psa_context_status,
            view.context,
            view.ticket_url,
            can_link,
        )
        if shown != self._shown:
            self._shown = shown
            self._url = view.ticket_url
            self._build(view, can_link=can_link)
        if self._refresh is not None:
            self._refresh.setEnabled(can_link and not busy)

    def show_privacy(self, client: str, *, is_kept: bool) -> None:
        """Show whether the client's data goes to a model; nothing while no client is known."""
        self._privacy.setVisible(bool(client))
        with QSignalBlocker(self.keep_out):
            self.keep_out.setChecked(is_kept)
        name = copied(displayable(client, _NAME_LIMIT))
        words = f"Claude may be told about {name}, with passwords and keys masked."
        if is_kept:
            words = (
                f"Nothing about {name} goes to a model: their sessions go on by flow and by hand. "
                "What was sent before can't be taken back."
            )
        self._privacy_words.show_text(words)
        self.keep_out.setAccessibleName(f"Send nothing about {name} to the model")
        self.keep_out.setAccessibleDescription(words)

    def _build(self, view: SessionView, *, can_link: bool) -> None:
        rows = self.renew()
        self._refresh = None
        session, context = view.session, view.context
        if not session.ticket_id:
            words = "No ticket is linked. Everything works without one."
            rows.addWidget(PlainText(words, self._inside, tone="muted"))
            link = Button("Link Ticket", icon="link", parent=self._inside)
            link.setEnabled(can_link)
            link.clicked.connect(self.link_requested)
            rows.addWidget(link)
            return
        if context is not None:
            self._build_ticket(rows, context.ticket)
        grid = QGridLayout()
        grid.setHorizontalSpacing(theme().px(12))
        grid.setVerticalSpacing(theme().px(5))
        grid.setColumnStretch(1, 1)
        number = Button(
            f"#{session.ticket_id}",
            variant="link",
            hint="Open in ConnectWise" if self._url else "",
            parent=self._inside,
        )
        number.setAccessibleName(f"Ticket number {session.ticket_id}, open in ConnectWise")
        number.setEnabled(bool(self._url))
        number.clicked.connect(self._open)
        self._line(grid, "Number", number)
        for head, text in self._facts(view):
            if text:
                self._line(grid, head, PlainText(text, self._inside))
        rows.addLayout(grid)
        if session.psa_context_status is ContextStatus.UNAVAILABLE:
            words = "Couldn't reach ConnectWise — you can still type the ticket details manually"
            rows.addWidget(PlainText(words, self._inside, role="small", tone="amber"))
        elif session.psa_context_status is ContextStatus.CACHED and context is not None:
            words = f"Kept copy, pulled {age_words(context.fetched_at)} ago"
            rows.addWidget(PlainText(words, self._inside, role="small", tone="muted"))
        if context is not None and context.ticket.merged_into:
            words = f"Merged into #{context.ticket.merged_into} in ConnectWise"
            rows.addWidget(PlainText(words, self._inside, role="small", tone="amber"))
        if context is not None and context.missing:
            words = f"Not available: {', '.join(context.missing)}"
            rows.addWidget(PlainText(words, self._inside, role="small", tone="muted"))
        self._refresh = Button("Refresh from ConnectWise", icon="refresh", parent=self._inside)
        self._refresh.clicked.connect(self.refresh_requested)
        rows.addWidget(self._refresh)

    def _build_ticket(self, rows: QVBoxLayout, ticket: Ticket) -> None:
        rows.addWidget(PlainText(ticket.summary, self._inside, role="title"))
        line = QHBoxLayout()
        line.setSpacing(theme().px(6))
        if ticket.priority.name:
            tone = priority_tone(ticket.priority.name)
            line.addWidget(Badge(ticket.priority.name, tone, self._inside))
        if ticket.status.name:
            line.addWidget(Badge(ticket.status.name, "neutral", self._inside))
        line.addStretch(1)
        if line.count() > 1:
            rows.addLayout(line)

    def _facts(self, view: SessionView) -> list[tuple[str, str]]:
        context = view.context
        if context is None:
            return [("Client", view.session.company)]
        ticket = context.ticket
        names = [c.name for c in context.configurations]
        devices = ", ".join(names[:_SHOWN_DEVICES])
        if len(names) > _SHOWN_DEVICES:
            devices += f" and {len(names) - _SHOWN_DEVICES} more"
        contact = ", ".join(filter(None, [ticket.contact.name, context.contact.title]))
        return [
            ("Client", ticket.company.name or view.session.company),
            ("Contact", contact),
            ("Phone", ticket.contact_phone or context.contact.phone),
            ("Devices" if len(names) > 1 else "Device", devices),
            ("Board", ticket.board.name),
            ("SLA", ticket.sla_status),
            ("Age", age_words(ticket.created_at) if ticket.created_at else ""),
        ]

    def _line(self, grid: QGridLayout, head: str, value: QWidget) -> None:
        line = grid.rowCount()
        label = PlainText(head, self._inside, tone="muted", wraps=False)
        top = Qt.AlignmentFlag.AlignTop
        grid.addWidget(label, line, 0, top)
        grid.addWidget(value, line, 1, top)

    @Slot()
    def _open(self) -> None:
        url = QUrl(self._url)
        if url.scheme() in ("https", "http"):
            QDesktopServices.openUrl(url)


class ConfidencePanel(Panel):
    """How sure the latest card is."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Confidence", parent)
        row = QHBoxLayout()
        row.setSpacing(theme().px(10))
        self._percent = PlainText("", self, role="large", wraps=False)
        self._words = PlainText("", self, tone="muted")
        row.addWidget(self._percent, 0, Qt.AlignmentFlag.AlignBottom)
        row.addWidget(self._words, 1, Qt.AlignmentFlag.AlignVCenter)
        self.rows.addLayout(row)
        self._meter = Meter(GUIDED_FROM, self)
        self.rows.addWidget(self._meter)
        note = f"A likely cause from {round(GUIDED_FROM * 100)} %"
        self.rows.addWidget(PlainText(note, self, role="small", tone="muted"))

    def show_view(self, view: SessionView) -> None:
        """Show the confidence of the last step that has one."""
        value = next((step.confidence for step in reversed(view.steps) if step.confidence), 0.0)
        words = _TIER_WORDS[tier(value)] if value else "nothing known yet"
        self._percent.show_text(f"{round(value * 100)} %")
        self._words.show_text(words)
        self._meter.show_value(value)
        self._meter.setAccessibleName(f"Confidence {round(value * 100)} percent, {words}")


class HypothesesPanel(Panel):
    """What it could be, and what it is not."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("What it could be", parent)
        self._shown: tuple[Hypothesis, ...] | None = None

    def show_view(self, view: SessionView) -> None:
        """Show the hypotheses of the last step that has any, likeliest first."""
        latest = next((step.hypotheses for step in reversed(view.steps) if step.hypotheses), ())
        shown = tuple(
            sorted(
                latest,
                key=lambda h: (h.status is HypothesisStatus.RULED_OUT, -h.confidence),
            )
        )
        if shown == self._shown:
            return
        self._shown = shown
        rows = self.renew()
        if not shown:
            words = "Possible causes appear here as the diagnosis goes on."
            rows.addWidget(PlainText(words, self._inside, tone="muted"))
        for hypothesis in shown:
            rows.addLayout(self._row(hypothesis))

    def _row(self, hypothesis: Hypothesis) -> QHBoxLayout:
        px = theme().px
        row = QHBoxLayout()
        row.setSpacing(px(8))
        top = Qt.AlignmentFlag.AlignTop
        is_out = hypothesis.status is HypothesisStatus.RULED_OUT
        label = PlainText(hypothesis.text, self._inside, tone="struck" if is_out else "")
        row.addWidget(label, 1, top)
        if hypothesis.status is HypothesisStatus.SUPPORTED:
            icon = IconView("check", "green_text", 16, self._inside)
            icon.setToolTip("Supported by what was found")
            row.addWidget(icon, 0, top)
        percent = round(hypothesis.confidence * 100)
        words = "ruled out" if is_out else f"{percent} %" if percent else "< 1 %"
        value = PlainText(words, self._inside, tone="muted", wraps=False)
        row.addWidget(value, 0, top)
        state = {
            HypothesisStatus.OPEN: "open",
            HypothesisStatus.SUPPORTED: "supported",
            HypothesisStatus.RULED_OUT: "ruled out",
        }[hypothesis.status]
        label.setAccessibleDescription(state)
        return row


class TimePanel(Panel):
    """The technician's own working time on this session."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Your time", parent)
        row = QHBoxLayout()
        row.setSpacing(theme().px(10))
        self._time = QLabel(self)
        self._time.setTextFormat(Qt.TextFormat.PlainText)
        self._time.setProperty("role", "large")
        font = QFont(self._time.font())
        font.setFeature(QFont.Tag("tnum"), 1)  # digits of one width: nothing dances
        self._time.setFont(font)
        self._words = PlainText("", self, tone="muted")
        row.addWidget(self._time)
        row.addWidget(self._words, 1, Qt.AlignmentFlag.AlignVCenter)
        self.rows.addLayout(row)

    def show_time(self, seconds: float, *, runs: bool) -> None:
        """Show the time so far and whether it runs."""
        words = clock_words(seconds)
        if words != self._time.text():
            self._time.setText(words)
        self._words.show_text("active on this session" if runs else "not running")


class CostPanel(Panel):
    """What Claude has cost for this session; hidden while it was not asked."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("Claude", parent)
        self._cost = PlainText("", self, role="strong")
        self._tokens = PlainText("", self, role="small", tone="muted")
        self.rows.addWidget(self._cost)
        self.rows.addWidget(self._tokens)

    def show_view(self, view: SessionView) -> None:
        """Show money and tokens."""
        spent = view.spent
        self.setVisible(spent.calls > 0)
        self._cost.show_text(f"{money_words(spent.cost_micros)} for this session")
        self._tokens.show_text(token_words(spent))


class SessionSide(QScrollArea):
    """The column with all four panels."""

    link_requested = Signal()
    refresh_requested = Signal()
    keep_from_models = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Ticket, confidence, hypotheses and time")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Expanding)
        inside = QWidget(self)
        self._rows = QVBoxLayout(inside)
        self.ticket = TicketPanel(inside)
        self.confidence = ConfidencePanel(inside)
        self.hypotheses = HypothesesPanel(inside)
        self.time = TimePanel(inside)
        self.cost = CostPanel(inside)
        for panel in (self.ticket, self.confidence, self.hypotheses, self.time, self.cost):
            self._rows.addWidget(panel)
        self._rows.addStretch(1)
        self.setWidget(inside)
        self.ticket.link_requested.connect(self.link_requested)
        self.ticket.refresh_requested.connect(self.refresh_requested)
        self.ticket.keep_from_models.connect(self.keep_from_models)
        theme().changed.connect(self._size)
        self._size()

    @Slot()
    def _size(self) -> None:
        px = theme().px
        self._rows.setContentsMargins(px(16), px(16), px(16), px(16))
        self._rows.setSpacing(px(12))
        self.setFixedWidth(px(_WIDTH))

    def show_view(self, view: SessionView, *, busy: bool, can_link: bool) -> None:
        """Show a session."""
        self.ticket.show_view(view, busy=busy, can_link=can_link)
        self.confidence.show_view(view)
        self.hypotheses.show_view(view)
        self.cost.show_view(view)
