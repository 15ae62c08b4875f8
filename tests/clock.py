"""A clock that only moves when told: time is simulated, never slept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class VirtualClock:
    """Implements ``core.ports.Clock``."""

    def __init__(self, start: datetime = datetime(2026, 3, 27, 8, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic = 1000.0

    def now(self) -> datetime:
        """Return the simulated wall clock."""
        return self._now

    def monotonic(self) -> float:
        """Return simulated seconds that never jump."""
        return self._monotonic

    def advance(self, *, seconds: float = 0.0, minutes: float = 0.0, hours: float = 0.0) -> None:
        """Let time pass."""
        span = timedelta(seconds=seconds, minutes=minutes, hours=hours)
        self._now += span
        self._monotonic += span.total_seconds()

    def jump(self, span: timedelta) -> None:
        """Set the wall clock, as a person or a time server does."""
        self._now += span
