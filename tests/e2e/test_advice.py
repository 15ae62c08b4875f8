"""A flow or Claude advises to hand over: choosing that opens the page for it, with the reason."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton

from flowpilot_desktop.core.session import Question, Response, Result, SessionStatus
from flowpilot_desktop.flows.model import BY_HAND, ESCALATE
from flowpilot_desktop.services.model_access import KEY_NAME
from tests.e2e.driver import Technician, at_the_desk, until
from tests.simulators.claude import Answer, running
from tests.simulators.claude_answers import card


def is_advice(technician: Technician) -> bool:
    view = technician.app.session_model.view
    step = view.open_step if view is not None else None
    return (
        step is not None
        and isinstance(step.body, Question)
        and any(option.value == ESCALATE for option in step.body.options)
    )


async def answered(technician: Technician, step_id: str, answer: Response) -> None:
    """Answer a card and wait for the next one."""
    model = technician.app.session_model
    before = model.view
    model.answer(step_id, answer)
    await until(lambda: model.view is not before, "the answer")
    await until(technician._open_card_is_shown, "the next card")


async def is_advised(technician: Technician) -> str:
    """Walk the flow with answers that don't help until it advises to hand over."""
    await technician.types("What is going on", "The printer is offline for everybody")
    await technician.clicks("Start Session")
    await until(technician._open_card_is_shown, "the first card")
    model = technician.app.session_model
    for _ in range(40):
        if is_advice(technician):
            return model.session_id
        step = technician.view.open_step
        assert step is not None
        answer = Response(result=Result.DID_NOT_WORK)
        if isinstance(step.body, Question):
            answer = Response(option=step.body.options[-1].value)
        await answered(technician, step.id, answer)
    raise AssertionError("the flow never advised to hand over")


async def test_choosing_to_escalate_opens_the_page_with_the_flows_reason(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        session_id = await is_advised(technician)
        step = technician.view.open_step
        assert step is not None
        reason = step.body.text.partition("\n")[0]
        await technician.clicks("Escalate now")
        await until(lambda: app.window.current_page == "escalate", "the page for it")
        page = app.hand_off.escalate_page
        await until(lambda: page.reason.toPlainText() == reason, "the flow's reason")
        assert page.reason.isEnabled()
        # The answer is in the record, whatever comes of it.
        view = await app.desk.engine.session(session_id)
        answered = next(one for one in view.steps if one.id == step.id)
        assert answered.response is not None
        assert answered.response.option == ESCALATE


async def test_going_on_by_hand_stays_on_the_session(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        await is_advised(technician)
        step = technician.view.open_step
        assert step is not None
        await technician.clicks("Go on by hand")
        await technician.reads("No further card for now")
        assert app.window.current_page == "session"
        assert technician.view.steps[-1].response is not None
        assert technician.view.steps[-1].response.option == BY_HAND


async def test_a_card_of_claudes_that_asks_for_a_person_offers_to_escalate(tmp_path):
    text = "Have somebody with rights on the print server look at its event log."
    asks = card(text=text, needs_person=True, why="Its log tells what the printer does not.")
    with running() as claude:
        claude.script(Answer(json=asks))
        async with at_the_desk(tmp_path, demo=True) as technician:
            app = technician.app
            await app.settings.change(type(app.settings).model_base_url, claude.url)
            await app.desk.secrets.write(KEY_NAME, claude.key)
            await technician.types("What is going on", "The printer is offline for everybody")
            await technician.clicks("Start Session")
            await until(technician._open_card_is_shown, "Claude's card")
            await technician.reads("This may need a fresh pair of eyes")
            await technician.reads("Escalate hands on everything that was tried")
            model = app.session_model
            assert technician.view.session.status is SessionStatus.ACTIVE, "only people escalate"
            banner = app.session_page.banners
            (offer,) = [one for one in banner.findChildren(QPushButton) if one.text() == "Escalate"]
            QTest.mouseClick(offer, Qt.MouseButton.LeftButton)
            await until(lambda: app.window.current_page == "escalate", "the page for it")
            page = app.hand_off.escalate_page
            await until(lambda: page.reason.toPlainText() == text, "the card's words as the reason")
            # Whoever goes on with the card is not asked again.
            app.open_session(model.session_id)
            await until(technician._open_card_is_shown, "the card")
            await technician.answers(("Did not work",))
            await until(lambda: not model.advice, "the end of the advice")
