"""Screenshots by paste and drop: thumbnails, sizes, and nothing fetched from anywhere."""

from __future__ import annotations

from PySide6.QtCore import QMimeData, QUrl
from PySide6.QtGui import QImage

from flowpilot_desktop.core.attachment import PICTURE_LIMIT, picture_type
from flowpilot_desktop.ui.cards.card import StepCard
from flowpilot_desktop.ui.thumbnails import pictures_of, small_enough
from tests.e2e.driver import at_the_desk, until


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
        thumbnails = app.session_page.thumbnails
        await until(lambda: thumbnails.names == ("screenshot 1.png",), "it beside the card")
        await until(lambda: technician.view.open_step is not None, "a card")
        step = technician.view.open_step
        assert step is not None
        card = app.session_page.feed.card(step.id)
        assert isinstance(card, StepCard)
        await until(lambda: not app.session_model.is_busy, "nothing to wait for")
        card.pictured.emit(pasted(shot()))
        await until(lambda: len(thumbnails.names) == 2, "a screenshot on the open card")
        assert thumbnails.isVisible()
        assert app.intake_model.pictures == ()


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
