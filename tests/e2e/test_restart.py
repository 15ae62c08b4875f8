"""Pause, quit, start again: the same card is there, with the text that was not sent."""

from PySide6.QtWidgets import QPlainTextEdit

from flowpilot_desktop.core.session import SessionStatus
from tests.e2e.driver import Technician, at_the_desk, until

TICKET = "12352"


async def starts(technician: Technician) -> str:
    """Start a session from a practice ticket."""
    tickets = technician.app.intake_model.picker.tickets
    await until(lambda: tickets.rowCount() > 0, "tickets")
    await technician.types("Search tickets", TICKET)
    await until(lambda: [t.id for t in tickets.rows] == [TICKET], "the one ticket")
    await technician.enters("Search tickets")
    await technician.clicks(f"Start Session with Ticket #{TICKET}")
    await until(technician._open_card_is_shown, "the first card")
    return technician.app.session_model.session_id


def text_in(technician: Technician, name: str) -> str:
    """Return what stands in a field, empty when the field is not there."""
    field = technician._field(name)
    return field.toPlainText() if isinstance(field, QPlainTextEdit) else ""


def field_of_the_card(technician: Technician) -> str:
    """Return the accessible name of the open card's field."""
    for name in ("Your answer in your own words", "What you saw"):
        if technician._field(name) is not None:
            return name
    raise AssertionError("the open card has no field")


async def test_pause_quit_start_and_resume_on_the_same_card(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        session_id = await starts(technician)
        card = technician.view.open_step
        await technician.types(field_of_the_card(technician), "half an answer")
        await technician.clicks("Pause")
        await until(
            lambda: technician.view.session.status is SessionStatus.PAUSED, "the session paused"
        )
    async with at_the_desk(tmp_path, demo=True) as technician:
        await until(lambda: technician.app.session_model.view is not None, "the session")
        assert technician.app.session_model.session_id == session_id
        assert technician.view.session.status is SessionStatus.PAUSED
        await technician.clicks("Resume")
        await until(technician._open_card_is_shown, "the card")
        assert technician.view.open_step == card
        name = field_of_the_card(technician)
        await until(lambda: text_in(technician, name) == "half an answer", "the unsent text")


async def test_text_typed_right_before_quitting_comes_back(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        await starts(technician)
        name = field_of_the_card(technician)
        await technician.types(name, "typed and gone")
    async with at_the_desk(tmp_path, demo=True) as technician:
        await until(technician._open_card_is_shown, "the card")
        await until(lambda: text_in(technician, name) == "typed and gone", "the unsent text")


async def test_what_was_typed_at_intake_comes_back(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        await technician.types("What is going on", "scanner sends nothing")
    async with at_the_desk(tmp_path, demo=True) as technician:
        await until(
            lambda: text_in(technician, "What is going on") == "scanner sends nothing",
            "the unsent text",
        )


async def test_a_session_that_was_left_is_found_under_continue(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        session_id = await starts(technician)
        await technician.clicks("Sessions")
        await until(
            lambda: (
                [row.session.id for row in technician.app.open_sessions.sessions.rows]
                == [session_id]
            ),
            "the open session in the list",
        )


async def test_a_correction_still_knows_its_step_after_a_restart(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        await starts(technician)
        await technician.answers(("Worked", "Skip", "Yes, it holds"))
        await until(technician._open_card_is_shown, "the next card")
        first = technician.view.steps[0]
        await technician.clicks(f"Correct the answer to step {first.number}")
        await technician.reads("Correcting the answer to step 1")
        await technician.types("Step to log by hand", "no, it was the other")
    async with at_the_desk(tmp_path, demo=True) as technician:
        await technician.reads("Correcting the answer to step 1")
        await until(
            lambda: text_in(technician, "Step to log by hand") == "no, it was the other",
            "the unsent correction",
        )
        await technician.clicks("Log this step")
        await until(lambda: technician.view.steps[-1].corrects == first.id, "the correction")
        drafts = await technician.app.desk.engine.drafts(technician.view.session.id)
        assert drafts == {}
        await technician.reads("CORRECTION OF STEP 1")
        assert not technician.sees("Correcting the answer")


async def test_a_correction_can_become_a_plain_note(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        await starts(technician)
        await technician.answers(("Worked", "Skip", "Yes, it holds"))
        await until(technician._open_card_is_shown, "the next card")
        await technician.clicks("Correct the answer to step 1")
        await technician.types("Step to log by hand", "called the user")
        await technician.clicks("Not a correction")
        await until(lambda: not technician.sees("Correcting the answer"), "no correction")
        await technician.clicks("Log this step")
        await until(lambda: technician.view.steps[-1].body.text == "called the user", "the note")
        assert technician.view.steps[-1].corrects == ""
