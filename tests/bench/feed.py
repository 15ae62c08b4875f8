"""The feed of cards against a bare list: building 500 steps, a token, scrolling, the theme.

``run()`` returns rows of (name, seconds, floor seconds). The floor is measured in the same run: a
QListView that shows the same 500 lines of text with Qt's own delegate, doing the same thing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from statistics import median

from PySide6.QtCore import QCoreApplication, QEvent, QStringListModel
from PySide6.QtWidgets import QApplication, QListView, QWidget

from flowpilot_desktop.core.ports import StepProgress
from flowpilot_desktop.core.session import Response, answered
from flowpilot_desktop.ui.cards import CARD_WIDGETS, CardContent, StepCard
from flowpilot_desktop.ui.cards.writing import WritingCard
from flowpilot_desktop.ui.feed import Feed, FeedItem
from flowpilot_desktop.ui.theme import Appearance, Theme
from tests import samples

STEPS = 500
TOKENS = 200
SCROLLS = 100
Row = tuple[str, float, float]


def run() -> list[Row]:
    """Measure in this process; draws off screen unless a platform is chosen."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    app = QApplication.instance() or QApplication([])
    assert isinstance(app, QApplication)
    look = Theme(app, Appearance.DARK)
    _build_feed()  # fonts and icons are loaded once in a program's life
    rows = [
        (f"build and paint {STEPS} steps", _median(_build_feed), _median(_build_list)),
        ("a streamed token, painted", _streamed_feed(), _streamed_list()),
        ("scroll by half a window, painted", _scrolled_feed(), _scrolled_list()),
    ]
    feed, lines = _feed(), _list()
    rows.append(("light to dark, painted", _rethemed(look, feed), _rethemed(look, lines)))
    for widget in (feed, lines):
        widget.deleteLater()
    return rows


def _median(measured: Callable[[], float], times: int = 5) -> float:
    return median(measured() for _ in range(times))


def _painted(widget: QWidget) -> None:
    """Deliver what was posted, then paint."""
    QCoreApplication.sendPostedEvents()
    widget.repaint()


def _ended(widget: QWidget) -> None:
    widget.hide()
    widget.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)


def _items(count: int = STEPS) -> list[FeedItem]:
    items = []
    for number in range(count):
        body = samples.ACTION if number % 3 else samples.QUESTION
        step = samples.step(body, number)
        if number < count - 1:
            response = Response(option="1200") if not number % 3 else samples.steps()[2].response
            assert response is not None
            step = answered(step, response, by=samples.ME, at=samples.NOW)
        items.append(FeedItem(step.id, CardContent(step, is_live=step.is_open), _card))
    return items


def _card(content: CardContent, parent: QWidget) -> StepCard:
    return CARD_WIDGETS[content.step.kind](content, parent)


def _feed() -> Feed:
    feed = Feed("Cards")
    feed.resize(900, 800)
    feed.show()
    feed.show_items(_items())
    _painted(feed)
    return feed


def _list() -> QListView:
    lines = QListView()
    lines.resize(900, 800)
    lines.setWordWrap(True)
    lines.setModel(QStringListModel([_line(n) for n in range(STEPS)], lines))
    lines.show()
    lines.scrollToBottom()
    _painted(lines)
    return lines


def _line(number: int) -> str:
    return f"{number} {samples.ACTION.text} {samples.ACTION.why}"


def _build_feed() -> float:
    items = _items()
    feed = Feed("Cards")
    feed.resize(900, 800)
    feed.show()
    start = time.perf_counter()
    feed.show_items(items)
    _painted(feed)
    seconds = time.perf_counter() - start
    _ended(feed)
    return seconds


def _build_list() -> float:
    start = time.perf_counter()
    lines = _list()
    seconds = time.perf_counter() - start
    _ended(lines)
    return seconds


def _streamed_feed() -> float:
    feed = _feed()
    words = (samples.RESOLUTION.text + " ") * 20
    items = [*feed.items, FeedItem("writing", StepProgress("question", "A"), WritingCard)]
    feed.show_items(items)
    _painted(feed)
    start = time.perf_counter()
    for token in range(TOKENS):
        progress = StepProgress("question", words[: 5 * (token + 1)])
        feed.show_item(FeedItem("writing", progress, WritingCard))
        _painted(feed)
    seconds = (time.perf_counter() - start) / TOKENS
    _ended(feed)
    return seconds


def _streamed_list() -> float:
    lines = _list()
    model = lines.model()
    words = (samples.RESOLUTION.text + " ") * 20
    start = time.perf_counter()
    for token in range(TOKENS):
        model.setData(model.index(STEPS - 1, 0), words[: 5 * (token + 1)])
        lines.scrollToBottom()
        _painted(lines)
    seconds = (time.perf_counter() - start) / TOKENS
    _ended(lines)
    return seconds


def _scrolled(widget: Feed | QListView) -> float:
    bar = widget.verticalScrollBar()
    step = max(1, bar.maximum() // SCROLLS)
    start = time.perf_counter()
    for number in range(SCROLLS):
        bar.setValue(bar.maximum() - number * min(step, 400))
        _painted(widget)
    seconds = (time.perf_counter() - start) / SCROLLS
    _ended(widget)
    return seconds


def _scrolled_feed() -> float:
    return _scrolled(_feed())


def _scrolled_list() -> float:
    return _scrolled(_list())


def _rethemed(look: Theme, widget: QWidget) -> float:
    def once() -> float:
        look.show(Appearance.LIGHT)
        _painted(widget)
        start = time.perf_counter()
        look.show(Appearance.DARK)
        _painted(widget)
        return time.perf_counter() - start

    return _median(once)


if __name__ == "__main__":
    for name, seconds, floor in run():
        print(f"{name:36} {seconds * 1000:8.2f} ms {floor * 1000:8.2f} ms {seconds / floor:6.1f}")
