"""Which working time is on the books already, wherever it was entered.

A session's own entries are its push items. Those that teammates made for a shared session on their
own computers come with the hand-off and are remembered here, so that two engineers never bill the
same minutes.
"""

from __future__ import annotations

from collections.abc import Iterable

from flowpilot_desktop.core.timing import Billed
from flowpilot_desktop.services.hand_off import BilledTime, as_billed
from flowpilot_desktop.store import Store
from flowpilot_desktop.store.documents import from_json, to_json


class TimeLedger:
    """The time entries that planning the next one has to respect."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def elsewhere(self, session_id: str) -> tuple[Billed, ...]:
        """Return the time entries that other engineers made for the session."""
        return as_billed(await self._kept(session_id))

    async def know(self, session_id: str, times: Iterable[BilledTime], *, but: str) -> None:
        """Remember entries made for a shared session, ``but`` for one engineer's own."""
        others = [one for one in times if one.engineer_id != but]
        if others:
            every = tuple(dict.fromkeys((*await self._kept(session_id), *others)))
            text = to_json(every, tuple[BilledTime, ...])
            await self._store.remember(_key(session_id), text)

    async def _kept(self, session_id: str) -> tuple[BilledTime, ...]:
        kept = await self._store.remembered(_key(session_id))
        times: tuple[BilledTime, ...] = from_json(kept, tuple[BilledTime, ...]) if kept else ()
        return times


def _key(session_id: str) -> str:
    return f"queue billed {session_id}"
