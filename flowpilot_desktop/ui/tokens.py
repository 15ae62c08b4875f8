"""The design's constants: colours for light and dark, and the scale of type.

A token is named for what it is used for, never for what it looks like, so that both sets hold the
same names. ``READABLE`` lists which text stands on which ground; a test holds each pair to a
contrast of 4.5 : 1 (WCAG 2.1, 1.4.3), icons and focus rings (``VISIBLE``) to 3 : 1.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Colours:
    """One set of colours, each ``#rrggbb``."""

    window: str  # behind the cards
    chrome: str  # navigation and status bar
    header: str  # the page's head and foot
    card: str
    field: str  # what can be typed into
    code: str  # what can be run
    border: str
    strong_border: str  # of what can be clicked or typed into
    button: str
    button_hover: str
    button_pressed: str
    text: str
    muted: str
    faint: str  # placeholders
    disabled: str
    accent: str
    accent_hover: str
    on_accent: str
    accent_text: str
    accent_soft: str
    accent_border: str
    bubble: str
    bubble_text: str
    amber: str
    amber_hover: str
    on_amber: str
    amber_text: str
    amber_card: str
    amber_border: str
    red: str
    on_red: str
    red_text: str
    red_card: str
    red_border: str
    green: str
    green_text: str
    green_card: str
    green_border: str
    badge: str
    badge_text: str
    track: str  # behind the meter
    focus: str
    selection: str
    on_selection: str
    tooltip: str
    on_tooltip: str
    scroll: str
    scroll_hover: str


DARK = Colours(
    window="#14171c",
    chrome="#0f1216",
    header="#1a1e25",
    card="#1c2028",
    field="#13161b",
    code="#101317",
    border="#2b313b",
    strong_border="#39414d",
    button="#252a33",
    button_hover="#2d333e",
    button_pressed="#343b47",
    text="#eef1f5",
    muted="#a6afbc",
    faint="#8d97a6",
    disabled="#6c7583",
    accent="#27c4da",
    accent_hover="#4bd3e5",
    on_accent="#05222a",
    accent_text="#52d3e5",
    accent_soft="#15323a",
    accent_border="#1f6f7d",
    bubble="#163a44",
    bubble_text="#e3f8fc",
    amber="#f5a623",
    amber_hover="#ffb944",
    on_amber="#251800",
    amber_text="#ffca6b",
    amber_card="#282011",
    amber_border="#6e4f17",
    red="#ff7b72",
    on_red="#2d0705",
    red_text="#ff938c",
    red_card="#2c191b",
    red_border="#6d3033",
    green="#63c76d",
    green_text="#7ad383",
    green_card="#17281c",
    green_border="#2f5f39",
    badge="#2d343f",
    badge_text="#dfe4eb",
    track="#2d343f",
    focus="#7fe3f2",
    selection="#1d6673",
    on_selection="#ffffff",
    tooltip="#2d343f",
    on_tooltip="#eef1f5",
    scroll="#3a424e",
    scroll_hover="#505a69",
)

LIGHT = Colours(
    window="#f4f6f8",
    chrome="#e9edf1",
    header="#ffffff",
    card="#ffffff",
    field="#ffffff",
    code="#f1f4f7",
    border="#d9dfe6",
    strong_border="#c0c9d3",
    button="#f6f8fa",
    button_hover="#edf1f5",
    button_pressed="#e2e8ee",
    text="#151a21",
    muted="#505b69",
    faint="#626d7b",
    disabled="#929baa",
    accent="#0b7285",
    accent_hover="#0a6172",
    on_accent="#ffffff",
    accent_text="#0a6a7c",
    accent_soft="#dcf1f5",
    accent_border="#8ac9d5",
    bubble="#dcf1f5",
    bubble_text="#0a3640",
    amber="#f5a20b",
    amber_hover="#e39400",
    on_amber="#2a1a00",
    amber_text="#854900",
    amber_card="#fff7e6",
    amber_border="#efc467",
    red="#b3261e",
    on_red="#ffffff",
    red_text="#ab231b",
    red_card="#fdeeec",
    red_border="#eeb3ae",
    green="#2e7d32",
    green_text="#23672a",
    green_card="#e9f5ea",
    green_border="#a5d2aa",
    badge="#dfe5ec",
    badge_text="#27303b",
    track="#dfe5ec",
    focus="#0b7285",
    selection="#a9e0ea",
    on_selection="#06222a",
    tooltip="#27303b",
    on_tooltip="#ffffff",
    scroll="#c3ccd6",
    scroll_hover="#a0abb8",
)

READABLE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("text", ("window", "chrome", "header", "card", "field", "code", "amber_card", "red_card")),
    ("text", ("button", "button_hover", "button_pressed", "accent_soft", "green_card")),
    ("muted", ("window", "chrome", "header", "card", "amber_card", "red_card", "green_card")),
    ("muted", ("accent_soft", "button", "button_hover", "code")),
    ("faint", ("field", "card")),
    ("on_accent", ("accent", "accent_hover")),
    ("accent_text", ("window", "header", "card", "accent_soft", "button", "chrome")),
    ("bubble_text", ("bubble",)),
    ("on_amber", ("amber", "amber_hover")),
    ("amber_text", ("amber_card", "card", "header", "chrome", "window")),
    ("on_red", ("red",)),
    ("red_text", ("red_card", "card", "header", "chrome", "window")),
    ("green_text", ("green_card", "card", "header", "chrome", "window")),
    ("badge_text", ("badge",)),
    ("on_selection", ("selection",)),
    ("on_tooltip", ("tooltip",)),
)
"""Text tokens and the grounds they are used on."""

VISIBLE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("focus", ("window", "chrome", "header", "card", "field", "amber_card", "button")),
    ("green", ("chrome", "card", "track")),
    ("red", ("chrome", "card")),
    ("accent", ("card", "window")),
)
"""What carries meaning without words, and its grounds."""

TYPE_SCALE = {
    "small": 12 / 13,
    "kicker": 11 / 13,
    "body": 1.0,
    "title": 15 / 13,
    "head": 16 / 13,
    "large": 22 / 13,
}
"""Sizes of type relative to the body's; nothing uses any other."""


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1..21 (WCAG 2.1, relative luminance)."""

    def luminance(colour: str) -> float:
        channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]  # noqa: PLR2004 - the standard's
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)
