"""Who may read what is written to a ticket; by itself, for settings are read first."""

from __future__ import annotations

from enum import StrEnum


class NoteVisibility(StrEnum):
    """Who can read a note: the team, or the client as well."""

    INTERNAL = "internal"
    INTERNAL_AND_EXTERNAL = "internal_and_external"
