"""What comes with a session beside its text: screenshots and long pastes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file. ``session_id`` is empty while its session has not been started."""

    id: str
    session_id: str
    name: str
    media_type: str
    content: bytes
    created_at: datetime

    @property
    def sha256(self) -> str:
        """The digest of the content in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()
