"""What is kept with a session's cards, as the screen shows it: thumbnails and names of long pastes.

A long paste is read from the disk only when somebody opens it; a screenshot once, for its
thumbnail.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from flowpilot_desktop.core.attachment import INTAKE, NOTE, Attachment, Kept
from flowpilot_desktop.viewmodels.session_engine import SessionEngine


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One thing that is kept. ``content`` is that of a picture, for its thumbnail."""

    id: str
    step_id: str
    name: str
    size: int
    is_picture: bool
    content: bytes = field(default=b"", compare=False, repr=False)

    @classmethod
    def of_attachment(cls, one: Attachment) -> Exhibit:
        """Show an attachment that is whole already."""
        is_picture = one.media_type.startswith("image/")
        return cls(one.id, one.step_id, one.name, len(one.content), is_picture, one.content)

    @classmethod
    def of_kept(cls, kept: Kept, content: bytes) -> Exhibit:
        """Show what is kept; a picture with its content."""
        return cls(kept.id, kept.step_id, kept.name, kept.size, kept.is_picture, content)


class Exhibits:
    """All exhibits of the open session."""

    def __init__(self, engine: SessionEngine) -> None:
        self._engine = engine
        self._session_id = ""
        self._pictures: dict[str, Attachment] = {}
        self._all: tuple[Exhibit, ...] = ()

    def open(self, session_id: str) -> None:
        """Be those of another session."""
        self._session_id, self._all, self._pictures = session_id, (), {}

    async def read(self) -> bool:
        """Read them again; return whether that changed anything."""
        session_id = self._session_id
        kept = await self._engine.evidence(session_id)
        pictures = {one.id: self._pictures.get(one.id) for one in kept if one.is_picture}
        loaded = {
            one: picture or await self._engine.attachment(one) for one, picture in pictures.items()
        }
        found = tuple(
            Exhibit.of_kept(one, loaded[one.id].content if one.is_picture else b"") for one in kept
        )
        if session_id != self._session_id:
            return False  # another session is open by now
        changed = found != self._all
        self._all, self._pictures = found, loaded
        return changed

    def picture(self, exhibit_id: str) -> Attachment | None:
        """Return a screenshot, whole."""
        return self._pictures.get(exhibit_id)

    def with_card(self, step_id: str) -> tuple[Exhibit, ...]:
        """Return what is kept with a card."""
        return tuple(one for one in self._all if one.step_id == step_id)

    def at_intake(self, cards: Iterable[str]) -> tuple[Exhibit, ...]:
        """Return what the session started with, and what belongs to no card any more."""
        known = {*cards, NOTE}
        return tuple(one for one in self._all if one.step_id == INTAKE or one.step_id not in known)
