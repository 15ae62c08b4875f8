"""The look: readable in light and dark, everything drawn, follows choice and size of text."""

from __future__ import annotations

from dataclasses import asdict, fields

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFontInfo, QPalette
from PySide6.QtWidgets import QApplication

from flowpilot_desktop import assets
from flowpilot_desktop.ui.controls import Button
from flowpilot_desktop.ui.theme import Appearance, Theme
from flowpilot_desktop.ui.tokens import DARK, LIGHT, READABLE, VISIBLE, Colours, contrast

ICONS = sorted(path.stem for path in assets.path("icons").glob("*.svg"))
SETS = pytest.mark.parametrize("colours", [DARK, LIGHT], ids=["dark", "light"])


def test_contrast_is_the_standards():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert contrast("#0b7285", "#0b7285") == 1


@SETS
@pytest.mark.parametrize(("pairs", "least"), [(READABLE, 4.5), (VISIBLE, 3.0)])
def test_text_and_signs_stand_out(colours: Colours, pairs, least: float):
    too_faint = [
        f"{ink} on {ground}: {ratio:.2f}"
        for ink, grounds in pairs
        for ground in grounds
        if (ratio := contrast(getattr(colours, ink), getattr(colours, ground))) < least
    ]
    assert not too_faint


def test_every_text_token_is_held_to_a_contrast():
    inks = {ink for ink, _ in READABLE}
    texts = {
        field.name
        for field in fields(Colours)
        if "text" in field.name or field.name.startswith("on_")
    }
    assert texts <= inks


@SETS
def test_colours_are_six_digits(colours: Colours):
    assert all(
        len(value) == 7 and int(value[1:], 16) >= 0 and value[0] == "#"
        for value in asdict(colours).values()
    )


def test_light_and_dark_change_palette_and_stylesheet(theme: Theme, qapp: QApplication):
    sheets = set()
    for appearance, colours in ((Appearance.LIGHT, LIGHT), (Appearance.DARK, DARK)):
        theme.show(appearance)
        assert theme.is_dark is (appearance is Appearance.DARK)
        assert qapp.palette().color(QPalette.ColorRole.Window).name() == colours.window
        sheets.add(qapp.styleSheet())
    assert len(sheets) == 2
    assert not any("$" in sheet for sheet in sheets)


def test_the_systems_choice_is_followed_until_one_is_made(
    theme: Theme, qapp: QApplication, monkeypatch
):
    """The platform of the tests has no choice of its own: it is put into the system's mouth."""
    hints = qapp.styleHints()
    said = Qt.ColorScheme.Light
    monkeypatch.setattr(theme, "_system_scheme", lambda: said)
    theme.show(Appearance.SYSTEM)
    for said in (Qt.ColorScheme.Dark, Qt.ColorScheme.Light):
        hints.colorSchemeChanged.emit(said)
        assert theme.is_dark is (said is Qt.ColorScheme.Dark)
    theme.show(Appearance.LIGHT)
    said = Qt.ColorScheme.Dark
    hints.colorSchemeChanged.emit(said)
    assert not theme.is_dark


def test_the_size_of_text_scales_everything(theme: Theme, qapp: QApplication, qtbot):
    button = Button("Resolve", icon="check")
    qtbot.addWidget(button)
    button.show()
    before = button.sizeHint(), theme.px(100), qapp.font().pixelSize()
    theme.show(text_scale=1.5)
    assert theme.px(100) == pytest.approx(before[1] * 1.5, abs=1)
    assert qapp.font().pixelSize() == pytest.approx(before[2] * 1.5, abs=1)
    assert button.sizeHint().height() > before[0].height() * 1.3


@pytest.mark.parametrize("name", ICONS)
def test_every_icon_draws_in_the_colour_asked_for(theme: Theme, name: str):
    image = theme.pixmap(name, "accent", 32, 2.0).toImage()
    assert image.width() == 64
    inked = [
        image.pixelColor(x, y)
        for x in range(64)
        for y in range(64)
        if image.pixelColor(x, y).alpha()
    ]
    assert len(inked) > 40
    solid = [colour for colour in inked if colour.alpha() == 255]
    wanted = theme.colour("accent")
    assert all(abs(colour.green() - wanted.green()) < 3 for colour in solid)
    assert all(abs(colour.red() - wanted.red()) < 3 for colour in solid)


def test_the_interface_font_comes_along(theme: Theme, qapp: QApplication):
    del theme
    assert qapp.font().families()[0] == "Inter"
    assert QFontInfo(qapp.font()).family() == "Inter"
