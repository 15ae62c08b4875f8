"""What Claude has cost: today, this month, day by day, and the dearest sessions."""

from __future__ import annotations

from datetime import date, timedelta

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QGridLayout, QSizePolicy, QVBoxLayout, QWidget

from flowpilot_desktop.core.counting import counted
from flowpilot_desktop.core.usage import DailyUsage, SessionUsage, UsageTotal
from flowpilot_desktop.services.model_access import DAYS_SHOWN, Account
from flowpilot_desktop.ui.controls import Meter
from flowpilot_desktop.ui.text import ElidedText, PlainText
from flowpilot_desktop.ui.theme import theme

_MICRO = 1_000_000
_ASK_FROM = 0.8


def money_words(micros: int) -> str:
    """Return money as people read it; a fraction of a cent stays visible."""
    dollars = micros / _MICRO
    return f"US$ {dollars:,.2f}" if micros >= 10_000 or not micros else f"US$ {dollars:.4f}"  # noqa: PLR2004 - a cent


def token_words(total: UsageTotal) -> str:
    """Return tokens in, out, and how much of what was read came from the cache."""
    usage = total.usage
    read = usage.input_tokens + usage.cache_write_tokens + usage.cache_read_tokens
    cached = usage.cache_read_tokens / read if read else 0.0
    return f"{counted(read, 'token')} in ({cached:.0%} from the cache), {usage.output_tokens:,} out"


class CostChart(QWidget):
    """A bar for each of the last days, the highest one named."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._days: tuple[tuple[date, int], ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Cost by day")

    def show_days(self, days: tuple[DailyUsage, ...], last: date) -> None:
        """Show the days up to the last one; days without calls are empty."""
        by_day = {one.day: one.total.cost_micros for one in days}
        shown = [last - timedelta(days=back) for back in reversed(range(DAYS_SHOWN))]
        self._days = tuple((day, by_day.get(day, 0)) for day in shown)
        words = [f"{day:%d %b}: {money_words(cost)}" for day, cost in self._days if cost]
        self.setAccessibleDescription("; ".join(words) or "Nothing was spent.")
        self.update()

    def sizeHint(self) -> QSize:
        """Return room for bars and their days."""
        return QSize(theme().px(320), theme().px(132))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002 - Qt's signature
        """Paint bars, the line they stand on, and the days below."""
        painter = QPainter(self)
        px = theme().px
        font = theme().font("small")
        painter.setFont(font)
        metrics = QFontMetrics(font)
        line = metrics.height()
        top, floor = line + px(4), self.height() - line - px(4)
        most = max((cost for _, cost in self._days), default=0)
        painter.setPen(theme().colour("muted"))
        most_words = f"highest day {money_words(most)}" if most else "nothing spent yet"
        painter.drawText(0, metrics.ascent(), most_words)
        painter.fillRect(0, floor, self.width(), max(1, px(1)), theme().colour("strong_border"))
        if not self._days:
            painter.end()
            return
        width = self.width() / len(self._days)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for place, (day, cost) in enumerate(self._days):
            left = place * width
            if cost:
                height = max(float(px(2)), (floor - top) * cost / most)
                bar = QRectF(left + width * 0.15, floor - height, width * 0.7, height)
                painter.setPen(Qt.PenStyle.NoPen)
                painter.setBrush(theme().colour("accent"))
                painter.drawRoundedRect(bar, px(2), px(2))
            if (len(self._days) - 1 - place) % 7 == 0:
                words = f"{day.day} {day:%b}"
                wide = metrics.horizontalAdvance(words)
                start = min(max(0.0, left + (width - wide) / 2), float(self.width() - wide))
                painter.setPen(theme().colour("muted"))
                painter.drawText(round(start), floor + px(3) + metrics.ascent(), words)
        painter.end()


class BudgetMeter(Meter):
    """A bar that warns from the tick on, where Claude asks before it goes on."""

    def _colour(self) -> QColor:
        return theme().colour("amber" if self._value >= self._tick else "accent")


class UsagePanel(QFrame):
    """The account in words, against the budget, as a chart, and by session."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "panel")
        px = theme().px
        rows = QVBoxLayout(self)
        rows.setContentsMargins(px(16), px(12), px(16), px(16))
        rows.setSpacing(px(8))
        rows.addWidget(PlainText("COST", self, role="kicker", tone="muted", wraps=False))
        self.month = PlainText("", self, role="title")
        self.tokens = PlainText("", self, tone="muted")
        self.today = PlainText("", self, tone="muted")
        self.meter = BudgetMeter(_ASK_FROM, self)
        self.budget = PlainText("", self, role="small", tone="muted")
        self.chart = CostChart(self)
        for widget in (
            self.month, self.tokens, self.today, self.meter, self.budget, self.chart,
        ):  # fmt: skip
            rows.addWidget(widget)
        self._heading = PlainText(
            "DEAREST SESSIONS THIS MONTH", self, role="kicker", tone="muted", wraps=False
        )
        rows.addWidget(self._heading)
        self._grid = QGridLayout()
        self._grid.setColumnStretch(0, 1)
        self._grid.setHorizontalSpacing(px(12))
        self._grid.setVerticalSpacing(px(4))
        rows.addLayout(self._grid)
        self._lines: list[tuple[ElidedText, PlainText]] = []

    def show_account(self, account: Account | None) -> None:
        """Show what was spent; nothing while it is not known yet."""
        self.setVisible(account is not None)
        if account is None:
            return
        self.month.show_text(f"{money_words(account.month.cost_micros)} this month")
        self.tokens.show_text(
            f"{counted(account.month.calls, 'call')} · {token_words(account.month)}"
        )
        self.today.show_text(
            f"Today: {money_words(account.today.cost_micros)} · {token_words(account.today)}"
        )
        self._show_budget(account)
        self.chart.show_days(account.days, account.as_of)
        self._show_sessions(account.sessions)

    def _show_budget(self, account: Account) -> None:
        budget, spent = account.budget_micros, account.month.cost_micros
        self.meter.setVisible(bool(budget))
        if not budget:
            self.budget.show_text("No monthly budget is set.")
            return
        share = spent / budget
        self.meter.show_value(share)
        self.meter.setAccessibleName(f"{share:.0%} of the budget")
        self.budget.show_text(
            f"{share:.0%} of {money_words(budget)}. You are asked at {_ASK_FROM:.0%}; at 100% "
            "sessions go on by flow and by hand."
        )

    def _show_sessions(self, sessions: tuple[SessionUsage, ...]) -> None:
        self._heading.setVisible(bool(sessions))
        while len(self._lines) < len(sessions):
            title = ElidedText("", self)
            cost = PlainText("", self, tone="muted", wraps=False)
            place = len(self._lines)
            self._grid.addWidget(title, place, 0)
            self._grid.addWidget(cost, place, 1, Qt.AlignmentFlag.AlignRight)
            self._lines.append((title, cost))
        for place, (title, cost) in enumerate(self._lines):
            is_used = place < len(sessions)
            title.setVisible(is_used)
            cost.setVisible(is_used)
            if is_used:
                one = sessions[place]
                title.show_text(one.problem_summary or "Outside a session")
                cost.show_text(money_words(one.total.cost_micros))
