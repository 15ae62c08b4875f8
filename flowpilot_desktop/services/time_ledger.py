"""Which working time is on the books already, wherever it was entered.

A session's own entries are its push items. Those that teammates made for a shared session on their
own computers come with the hand-off and are remembered here, so that two engineers never bill the
same minutes. An engineer's entries for other sessions count as well: rounded up to a quarter of an
hour, two short sessions after one another would bill the same minutes twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import datetime, timedelta

from flowpilot_desktop.core.errors import InvalidInput
from flowpilot_desktop.core.push import PushItem, PushKind, PushState, TimePayload
from flowpilot_desktop.core.timing import Billed, local_words
from flowpilot_desktop.services.hand_off import BilledTime, as_billed
from flowpilot_desktop.store import Store
from flowpilot_desktop.store.documents import from_json, to_json

_PAGE = 200
_LONGEST_ENTRY = timedelta(days=1)


class TimeLedger:
    """The time entries that planning the next one has to respect."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def elsewhere(self, session_id: str) -> tuple[Billed, ...]:
        """Return the time entries that other engineers made for the session."""
        return as_billed(await self._kept(session_id))

    async def busy(self, engineer_id: str, *, since: datetime, but: str) -> tuple[Billed, ...]:
        """Return an engineer's entries for all sessions but one, made or still to be made.

        ``since`` is when the work in question began.
        """
        return tuple(
            Billed(engineer_id, item.payload.start, item.payload.end)
            for item in await self._entries(engineer_id, since)
            if item.session_id != but and isinstance(item.payload, TimePayload)
        )

    async def check(self, item: PushItem, edited: TimePayload) -> None:
        """Refuse a span edited by hand that is on the books already. Raises InvalidInput."""
        taken = [
            (one.payload.start, one.payload.end)
            for one in await self._entries(item.engineer_id, edited.start)
            if one.id != item.id and isinstance(one.payload, TimePayload)
        ]
        taken += [(one.start, one.end) for one in await self.elsewhere(item.session_id)]
        for start, end in taken:
            if edited.start < end and start < edited.end:
                raise InvalidInput(
                    "That overlaps time that is entered already, "
                    f"{local_words(start)} to {local_words(end)}.",
                    hint="Change start or end; nothing was sent.",
                )

    async def _entries(self, engineer_id: str, since: datetime) -> list[PushItem]:
        """Return an engineer's entries, but for those written more than a day before."""
        found: list[PushItem] = []
        for page in itertools.count():
            items = await self._store.push_history(_PAGE, page * _PAGE)
            found += [
                item
                for item in items
                if item.kind is PushKind.TIME
                and item.state is not PushState.SKIPPED
                and item.engineer_id == engineer_id
            ]
            if len(items) < _PAGE or items[-1].created_at < since - _LONGEST_ENTRY:
                break
        return found

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
