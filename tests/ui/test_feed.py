"""The feed: few widgets for many cards, a still eye, an end that is followed, keys, tab order."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QVBoxLayout

from flowpilot_desktop.ui.feed import Feed, FeedCard, FeedItem


class Box(FeedCard):
    """A card of a given height with a button; content is (words, height)."""

    def __init__(self, content, parent=None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(0, 0, 0, 0)
        self.label = QLabel(self)
        self.button = QPushButton("Do", self)
        rows.addWidget(self.label)
        rows.addWidget(self.button)
        self.show_content(content)

    def show_content(self, content) -> bool:
        words, height = content
        if words == "new":
            return False
        self.label.setText(words)
        self.label.setFixedHeight(height)
        return True


def box(feed: Feed, key: str) -> Box:
    card = feed.card(key)
    assert isinstance(card, Box)
    return card


def items(count: int, height: int = 100, start: int = 0) -> list[FeedItem]:
    return [FeedItem(f"k{n}", (f"card {n}", height), Box) for n in range(start, start + count)]


@pytest.fixture
def feed(theme, qtbot) -> Feed:
    feed = Feed("Cards")
    qtbot.addWidget(feed)
    feed.resize(600, 500)
    feed.show()
    with qtbot.waitActive(feed):
        feed.activateWindow()
    return feed


def top_card(feed: Feed) -> tuple[str, int]:
    """The card at the top edge and where its top is."""
    found = [(box.y(), key) for key, box in feed._widgets.items() if box.y() + box.height() > 0]
    y, key = min(found)
    return key, y


def bottom(feed: Feed) -> bool:
    return feed.verticalScrollBar().value() == feed.verticalScrollBar().maximum()


def test_only_cards_in_sight_have_widgets(feed: Feed):
    feed.show_items(items(5_000))
    assert feed.widget_count < 20
    assert feed.card("k4999") is not None
    assert bottom(feed)
    feed.verticalScrollBar().setValue(0)
    assert feed.card("k0") is not None
    assert feed.widget_count < 50


def test_cards_lie_below_each_other_and_fill_the_column(feed: Feed):
    feed.show_items(items(6, 120))
    sight = feed.viewport().rect()
    boxes = [
        card.geometry()
        for n in range(6)
        if (card := feed.card(f"k{n}")) and card.geometry().intersects(sight)
    ]
    assert len(boxes) > 2
    assert len({(box.left(), box.width()) for box in boxes}) == 1
    gaps = {b.top() - a.bottom() for a, b in pairwise(boxes)}
    assert len(gaps) == 1


def test_the_end_is_followed_until_the_technician_scrolls_up(feed: Feed):
    feed.show_items(items(20))
    feed.show_items(items(21))
    assert bottom(feed)
    feed.verticalScrollBar().setValue(300)
    assert not feed.follows
    before = top_card(feed)
    feed.show_items(items(24))
    assert top_card(feed) == before
    assert feed._latest.isVisible()
    feed._latest.click()
    assert feed.follows
    assert bottom(feed)
    assert not feed._latest.isVisible()


def test_what_grows_above_does_not_move_what_is_read(feed: Feed, qtbot):
    feed.show_items(items(30))
    feed.verticalScrollBar().setValue(1_500)
    key, y = top_card(feed)
    place = int(key[1:])
    changed = items(30)
    changed[place - 1] = FeedItem(f"k{place - 1}", ("grown", 400), Box)
    feed.show_items(changed)
    assert box(feed, key).y() == y
    fewer = [item for item in changed if item.key not in {"k0", "k1"}]
    feed.show_items(fewer)
    assert box(feed, key).y() == y


def test_a_card_that_grows_by_itself_is_given_room(feed: Feed, qtbot):
    feed.show_items(items(3, 30))
    grown = box(feed, "k1")
    below = box(feed, "k2").y()
    grown.label.setFixedHeight(110)
    qtbot.waitUntil(lambda: box(feed, "k2").y() == below + 80)
    assert grown.height() >= 110


def test_a_card_higher_than_the_window_is_followed_to_its_beginning(feed: Feed):
    feed.show_items([*items(5), FeedItem("tall", ("tall", 1_200), Box)])
    assert 0 <= box(feed, "tall").y() < 40
    assert feed.follows


def test_same_content_keeps_the_widget_other_content_changes_or_rebuilds_it(feed: Feed):
    feed.show_items(items(3))
    first, second, third = (box(feed, f"k{n}") for n in range(3))
    feed.show_items(
        [
            FeedItem("k0", ("card 0", 100), Box),
            FeedItem("k1", ("other", 100), Box),
        ]
    )
    assert feed.card("k0") is first
    assert feed.card("k1") is second
    assert second.label.text() == "other"
    assert feed.card("k2") is None
    assert not third.isVisible()
    feed.show_item(FeedItem("k0", ("again", 50), Box))
    assert first.label.text() == "again"


def test_a_card_built_anew_hands_its_focus_to_its_successor(feed: Feed):
    class Fresh(Box):
        def show_content(self, content) -> bool:
            if hasattr(self, "was_shown"):
                return False
            self.was_shown = True
            return super().show_content(content)

    feed.show_items([FeedItem("a", ("one", 100), Fresh), *items(1)])
    former = box(feed, "a")
    former.button.setFocus()
    feed.show_items([FeedItem("a", ("two", 100), Fresh), *items(1)])
    assert feed.card("a") is not former
    assert box(feed, "a").hasFocus()


def test_arrows_go_from_card_to_card_and_keep_them_in_sight(feed: Feed, qtbot):
    feed.show_items(items(40))
    qtbot.keyClick(feed, Qt.Key.Key_Home)
    assert box(feed, "k0").hasFocus()
    for number in range(1, 12):
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Down)
        reached = box(feed, f"k{number}")
        assert reached.hasFocus()
        assert reached.y() >= 0
        assert reached.geometry().bottom() <= feed.viewport().height()
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Up)
    assert box(feed, "k10").hasFocus()
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_End)
    assert box(feed, "k39").hasFocus()
    qtbot.keyClick(feed, Qt.Key.Key_PageUp)
    assert not feed.follows


def test_tab_follows_the_order_of_the_cards(feed: Feed, qtbot):
    feed.show_items(items(30))
    feed.verticalScrollBar().setValue(0)  # the first cards are made last
    box(feed, "k0").button.setFocus()
    for number in range(1, 8):
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        assert QApplication.focusWidget() is box(feed, f"k{number}").button
        assert box(feed, f"k{number}").y() < feed.viewport().height()


def test_pinned_cards_and_the_one_with_the_focus_keep_their_widgets(feed: Feed):
    many = items(400)
    many[0] = FeedItem("k0", ("pinned", 100), Box, pinned=True)
    feed._follows = False
    feed.show_items(many)
    feed.verticalScrollBar().setValue(0)
    pinned, focused = box(feed, "k0"), box(feed, "k1")
    focused.button.setFocus()
    bar = feed.verticalScrollBar()
    for value in range(0, bar.maximum(), 400):
        bar.setValue(value)
    assert feed.card("k0") is pinned
    assert feed.card("k1") is focused
    assert feed.widget_count < 60
    assert not pinned.geometry().intersects(feed.viewport().rect())


def test_another_width_and_another_size_of_text_measure_anew(feed: Feed, theme):
    feed.show_items(items(30))
    feed.verticalScrollBar().setValue(900)
    key, _ = top_card(feed)
    feed.resize(400, 500)
    assert top_card(feed)[0] == key
    assert box(feed, key).width() < 400
    theme.show(text_scale=1.5)
    assert top_card(feed)[0] == key


def test_an_empty_feed_is_fine(feed: Feed, qtbot):
    feed.show_items([])
    qtbot.keyClick(feed, Qt.Key.Key_Down)
    qtbot.keyClick(feed, Qt.Key.Key_End)
    feed.focus_card("nothing")
    assert feed.widget_count == 0


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 9), st.integers(10, 700)),
        st.tuples(st.just("insert"), st.integers(0, 40), st.integers(10, 300)),
        st.tuples(st.just("remove"), st.integers(0, 40), st.just(0)),
        st.tuples(st.just("grow"), st.integers(0, 40), st.integers(10, 900)),
        st.tuples(st.just("scroll"), st.integers(0, 6_000), st.just(0)),
        st.tuples(st.just("resize"), st.integers(200, 900), st.integers(80, 900)),
        st.tuples(st.just("follow"), st.just(0), st.just(0)),
    ),
    max_size=25,
)


@pytest.mark.usefixtures("_theme")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(operations=OPERATIONS)
def test_whatever_happens_the_cards_in_sight_lie_in_order_without_gaps(operations):
    feed = Feed("Cards")
    try:
        feed.resize(500, 400)
        feed.show()
        shown: list[FeedItem] = []
        made = 0
        for name, one, other in operations:
            read = feed._anchor()
            follows = feed.follows
            if name == "append":
                shown = [*shown, *items(one, other, start=made)]
                made += one
            elif name == "insert":
                shown = [*shown[:one], *items(1, other, start=made), *shown[one:]]
                made += 1
            elif name == "remove":
                shown = [*shown[:one], *shown[one + 1 :]]
            elif name == "grow" and one < len(shown):
                changed = FeedItem(shown[one].key, ("grown", other), Box)
                shown = [*shown[:one], changed, *shown[one + 1 :]]
            elif name == "scroll":
                feed.verticalScrollBar().setValue(one)
            elif name == "resize":
                feed.resize(one, other)
            elif name == "follow":
                feed.follow()
            feed.show_items(shown)
            check_sight(feed)
            if name in ("append", "insert", "remove", "grow") and not follows and read:
                check_anchor(feed, read)
    finally:
        feed.hide()
        feed.deleteLater()


def check_sight(feed: Feed) -> None:
    """What is seen lies in order, gap by gap, as high as it wants to be."""
    bar, height = feed.verticalScrollBar(), feed.viewport().height()
    expected = [
        (item.key, top - bar.value())
        for item, top, end in zip(feed.items, feed._tops, feed._tops[1:], strict=False)
        if end > bar.value() and top < bar.value() + height
    ]
    for key, y in expected:
        card = box(feed, key)
        assert card.y() == y
        assert card.height() == card.fit(card.width())
    assert feed.widget_count <= len(feed.items)
    assert bar.maximum() == max(0, feed._tops[-1] - height)


def check_anchor(feed: Feed, read: tuple[str, int]) -> None:
    """The card that was read is where it was, unless it is gone or an end of the feed is near."""
    key, offset = read
    keys = [item.key for item in feed.items]
    bar = feed.verticalScrollBar()
    if key in keys and 0 < bar.value() < bar.maximum():
        assert feed._tops[keys.index(key)] + offset == bar.value()
