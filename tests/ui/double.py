"""A stand-in for the engine: in memory, real steps, the same face. It thinks what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from flowpilot_desktop.core.attachment import INTAKE, Attachment, Kept
from flowpilot_desktop.core.errors import FlowPilotError
from flowpilot_desktop.core.events import Events, SessionChanged
from flowpilot_desktop.core.lifecycle import Verb, moved
from flowpilot_desktop.core.ports import StepProgress
from flowpilot_desktop.core.push import PsaPushStatus
from flowpilot_desktop.core.session import Engineer, Note, Response, Session, Step, StepBody
from flowpilot_desktop.core.session import answered as with_answer
from flowpilot_desktop.services.engine import SessionView
from flowpilot_desktop.services.probes import Probe
from tests import samples


class DoubleEngine:
    """Keeps one session. ``bodies`` are asked next; a cleared ``gate`` holds verbs back."""

    def __init__(self, view: SessionView | None = None) -> None:
        self.events = Events()
        self.view = view or samples.session_view()
        self.bodies: list[StepBody] = []
        self.progress: list[StepProgress] = []
        self.saved: dict[str, str] = {}
        self.calls: list[str] = []
        self.error: FlowPilotError | None = None
        self.words = ""
        self.is_asking = False
        self.shots: tuple[Attachment, ...] = ()
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def me(self) -> Engineer:
        return Engineer(samples.ME, "Sam Okafor")

    async def session(self, session_id: str) -> SessionView:
        await self._pass("session")
        return self.view

    def notice(self, session_id: str) -> str:
        return self.words

    def asks_budget(self, session_id: str) -> bool:
        return self.is_asking

    async def agree_to_spend(self) -> None:
        await self._pass("agree_to_spend")
        self.is_asking, self.words = False, ""

    async def probe(self, session_id: str, probe: Probe) -> Step:
        await self._pass("probe")
        return self._append(Note(f"{probe.kind} {probe.target}"))

    async def attach_picture(
        self, session_id: str, content: bytes, step_id: str = INTAKE
    ) -> Attachment:
        await self._pass("attach_picture")
        name = f"screenshot {len(self.shots) + 1}.png"
        shot = Attachment(name, session_id, name, "image/png", content, samples.NOW, step_id)
        self.shots = (*self.shots, shot)
        return shot

    async def evidence(self, session_id: str) -> tuple[Kept, ...]:
        return tuple(
            Kept(
                one.id,
                session_id,
                one.step_id,
                one.name,
                one.media_type,
                len(one.content),
                one.created_at,
            )
            for one in self.shots
        )

    async def attachment(self, attachment_id: str) -> Attachment:
        return next(one for one in self.shots if one.id == attachment_id)

    async def remove_picture(self, picture: Attachment) -> None:
        self.shots = tuple(one for one in self.shots if one != picture)

    async def drafts(self, session_id: str) -> dict[str, str]:
        return dict(self.saved)

    async def save_draft(self, session_id: str, where: str, text: str) -> None:
        await self._pass("save_draft")
        if text:
            self.saved[where] = text
        else:
            self.saved.pop(where, None)

    async def work_on(self, session_id: str) -> None:
        await self._pass("work_on")

    async def respond(self, session_id: str, step_id: str, response: Response) -> Step:
        await self._pass("respond")
        step = next(step for step in self.view.steps if step.id == step_id)
        done = with_answer(step, response, by=samples.ME, at=samples.NOW)
        self._show(tuple(done if s.id == step_id else s for s in self.view.steps))
        self.saved.pop(step_id, None)
        return done

    async def next_step(
        self, session_id: str, progress: Callable[[StepProgress], None] | None = None
    ) -> Step | None:
        await self._pass("next_step")
        for piece in self.progress:
            if progress is not None:
                progress(piece)
            await asyncio.sleep(0)
        if self.view.open_step is not None:
            return self.view.open_step
        return self._append(self.bodies.pop(0)) if self.bodies else None

    async def add_note(self, session_id: str, text: str, corrects: str = "") -> Step:
        await self._pass("add_note")
        self.saved.pop("note", None)
        self.saved.pop("note.corrects", None)
        return self._append(Note(text), corrects=corrects)

    async def go_back(self, session_id: str) -> Step:
        await self._pass("go_back")
        last = next(step for step in reversed(self.view.steps) if step.response is not None)
        return self._append(last.body, corrects=last.id)

    async def pause_session(self, session_id: str) -> Session:
        return await self._move(Verb.PAUSE)

    async def resume_session(self, session_id: str) -> Session:
        return await self._move(Verb.RESUME)

    async def link_ticket(self, session_id: str, connection_id: str, ticket_id: str) -> SessionView:
        await self._pass("link_ticket")
        return self.view

    async def refresh_ticket(self, session_id: str) -> SessionView:
        await self._pass("refresh_ticket")
        return self.view

    async def retry_psa_push(self, session_id: str) -> PsaPushStatus:
        await self._pass("retry_psa_push")
        return self.view.push_status

    def _append(self, body: StepBody, corrects: str = "") -> Step:
        step = samples.step(body, len(self.view.steps) + 10, corrects=corrects)
        self._show((*self.view.steps, step))
        return step

    async def _move(self, verb: Verb) -> Session:
        await self._pass(verb.value)
        session = moved(self.view.session, verb, samples.ME, samples.NOW)
        self.view = replace(self.view, session=session, clock_runs=verb is Verb.RESUME)
        self.events.publish(SessionChanged(session.id))
        return session

    def _show(self, steps: tuple[Step, ...]) -> None:
        self.view = replace(self.view, steps=steps)
        self.events.publish(SessionChanged(self.view.session.id))

    async def _pass(self, verb: str) -> None:
        self.calls.append(verb)
        if verb != "session":
            await self.gate.wait()
        if self.error is not None and verb != "session":
            raise self.error
