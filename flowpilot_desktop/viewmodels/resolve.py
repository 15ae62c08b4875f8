"""The page that ends a session: what the solution was, the note and the time before they leave."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import Signal

from flowpilot_desktop.core.session import Resolution
from flowpilot_desktop.services.documentation import DocumentationPreview
from flowpilot_desktop.services.engine import Closing, SessionView
from flowpilot_desktop.viewmodels.closing import ClosingViewModel

SUMMARY, ACTION = "resolve.summary", "resolve.action"


class ResolveViewModel(ClosingViewModel):
    """What the resolve page knows and can do."""

    name = "resolve"
    resolved = Signal(str)
    verification_asked = Signal(str)

    def _forget_entries(self) -> None:
        super()._forget_entries()
        self.summary = self.action = ""

    def set_summary(self, text: str) -> None:
        """Take the solution in a sentence."""
        if text != self.summary:
            self.summary = text
            self._edited(SUMMARY, text)

    def set_action(self, text: str) -> None:
        """Take what was done."""
        if text != self.action:
            self.action = text
            self._edited(ACTION, text)

    def ask_verification(self) -> None:
        """Put a verification card on the session page."""
        self.tasks.start_unless_running("close", self._ask_verification())

    def resolve(self) -> None:
        """End the session with what is shown; a second click does nothing."""
        if self.can_resolve:
            self.tasks.start_unless_running("close", self._close())

    @property
    def can_resolve(self) -> bool:
        """Whether a person verified and said what the solution was."""
        return self.can_close and self.is_verified and bool(self.summary.strip())

    @property
    def is_verified(self) -> bool:
        """Whether a person said that the fix holds."""
        return self.view is not None and self.view.is_verified

    # Inside

    def _restore(self, view: SessionView, drafts: Mapping[str, str]) -> None:
        proposed = next(
            (step.body for step in reversed(view.steps) if isinstance(step.body, Resolution)), None
        )
        self.summary = drafts.get(SUMMARY, proposed.text if proposed else "")
        self.action = drafts.get(ACTION, proposed.action_taken if proposed else "")

    async def _previewed(self) -> DocumentationPreview:
        return await self._engine.preview_documentation(self.session_id, self.summary, self.action)

    async def _closed(self) -> Closing:
        return await self._engine.resolve_session(
            self.session_id, self.summary, self.action, self._choices()
        )

    def _announce(self) -> None:
        self.resolved.emit(self.session_id)

    async def _ask_verification(self) -> None:
        await self._engine.ask_verification(self.session_id)
        self.verification_asked.emit(self.session_id)
