"""The hand-off: escalate, withdraw, release, pick up, and everybody who had the session follows.

``giving`` hands a session over and takes it back, ``taking`` picks one up, ``feed`` hears the
queue, ``follower`` does here what others did there, ``entries`` is the list on the screen. They
meet in the outbox: a verb commits its operation, the outbox sends it, and what the queue answers
comes back here to whoever asked. No text of a model's moves anything.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from flowpilot_desktop.core.errors import ClaimLost, FlowPilotError, QueueRefused
from flowpilot_desktop.core.escalation import (
    EscalationFilter,
    OperationKind,
    QueueOperation,
    Teammate,
)
from flowpilot_desktop.core.events import SettingsChanged
from flowpilot_desktop.core.session import Session
from flowpilot_desktop.services.escalations.briefing import BriefingWriter
from flowpilot_desktop.services.escalations.entries import QueueEntry, QueueList, QueuePicture
from flowpilot_desktop.services.escalations.feed import Feed
from flowpilot_desktop.services.escalations.follower import Follower
from flowpilot_desktop.services.escalations.giving import EscalationPreview, Giving
from flowpilot_desktop.services.escalations.roster import Roster
from flowpilot_desktop.services.escalations.taking import Taking
from flowpilot_desktop.services.evidence import Evidence
from flowpilot_desktop.services.intake import Intakes
from flowpilot_desktop.services.model_access import ModelAccess
from flowpilot_desktop.services.queue import SETTING, Answer, QueueLink, TeamQueue
from flowpilot_desktop.services.queue_outbox import QueueOutbox
from flowpilot_desktop.services.sessions import Sessions
from flowpilot_desktop.services.sharing import Share
from flowpilot_desktop.store.tables import Record

log = logging.getLogger(__name__)

_HANDLERS = (OperationKind.APPEND, OperationKind.RELEASE, OperationKind.RESOLVE)

_UNTOLD = "Your team queue is older than FlowPilot"
_UNTOLD_WORDS = (
    "You have picked it up, but the queue has no room for what you wrote to your teammate: "
    "“{words}”. Tell them yourself, and ask whoever runs your team queue to run “flowpilot-queue "
    "migrate”."
)

Told = Callable[[str, str], None]
"""Hears a title and a sentence for the technician, about something that happened elsewhere."""


class Escalations:
    """Sessions that change hands, and the team that they change hands in."""

    def __init__(
        self,
        sessions: Sessions,
        access: ModelAccess,
        link: QueueLink,
        poll_seconds: Callable[[], float] = lambda: 5.0,
    ) -> None:
        self.link = link
        self.events = sessions.events
        self.told: Told = _only_log
        self._store = sessions.store
        self._is_following = False
        self.outbox = QueueOutbox(
            store=sessions.store,
            link=link,
            clock=sessions.clock,
            events=sessions.events,
            consequences=self._consequences,
            refused=self._refused,
        )
        self.share = share = Share(sessions, self.outbox, self.refresh)
        self.background = share.background
        writer = BriefingWriter(sessions, access, self.outbox)
        self._roster = roster = Roster(sessions, link)
        self._follower = follower = Follower(sessions, share, roster, self._tell)
        self._feed = Feed(sessions, share, roster, follower, poll_seconds)
        self._list = QueueList(sessions, roster, self._feed)
        self.giving = Giving(sessions, share, writer, self.refresh)
        self._taking = Taking(sessions, share, writer, Intakes(sessions, Evidence(sessions)))
        self._end_listening = sessions.events.listen(SettingsChanged, self._settings_changed)

    async def open(self) -> None:
        """Learn what a former run left behind; nothing is sent yet."""
        await self.outbox.open()

    async def aclose(self) -> None:
        """Stop; what is on its way is settled by its row."""
        self.background.close()
        self._end_listening()
        await self.background.aclose()
        await self._feed.stop()
        await self.link.aclose()

    async def pick_up(self, escalation_id: str, read_back: str = "") -> Session:
        """Take a session over: first one wins. Needs the queue."""
        try:
            return await self._taking.pick_up(escalation_id, read_back)
        except QueueRefused:
            with suppress(FlowPilotError):
                await self.refresh()
            raise

    # Reading

    async def queue(self, which: EscalationFilter = EscalationFilter.ALL) -> QueuePicture:
        """Return the requests that live, newest first, from the last known state."""
        return await self._list.picture(which)

    async def members(self) -> tuple[Teammate, ...]:
        """Return the team as last known, without the technician at this desktop."""
        return await self._roster.members()

    # Following

    def start(self) -> None:
        """Begin to follow the queue and to send what waits, if there is a queue."""
        self._is_following = True
        self.background.begin(self._feed.follow())

    async def refresh(self) -> None:
        """Read the queue now. Raises QueueUnreachable, QueueNotOpen."""
        await self._feed.refresh()

    async def tend(self) -> None:
        """Renew claims, send what is due, learn who is there; to be called every few seconds."""
        await self._feed.tend()

    def set_idle(self, *, idle: bool) -> None:
        """Look at the queue more rarely while nobody is there."""
        self._feed.set_idle(idle=idle)

    async def settled(self) -> None:
        """Wait until nothing runs in the background."""
        await self.background.settled()

    def _settings_changed(self, event: SettingsChanged) -> None:
        if not self._is_following:
            return
        if event.key == SETTING:
            self.background.begin(self._feed.follow_another())
        elif event.key == "queue.poll_seconds":
            self.background.begin(self._feed.follow())

    # What the queue answered, to whoever asked

    async def _consequences(
        self, one: QueueOperation, answer: Answer, queue: TeamQueue
    ) -> tuple[Record, ...]:
        match one.kind:
            case OperationKind.PICK_UP:
                records = await self._taking.granted(one, queue)
                self._feed.renewed(one.escalation_id)
                if "read_back" in answer.not_stored:
                    self.told(
                        _UNTOLD, _UNTOLD_WORDS.format(words=json.loads(one.body)["read_back"])
                    )
                return records
            case OperationKind.WITHDRAW | OperationKind.CANCEL:
                return await self.giving.ended(one, answer)
            case _:
                row = await self._store.escalation(one.escalation_id)
                if row is None or row.fence >= answer.fence:
                    return ()
                return (replace(row, fence=answer.fence, state=answer.state),)

    async def _refused(self, one: QueueOperation, error: QueueRefused) -> tuple[Record, ...]:
        """Return what follows from a no: whoever lost a claim keeps a copy, the rest is told."""
        if isinstance(error, ClaimLost) and one.kind in _HANDLERS:
            return await self._follower.claim_refused(one)
        if one.kind is OperationKind.ESCALATE:
            words = f"{error.message} {error.hint} Withdraw it in the session, then escalate again."
            self.told("Your escalation did not reach the team", words)
            return await self.giving.refused(one, error)
        if one.kind in _HANDLERS:
            self.told("The team queue refused", f"{error.message} {error.hint}".strip())
        return ()

    def _tell(self, title: str, words: str) -> None:
        self.told(title, words)


def _only_log(title: str, _: str) -> None:
    log.info("%s", title)


__all__ = ["EscalationPreview", "Escalations", "QueueEntry", "QueuePicture"]
