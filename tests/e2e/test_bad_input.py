"""Bad input at the level of the whole app: a clear word for each, and nothing lost."""

from collections.abc import Iterator
from functools import partial

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel

from flowpilot_desktop.core.session import ContextStatus, Note, Question, Response, Result
from flowpilot_desktop.services.engine import SessionView
from flowpilot_desktop.ui.controls import AnswerEdit
from flowpilot_desktop.viewmodels.settings import PsaForm
from tests.e2e.driver import Technician, at_the_desk, until
from tests.e2e.stillness import gaps
from tests.simulators.connectwise import COMPANY_ID, PRIVATE_KEY, PUBLIC_KEY, ConnectWiseSite
from tests.simulators.exchange import html
from tests.simulators.http_server import HttpServer

LONGEST_GAP = 0.2
"""Seconds for which the loop may stand still before a person notices."""
HOSTILE = (
    "<script>alert(1)</script><b>bold</b><img src='https://tracker.example/x.png'>"
    "<a href='file:///etc/passwd'>click</a> &amp; \u202eesrever\u202c \u200b\u200d\ufeff zero "
    "NUL:\x00: bell:\x07: escape:\x1b[31m: ünïcödé 🧑‍💻 عربى"
)


@pytest.fixture
def site() -> Iterator[tuple[ConnectWiseSite, str]]:
    connectwise = ConnectWiseSite()
    with HttpServer(connectwise) as server:
        yield connectwise, server.url


async def connects(technician: Technician, url: str) -> None:
    """Connect ConnectWise through the settings' view-model."""
    model = technician.app.settings_model
    model.connect_psa(PsaForm(url, COMPANY_ID, PUBLIC_KEY, PRIVATE_KEY))
    await until(lambda: model.mapping is not None, "the connection and the mapping")


def seen(technician: Technician) -> SessionView:
    """Return the session on the screen."""
    view = technician.app.session_model.view
    assert view is not None
    return view


def field_named(technician: Technician, name: str) -> AnswerEdit:
    """Return the field for longer text with this name."""
    field = technician._field(name)
    assert isinstance(field, AnswerEdit)
    return field


async def starts(technician: Technician, ticket: int) -> str:
    """Start a session from a ticket by its number; return its id."""
    app = technician.app
    app.new_session()
    await technician.types("Search tickets", str(ticket))
    tickets = app.intake_model.picker.tickets
    await until(lambda: any(t.id == str(ticket) for t in tickets.rows), "the ticket in the list")
    await technician.enters("Search tickets")
    await technician.clicks(f"Start Session with Ticket #{ticket}")
    await until(lambda: app.window.current_page == "session", "the session page")
    await until(technician._open_card_is_shown, "a first card")
    return app.session_model.session_id


def _moved_on(technician: Technician, before: SessionView) -> bool:
    model = technician.app.session_model
    return model.view is not before and not model.is_busy and not model.is_thinking


async def solves(technician: Technician) -> None:
    """Answer hopefully until the fix was verified, then resolve."""
    app = technician.app
    model, engine = app.session_model, app.desk.engine
    for _ in range(40):
        if seen(technician).is_verified:
            break
        step = seen(technician).open_step
        if step is None:
            step = await engine.ask_verification(model.session_id)
        answer = (
            Response(option=step.body.options[0].value)
            if isinstance(step.body, Question)
            else Response(result=Result.WORKED)
        )
        before = seen(technician)
        model.answer(step.id, answer)
        await until(partial(_moved_on, technician, before), "the next card")
    app._open_resolve(model.session_id)
    await until(lambda: app.resolve_model.preview is not None, "the preview")
    await technician.types("Solution in a sentence", " Mended it.")
    await until(lambda: app.resolve_model.can_resolve, "a complete page")
    await until(lambda: "Mended it." in app.resolve_model.note, "the note to follow")
    await technician.clicks("Resolve")
    await technician.reads("Documentation pushed to ticket #")


def labels_are_plain(technician: Technician) -> bool:
    """Whether no label on the screen would read text as markup."""
    return all(
        label.textFormat() is Qt.TextFormat.PlainText
        for label in technician.app.window.findChildren(QLabel)
        if label.text()
    )


# --- tickets ---------------------------------------------------------------------------------


async def test_a_ticket_of_two_megabytes(tmp_path, site):
    connectwise, url = site
    line = "2026-11-02 14:03:11 ERROR spooler: cannot open \\\\print01\\hp4200, code 0x0000011b\n"
    ticket = connectwise.add_ticket(
        summary="Printer offline " + "x" * 5000, description=line * (2_000_000 // len(line))
    )
    connectwise.add_note(ticket, "y" * 1_000_000, internalAnalysisFlag=True)
    async with at_the_desk(tmp_path) as technician:
        await connects(technician, url)
        async with gaps() as watch:
            session = await starts(technician, ticket)
            await solves(technician)
        assert watch.longest < 2 * LONGEST_GAP  # reading and redacting megabytes takes its time
        view = await technician.app.desk.engine.session(session)
        assert view.session.psa_context_status is ContextStatus.LOADED
    assert len([n for n in connectwise.notes_of(ticket) if session in n["text"]]) == 1


@pytest.mark.parametrize("empty", [False, True], ids=["hostile", "empty"])
async def test_a_ticket_of_odd_characters_or_of_nothing(tmp_path, site, empty):
    connectwise, url = site
    text = "" if empty else HOSTILE
    ticket = connectwise.add_ticket(
        summary=text, description=text, contactName=text, contactEmailAddress=text
    )
    if empty:
        connectwise.tables.tickets[ticket].update(
            priority=None, type=None, subType=None, contact=None, site=None, owner=None,
            slaStatus=None, contactPhoneNumber=None, customFields=None, resources=None,
        )  # fmt: skip
    async with at_the_desk(tmp_path) as technician:
        await connects(technician, url)
        session = await starts(technician, ticket)
        assert labels_are_plain(technician)
        view = seen(technician)
        assert view.session.psa_context_status is ContextStatus.LOADED
        assert "\x00" not in view.session.problem_summary
        assert view.session.problem_summary.strip()
        await solves(technician)
    notes = [note["text"] for note in connectwise.notes_of(ticket) if session in note["text"]]
    assert len(notes) == 1
    assert not set("\x00\x07\x1b\u202e") & set(notes[0])


async def test_connectwise_answers_web_pages_with_status_200(tmp_path, site):
    connectwise, url = site
    async with at_the_desk(tmp_path) as technician:
        await connects(technician, url)
        connectwise.faults.plan(html(200), times=-1)
        app = technician.app
        app.new_session()
        await technician.types("Search tickets", "1005")
        await technician.reads("Couldn't reach ConnectWise")
        assert app.intake_model.picker.error is not None
        await technician.types("What is going on", "Printer is offline, nothing prints")
        await technician.clicks("Start from ticket #1005")
        await technician.clicks("Start Session with Ticket #1005")
        await until(lambda: app.window.current_page == "session", "the session page")
        await until(technician._open_card_is_shown, "a card by flow")
        view = seen(technician)
        assert view.session.psa_context_status in (ContextStatus.UNAVAILABLE, ContextStatus.CACHED)
        assert "Printer is offline" in view.session.intake.text
        connectwise.faults.clear()
        await technician.clicks("Refresh from ConnectWise")
        await until(
            lambda: seen(technician).session.psa_context_status is ContextStatus.LOADED,
            "the ticket after all",
        )


# --- what is typed and pasted ----------------------------------------------------------------


async def test_a_pasted_line_of_a_megabyte_freezes_nothing(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        app.new_session()
        await technician.types("What is going on", "a")
        QGuiApplication.clipboard().setText("x1y2 " * 200_000)
        field = field_named(technician, "What is going on")
        async with gaps() as watch:
            field.paste()
            await until(lambda: len(app.intake_model.text) > 1, "the pasted text")
            await until(lambda: not app.intake_model.tasks.names, "the draft and the suggestions")
        assert watch.longest < LONGEST_GAP
        assert len(app.intake_page.words.text) > 199_000  # what fits is kept, the rest is told
        assert technician.sees("The end did not fit: 800,0")


async def test_a_note_of_more_than_a_hundred_thousand_characters(tmp_path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        app.new_session()
        await technician.types("What is going on", "Outlook will not connect")
        await technician.clicks("Start Session")
        await until(technician._open_card_is_shown, "a first card")
        await technician.clicks("Log a step")
        field = field_named(technician, "Step to log by hand")
        for length in (100_000, 100_001):
            before = len(seen(technician).steps)
            text = ("log line " * 12_000)[: length - 5] + " end#"
            field.selectAll()
            QGuiApplication.clipboard().setText(text)
            async with gaps() as watch:
                field.paste()
                await technician.enters("Step to log by hand")
                await until(lambda: len(seen(technician).steps) > before, "the step")  # noqa: B023
            assert watch.longest < 2 * LONGEST_GAP, length
            body = seen(technician).steps[-1].body
            assert isinstance(body, Note)
            if length > 100_000:  # kept whole beside the step
                assert "kept whole as note, text 1.txt" in body.text
                assert len(body.text) < 1_000
            else:
                assert (len(body.text), body.text[-4:]) == (100_000, "end#")


# --- files -----------------------------------------------------------------------------------

CYCLE = """
id: mine
version: 1
title: Coffee machine
domain: Kitchen
topics: [coffee machine]
matches: [the coffee machine is cold]
causes: {cold: It is cold}
entry: first
nodes:
  first:
    question: Is it on?
    options:
      - {label: "Yes", to: second}
      - {label: "No", to: nowhere}
    next: second
  second:
    question: Is it still on?
    options:
      - {label: "Yes", to: first}
      - {label: "No", to: first}
    next: first
"""


async def test_flow_files_of_ones_own_that_are_wrong(tmp_path):
    own = tmp_path / "flows"
    own.mkdir()
    (own / "cycle.yaml").write_text(CYCLE)
    (own / "types.yaml").write_text("id: [1]\nversion: no\ntitle: {}\n")
    (own / "binary.yaml").write_bytes(bytes(range(256)))
    async with at_the_desk(tmp_path, demo=True) as technician:
        for name in ("cycle.yaml", "types.yaml", "binary.yaml"):
            await technician.reads(name)
        app = technician.app
        app.new_session()
        await technician.types("What is going on", "Printer offline, jobs pile up in the queue")
        await technician.clicks("Start Session")
        await until(technician._open_card_is_shown, "a card of a shipped flow")
        assert seen(technician).flow_title


@pytest.mark.parametrize("part", [0.0, 0.25, 0.5, 0.9])
async def test_a_settings_file_cut_short_costs_no_session(tmp_path, part):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        await app.settings.change_all({type(app.settings).monthly_budget: 40.0})
        me = app.settings.engineer
        app.new_session()
        await technician.types("What is going on", "Outlook will not connect")
        await technician.clicks("Start Session")
        await until(technician._open_card_is_shown, "a first card")
        session = app.session_model.session_id
    file = tmp_path / "settings.json"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * part)])
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        await technician.reads("settings file was damaged")
        assert app.settings.engineer.id == me.id
        await until(technician._open_card_is_shown, "the same card")
        assert app.session_model.session_id == session
        await technician.app.desk.engine.add_note(session, "still mine")
    assert list(tmp_path.glob("settings.damaged-*.json"))


async def test_a_store_whose_header_is_garbage(tmp_path, logged_errors):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        app.new_session()
        await technician.types("What is going on", "Outlook will not connect")
        await technician.clicks("Start Session")
        await until(technician._open_card_is_shown, "a first card")
        session, me = app.session_model.session_id, app.settings.engineer
    with (tmp_path / "flowpilot.db").open("r+b") as file:
        file.write(b"\xde\xad\xbe\xef" * 64)
    async with at_the_desk(tmp_path, demo=True) as technician:
        await technician.reads("local store was damaged")
        await technician.reads("Nothing was deleted")
        listing = await technician.app.desk.engine.sessions()
        assert [row.session.id for row in listing] == [session]
        assert technician.app.settings.engineer == me
    assert all("damaged" in record.getMessage() for record in logged_errors)
