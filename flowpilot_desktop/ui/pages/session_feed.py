"""The feed of one session: what it started from, its cards, and how it stands at the end."""

from __future__ import annotations

from PySide6.QtCore import QMimeData, Qt, Signal, Slot
from PySide6.QtWidgets import QApplication, QWidget

from flowpilot_desktop.core.session import Step
from flowpilot_desktop.services.engine import SessionView
from flowpilot_desktop.ui.cards import CARD_WIDGETS, CardContent, StepCard
from flowpilot_desktop.ui.cards.intake import IntakeCard, IntakeContent
from flowpilot_desktop.ui.cards.writing import StandingCard, StandingContent, WritingCard
from flowpilot_desktop.ui.controls import announce
from flowpilot_desktop.ui.feed import Feed, FeedItem
from flowpilot_desktop.ui.pages.session_standing import standing
from flowpilot_desktop.ui.thumbnails import pictures_of
from flowpilot_desktop.viewmodels.session import SessionViewModel

_INTAKE = "intake"
_STANDING = "standing"
_WRITING = "writing"


class SessionFeed(Feed):
    """Shows the session of its view-model. ``open_key`` is the card that waits for an answer."""

    chosen = Signal(str)
    correction_wanted = Signal(str)

    def __init__(self, model: SessionViewModel, parent: QWidget | None = None) -> None:
        super().__init__("Cards of this session", parent)
        self._model = model
        self._fed_session = ""
        self.open_key = ""

    def show_session(self) -> None:
        """Show all cards, and give the focus to a new one where nobody types elsewhere."""
        model, view = self._model, self._model.view
        items = self._items_of(view) if view is not None else []
        if model.is_thinking:
            items.append(self._writing_item())
        else:
            content = standing(model)
            if content is not None:
                items.append(FeedItem(_STANDING, content, self._build_standing))
        was_inside = self._has_focus_to_give()
        self.show_items(items)
        if model.session_id != self._fed_session:
            self._fed_session = model.session_id
            self.follow()
        open_step = view.open_step if view is not None and model.is_live else None
        key = open_step.id if open_step is not None else ""
        if key != self.open_key:
            self.open_key = key
            if key and was_inside:
                self.focus_card(key)
            elif key and (card := self.card(key)) is not None:
                announce(self, card.accessibleName())

    def show_progress(self) -> None:
        """Show what has come of the card that is being written; nothing else has changed."""
        self.show_item(self._writing_item())

    @Slot()
    def focus_open_card(self) -> None:
        """Give the focus to the card that waits, else to the last one."""
        if self.open_key:
            self.focus_card(self.open_key)
        else:
            self.setFocus(Qt.FocusReason.OtherFocusReason)

    def _has_focus_to_give(self) -> bool:
        """Whether moving the focus to a new card takes it from nobody who types elsewhere."""
        focus = QApplication.focusWidget()
        if focus is None or not self.isVisible():
            return self.isVisible()
        return focus is self.parentWidget() or focus is self or self.isAncestorOf(focus)

    def _items_of(self, view: SessionView) -> list[FeedItem]:
        model = self._model
        items = [self._step_item(step, view) for step in view.steps]
        exhibits = model.exhibits.at_intake(step.id for step in view.steps)
        if exhibits:
            content = IntakeContent(view.session.intake.text, exhibits, can_remove=model.is_live)
            items.insert(0, FeedItem(_INTAKE, content, self._build_intake))
        return items

    def _step_item(self, step: Step, view: SessionView) -> FeedItem:
        model = self._model
        # After a pickup the card that was open waits behind the briefing.
        is_live = step is view.open_step and model.is_live
        content = CardContent(
            step=step,
            is_live=is_live,
            is_busy=model.busy_step == step.id,
            author=view.engineers.get(step.created_by, ""),
            answered_by=model.name(step.answered_by),
            can_correct=model.is_live and step.response is not None,
            corrected=next((s.number for s in view.steps if s.id == step.corrects), 0),
            exhibits=model.exhibits.with_card(step.id),
            can_remove=model.is_live,
            draft=model.drafts.get(step.id, ""),
        )
        return FeedItem(step.id, content, self._build_card, pinned=is_live)

    def _writing_item(self) -> FeedItem:
        return FeedItem(_WRITING, self._model.progress, self._build_writing, pinned=True)

    def _build_card(self, content: CardContent, parent: QWidget) -> StepCard:
        card = CARD_WIDGETS[content.step.kind](content, parent)
        card.answered.connect(self._model.answer)
        card.drafted.connect(self._model.draft)
        card.left.connect(self._model.flush_drafts)
        card.pictured.connect(self._attach)
        card.correction_wanted.connect(self.correction_wanted)
        card.exhibits.opened.connect(self._model.open_exhibit)
        card.exhibits.removed.connect(self._model.remove_picture)
        return card

    def _build_intake(self, content: IntakeContent, parent: QWidget) -> IntakeCard:
        card = IntakeCard(content, parent)
        card.exhibits.opened.connect(self._model.open_exhibit)
        card.exhibits.removed.connect(self._model.remove_picture)
        return card

    def _build_writing(self, progress: object, parent: QWidget) -> WritingCard:
        card = WritingCard(self._model.progress or progress, parent)  # type: ignore[arg-type]  # the feed carries any content
        card.stopped.connect(self._model.stop)
        return card

    def _build_standing(self, content: StandingContent, parent: QWidget) -> StandingCard:
        card = StandingCard(content, parent)
        card.chosen.connect(self.chosen)
        return card

    @Slot(str, object)
    def _attach(self, step_id: str, source: QMimeData) -> None:
        self._model.attach_pictures(pictures_of(source), step_id)
