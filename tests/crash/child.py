"""The app under a scripted technician, in a process of its own that will be killed.

It tells on standard output, line by line in JSON, what the screen showed as done: what came back
at the start, every card that appeared, every keystroke, every answer, every resolution. ``at`` is
the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import qasync
from PySide6.QtWidgets import QApplication

from flowpilot_desktop.app import Application
from flowpilot_desktop.core.session import Question, Response, Result, Step
from flowpilot_desktop.profile import Profile
from flowpilot_desktop.ui.controls import AnswerEdit
from tests.e2e.driver import Technician, until


def tell(event: str, **facts: Any) -> None:
    """Write one line, at once."""
    line = json.dumps({"event": event, "at": time.monotonic(), **facts}) + "\n"
    os.write(1, line.encode())


def answers_of(steps: tuple[Step, ...]) -> dict[str, str]:
    """Return what was answered, by step."""
    return {step.id: step.response_label for step in steps if step.response is not None}


class Script:
    """Works through session after session, a little differently every time."""

    def __init__(self, technician: Technician, seed: int) -> None:
        self.app = technician.app
        self.technician = technician
        self.random = random.Random(seed)

    async def report_restored(self) -> None:
        """Tell what the app brought back by itself."""
        model = self.app.session_model
        engine = self.app.desk.engine
        session_id = await engine.last_open_session()
        if not session_id:
            tell("restored", session="", card="", answers={}, draft="", page="")
            return
        await until(lambda: model.view is not None, "the session on the screen")
        assert model.view is not None
        await until(self.is_settled, "the card, or the word that there is none", 30)
        assert model.view is not None
        step = model.view.open_step
        if step is not None:
            await until(lambda: self.field() is not None, "the card's field", 10)
        field = self.field()
        tell(
            "restored",
            session=session_id,
            card=step.id if step is not None else "",
            answers=answers_of(model.view.steps),
            draft=field.text if field is not None else "",
            page=self.app.window.current_page,
        )

    def is_settled(self) -> bool:
        """Return whether a card is open, or it is clear that there is no further one."""
        model = self.app.session_model
        if model.view is None or model.is_busy or model.is_thinking:
            return False
        return model.view.open_step is not None or bool(model.notice) or model.is_over

    def field(self) -> AnswerEdit | None:
        """Return the open card's field."""
        page = self.app.session_page
        fields = [edit for edit in page.feed.findChildren(AnswerEdit) if edit.isVisible()]
        return fields[-1] if fields else None

    async def live(self) -> None:
        """Work until killed."""
        await self.report_restored()
        model = self.app.session_model
        while True:
            if model.view is None or model.view.session.status.is_final:
                await self.start()
            await until(self.is_settled, "a card or the end")
            assert model.view is not None
            step = model.view.open_step
            if step is None:
                await self.resolve()
            else:
                tell("card", session=model.session_id, card=step.id)
                await self.type_something(step)
                await self.answer(step)

    async def start(self) -> None:
        tickets = self.app.intake_model.picker.tickets
        await until(lambda: tickets.rowCount() > 0, "tickets")
        self.app.window.show_page("sessions")
        self.app.intake_model.choose(self.random.choice(tickets.rows))
        before = self.app.session_model.session_id
        self.app.intake_model.start()
        await until(lambda: self.app.session_model.session_id != before, "the session")
        await until(lambda: self.app.session_model.view is not None, "its cards")
        tell("started", session=self.app.session_model.session_id)

    async def type_something(self, step: Step) -> None:
        """Type letter by letter, at a person's speed."""
        field = self.field()
        if field is None:
            return
        text = field.text
        for _ in range(self.random.randrange(4, 30)):
            text += self.random.choice("abcdefghij klmnopqrstuvwxyz äöü😀")
            field.show_text(text)
            tell("typed", card=step.id, draft=text)
            await asyncio.sleep(self.random.uniform(0.01, 0.06))

    async def answer(self, step: Step) -> None:
        field = self.field()
        text = field.text if field is not None else ""
        if isinstance(step.body, Question):
            response = Response(option=self.random.choice(step.body.options).value, text=text)
        else:
            result = Result.WORKED if self.random.random() < 0.7 else Result.DID_NOT_WORK
            response = Response(result=result, text=text)
        model = self.app.session_model
        model.answer(step.id, response)
        await until(
            lambda: model.view is not None and step.id in answers_of(model.view.steps),
            "the answer on the screen",
        )
        assert model.view is not None
        label = answers_of(model.view.steps)[step.id]
        tell("answered", session=model.session_id, card=step.id, label=label)

    async def resolve(self) -> None:
        """End the session, or leave it when nothing was verified."""
        model, engine = self.app.session_model, self.app.desk.engine
        assert model.view is not None
        session_id = model.session_id
        if model.view.is_verified:
            await engine.resolve_session(session_id, "Solved by the script")
        else:
            await engine.abandon_session(session_id, "nothing more to try")
        tell("ended", session=session_id)
        await until(
            lambda: model.view is not None and model.view.session.status.is_final, "the end"
        )


async def main(folder: Path, seed: int) -> None:
    """Open the app on the practice company and work until killed."""
    qt = QApplication.instance()
    assert isinstance(qt, QApplication)
    app = Application(qt, Profile(folder, is_demo=True, latency=0.0))
    await app.open()
    tell("open")
    await Script(Technician(app), seed).live()


if __name__ == "__main__":
    application = QApplication(sys.argv[:1])
    loop = qasync.QEventLoop(application)
    asyncio.set_event_loop(loop)
    with loop:
        loop.run_until_complete(main(Path(sys.argv[1]), int(sys.argv[2])))
