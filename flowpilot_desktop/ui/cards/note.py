"""A note: a step that the technician logged by hand. It needs no answer."""

from __future__ import annotations

from flowpilot_desktop.ui.cards.card import StepCard


class NoteCard(StepCard):
    """What the technician wrote down."""

    icon_ink = "muted"
