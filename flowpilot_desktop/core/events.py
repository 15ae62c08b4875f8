"""News that several screens want: a handful of typed events that carry ids, not objects.

A listener that fails is logged and stops nobody. Listeners are called on the publishing thread,
which is the one thread that everything but the database drivers runs on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

log = logging.getLogger(__name__)


class System(StrEnum):
    """The outside systems."""

    PSA = "psa"
    MODEL = "model"
    QUEUE = "queue"


class Reach(StrEnum):
    """Whether an outside system can be used."""

    NOT_SET_UP = "not_set_up"
    UNKNOWN = "unknown"
    REACHABLE = "reachable"
    AWAY = "away"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class SessionChanged:
    """A session, or one of its steps, was committed."""

    session_id: str


@dataclass(frozen=True, slots=True)
class PushChanged:
    """An item of a session's documentation moved."""

    session_id: str


@dataclass(frozen=True, slots=True)
class EscalationsChanged:
    """The team's queue looks different."""


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """A setting, a connection or a key changed."""

    key: str = ""


@dataclass(frozen=True, slots=True)
class ReachChanged:
    """An outside system came or went. ``reason`` is for people; ``next_try`` in seconds or None."""

    system: System
    reach: Reach
    reason: str = ""
    next_try_seconds: float | None = None


Event = SessionChanged | PushChanged | EscalationsChanged | SettingsChanged | ReachChanged
E = TypeVar("E", SessionChanged, PushChanged, EscalationsChanged, SettingsChanged, ReachChanged)


class Events:
    """Hands events to whoever listens for their type."""

    def __init__(self) -> None:
        self._listeners: dict[type[Event], list[Callable[..., None]]] = {}

    def listen(self, kind: type[E], listener: Callable[[E], None]) -> Callable[[], None]:
        """Call the listener for every event of the kind; return what ends it."""
        listeners = self._listeners.setdefault(kind, [])
        listeners.append(listener)

        def end() -> None:
            if listener in listeners:
                listeners.remove(listener)

        return end

    def publish(self, event: Event) -> None:
        """Hand the event to every listener of its type, in the order they came."""
        for listener in tuple(self._listeners.get(type(event), ())):
            try:
                listener(event)
            except Exception:
                log.exception("A listener for %s failed", type(event).__name__)
