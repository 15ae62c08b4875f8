"""Where everything local lies: a profile is a folder.

It is in the user's local, never the roaming or cloud-synced, folder. ``--demo`` is a profile of
its own, and ``--demo --second`` another, so that one person can play two technicians.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import platformdirs

PRACTICE_LATENCY = 0.15
"""Seconds that each call to the practice company takes, so that it feels like a network."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Which profile to open: its folder, and whether it is the practice company's."""

    folder: Path
    is_demo: bool = False
    latency: float = PRACTICE_LATENCY
    has_team: bool = False
    """With the practice company: whether its team queue runs, shared by both desktops."""
    is_second: bool = False
    """With the practice company: whether this is the second technician's desktop."""

    @property
    def logs(self) -> Path:
        """Where its log is."""
        return self.folder / "logs"

    @property
    def own_flows(self) -> Path:
        """Where the technician's own flows are."""
        return self.folder / "flows"


def default_profile(*, demo: bool = False, second: bool = False) -> Profile:
    """Return the profile of this user: in the local, never the roaming or synced, folder."""
    base = Path(platformdirs.user_data_dir("FlowPilot", appauthor=False, roaming=False))
    if demo:
        folder = base / ("practice-second" if second else "practice")
        return Profile(folder, is_demo=True, has_team=True, is_second=second)
    return Profile(base / "profile")
