"""One widget for each kind of step. A new kind is a class here and a line in ``CARD_WIDGETS``.

A card shows a ``CardContent``, is placed by the feed, and tells what the technician does with it:
``answered(step id, Response)`` and ``drafted(step id, text)``. It decides nothing.
"""

from __future__ import annotations

from flowpilot_desktop.core.session import StepKind
from flowpilot_desktop.ui.cards.briefing import BriefingCard
from flowpilot_desktop.ui.cards.card import CardContent, StepCard
from flowpilot_desktop.ui.cards.note import NoteCard
from flowpilot_desktop.ui.cards.question import QuestionCard
from flowpilot_desktop.ui.cards.verdict import ActionCard, ResolutionCard, VerificationCard

CARD_WIDGETS: dict[StepKind, type[StepCard]] = {
    StepKind.QUESTION: QuestionCard,
    StepKind.ACTION: ActionCard,
    StepKind.VERIFICATION: VerificationCard,
    StepKind.RESOLUTION: ResolutionCard,
    StepKind.BRIEFING: BriefingCard,
    StepKind.NOTE: NoteCard,
}

__all__ = ["CARD_WIDGETS", "CardContent", "StepCard"]
