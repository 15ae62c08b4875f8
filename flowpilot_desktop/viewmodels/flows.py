"""What the flows page knows: the flows, the text in the editor, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject

from flowpilot_desktop.core.errors import FlowPilotError
from flowpilot_desktop.services.engine import SessionView
from flowpilot_desktop.services.flow_shelf import FlowListing, FlowShelf
from flowpilot_desktop.viewmodels.rows import Rows
from flowpilot_desktop.viewmodels.viewmodel import ViewModel


class FlowsViewModel(ViewModel):
    """The shelf on the screen. ``loaded`` counts texts put into the editor from outside."""

    def __init__(self, shelf: FlowShelf, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._shelf = shelf
        self.flows: Rows[FlowListing] = Rows(lambda one: one.id, lambda one: one.title, self)
        self.chosen: FlowListing | None = None
        self.text = ""
        self.loaded = 0
        self.words = ""
        self.error: FlowPilotError | None = None

    def open(self) -> None:
        """List the flows."""
        self.tasks.start("list", self._list())

    def choose(self, flow: FlowListing) -> None:
        """Put a flow into the editor."""
        self.chosen = flow
        self._start(self._choose(flow.id))

    def draft(self, view: SessionView) -> None:
        """Put a first draft out of a session into the editor; nothing is kept yet."""
        self._start(self._draft(view))

    def examine(self, text: str) -> None:
        """Say what is wrong with the text."""
        self._start(self._examine(text))

    def keep(self, text: str) -> None:
        """Keep the text as a flow of one's own, if it is sound."""
        self._start(self._keep(text))

    def take_in(self, path: str) -> None:
        """Import a file."""
        self._start(self._take_in(Path(path)))

    def give_out(self, path: str) -> None:
        """Export the chosen flow."""
        if self.chosen is not None:
            self._start(self._give_out(self.chosen.id, Path(path)))

    def remove(self) -> None:
        """Forget the chosen flow of one's own."""
        if self.chosen is not None:
            self._start(self._remove(self.chosen.id))

    def _start(self, work: object) -> None:
        self.error, self.words = None, ""
        self.tasks.start("work", work)  # type: ignore[arg-type]  # each is a coroutine

    def _fail(self, error: FlowPilotError) -> None:
        self.error = error
        self.changed.emit()

    async def _list(self) -> None:
        self.flows.show(await self._shelf.listing())
        if self.chosen is not None:
            same = [one for one in self.flows.rows if one.id == self.chosen.id]
            self.chosen = same[0] if same else None
        self.changed.emit()

    def _load(self, text: str) -> None:
        self.text = text
        self.loaded += 1

    async def _choose(self, flow_id: str) -> None:
        self._load(await self._shelf.text(flow_id))
        self.changed.emit()

    async def _draft(self, view: SessionView) -> None:
        self._load(self._shelf.draft(view.session, view.steps))
        self.chosen = None
        self.words = "A draft out of the session. Read it, change what is particular, then keep it."
        self.changed.emit()

    async def _examine(self, text: str) -> None:
        self.words = (await self._shelf.examine(text)).text
        self.changed.emit()

    async def _keep(self, text: str) -> None:
        await self._settle(await self._shelf.keep(text), "Kept. It is in use from now on.")

    async def _take_in(self, path: Path) -> None:
        flow_id = await self._shelf.take_in(path)
        self._load(await self._shelf.text(flow_id))
        await self._settle(flow_id, "Imported. It is in use from now on.")

    async def _settle(self, flow_id: str, words: str) -> None:
        await self._list()
        self.chosen = next((one for one in self.flows.rows if one.id == flow_id), None)
        self.words = words
        self.changed.emit()

    async def _give_out(self, flow_id: str, path: Path) -> None:
        await self._shelf.give_out(flow_id, path)
        self.words = f"Exported as {path.name}."
        self.changed.emit()

    async def _remove(self, flow_id: str) -> None:
        await self._shelf.remove(flow_id)
        self._load("")
        await self._settle(flow_id, "Removed.")
