"""A note: a step that the technician logged by hand. It needs no answer."""

from __future__ import annotations

from flowpilot_desktop.ui.cards.card import StepCard


class NoteCard(StepCard):
    """What the technician wrote down."""

    icon_ink = "muted"

    def _kicker(self) -> str:
        corrected = self.content.corrected
        return f"Correction of step {corrected}" if corrected else super()._kicker()
