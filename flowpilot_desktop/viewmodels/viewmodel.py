"""The contract between a screen and what it shows.

A view-model has two signals: ``changed`` (render me again; rendering is idempotent) and
``failed(error)`` with a ``FlowPilotError``. It never touches a widget. Lists are ``rows.Rows``.
It lives as long as its page; ``aclose`` ends its tasks and stops it listening.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from flowpilot_desktop.core.errors import FlowPilotError
from flowpilot_desktop.core.events import E, Events
from flowpilot_desktop.viewmodels.tasks import Tasks


class ViewModel(QObject):
    """What a screen knows and can do."""

    changed = Signal()
    failed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.tasks = Tasks(self._fail, self._end)
        self._listening: list[Callable[[], None]] = []

    def _listen(self, events: Events, kind: type[E], listener: Callable[[E], None]) -> None:
        """Call the listener for events of that kind until ``aclose``."""
        self._listening.append(events.listen(kind, listener))

    def _fail(self, error: FlowPilotError) -> None:
        """Tell the screen; a subclass may keep the error as part of its state."""
        self.failed.emit(error)

    def _end(self, name: str) -> None:
        """Hear that a task has ended by itself; a subclass may have to show it."""

    async def aclose(self) -> None:
        """Stop listening and end what runs."""
        while self._listening:
            self._listening.pop()()
        await self.tasks.aclose()
