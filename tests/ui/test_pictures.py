"""Screenshots by paste and drop: thumbnails, sizes, and nothing fetched from anywhere."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from flowpilot_desktop.core.attachment import PICTURE_LIMIT, Attachment, picture_type
from flowpilot_desktop.core.session import Response, Result, answered
from flowpilot_desktop.ui.cards.card import StepCard
from flowpilot_desktop.ui.cards.intake import IntakeCard
from flowpilot_desktop.ui.controls import Button
from flowpilot_desktop.ui.pages.session import SessionPage
from flowpilot_desktop.ui.thumbnails import pictures_of, small_enough
from flowpilot_desktop.viewmodels.session import SessionViewModel
from tests import samples
from tests.e2e.driver import at_the_desk, until
from tests.e2e.stillness import gaps
from tests.ui.double import DoubleEngine


def shot(width: int = 320, height: int = 200) -> QImage:
    image = QImage(width, height, QImage.Format.Format_RGB32)
    image.fill(0x336699)
    return image


def pasted(image: QImage) -> QMimeData:
    source = QMimeData()
    source.setImageData(image)
    return source


async def test_a_pasted_screenshot_starts_a_session_and_stays_with_it(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        page = app.intake_page
        page.words.insertFromMimeData(pasted(shot()))
        await until(lambda: page.thumbnails.names == ("screenshot 1.png",), "a thumbnail")
        assert page.thumbnails.isVisible()
        assert page.words.text == ""
        assert page.start.isEnabled()
        page.words.insertFromMimeData(pasted(shot()))
        await until(lambda: len(page.thumbnails.names) == 2, "a second one")
        await technician.clicks("Remove screenshot 2.png")
        await until(lambda: len(page.thumbnails.names) == 1, "the second one to go")
        await technician.clicks("Start Session")
        await until(lambda: app.window.current_page == "session", "the session")
        feed = app.session_page.feed
        await until(lambda: feed.card("intake") is not None, "what it started from")
        intake = feed.card("intake")
        assert isinstance(intake, IntakeCard)
        assert intake.exhibits.names == ("screenshot 1.png",)
        await until(lambda: technician.view.open_step is not None, "a card")
        step = technician.view.open_step
        assert step is not None
        card = feed.card(step.id)
        assert isinstance(card, StepCard)
        await until(lambda: not app.session_model.is_busy, "nothing to wait for")
        field = card._edit
        if field is not None:
            field.setFocus()
        card.pictured.emit(step.id, pasted(shot(40, 30)))
        await until(lambda: card.exhibits.names == ("screenshot 2.png",), "it on the open card")
        assert feed.card(step.id) is card, "the card stays, with what is typed on it"
        assert card.exhibits.isVisible()
        assert field is None or field.hasFocus()
        assert intake.exhibits.names == ("screenshot 1.png",)
        await technician.clicks("Remove screenshot 2.png")
        await until(lambda: card.exhibits.names == (), "it to go")
        assert app.intake_model.pictures == ()


async def test_a_screenshot_on_the_note_goes_with_it_onto_its_card(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        await technician.types("What is going on", "The printer is offline")
        await technician.clicks("Start Session")
        await until(technician._open_card_is_shown, "a card")
        await technician.clicks("Log a step")
        note = app.session_page.note
        note.edit.insertFromMimeData(pasted(shot()))
        await until(lambda: note.thumbnails.names == ("screenshot 1.png",), "a thumbnail")
        await technician.types("Step to log by hand", "the panel shows this")
    async with at_the_desk(tmp_path, demo=True) as technician:  # both come back
        note = technician.app.session_page.note
        await until(lambda: note.thumbnails.names == ("screenshot 1.png",), "the thumbnail")
        assert note.edit.text == "the panel shows this"
        await technician.clicks("Log this step")
        await until(lambda: not note.isVisible(), "the note to be logged")
        logged = technician.view.steps[-1]
        await until(
            lambda: (
                getattr(
                    technician.app.session_page.feed.card(logged.id), "exhibits", note.thumbnails
                ).names
                == ("screenshot 1.png",)
            ),
            "the screenshot on the note's card",
        )
        assert note.thumbnails.names == ()


async def test_a_long_paste_and_a_picture_open_whole_by_mouse_and_keys(tmp_path):
    hostile = "<b>bold?</b> <img src='http://192.0.2.1/x.png'> {{x}}\n"
    log = hostile + "".join(
        f"2026-11-23 09:{n // 60:02}:{n % 60:02} ERROR job {n} failed: 0x80070005\n"
        for n in range(400)
    )
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        page = app.intake_page
        page.words.insertFromMimeData(pasted(shot(900, 600)))
        await until(lambda: page.thumbnails.names == ("screenshot 1.png",), "a thumbnail")
        await technician.clicks("Open screenshot 1.png")
        await until(page.viewer.isVisible, "the picture")
        assert page.viewer.area.isVisible()
        QTest.keyClick(page.viewer.area, Qt.Key.Key_Escape)
        assert not page.viewer.isVisible()
        page.words.insertPlainText(log)
        await technician.clicks("Start Session")
        await until(technician._open_card_is_shown, "the session")
        app.window.activateWindow()
        await until(app.window.isActiveWindow, "an active window")
        feed, viewer = app.session_page.feed, app.session_page.viewer
        feed.focus_card("intake")
        intake = feed.card("intake")
        assert isinstance(intake, IntakeCard)
        name = next(one for one in intake.exhibits.names if one.endswith(".txt"))
        button = next(
            one for one in intake.findChildren(Button) if one.accessibleName() == f"Open {name}"
        )
        for _ in range(10):  # by Tab, as anything on a card
            if button.hasFocus():
                break
            focus = QApplication.focusWidget()
            assert focus is not None
            QTest.keyClick(focus, Qt.Key.Key_Tab)
        assert button.hasFocus()
        QTest.keyClick(button, Qt.Key.Key_Space)
        await until(viewer.isVisible, "the kept text")
        assert viewer.text.toPlainText() == log
        for size in ((1440, 900), (1024, 700)):  # it lies over the column at the right as well
            app.window.resize(*size)
            place = viewer.close_button.mapTo(app.session_page, viewer.close_button.rect().center())
            assert app.session_page.childAt(place) is viewer.close_button
        assert viewer.text.isReadOnly()
        assert viewer.text.hasFocus()
        QTest.keyClick(viewer.text, Qt.Key.Key_F, Qt.KeyboardModifier.ControlModifier)
        assert viewer.search.hasFocus()
        assert app.window.current_page == "session"
        QTest.keyClicks(viewer.search, "JOB 39")
        assert viewer.found.text() == "11 matches"
        assert viewer.text.textCursor().selectedText() == "job 39"
        first = viewer.text.textCursor().blockNumber()
        QTest.keyClick(viewer.search, Qt.Key.Key_Return)
        assert viewer.text.textCursor().blockNumber() > first
        QTest.keyClick(viewer.search, Qt.Key.Key_F3, Qt.KeyboardModifier.ShiftModifier)
        QTest.keyClick(viewer.search, Qt.Key.Key_F3, Qt.KeyboardModifier.ShiftModifier)
        assert viewer.text.textCursor().blockNumber() == 400, "round to the last one"
        viewer.search.setText("no such words")
        assert viewer.found.text() == "No match"
        seen = set()
        for _ in range(8):  # Tab stays in the sheet
            focus = QApplication.focusWidget()
            assert focus is not None
            assert viewer.isAncestorOf(focus)
            seen.add(focus.accessibleName())
            QTest.keyClick(focus, Qt.Key.Key_Tab)
        assert {"Search in this text", "The kept text", "Copy all", "Close what is shown"} <= seen
        await technician.clicks("Copy all")
        assert QApplication.clipboard().text() == log
        focus = QApplication.focusWidget()
        assert focus is not None
        QTest.keyClick(focus, Qt.Key.Key_Escape)
        assert not viewer.isVisible()
        assert button.hasFocus()


def test_a_dropped_file_is_read_and_an_address_is_not(tmp_path, qapp):
    path = tmp_path / "error.png"
    assert shot(4_000, 300).save(str(path))
    (tmp_path / "no.png").write_bytes(b"<svg xmlns='http://192.0.2.1'/>")
    source = QMimeData()
    source.setUrls(
        [
            QUrl("http://192.0.2.1/tracker.png"),
            QUrl.fromLocalFile(str(tmp_path / "no.png")),
            QUrl.fromLocalFile(str(path)),
        ]
    )
    (content,) = pictures_of(source)
    image = QImage.fromData(content)
    assert (image.width(), image.height()) == (1568, 117)
    assert picture_type(content) == "image/png"


def test_a_picture_too_large_for_png_becomes_jpeg(qapp):
    import random

    noise = random.Random(7).randbytes(1568 * 1568 * 4)
    image = QImage(noise, 1568, 1568, QImage.Format.Format_RGB32)
    content = small_enough(image)
    assert picture_type(content) == "image/jpeg"
    assert 0 < len(content) <= PICTURE_LIMIT
    assert small_enough(QImage()) == b""


async def test_two_hundred_cards_with_pictures_scroll_with_few_widgets(theme, qtbot):
    engine = DoubleEngine()
    steps = tuple(
        answered(
            samples.step(samples.ACTION, number),
            Response(result=Result.WORKED),
            by=samples.ME,
            at=samples.NOW,
        )
        for number in range(1, 201)
    )
    engine.view = replace(engine.view, steps=steps)
    content = small_enough(shot(1400, 900))
    engine.shots = tuple(
        Attachment(
            f"shot-{n}", samples.SESSION, f"s {n}.png", "image/png", content, samples.NOW,
            steps[20 * n].id,
        )
        for n in range(10)
    )  # fmt: skip
    model = SessionViewModel(engine)
    page = SessionPage(model)
    qtbot.addWidget(page)
    page.resize(1240, 900)
    page.show()
    model.open(samples.SESSION)
    await until(lambda: len(page.feed.items) >= 200, "the cards")
    bar, seen = page.feed.verticalScrollBar(), set()
    async with gaps() as watch:
        for place in range(200):
            bar.setValue(bar.maximum() * place // 199)
            assert page.feed.widget_count < 80
            seen |= {
                name for card in page.feed.findChildren(StepCard) for name in card.exhibits.names
            }
            await asyncio.sleep(0)  # the loop comes round
    assert len(seen) == 10
    assert watch.longest < 1.0  # measured: some twenty milliseconds
    await model.aclose()
