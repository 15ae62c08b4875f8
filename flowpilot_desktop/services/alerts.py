"""When a technician is interrupted for an escalation, and when not.

Pure rules over the queue's picture and a clock:

- only what waits for them or for anybody, never their own;
- one for each request (another one when it is put back), several at once joined into one;
- nothing during quiet hours, while muted, or switched off: the count in the tray says enough, and
  nothing is made up for afterwards;
- after the start what waits already is no news; after a sleep it is one joined alert at most;
- a pickup that has gone quiet is called to mind once an hour.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from flowpilot_desktop.core.counting import counted
from flowpilot_desktop.core.ports import Clock
from flowpilot_desktop.services.escalations import QueueEntry
from flowpilot_desktop.settings import QuietHours

MUTE = timedelta(hours=1)
BURST = timedelta(seconds=10)
"""After an alert, what comes within this time is joined into the next one."""
STALE = timedelta(minutes=30)
"""How long a session that was picked up may rest before its handler is reminded."""
REMIND_EVERY = timedelta(hours=1)


class AlertKind(StrEnum):
    """What an alert is about."""

    ARRIVED = "arrived"
    SEVERAL = "several"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Alert:
    """One notification. ``escalation_id`` is empty for several; texts are plain."""

    kind: AlertKind
    title: str
    text: str
    escalation_id: str = ""
    session_id: str = ""
    can_pick_up: bool = False


@dataclass(frozen=True, slots=True)
class AlertRules:
    """The settings that decide."""

    is_on: bool = True
    quiet_hours: QuietHours = QuietHours()


class Alerts:
    """Decides from picture to picture."""

    def __init__(self, clock: Clock, rules: Callable[[], AlertRules]) -> None:
        self._clock = clock
        self._rules = rules
        self._known: set[tuple[str, int]] | None = None
        self._held: dict[tuple[str, int], QueueEntry] = {}
        self._last: datetime | None = None
        self._reminded: dict[str, datetime] = {}
        self._muted_until: datetime | None = None
        self._has_slept = False

    @property
    def muted_until(self) -> datetime | None:
        """Until when it is quiet, or None."""
        until = self._muted_until
        return until if until is not None and until > self._clock.now() else None

    def mute(self, span: timedelta = MUTE) -> None:
        """Be quiet for a while."""
        self._muted_until = self._clock.now() + span

    def unmute(self) -> None:
        """Be no longer quiet."""
        self._muted_until = None

    def woke(self) -> None:
        """Join what came while the computer slept."""
        self._has_slept = True

    @property
    def is_quiet(self) -> bool:
        """Whether nobody is to be interrupted now."""
        rules = self._rules()
        local = self._clock.now().astimezone().time()
        return not rules.is_on or self.muted_until is not None or rules.quiet_hours.cover(local)

    def look(self, entries: Sequence[QueueEntry]) -> tuple[Alert, ...]:
        """Return what is to be shown now; each request once."""
        wanted = {_key(entry): entry for entry in entries if entry.asks_me}
        if self._known is None:
            self._known = set(wanted)
            return ()
        fresh = {key: entry for key, entry in wanted.items() if key not in self._known}
        self._known |= set(fresh)
        self._held = {key: entry for key, entry in self._held.items() if key in wanted} | fresh
        slept, self._has_slept = self._has_slept, False
        if self.is_quiet:
            self._held = {}
            return ()
        alerts = [*self._arrivals(joins=slept), *self._reminders(entries)]
        return tuple(alerts)

    def _arrivals(self, *, joins: bool) -> list[Alert]:
        now = self._clock.now()
        if not self._held or (self._last is not None and now - self._last < BURST):
            return []
        held, self._held = list(self._held.values()), {}
        self._last = now
        if len(held) == 1:
            return [_arrived(held[0], now)]
        names = ", ".join(dict.fromkeys(entry.raised_by for entry in held))
        words = f"{counted(len(held), 'escalation waits', 'escalations wait')}"
        if joins:
            words += " since you were away"
        return [Alert(AlertKind.SEVERAL, words, f"From {names}")]

    def _reminders(self, entries: Sequence[QueueEntry]) -> list[Alert]:
        now = self._clock.now()
        found: list[Alert] = []
        for entry in entries:
            row = entry.escalation
            rests = entry.idle_since is not None and now - entry.idle_since >= STALE
            if not (rests or entry.can_take_back):
                continue
            last = self._reminded.get(row.id)
            if last is not None and now - last < REMIND_EVERY:
                continue
            self._reminded[row.id] = now
            if rests:
                assert entry.idle_since is not None
                text = f"You picked this up; nothing happened for {_age(now - entry.idle_since)}."
            else:
                text = f"{entry.handler} has it and has not been heard of. You can put it back."
            found.append(Alert(AlertKind.STALE, row.summary, text, row.id, row.session_id))
        return found


def _key(entry: QueueEntry) -> tuple[str, int]:
    return entry.escalation.id, entry.escalation.hop_count


def _arrived(entry: QueueEntry, now: datetime) -> Alert:
    row = entry.escalation
    to = "asks you" if entry.for_me else "asks the team"
    age = _age(now - row.raised_at)
    text = f"{entry.raised_by} {to} · {age} ago · {row.reason}"
    return Alert(AlertKind.ARRIVED, row.summary, text, row.id, row.session_id, can_pick_up=True)


def _age(span: timedelta) -> str:
    minutes = max(0, int(span.total_seconds() // 60))
    if minutes < 1:
        return "seconds"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h"  # noqa: PLR2004 - two hours
