"""Cards: one for each kind, what they answer, what they keep, what a key does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QApplication, QLabel

from flowpilot_desktop.core.ports import StepProgress
from flowpilot_desktop.core.session import (
    Question,
    Response,
    Result,
    Risk,
    Step,
    StepKind,
    answered,
    checked_response,
)
from flowpilot_desktop.ui.cards import CARD_WIDGETS, CardContent, StepCard
from flowpilot_desktop.ui.cards import card as card_module
from flowpilot_desktop.ui.cards.card import KIND_ICONS, KIND_WORDS
from flowpilot_desktop.ui.cards.verdict import RISK_WORDS, CommandBox
from flowpilot_desktop.ui.cards.writing import StandingCard, StandingContent, WritingCard
from flowpilot_desktop.ui.controls import AnswerButton, Badge, Button, OptionButton
from tests import samples

KINDS = pytest.mark.parametrize("kind", list(StepKind))


@pytest.fixture
def shown(theme, qtbot):
    """Shows a step as a card and collects what it answers."""

    def show(step: Step, **content) -> tuple[StepCard, list[tuple[str, Response]]]:
        card = CARD_WIDGETS[step.kind](
            CardContent(step, **{"is_live": step.is_open, **content}), None
        )
        qtbot.addWidget(card)
        responses: list[tuple[str, Response]] = []
        card.answered.connect(lambda step_id, response: responses.append((step_id, response)))
        card.resize(700, card.fit(700))
        card.show()
        return card, responses

    return show


def words(card) -> str:
    return "\n".join(label.text() for label in card.findChildren(QLabel) if label.isVisible())


def test_every_kind_has_a_card_a_sample_an_icon_and_words():
    for complete in (CARD_WIDGETS, samples.STEPS_BY_KIND, KIND_ICONS, KIND_WORDS):
        assert set(complete) == set(StepKind)
    assert set(RISK_WORDS) == set(Risk)


@KINDS
def test_a_card_says_what_it_is_to_eyes_and_ears(shown, kind: StepKind):
    step = samples.STEPS_BY_KIND[kind]
    card, _ = shown(step)
    assert step.body.text in words(card)
    assert step.body.text in card.accessibleName()
    assert ("Waiting for your answer" in card.accessibleName()) is step.is_open


@KINDS
def test_every_numbered_answer_fits_its_card(shown, kind: StepKind):
    step = samples.STEPS_BY_KIND[kind]
    for number in range(1, 10):
        card, responses = shown(step)
        if card.press(number):
            ((step_id, response),) = responses
            assert step_id == step.id
            assert checked_response(step.body, response) is response
        else:
            assert responses == []


def test_question_answers_by_option_text_or_skip(shown, qtbot):
    card, responses = shown(samples.STEPS_BY_KIND[StepKind.QUESTION])
    qtbot.keyClick(card.frame, Qt.Key.Key_3)
    assert responses.pop()[1] == Response(option="43200")
    card, responses = shown(samples.STEPS_BY_KIND[StepKind.QUESTION])
    qtbot.keyClicks(card._edit, "  about an hour ")
    qtbot.keyClick(card._edit, Qt.Key.Key_Return)
    assert responses.pop()[1] == Response(text="about an hour")
    card, responses = shown(samples.STEPS_BY_KIND[StepKind.QUESTION])
    skip = next(button for button in card.findChildren(Button) if button.text() == "Skip")
    qtbot.mouseClick(skip, Qt.MouseButton.LeftButton)
    assert responses.pop()[1] == Response(skipped=True)


def test_an_empty_answer_is_none(shown, qtbot):
    card, responses = shown(samples.STEPS_BY_KIND[StepKind.QUESTION])
    qtbot.keyClicks(card._edit, "   ")
    qtbot.keyClick(card._edit, Qt.Key.Key_Return)
    assert responses == []


def test_what_a_question_does_not_allow_is_not_offered(shown):
    strict = replace(samples.QUESTION, free_text_allowed=False, skip_allowed=False)
    card, _ = shown(samples.step(strict))
    assert card._edit is None
    assert not [button for button in card.findChildren(Button) if button.text() == "Skip"]


def test_options_stand_in_two_columns_where_they_fit(shown):
    card, _ = shown(samples.STEPS_BY_KIND[StepKind.QUESTION])
    assert card._columns == 2
    card.fit(300)
    assert card._columns == 1


def test_letters_begin_to_type_and_go_nowhere_else(shown, qtbot):
    card, responses = shown(samples.STEPS_BY_KIND[StepKind.QUESTION])
    with qtbot.waitActive(card):
        card.activateWindow()
    card.take_focus()
    qtbot.keyClick(card.frame, Qt.Key.Key_A)
    assert card._edit.text == "a"
    assert card._edit.hasFocus()
    assert responses == []


@pytest.mark.parametrize(("number", "result"), [(1, Result.WORKED), (2, Result.DID_NOT_WORK)])
def test_a_verdict_carries_what_was_seen(shown, qtbot, number: int, result: Result):
    card, responses = shown(samples.STEPS_BY_KIND[StepKind.ACTION])
    qtbot.keyClicks(card._edit, "lifetime 1200")
    assert card.press(number)
    assert responses.pop()[1] == Response(result=result, text="lifetime 1200")


def test_risk_and_undo_are_said(shown):
    card, _ = shown(samples.RISKY)
    assert [badge.text for badge in card.findChildren(Badge)] == ["Changes many systems"]
    assert "To undo: Start-Service Spooler on each machine" in words(card)
    card, _ = shown(samples.DESTRUCTIVE)
    assert [badge.text for badge in card.findChildren(Badge)] == ["Destructive"]
    assert "no way back" in words(card)


def test_copied_is_said_once_the_clipboard_holds_it(shown, qtbot, monkeypatch):
    card, _ = shown(samples.RISKY)
    box = card.findChild(CommandBox)
    command = samples.RISKY_COMMAND.text
    width = box._copy.width()
    qtbot.mouseClick(box._copy, Qt.MouseButton.LeftButton)
    assert QApplication.clipboard().text() == command
    assert box._copy.text() == "Copied"
    assert box._copy.width() == width
    box._calm.timeout.emit()
    assert box._copy.text() == "Copy command"
    box._calm.stop()
    QApplication.clipboard().clear()
    monkeypatch.setattr(type(QApplication.clipboard()), "setText", lambda *_: None)
    box._copy_command()
    assert box._copy.text() == "Couldn't copy"
    box._calm.stop()


def test_a_second_click_is_nothing_until_the_first_failed(shown):
    card, responses = shown(samples.STEPS_BY_KIND[StepKind.QUESTION])
    height = card.fit(700)
    card.press(1)
    card.press(2)
    assert len(responses) == 1
    assert not card.takes_answers
    assert card.fit(700) == height
    assert card.show_content(replace(card.content, is_busy=True))
    assert not card.takes_answers
    assert card.show_content(replace(card.content, is_busy=False))
    assert card.takes_answers
    card.press(2)
    assert len(responses) == 2


def test_the_focus_stays_on_a_card_that_is_busy(shown, qtbot):
    card, _ = shown(samples.STEPS_BY_KIND[StepKind.QUESTION])
    with qtbot.waitActive(card):
        card.activateWindow()
    card._options[1].setFocus()
    card._options[1].click()
    assert QApplication.focusWidget() is card.frame


def test_the_second_click_of_a_double_click_answers_no_other_card(shown, qtbot):
    for kind in (StepKind.QUESTION, StepKind.ACTION, StepKind.BRIEFING):
        card, responses = shown(samples.STEPS_BY_KIND[kind])
        buttons = card.findChildren(OptionButton) + card.findChildren(AnswerButton)
        assert buttons
        for button in buttons:
            at = button.rect().center()
            second = QMouseEvent(
                QEvent.Type.MouseButtonDblClick,
                at.toPointF(),
                button.mapToGlobal(at).toPointF(),
                Qt.MouseButton.LeftButton,
                Qt.MouseButton.LeftButton,
                Qt.KeyboardModifier.NoModifier,
            )
            QApplication.sendEvent(button, second)
            qtbot.mouseRelease(button, Qt.MouseButton.LeftButton)
        assert responses == []


def test_a_key_held_down_does_not_answer_the_card_that_comes(shown, monkeypatch):
    card, responses = shown(samples.STEPS_BY_KIND[StepKind.QUESTION])
    held = QKeyEvent(
        QEvent.Type.KeyPress, Qt.Key.Key_1, Qt.KeyboardModifier.NoModifier, "1", autorep=True
    )
    assert card.take_key(held)
    assert responses == []
    monkeypatch.setattr(card_module, "SETTLING_MS", 60_000)
    once = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_1, Qt.KeyboardModifier.NoModifier, "1")
    assert card.take_key(once)
    assert responses == []
    monkeypatch.setattr(card_module, "SETTLING_MS", 0)
    assert card.take_key(once)
    assert len(responses) == 1


def test_words_typed_go_along_with_a_chosen_answer(shown, qtbot):
    card, responses = shown(samples.STEPS_BY_KIND[StepKind.QUESTION])
    qtbot.keyClicks(card._edit, "on both ends")
    card.press(1)
    assert responses.pop()[1] == Response(option="1200", text="on both ends")


def test_the_focus_frame_moves_nothing(shown, qtbot):
    card, _ = shown(samples.STEPS_BY_KIND[StepKind.QUESTION])
    with qtbot.waitActive(card):
        card.activateWindow()
    card._edit.setFocus()
    before = card.title.mapTo(card, card.title.rect().topLeft()), card.fit(700)
    card.take_focus()
    assert card.frame.hasFocus()
    assert (card.title.mapTo(card, card.title.rect().topLeft()), card.fit(700)) == before


def test_a_draft_is_put_back_and_told_while_typing(shown, qtbot):
    card, _ = shown(samples.STEPS_BY_KIND[StepKind.ACTION], draft="half a thought")
    assert card._edit.text == "half a thought"
    told: list[tuple[str, str]] = []
    card.drafted.connect(lambda step_id, text: told.append((step_id, text)))
    qtbot.keyClicks(card._edit, "!")
    assert told == [(card.step.id, "half a thought!")]


def test_an_answered_card_shows_the_answer_and_no_controls(shown):
    step = answered(
        samples.STEPS_BY_KIND[StepKind.QUESTION],
        Response(option="1200"),
        by=samples.PRIYA,
        at=samples.NOW,
    )
    card, responses = shown(step, answered_by="Priya Nair")
    assert "1200 seconds" in words(card)
    assert "Priya Nair" in words(card)
    assert not card.press(1)
    assert not card.takes_answers
    assert responses == []
    assert "Answered: 1200 seconds" in card.accessibleName()


def test_another_answer_or_another_right_is_a_new_card(shown):
    card, _ = shown(samples.STEPS_BY_KIND[StepKind.QUESTION])
    assert not card.show_content(replace(card.content, is_live=False))
    done = answered(card.step, Response(skipped=True), by=samples.ME, at=samples.NOW)
    assert not card.show_content(CardContent(done))


def test_a_briefing_folds_its_steps(shown, qtbot):
    card, responses = shown(samples.STEPS_BY_KIND[StepKind.BRIEFING])
    assert "Reinstall the VPN client" not in words(card)
    assert "Show the 3 steps tried" in card._unfold.text()
    qtbot.mouseClick(card._unfold, Qt.MouseButton.LeftButton)
    assert "Reinstall the VPN client" in words(card)
    assert "Local Wi-Fi" in words(card)
    assert "Local Wi-Fi (2 %)" not in words(card)
    qtbot.keyClicks(card._edit, "I know this firewall")
    card.press(2)
    assert responses.pop()[1] == Response(option="fresh", text="I know this firewall")


def test_a_card_being_written_fills_field_by_field(theme, qtbot):
    card = WritingCard(StepProgress())
    qtbot.addWidget(card)
    card.show()
    assert "THINKING" in words(card)
    heights = [card.fit(600)]
    for progress in (
        StepProgress("question", "Which"),
        StepProgress("question", "Which VLAN?", "Phones share one"),
        StepProgress("question", "Which VLAN?", "Phones share one", ("10", "20")),
    ):
        assert card.show_content(progress)
        heights.append(card.fit(600))
    assert heights == sorted(heights)
    assert "QUESTION" in words(card)
    assert "2  ·  20" in words(card)
    stopped: list[bool] = []
    card.stopped.connect(lambda: stopped.append(True))
    qtbot.mouseClick(card._stop, Qt.MouseButton.LeftButton)
    assert stopped == [True]
    assert not card.show_content("something else")


def test_standing_cards_offer_what_can_be_done(theme, qtbot):
    content = StandingContent(
        "error", "Couldn't reach it", "No answer.", choices=(("t", "Try again", ""),)
    )
    card = StandingCard(content)
    qtbot.addWidget(card)
    card.show()
    chosen: list[str] = []
    card.chosen.connect(chosen.append)
    qtbot.mouseClick(card._buttons[0], Qt.MouseButton.LeftButton)
    assert chosen == ["t"]
    assert card.accessibleName().startswith("Couldn't reach it. No answer.")


def test_a_question_without_options_is_answered_in_words(shown, qtbot):
    card, responses = shown(samples.step(Question("What changed on Friday?")))
    assert not card.press(1)
    card.take_focus()
    qtbot.keyClick(card.frame, Qt.Key.Key_F)
    qtbot.keyClicks(card._edit, "irmware")
    qtbot.keyClick(card._edit, Qt.Key.Key_Return)
    assert responses.pop()[1].text == "firmware"
