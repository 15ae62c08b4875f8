"""Whether each outside system can be used right now, and why not."""

from __future__ import annotations

from dataclasses import dataclass

from flowpilot_desktop.core.events import Events, Reach, ReachChanged, System


@dataclass(frozen=True, slots=True)
class ReachState:
    """One system's state; ``next_try_seconds`` is None when nothing is planned."""

    reach: Reach = Reach.UNKNOWN
    reason: str = ""
    next_try_seconds: float | None = None


class ReachBoard:
    """Remembers the last word on each outside system and publishes when it changes."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._states = {system: ReachState() for system in System}

    def state(self, system: System) -> ReachState:
        """Return the last word on a system."""
        return self._states[system]

    def note(
        self, system: System, reach: Reach, reason: str = "", next_try_seconds: float | None = None
    ) -> None:
        """Record what was just seen; listeners hear of it only when it differs."""
        state = ReachState(reach, reason, next_try_seconds)
        if state != self._states[system]:
            self._states[system] = state
            self._events.publish(ReachChanged(system, reach, reason, next_try_seconds))
