"""What the session screen knows: one session, the card being thought of, text not yet sent.

Order of events, for it is the promise of the product: a verb is committed by the engine, then the
session is read again, then the screen changes; only after that does anybody think of a next card.
Stopping the thinking is a cancelled task. ``drafts`` keep what is typed, ``exhibits`` what is
pasted, and a client whose data goes to no model is kept in the settings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from flowpilot_desktop.core.attachment import NOTE, Attachment
from flowpilot_desktop.core.errors import FlowPilotError
from flowpilot_desktop.core.events import PushChanged, SessionChanged, SettingsChanged
from flowpilot_desktop.core.lifecycle import TRANSITIONS, Verb, has_role
from flowpilot_desktop.core.ports import StepProgress
from flowpilot_desktop.core.session import (
    Question,
    Response,
    Result,
    SessionStatus,
    Source,
    Step,
    StepKind,
)
from flowpilot_desktop.flows.model import ESCALATE
from flowpilot_desktop.services.diagnosis import NOTE_CORRECTS
from flowpilot_desktop.services.engine import SessionView
from flowpilot_desktop.services.probes import Probe
from flowpilot_desktop.settings import Settings
from flowpilot_desktop.viewmodels.drafts import Drafts
from flowpilot_desktop.viewmodels.escalate import REASON as ESCALATION_REASON
from flowpilot_desktop.viewmodels.evidence import Exhibits
from flowpilot_desktop.viewmodels.session_engine import SessionEngine
from flowpilot_desktop.viewmodels.viewmodel import ViewModel

STREAM_INTERVAL_MS = 50
"""Streamed text renders at most this often."""


class SessionViewModel(ViewModel):
    """One session on the screen; ``open`` changes which.

    ``exhibit_opened`` brings what is kept, whole; ``escalation_advised`` tells that the technician
    follows a flow's advice to hand the session over, with the reason kept as that page's draft.
    """

    exhibit_opened = Signal(object)
    escalation_advised = Signal(str)

    def __init__(
        self,
        engine: SessionEngine,
        parent: QObject | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        settings: Settings | None = None,
    ) -> None:
        super().__init__(parent)
        self._engine = engine
        self._settings = settings
        self._drafts = Drafts(self._save_draft, self.tasks, self.changed.emit)
        self.exhibits = Exhibits(engine)
        self._monotonic = monotonic
        self._read_at = 0.0
        self._is_outdated = False
        self._stream = QTimer(self)
        self._stream.setSingleShot(True)
        self._stream.setInterval(STREAM_INTERVAL_MS)
        self._stream.timeout.connect(self._render_progress)
        self._forget("")
        self._listen(engine.events, SessionChanged, self._hear)
        self._listen(engine.events, PushChanged, self._hear)
        self._listen(engine.events, SettingsChanged, self._settings_changed)

    def _forget(self, session_id: str) -> None:
        self.session_id = session_id
        self.view: SessionView | None = None
        self._drafts.open(session_id)
        self.exhibits.open(session_id)
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
        return self._drafts.is_saved

    @property
    def drafts(self) -> dict[str, str]:
        """What was typed and not sent: by a step's id, or ``NOTE``."""
        return self._drafts.texts

    @property
    def corrects(self) -> int:
        """The number of the step that the note by hand corrects; 0 for none."""
        step_id = self.drafts.get(NOTE_CORRECTS, "")
        steps = self.view.steps if self.view is not None and step_id else ()
        return next((step.number for step in steps if step.id == step_id), 0)

    @property
    def client(self) -> str:
        """The client whose data could be kept from models; empty when none is known."""
        is_known = self.view is not None and self._settings is not None
        return self.view.session.company if self.view is not None and is_known else ""

    @property
    def is_kept_from_models(self) -> bool:
        """Whether nothing about the client goes to a model."""
        never = self._settings.never_send if self._settings is not None else ()
        return self.client.casefold() in {name.casefold() for name in never}

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

    def correct(self, step_id: str) -> None:
        """Let the note by hand correct the answer to a step; with no id it corrects none."""
        if step_id != self.drafts.get(NOTE_CORRECTS, ""):
            self.draft(NOTE_CORRECTS, step_id)
            self.changed.emit()

    def log_note(self, text: str) -> None:
        """Log a step by hand, as a correction when it was begun as one."""
        corrects = self.drafts.get(NOTE_CORRECTS, "") if self.corrects else ""
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

    def attach_pictures(self, pictures: list[bytes], step_id: str) -> None:
        """Keep screenshots with a card, or with the note that is being written (``NOTE``)."""
        if pictures and self.is_live:
            self._verb(self._attach(pictures, step_id), "attach")

    @Slot(str)
    def remove_picture(self, exhibit_id: str) -> None:
        """Forget a screenshot."""
        picture = self.exhibits.picture(exhibit_id)
        if picture is not None and self.is_live:
            self._verb(self._remove_picture(picture), "attach")

    @Slot(str)
    def open_exhibit(self, exhibit_id: str) -> None:
        """Read what is kept, whole; ``exhibit_opened`` brings it."""
        self.tasks.start("exhibit", self._open_exhibit(exhibit_id))

    @Slot(bool)
    def keep_from_models(self, on: bool) -> None:  # noqa: FBT001 - Qt's signal
        """Send nothing about the client to any model from now on, or take that back."""
        if self.client and on != self.is_kept_from_models:
            if on and self.is_thinking:
                self.tasks.cancel("think")  # at once: what is on its way is not waited for
                self._end_progress()
            self.tasks.start_unless_running("privacy", self._keep_from_models(self.client, on=on))
            self.changed.emit()

    def draft(self, where: str, text: str) -> None:
        """Keep text typed but not sent: a step's id or ``NOTE`` says where."""
        if self.session_id:
            self._drafts.keep(where, text)

    @Slot()
    @Slot()
    def flush_drafts(self) -> None:
        """Save what was typed now: the technician goes elsewhere."""
        self._drafts.flush()

    async def aclose(self) -> None:
        """Save what was typed, then end."""
        await self._drafts.aclose()
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

    async def _save_draft(self, session_id: str, where: str, text: str) -> None:
        await self._engine.save_draft(session_id, where, text)

    async def _load(self, *, begins: bool = False) -> None:
        session_id = self.session_id
        try:
            if begins:
                await self._engine.work_on(session_id)
                self._drafts.read(await self._engine.drafts(session_id))
            await self.exhibits.read()
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
            await self._drafts.sent((step_id,), self._engine.respond(session_id, step_id, response))
            await self.exhibits.read()
            view = await self._engine.session(session_id)
        finally:
            if self.busy_step == step_id:
                self.busy_step = ""
        if session_id == self.session_id:
            self._show(view)
            advised = _advised_escalation(view.steps, step_id, response)
            if advised is None:
                self._go_on()
            else:
                await self._advise(session_id, advised)

    def take_advice(self) -> None:
        """Go on to the hand-off; a card that asks for a person gives its words as the reason."""
        step = self.view.open_step if self.view is not None else None
        reason = step.body.text.partition("\n")[0] if step and step.asks_for_person else ""
        self.flush_drafts()
        self.tasks.start_unless_running("advice", self._advise(self.session_id, reason))

    async def _advise(self, session_id: str, reason: str) -> None:
        if reason and not (await self._engine.drafts(session_id)).get(ESCALATION_REASON):
            await self._engine.save_draft(session_id, ESCALATION_REASON, reason)
        self.escalation_advised.emit(session_id)

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
        verb = self._engine.add_note(session_id, text, corrects)
        await self._drafts.sent((NOTE, NOTE_CORRECTS), verb)
        await self.exhibits.read()
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

    async def _attach(self, pictures: list[bytes], step_id: str) -> None:
        session_id = self.session_id
        try:
            for picture in pictures:
                await self._engine.attach_picture(session_id, picture, step_id)
        finally:
            await self._read_exhibits()

    async def _remove_picture(self, picture: Attachment) -> None:
        await self._engine.remove_picture(picture)
        await self._read_exhibits()

    async def _read_exhibits(self) -> None:
        if await self.exhibits.read():
            self.changed.emit()

    async def _open_exhibit(self, exhibit_id: str) -> None:
        picture = self.exhibits.picture(exhibit_id)
        self.exhibit_opened.emit(picture or await self._engine.attachment(exhibit_id))

    async def _keep_from_models(self, client: str, *, on: bool) -> None:
        assert self._settings is not None
        others = [
            name for name in self._settings.never_send if name.casefold() != client.casefold()
        ]
        names = tuple([*others, client] if on else others)
        await self._settings.change(Settings.never_send, names)
        self.changed.emit()
        self._go_on()

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

    def _hear(self, event: SessionChanged | PushChanged) -> None:
        if event.session_id != self.session_id:
            return
        self._is_outdated = True
        if self.view is not None:
            self.tasks.start_unless_running("load", self._load())

    def _settings_changed(self, event: SettingsChanged) -> None:
        if event.key == Settings.never_send.key:
            self.changed.emit()


def _advised_escalation(steps: tuple[Step, ...], step_id: str, response: Response) -> str | None:
    """Return the reason for the hand-off that a flow's card advised and the technician chose."""
    step = next((step for step in steps if step.id == step_id), None)
    is_advice = (
        step is not None
        and step.source is Source.FLOW
        and isinstance(step.body, Question)
        and response.option == ESCALATE
    )
    if step is None or not is_advice:
        return None
    return "\n".join(filter(None, (step.body.text.partition("\n")[0], response.text.strip())))
