"""What comes with a session beside its text: screenshots and long pastes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

INTAKE = "intake"
NOTE = "note"


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file. ``session_id`` is empty while its session has not been started.

    ``step_id`` is the card it belongs to; ``INTAKE`` for what the session started from, ``NOTE``
    for a step by hand that is not logged yet, empty for what belongs to no card.
    """

    id: str
    session_id: str
    name: str
    media_type: str
    content: bytes
    created_at: datetime
    step_id: str = ""

    @property
    def sha256(self) -> str:
        """The digest of the content in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Kept:
    """An attachment without its content, which may be megabytes: enough to show that it is there.

    ``size`` is in bytes.
    """

    id: str
    session_id: str
    step_id: str
    name: str
    media_type: str
    size: int
    created_at: datetime

    @property
    def is_picture(self) -> bool:
        """Whether it is a screenshot."""
        return self.media_type.startswith("image/")


PICTURE_LIMIT = 5 * 2**20
"""Bytes of a picture; what a model takes at most."""
PICTURES_LIMIT = 10
"""Pictures of one session."""
_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
)


def picture_type(content: bytes) -> str:
    """Return the media type that the first bytes tell, or an empty string for no picture."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in _BEGINNINGS if content.startswith(start)), "")
