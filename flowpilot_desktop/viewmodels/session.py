"""What the session screen knows: one session, the card being thought of, text not yet sent.

Order of events, for it is the promise of the product: a verb is committed by the engine, then the
session is read again, then the screen changes; only after that does anybody think of a next card.
Stopping the thinking is a cancelled task. Typed text is on disk at most a quarter of a second
after the key, whether or not the technician pauses.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from PySide6.QtCore import QObject, QTimer, Slot

from flowpilot_desktop.core.attachment import Attachment
from flowpilot_desktop.core.errors import FlowPilotError
from flowpilot_desktop.core.events import Events, PushChanged, SessionChanged
from flowpilot_desktop.core.lifecycle import TRANSITIONS, Verb, has_role
from flowpilot_desktop.core.ports import StepProgress
from flowpilot_desktop.core.push import PsaPushStatus
from flowpilot_desktop.core.session import (
    Engineer,
    Response,
    Result,
    Session,
    SessionStatus,
    Step,
    StepKind,
)
from flowpilot_desktop.services.engine import SessionView
from flowpilot_desktop.services.probes import Probe
from flowpilot_desktop.viewmodels.viewmodel import ViewModel

STREAM_INTERVAL_MS = 50
"""Streamed text renders at most this often."""
DRAFT_DELAY = 0.25
"""Seconds from a key to its draft being saved; typing on does not put it off."""
NOTE = "note"
"""The draft field of a step logged by hand."""


class SessionEngine(Protocol):
    """The part of the engine that this screen uses."""

    events: Events

    @property
    def me(self) -> Engineer:
        """The technician at this desktop."""
        ...

    async def session(self, session_id: str) -> SessionView:
        """Return all that a screen shows of a session."""
        ...

    async def go_back(self, session_id: str) -> Step:
        """Ask the flow's last answered card anew."""
        ...

    def notice(self, session_id: str) -> str:
        """Return why the session goes on without Claude."""
        ...

    def asks_budget(self, session_id: str) -> bool:
        """Return whether Claude waits for a yes to the rest of the budget."""
        ...

    async def agree_to_spend(self) -> None:
        """Say that yes."""
        ...

    async def probe(self, session_id: str, probe: Probe) -> Step:
        """Look at a host and log what was seen."""
        ...

    async def attach_picture(self, session_id: str, content: bytes) -> Attachment:
        """Keep a screenshot."""
        ...

    async def pictures(self, session_id: str) -> tuple[Attachment, ...]:
        """Return the screenshots."""
        ...

    async def remove_picture(self, picture: Attachment) -> None:
        """Forget a screenshot."""
        ...

    async def drafts(self, session_id: str) -> dict[str, str]:
        """Return the text typed but not sent."""
        ...

    async def save_draft(self, session_id: str, where: str, text: str) -> None:
        """Keep text typed but not sent."""
        ...

    async def work_on(self, session_id: str) -> None:
        """Let the technician's time run on this session."""
        ...

    async def respond(self, session_id: str, step_id: str, response: Response) -> Step:
        """Commit an answer."""
        ...

    async def next_step(
        self, session_id: str, progress: Callable[[StepProgress], None] | None = None
    ) -> Step | None:
        """Think of the next card and commit it."""
        ...

    async def add_note(self, session_id: str, text: str, corrects: str = "") -> Step:
        """Log a step by hand, or a correction of an answered one."""
        ...

    async def pause_session(self, session_id: str) -> Session:
        """Pause."""
        ...

    async def resume_session(self, session_id: str) -> Session:
        """Go on."""
        ...

    async def link_ticket(self, session_id: str, connection_id: str, ticket_id: str) -> SessionView:
        """Link a ticket."""
        ...

    async def refresh_ticket(self, session_id: str) -> SessionView:
        """Pull the ticket anew."""
        ...

    async def retry_psa_push(self, session_id: str) -> PsaPushStatus:
        """Send failed documentation again."""
        ...


class SessionViewModel(ViewModel):
    """One session on the screen; ``open`` changes which."""

    def __init__(
        self,
        engine: SessionEngine,
        parent: QObject | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(parent)
        self._engine = engine
        self._monotonic = monotonic
        self._read_at = 0.0
        self._is_outdated = False
        self._unsaved: dict[tuple[str, str], str] = {}
        self._stream = QTimer(self)
        self._stream.setSingleShot(True)
        self._stream.setInterval(STREAM_INTERVAL_MS)
        self._stream.timeout.connect(self._render_progress)
        self._forget("")
        self._listen(engine.events, SessionChanged, self._hear)
        self._listen(engine.events, PushChanged, self._hear)

    def _forget(self, session_id: str) -> None:
        self.session_id = session_id
        self.view: SessionView | None = None
        self.drafts: dict[str, str] = {}
        self.pictures: tuple[Attachment, ...] = ()
        self.load_error: FlowPilotError | None = None
        self.think_error: FlowPilotError | None = None
        self.progress: StepProgress | None = None
        self.busy_step = ""
        self.was_stopped = False
        self.has_no_more = False
        self._latest_progress: StepProgress | None = None

    # --- what the screen shows ---

    @property
    def is_loading(self) -> bool:
        """Whether nothing is there to show yet, but is on its way."""
        return self.view is None and self.load_error is None and bool(self.session_id)

    @property
    def is_thinking(self) -> bool:
        """Whether a next card is being thought of."""
        return self.progress is not None

    @property
    def is_busy(self) -> bool:
        """Whether a verb is on its way to the disk."""
        return bool(self.busy_step) or self.tasks.is_running(self._slot("verb"))

    @property
    def is_saved(self) -> bool:
        """Whether everything that was typed is on the disk."""
        return not self._unsaved

    @property
    def notice(self) -> str:
        """Why the session goes on without Claude; empty when it does not."""
        return self._engine.notice(self.session_id) if self.session_id else ""

    @property
    def asks_budget(self) -> bool:
        """Whether Claude waits for a yes to the rest of the month's budget."""
        return bool(self.session_id) and self._engine.asks_budget(self.session_id)

    @property
    def advice(self) -> str:
        """Why the session might better be handed on; empty when there is no reason."""
        return self.view.advice if self.view is not None and self.is_live else ""

    @property
    def is_mine(self) -> bool:
        """Whether this technician handles it."""
        return self.view is not None and self.view.session.handler_id == self._engine.me.id

    @property
    def is_live(self) -> bool:
        """Whether its cards can be answered here and now."""
        return (
            self.is_mine
            and self.view is not None
            and self.view.session.status is SessionStatus.ACTIVE
        )

    def allows(self, verb: Verb) -> bool:
        """Return whether the life-cycle table lets this technician do that now."""
        if self.view is None:
            return False
        session, me = self.view.session, self._engine.me.id
        return any(
            row.before is session.status and row.verb is verb and has_role(session, me, row.role)
            for row in TRANSITIONS
        )

    def name(self, engineer_id: str) -> str:
        """Return an engineer's name; empty for the technician at this desktop."""
        if self.view is None or engineer_id == self._engine.me.id:
            return ""
        return self.view.engineers.get(engineer_id, "")

    def active_seconds(self) -> float:
        """Return the technician's own working time, to this moment."""
        if self.view is None:
            return 0.0
        since = self._monotonic() - self._read_at if self.view.clock_runs else 0.0
        return self.view.active_seconds + since

    # --- what the technician does ---

    def open(self, session_id: str) -> None:
        """Show a session, and go on with it if it is this technician's."""
        if session_id == self.session_id and self.view is not None:
            self.tasks.start("load", self._load(begins=True))
            return
        self.flush_drafts()
        self.tasks.cancel("think")
        self._forget(session_id)
        self.changed.emit()
        self.tasks.start("load", self._load(begins=True))

    def reload(self) -> None:
        """Read the session again."""
        if self.session_id:
            self.load_error = None
            self.tasks.start("load", self._load(begins=self.view is None))

    def answer(self, step_id: str, response: Response) -> None:
        """Answer a card; while one answer is on its way a second one is nothing."""
        if not self.busy_step and self.is_live:
            self.busy_step = step_id
            if not self.tasks.start_unless_running(
                self._slot("verb"), self._respond(self.session_id, step_id, response)
            ):
                self.busy_step = ""
            self.changed.emit()

    def think(self) -> None:
        """Ask for the next card."""
        if self.is_live and not self.is_thinking:
            self.think_error = None
            self.was_stopped = self.has_no_more = False
            self.progress = StepProgress()
            self.changed.emit()
            self.tasks.start("think", self._think())

    @Slot()
    def stop(self) -> None:
        """Stop thinking; nothing that was answered is lost."""
        if self.is_thinking:
            self.was_stopped = True
            self.progress = None
            self.tasks.cancel("think")
            self.changed.emit()

    def log_note(self, text: str, corrects: str = "") -> None:
        """Log a step by hand; with a step's id, as the correction of its answer."""
        self._verb(self._note(self.session_id, text, corrects))

    @Slot()
    def go_back(self) -> None:
        """Ask the last answered card of the flow anew."""
        self._verb(self._go_back(self.session_id))

    @Slot()
    def pause(self) -> None:
        """Pause; time stops."""
        self._verb(self._pause(self.session_id))

    @Slot()
    def resume(self) -> None:
        """Go on at the same card."""
        self._verb(self._resume(self.session_id))

    @Slot()
    def agree_to_spend(self) -> None:
        """Let Claude use the rest of the month's budget."""
        self._verb(self._agree_to_spend())

    @Slot()
    def refresh_ticket(self) -> None:
        """Pull the ticket from the PSA anew."""
        self._verb(self._refresh(self.session_id), "refresh")

    def link_ticket(self, connection_id: str, ticket_id: str) -> None:
        """Link a ticket to the running session."""
        self._verb(self._link(self.session_id, connection_id, ticket_id), "link")

    @Slot()
    def retry_push(self) -> None:
        """Send documentation that failed once more."""
        self._verb(self._retry_push(self.session_id), "retry")

    @property
    def is_probing(self) -> bool:
        """Whether a probe is under way."""
        return self.tasks.is_running(self._slot("probe"))

    def probe(self, probe: Probe) -> None:
        """Look at a host, as the technician has just asked."""
        if self.is_live:
            self._verb(self._probe(probe), "probe")

    @Slot()
    def stop_probe(self) -> None:
        """End the probe; nothing of it is logged."""
        self.tasks.cancel(self._slot("probe"))
        self.changed.emit()

    def attach_pictures(self, pictures: list[bytes]) -> None:
        """Keep screenshots with the session."""
        if pictures and self.is_live:
            self._verb(self._attach(pictures))

    @Slot(object)
    def remove_picture(self, picture: Attachment) -> None:
        """Forget a screenshot."""
        self._verb(self._remove_picture(picture))

    def draft(self, where: str, text: str) -> None:
        """Keep text typed but not sent: a step's id or ``NOTE`` says where."""
        if self.session_id:
            was_saved = self.is_saved
            self._unsaved[self.session_id, where] = text
            self.drafts[where] = text
            self.tasks.start_unless_running("drafts", self._save_drafts(DRAFT_DELAY))
            if was_saved:  # the screen must not say "saved" of what is not
                self.changed.emit()

    @Slot()
    def flush_drafts(self) -> None:
        """Save what was typed now: the technician goes elsewhere."""
        if self._unsaved:
            self.tasks.start("drafts", self._save_drafts(0.0))

    async def aclose(self) -> None:
        """Save what was typed, then end."""
        self.tasks.cancel("drafts")
        await self._save_drafts(0.0)
        await super().aclose()

    # --- inside ---

    def _slot(self, name: str) -> str:
        """Return the name under which this session's task runs: one session holds up no other."""
        return f"{name} {self.session_id}"

    def _verb(self, coroutine: Coroutine[Any, Any, None], name: str = "verb") -> None:
        if self.tasks.start_unless_running(self._slot(name), coroutine):
            self.changed.emit()

    def _end(self, name: str) -> None:
        """Give the buttons back when a verb is over."""
        if name in (self._slot("verb"), self._slot("probe")):
            self.changed.emit()

    async def _load(self, *, begins: bool = False) -> None:
        session_id = self.session_id
        try:
            if begins:
                await self._engine.work_on(session_id)
                drafts = await self._engine.drafts(session_id)
                self.pictures = await self._engine.pictures(session_id)
                unsaved = {w: text for (s, w), text in self._unsaved.items() if s == session_id}
                self.drafts = drafts | unsaved
            self._is_outdated = True
            while self._is_outdated:  # news during the reading make it read again, not give up
                self._is_outdated = False
                view = await self._engine.session(session_id)
        except FlowPilotError as error:
            if self.view is None:
                self.load_error = error
                self.changed.emit()
                return
            raise
        self._show(view)
        if begins:
            self._go_on()

    def _show(self, view: SessionView) -> None:
        if view.session.id != self.session_id:
            return  # the technician has gone to another session meanwhile
        self.view = view
        self._read_at = self._monotonic()
        if view.open_step is not None:
            self.has_no_more = self.was_stopped = False
        self.changed.emit()

    def _go_on(self) -> None:
        """Think of a next card if one is due."""
        view = self.view
        if view is None or view.open_step is not None or not self.is_live or self.is_over:
            return
        self.think()

    @property
    def is_over(self) -> bool:
        """Whether a proposed resolution was confirmed: what is left is to resolve."""
        steps = self.view.steps if self.view is not None else ()
        last = next((step for step in reversed(steps) if step.kind is not StepKind.NOTE), None)
        return (
            last is not None
            and last.kind is StepKind.RESOLUTION
            and last.response is not None
            and last.response.result is Result.WORKED
        )

    async def _respond(self, session_id: str, step_id: str, response: Response) -> None:
        try:
            await self._sent(step_id, self._engine.respond(session_id, step_id, response))
            view = await self._engine.session(session_id)
        finally:
            if self.busy_step == step_id:
                self.busy_step = ""
        if session_id == self.session_id:
            self._show(view)
            self._go_on()

    async def _sent(self, where: str, verb: Coroutine[Any, Any, Step]) -> None:
        """Run a verb that commits what was typed there; its draft goes with it, or stays."""
        key = self.session_id, where
        text = self._unsaved.pop(key, None)  # a late draft must not outlive the commit
        try:
            await verb
        except FlowPilotError:
            if text is not None:
                self._unsaved.setdefault(key, text)
                self.tasks.start_unless_running("drafts", self._save_drafts(DRAFT_DELAY))
            raise
        if key[0] == self.session_id:
            self.drafts.pop(where, None)

    async def _think(self) -> None:
        session_id = self.session_id
        try:
            step = await self._engine.next_step(session_id, self._hear_progress)
            view = await self._engine.session(session_id)
        except FlowPilotError as error:
            self._end_progress()
            self.think_error = error
            self.changed.emit()
            return
        except Exception:
            self._end_progress()
            self.was_stopped = True
            self.changed.emit()
            raise
        self._end_progress()
        self.has_no_more = step is None
        self._show(view)

    def _end_progress(self) -> None:
        self.progress = self._latest_progress = None
        self._stream.stop()

    def _hear_progress(self, progress: StepProgress) -> None:
        self._latest_progress = progress
        shown = self.progress
        # The first word is worth a rendering of its own: somebody waits for a sign of life.
        is_first_word = bool(progress.text) and shown is not None and not shown.text
        if is_first_word or not self._stream.isActive():
            self._render_progress()

    @Slot()
    def _render_progress(self) -> None:
        latest, self._latest_progress = self._latest_progress, None
        if self.is_thinking and latest is not None:
            self.progress = latest
            self._stream.start()
            self.changed.emit()

    async def _note(self, session_id: str, text: str, corrects: str) -> None:
        await self._sent(NOTE, self._engine.add_note(session_id, text, corrects))
        self._show(await self._engine.session(session_id))

    async def _go_back(self, session_id: str) -> None:
        self.tasks.cancel("think")
        self._end_progress()
        await self._engine.go_back(session_id)
        self._show(await self._engine.session(session_id))

    async def _pause(self, session_id: str) -> None:
        self.tasks.cancel("think")
        self._end_progress()
        await self._engine.pause_session(session_id)
        self._show(await self._engine.session(session_id))

    async def _resume(self, session_id: str) -> None:
        await self._engine.resume_session(session_id)
        self._show(await self._engine.session(session_id))
        self._go_on()

    async def _probe(self, probe: Probe) -> None:
        session_id = self.session_id
        await self._engine.probe(session_id, probe)
        view = await self._engine.session(session_id)
        if session_id == self.session_id:
            self._show(view)

    async def _attach(self, pictures: list[bytes]) -> None:
        session_id = self.session_id
        try:
            for picture in pictures:
                await self._engine.attach_picture(session_id, picture)
        finally:
            await self._read_pictures(session_id)

    async def _remove_picture(self, picture: Attachment) -> None:
        await self._engine.remove_picture(picture)
        await self._read_pictures(picture.session_id)

    async def _read_pictures(self, session_id: str) -> None:
        found = await self._engine.pictures(session_id)
        if session_id == self.session_id:
            self.pictures = found
            self.changed.emit()

    async def _agree_to_spend(self) -> None:
        await self._engine.agree_to_spend()
        self._show(await self._engine.session(self.session_id))
        self._go_on()

    async def _refresh(self, session_id: str) -> None:
        self._show(await self._engine.refresh_ticket(session_id))

    async def _retry_push(self, session_id: str) -> None:
        await self._engine.retry_psa_push(session_id)
        self._show(await self._engine.session(session_id))

    async def _link(self, session_id: str, connection_id: str, ticket_id: str) -> None:
        self._show(await self._engine.link_ticket(session_id, connection_id, ticket_id))

    async def _save_drafts(self, delay: float) -> None:
        await asyncio.sleep(delay)
        while self._unsaved:
            (session_id, where), text = next(iter(self._unsaved.items()))
            await self._engine.save_draft(session_id, where, text)
            # Whatever was typed during the write is another text, and goes round again.
            if self._unsaved.get((session_id, where)) == text:
                del self._unsaved[session_id, where]
        self.changed.emit()

    def _hear(self, event: SessionChanged | PushChanged) -> None:
        if event.session_id != self.session_id:
            return
        self._is_outdated = True
        if self.view is not None:
            self.tasks.start_unless_running("load", self._load())
