"""Text from strangers: plain, bounded, breakable, and whole again on the clipboard."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication

from flowpilot_desktop.core.ticket import cleaned
from flowpilot_desktop.ui.controls import AnswerEdit, CodeBox, FoldedText
from flowpilot_desktop.ui.text import (
    RUN_LIMIT,
    SHOWN_LIMIT,
    ElidedText,
    PlainText,
    bounded_runs,
    copied,
    displayable,
    tip,
)


@given(st.text(max_size=300))
def test_what_is_shown_is_what_was_said(text: str):
    assert copied(displayable(text)) == cleaned(text)


@given(st.integers(0, 3 * RUN_LIMIT), st.sampled_from("xש木🙂"))
def test_no_run_is_longer_than_the_limit(length: int, letter: str):
    shown = displayable(letter * length)
    assert all(len(run) <= RUN_LIMIT for run in re.split(r"[\s\u200b]", shown))
    assert all(len(run) <= RUN_LIMIT for run in bounded_runs(letter * length).split())
    assert copied(shown).replace("\n", "") == letter * length


def test_a_megabyte_without_a_break_is_cut_and_said():
    shown = displayable("x" * 1_000_000)
    assert "980,000 more characters were cut" in copied(shown)
    assert len(copied(shown)) < SHOWN_LIMIT + 100


def test_markup_is_shown_and_not_obeyed(theme, qtbot):
    text = '<b>bold</b> <img src="file:////host/share/x.png"> & <script>'
    label, line = PlainText(text), ElidedText(text)
    for widget in (label, line):
        qtbot.addWidget(widget)
        assert widget.textFormat() is Qt.TextFormat.PlainText
    assert copied(label.text()) == text
    assert "<" not in tip(text)


def test_copying_gives_the_text_without_the_places_to_break(theme, qtbot):
    path = r"C:\Windows\System32\spool\drivers\x64\3\averyveryverylongfilename.dll"
    label = PlainText(path)
    qtbot.addWidget(label)
    assert "\u200b" in label.text()
    label.show()
    label.setSelection(0, len(label.text()))
    qtbot.keyClick(label, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.clipboard().text() == path
    assert label.accessibleName() == path


def test_a_long_word_wraps_in_a_narrow_label(theme, qtbot):
    label = PlainText("x" * 400)
    qtbot.addWidget(label)
    assert label.minimumSizeHint().width() < 300
    assert label.heightForWidth(300) > 5 * label.fontMetrics().height()


def test_long_text_is_folded_and_opens_on_demand(theme, qtbot):
    text = "\n".join(f"line {n} of a log" for n in range(200))
    folded = FoldedText(text)
    qtbot.addWidget(folded)
    folded.show()
    assert "line 11" in folded._label.text()
    assert "line 12" not in folded._label.text()
    assert folded._more is not None
    qtbot.mouseClick(folded._more, Qt.MouseButton.LeftButton)
    assert "line 199" in folded._label.text()
    assert folded.text == text
    qtbot.mouseClick(folded._more, Qt.MouseButton.LeftButton)
    assert "line 12" not in folded._label.text()


def test_short_text_is_not_folded(theme, qtbot):
    folded = FoldedText("It prints again.")
    qtbot.addWidget(folded)
    folded.show()
    assert folded._more is None


def test_a_line_too_long_is_elided_and_told_whole(theme, qtbot):
    line = ElidedText("The quick brown fox jumps over the lazy dog")
    qtbot.addWidget(line)
    line.resize(80, 20)
    line.show()
    assert line.text().endswith("…")
    assert line.toolTip() == line.accessibleName() == "The quick brown fox jumps over the lazy dog"


def test_a_field_grows_with_its_lines_and_enter_sends(theme, qtbot):
    field = AnswerEdit("Type", "Answer")
    qtbot.addWidget(field)
    field.resize(300, 30)
    field.show()
    sent: list[str] = []
    field.submitted.connect(lambda: sent.append(field.text))
    one = field.sizeHint().height()
    qtbot.keyClicks(field, "one")
    qtbot.keyClick(field, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClicks(field, "two")
    assert field.sizeHint().height() > one
    assert sent == []
    qtbot.keyClick(field, Qt.Key.Key_Return)
    assert sent == ["one\ntwo"]


def test_pasting_an_endless_line_breaks_it(theme, qtbot):
    field = AnswerEdit("Type", "Answer")
    qtbot.addWidget(field)
    QApplication.clipboard().setText("y" * 5_000)
    field.paste()
    assert max(len(line) for line in field.text.split("\n")) == RUN_LIMIT
    assert field.text.replace("\n", "") == "y" * 5_000


def test_a_command_is_as_high_as_its_lines(theme, qtbot):
    box = CodeBox("one\ntwo\n" + "x" * 300, "Command")
    qtbot.addWidget(box)
    assert box.heightForWidth(2_000) < box.heightForWidth(300)
    assert box.toPlainText() == "one\ntwo\n" + "x" * 300


def test_copy_all_copies_all_however_little_is_shown(theme, qtbot):
    text = "x" * (2 * SHOWN_LIMIT)
    folded = FoldedText(text)
    qtbot.addWidget(folded)
    folded._label._copy_all()
    assert QApplication.clipboard().text() == text
