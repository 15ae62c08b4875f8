"""What a technician pastes and photographs: long pastes and screenshots, kept beside the session.

A step holds a digest of a long paste and names the file that has the whole; screenshots are
checked by their content, never by their name.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from flowpilot_desktop.core.attachment import (
    INTAKE,
    PICTURE_LIMIT,
    PICTURES_LIMIT,
    Attachment,
    Kept,
    picture_type,
)
from flowpilot_desktop.core.errors import InvalidInput, NotFound
from flowpilot_desktop.core.evidence import READ_LIMIT, evidence
from flowpilot_desktop.core.session import new_id
from flowpilot_desktop.core.ticket import cleaned
from flowpilot_desktop.services.sessions import Sessions


class Evidence:
    """Keeps what belongs to a session without being a step."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._store = sessions.store
        self._clock = sessions.clock

    async def read(
        self, session_id: str, text: str, where: str, step_id: str
    ) -> tuple[str, tuple[Attachment, ...]]:
        """Return what a step holds of a text, and a long paste as what is kept with that step."""
        found = await asyncio.to_thread(evidence, text)
        if found is None:
            return text, ()
        before = [one for one in await self._store.kept(session_id) if _is_paste(one)]
        name = f"{where}, {found.kind} {len(before) + 1}.txt"
        content = text.encode("utf-8", "replace")
        now = self._clock.now()
        kept = Attachment(new_id(), session_id, name, "text/plain", content, now, step_id)
        return found.digest(name), (kept,)

    async def of_session(self, session_id: str) -> tuple[Kept, ...]:
        """Return what is kept with a session's cards; for an empty id, with the intake."""
        return tuple(
            one for one in await self._store.kept(session_id) if _is_paste(one) or one.is_picture
        )

    async def of_step(self, session_id: str, step_id: str) -> tuple[Attachment, ...]:
        """Return what is kept with one card, with its content."""
        return tuple(
            one for one in await self._store.attachments(session_id) if one.step_id == step_id
        )

    async def content(self, attachment_id: str) -> Attachment:
        """Return what is kept, whole. Raises NotFound."""
        found = await self._store.attachment(attachment_id)
        if found is None:
            raise NotFound("This is not kept any more.")
        return found

    async def brought(self, ids: tuple[str, ...], session_id: str) -> list[Attachment]:
        """Return what was attached before the session started, as the session's own."""
        found = [await self._store.attachment(one) for one in ids]
        return [replace(one, session_id=session_id) for one in found if one is not None]

    async def attach_picture(
        self, session_id: str, content: bytes, step_id: str = INTAKE
    ) -> Attachment:
        """Keep a screenshot with a card, or for the intake when the session's id is empty."""
        media_type = picture_type(content)
        if not media_type:
            raise InvalidInput(
                "This is no picture that can be kept.",
                hint="PNG, JPEG, GIF and WebP pictures work.",
            )
        if len(content) > PICTURE_LIMIT:
            raise InvalidInput(
                f"That picture has {len(content) / 2**20:.1f} MB; "
                f"{PICTURE_LIMIT // 2**20} MB are the most.",
                hint="Take a picture of only the part that matters.",
            )
        if session_id:
            await self._sessions.workable(session_id)
            steps = await self._store.steps(session_id)
            if any(step.id == step_id and not step.is_open for step in steps):
                # What a model was told of an answer is never told otherwise.
                raise InvalidInput(
                    "This card is answered already.",
                    hint="Log a step by hand and put the picture there.",
                )
        before = await self._sessions.pictures(session_id)
        if len(before) >= PICTURES_LIMIT:
            raise InvalidInput(f"{PICTURES_LIMIT} pictures are the most for a session.")
        now = self._clock.now()
        name = f"screenshot {len(before) + 1}.{media_type.partition('/')[2]}"
        picture = Attachment(new_id(), session_id, name, media_type, content, now, step_id)
        await self._store.save(picture)
        if session_id:
            self._sessions.changed(session_id)
        return picture

    async def remove_picture(self, picture: Attachment) -> None:
        """Forget a screenshot."""
        await self._store.forget(picture)
        if picture.session_id:
            self._sessions.changed(picture.session_id)


def pasted(text: str) -> str:
    """Return what was typed or pasted, cleaned; refuse what is longer than can be read."""
    if len(text) > READ_LIMIT:
        raise InvalidInput(
            f"That text has {len(text):,} characters; {READ_LIMIT:,} are the most.",
            hint="Nothing was lost: it is still in the field. Keep the part that matters, or paste "
            "it in pieces.",
        )
    return cleaned(text, READ_LIMIT)


def _is_paste(kept: Kept) -> bool:
    """Whether it was pasted: what belongs to no card is the note as it went to the ticket."""
    return bool(kept.step_id) and not kept.is_picture
