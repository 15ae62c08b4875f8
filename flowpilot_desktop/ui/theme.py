"""The look of the application: tokens → palette, stylesheet, fonts and icons.

``Theme(app)`` is made once, right after the QApplication, and is the application's as its QStyle
is: ``theme()`` returns it. It follows the system between light and dark, or an explicit choice;
``changed`` tells those who paint by hand. There is one stylesheet, on the application; widgets say
what they are by dynamic properties (``role``, ``tone``, ``variant``) and never style themselves.

Lengths are written for a body text of 13 px and scaled to the real one by ``px``, which follows
the system's font size and the technician's own text scale.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from enum import StrEnum
from string import Template

from PySide6.QtCore import QByteArray, QObject, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontDatabase,
    QFontInfo,
    QIcon,
    QPainter,
    QPalette,
    QPixmap,
)
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

from flowpilot_desktop import assets
from flowpilot_desktop.ui.tokens import DARK, LIGHT, TYPE_SCALE, Colours

_BODY_PX = 13
_FONT_FILES = (
    "Inter-Regular.otf",
    "Inter-Medium.otf",
    "Inter-SemiBold.otf",
    "Inter-Bold.otf",
    "JetBrainsMono-Regular.ttf",
)
# Inter looks the same everywhere; what it lacks comes from the system's own family.
_SYSTEM_FAMILY = {"win32": "Segoe UI", "darwin": ".AppleSystemUIFont"}
_MONO_FAMILIES = ["JetBrains Mono", "Cascadia Mono", "Menlo", "DejaVu Sans Mono", "monospace"]


class Appearance(StrEnum):
    """The technician's choice between light and dark."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


_COLOUR_SCHEMES = {
    Appearance.SYSTEM: Qt.ColorScheme.Unknown,
    Appearance.LIGHT: Qt.ColorScheme.Light,
    Appearance.DARK: Qt.ColorScheme.Dark,
}


class Theme(QObject):
    """The application's look. Make one after the QApplication and before the first widget."""

    changed = Signal()

    _current: Theme | None = None

    def __init__(
        self,
        app: QApplication,
        appearance: Appearance | str = Appearance.SYSTEM,
        text_scale: float = 1.0,
    ) -> None:
        super().__init__(app)
        Theme._current = self
        self._app = app
        self._appearance = Appearance(appearance)
        self._text_scale = text_scale
        self._pixmaps: dict[tuple[str, str, int, float], QPixmap] = {}
        self._icons: dict[tuple[str, str, str, int, int], QIcon] = {}
        self._drawings: dict[str, str] = {}
        self._template = Template(assets.path("style", "flowpilot.qss").read_text("utf-8"))
        info = QFontInfo(QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont))
        self._system_px = float(info.pixelSize())
        for name in _FONT_FILES:
            QFontDatabase.addApplicationFont(str(assets.path("fonts", name)))
        app.setStyle("Fusion")
        app.styleHints().colorSchemeChanged.connect(self._follow_system)
        self.is_dark = self._wants_dark()
        self.colours = DARK if self.is_dark else LIGHT
        self._apply()

    @property
    def appearance(self) -> Appearance:
        """What was chosen; what is shown is ``is_dark``."""
        return self._appearance

    def show(
        self, appearance: Appearance | str | None = None, text_scale: float | None = None
    ) -> None:
        """Change to light, dark or the system's choice, or to another size of text (0.8..2)."""
        if appearance is not None:
            self._appearance = Appearance(appearance)
            # Native frames and menus follow where the platform can; the rest is ours anyway.
            self._app.styleHints().setColorScheme(_COLOUR_SCHEMES[self._appearance])
        if text_scale is not None:
            self._text_scale = min(2.0, max(0.8, text_scale))
        self.is_dark = self._wants_dark()
        self.colours = DARK if self.is_dark else LIGHT
        self._apply()

    def px(self, length: float) -> int:
        """Return a length of the design in pixels, at least 1 for what is above 0."""
        scaled = round(length * self._body_px / _BODY_PX)
        return max(1, scaled) if length > 0 else scaled

    def font_px(self, role: str = "body") -> int:
        """Return the pixel size of a text role of ``tokens.TYPE_SCALE``."""
        return round(self._body_px * TYPE_SCALE[role])

    def font(self, role: str = "body", weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
        """Return the interface's font in a role, for those who paint by hand."""
        font = QFont(self._families)
        font.setPixelSize(self.font_px(role))
        font.setWeight(weight)
        return font

    def colour(self, token: str) -> QColor:
        """Return the colour of a token."""
        return QColor(getattr(self.colours, token))

    def pixmap(self, icon: str, ink: str, size: int, ratio: float = 1.0) -> QPixmap:
        """Return a tinted icon, ``size`` logical pixels square, sharp at the ratio."""
        colour = getattr(self.colours, ink)
        key = (icon, colour, size, ratio)
        if (found := self._pixmaps.get(key)) is not None:
            return found
        if icon not in self._drawings:
            self._drawings[icon] = assets.path("icons", f"{icon}.svg").read_text("utf-8")
        drawing = self._drawings[icon].replace("currentColor", colour)
        pixels = round(size * ratio)
        pixmap = QPixmap(pixels, pixels)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        QSvgRenderer(QByteArray(drawing.encode())).render(painter, QRectF(0, 0, pixels, pixels))
        painter.end()
        pixmap.setDevicePixelRatio(ratio)
        self._pixmaps[key] = pixmap
        return pixmap

    def icon(self, name: str, ink: str = "text", size: int = 16, gap: int = 0) -> QIcon:
        """Return a tinted icon for a button, with a gap to its text; ask again on ``changed``."""
        pixels = self.px(size)
        key = (name, getattr(self.colours, ink), self.colours.disabled, pixels, gap)
        if (found := self._icons.get(key)) is not None:
            return found
        icon = self._icons[key] = QIcon()
        for ratio in {1.0, 2.0, self._app.devicePixelRatio()}:
            for mode, shade in ((QIcon.Mode.Normal, ink), (QIcon.Mode.Disabled, "disabled")):
                tinted = self.pixmap(name, shade, pixels, ratio)
                if gap:
                    wide = QPixmap(round((pixels + gap) * ratio), tinted.height())
                    wide.setDevicePixelRatio(ratio)
                    wide.fill(Qt.GlobalColor.transparent)
                    painter = QPainter(wide)
                    painter.drawPixmap(0, 0, tinted)
                    painter.end()
                    tinted = wide
                icon.addPixmap(tinted, mode)
        return icon

    def icon_size(self, size: int = 16) -> QSize:
        """Return the size that goes with ``icon``."""
        return QSize(self.px(size), self.px(size))

    def _wants_dark(self) -> bool:
        if self._appearance is Appearance.SYSTEM:
            return self._system_scheme() == Qt.ColorScheme.Dark
        return self._appearance is Appearance.DARK

    def _system_scheme(self) -> Qt.ColorScheme:
        return self._app.styleHints().colorScheme()

    def _follow_system(self) -> None:
        if self._appearance is Appearance.SYSTEM and self.is_dark != self._wants_dark():
            self.show()

    def _apply(self) -> None:
        self._body_px = max(float(_BODY_PX), self._system_px) * self._text_scale
        self._families = ["Inter", *filter(None, [_SYSTEM_FAMILY.get(sys.platform)]), "sans-serif"]
        font = self.font()
        if self._app.font() != font:
            self._app.setFont(font)
        self._app.setPalette(palette(self.colours))
        sheet = self._template.substitute(self._variables())
        if self._app.styleSheet() != sheet:
            self._app.setStyleSheet(sheet)
        self.changed.emit()

    def _variables(self) -> dict[str, str]:
        variables = {name: str(value) for name, value in asdict(self.colours).items()}
        variables |= {f"type_{role}": f"{self.font_px(role)}px" for role in TYPE_SCALE}
        variables |= {f"px{length}": f"{self.px(length)}px" for length in range(1, 41)}
        variables["mono"] = ", ".join(f'"{family}"' for family in _MONO_FAMILIES)
        variables["folder"] = assets.path("style").as_posix()
        variables["shade"] = "dark" if self.is_dark else "light"
        return variables


def theme() -> Theme:
    """Return the application's theme."""
    assert Theme._current is not None, "Theme(app) comes before the first widget"  # noqa: SLF001
    return Theme._current  # noqa: SLF001 - its own module


def palette(colours: Colours) -> QPalette:
    """Return the palette of a set of colours, for what the stylesheet does not reach."""
    role, group = QPalette.ColorRole, QPalette.ColorGroup
    made = QPalette()
    for target, token in {
        role.Window: "window",
        role.WindowText: "text",
        role.Base: "field",
        role.AlternateBase: "card",
        role.ToolTipBase: "tooltip",
        role.ToolTipText: "on_tooltip",
        role.PlaceholderText: "faint",
        role.Text: "text",
        role.Button: "button",
        role.ButtonText: "text",
        role.BrightText: "red_text",
        role.Link: "accent_text",
        role.LinkVisited: "accent_text",
        role.Highlight: "selection",
        role.HighlightedText: "on_selection",
        role.Accent: "accent",
        role.Light: "button_hover",
        role.Midlight: "button",
        role.Mid: "border",
        role.Dark: "border",
        role.Shadow: "chrome",
    }.items():
        made.setColor(target, QColor(getattr(colours, token)))
    for target in (role.WindowText, role.Text, role.ButtonText):
        made.setColor(group.Disabled, target, QColor(colours.disabled))
    return made
