"""The troubleshooting flows of a profile: those shipped and the technician's own.

They are loaded once, away from the screen's thread, when they are first needed, and anew when a
flow of one's own came, changed or went: no restart. What is not sound is never kept: a session must
not run into a dead end because of a slip in a file.
"""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from flowpilot_desktop.core.errors import FlowInvalid, InvalidInput
from flowpilot_desktop.core.session import Session, Step
from flowpilot_desktop.flows.check import Report, check_flow
from flowpilot_desktop.flows.drafting import draft_flow
from flowpilot_desktop.flows.library import FlowLibrary
from flowpilot_desktop.flows.loading import load_text
from flowpilot_desktop.flows.model import Flow

log = logging.getLogger(__name__)

FILE_LIMIT = 1_000_000
"""Bytes of a flow file."""


@dataclass(frozen=True, slots=True)
class FlowListing:
    """A flow as a list shows it."""

    id: str
    title: str
    domain: str
    cards: int
    is_own: bool


class FlowShelf:
    """Hands out the flows, and keeps the technician's own."""

    def __init__(self, shipped: Path, own: Path) -> None:
        self.own = own
        self._shipped = shipped
        self._loading: asyncio.Future[FlowLibrary] | None = None

    async def library(self) -> FlowLibrary:
        """Return the shipped flows and the technician's own."""
        if self._loading is None:
            self._loading = asyncio.ensure_future(
                asyncio.to_thread(FlowLibrary.load, self._shipped, self.own)
            )
        return await asyncio.shield(self._loading)

    def reload(self) -> None:
        """Load anew when the flows are needed next."""
        self._loading = None

    async def listing(self) -> tuple[FlowListing, ...]:
        """Return every flow, by domain and title."""
        flows = (await self.library()).flows.values()
        found = [
            FlowListing(flow.id, flow.title, flow.domain, len(flow.nodes), self._is_own(flow))
            for flow in flows
        ]
        return tuple(sorted(found, key=lambda one: (one.domain.casefold(), one.title.casefold())))

    async def text(self, flow_id: str) -> str:
        """Return a flow's file as text."""
        flow = (await self.library()).flow(flow_id)
        if flow is None or flow.path is None:
            raise InvalidInput("This flow has no file.")
        return await asyncio.to_thread(flow.path.read_text, encoding="utf-8")

    async def examine(self, text: str) -> Report:
        """Return what a check of a flow's text finds, its samples tried against the others."""
        library = await self.library()
        return await asyncio.to_thread(_examined, text, library)

    async def keep(self, text: str) -> str:
        """Keep a sound flow as one's own and return its id; it replaces a shipped one of that id.

        Raises FlowInvalid, which names the first line that is wrong; then nothing is kept.
        """
        loaded = await asyncio.to_thread(load_text, text, Path("flow.yaml"))
        if loaded.flow is None or loaded.findings:
            more = len(loaded.findings) - 1
            raise FlowInvalid(
                str(loaded.findings[0]), hint=f"{more} more to mend after that." if more else ""
            )
        flow_id = loaded.flow.id
        await asyncio.to_thread(_write, self.own / f"{flow_id}.yaml", text)
        self.reload()
        log.info("A flow of the technician's own was kept: %s", flow_id)
        return flow_id

    async def take_in(self, path: Path) -> str:
        """Keep a flow from a file and return its id. Raises FlowInvalid, InvalidInput."""
        return await self.keep(await asyncio.to_thread(_read, path))

    async def give_out(self, flow_id: str, path: Path) -> None:
        """Write a flow's file somewhere else."""
        await asyncio.to_thread(_write, path, await self.text(flow_id))

    async def remove(self, flow_id: str) -> None:
        """Forget a flow of one's own; a shipped one of that id is back."""
        flow = (await self.library()).flow(flow_id)
        if flow is None or flow.path is None or not self._is_own(flow):
            raise InvalidInput("Only flows of your own can be removed.")
        await asyncio.to_thread(flow.path.unlink, missing_ok=True)
        self.reload()

    def draft(self, session: Session, steps: tuple[Step, ...]) -> str:
        """Return a first draft of a flow out of a session whose fix was verified.

        Raises FlowInvalid where there is none in it.
        """
        return draft_flow(session, steps)

    def _is_own(self, flow: Flow) -> bool:
        return flow.path is not None and flow.path.parent == self.own


def _examined(text: str, library: FlowLibrary) -> Report:
    path = Path("flow.yaml")
    loaded = load_text(text, path)
    if loaded.flow is None or loaded.findings:
        flows = () if loaded.flow is None else (loaded.flow,)
        return Report(1, flows, tuple(loaded.findings))
    return check_flow(loaded.flow, library.flows.values())


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > FILE_LIMIT:
            raise InvalidInput("That file is too large for a flow.")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            "That file can't be read as a flow.", hint="A flow is a YAML file in UTF-8."
        ) from error


def _write(path: Path, text: str) -> None:
    """Put a file in place whole."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(path.suffix + ".new")
        with beside.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise InvalidInput(
            f"The file could not be written: {error.strerror}.",
            hint="Nothing was changed. Choose another place, or free some space.",
        ) from error
