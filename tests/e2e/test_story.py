"""The main job by clicks in the real window, against ConnectWise and Claude over real HTTP."""

import re
from collections.abc import Iterator
from datetime import datetime

import pytest

from flowpilot_desktop.core.session import Question, Source, StepKind
from tests.e2e.driver import Technician, at_the_desk, until
from tests.simulators.claude import ClaudeSimulator
from tests.simulators.connectwise import COMPANY_ID, PRIVATE_KEY, PUBLIC_KEY, ConnectWiseSite
from tests.simulators.http_server import HttpServer

TICKET = 1005
HOPEFUL = ("Since an update", "Worked", "Yes, it holds", "Confirm")
FLAGS = (
    "addToDetailDescriptionFlag",
    "addToInternalAnalysisFlag",
    "addToResolutionFlag",
    "emailContactFlag",
    "emailResourceFlag",
    "emailCcFlag",
)


@pytest.fixture
def site() -> Iterator[tuple[ConnectWiseSite, str]]:
    connectwise = ConnectWiseSite()
    with HttpServer(connectwise) as server:
        yield connectwise, server.url


@pytest.fixture
def claude() -> Iterator[ClaudeSimulator]:
    with ClaudeSimulator() as simulator:
        yield simulator


async def sets_up(technician: Technician, site_url: str, claude: ClaudeSimulator) -> None:
    """Connect ConnectWise and Claude in the settings, as a newcomer does."""
    app = technician.app
    await technician.clicks("Settings")
    app.settings_page.show_section("Integrations")
    await technician.types("ConnectWise site", site_url)
    await technician.types("ConnectWise company id", COMPANY_ID)
    await technician.types("Public key", PUBLIC_KEY)
    await technician.types("Private key", PRIVATE_KEY)
    await technician.clicks("Connect")
    await technician.reads("You are Jordan Blake")
    await app.settings.change(type(app.settings).model_base_url, claude.url)
    app.settings_page.show_section("Claude")
    await technician.types("Claude key", claude.key)
    await technician.clicks("Keep and test")
    await technician.reads("The key works")


async def starts(technician: Technician) -> str:
    """Start a session from the ticket; return the session's id."""
    await technician.clicks("Sessions")
    await technician.types("Search tickets", str(TICKET))
    tickets = technician.app.intake_model.picker.tickets
    await until(lambda: any(t.id == str(TICKET) for t in tickets.rows), "the ticket in the list")
    await technician.enters("Search tickets")
    await technician.reads(f"Start Session with Ticket #{TICKET}")
    await technician.clicks(f"Start Session with Ticket #{TICKET}")
    await until(lambda: technician.app.window.current_page == "session", "the session page")
    return technician.app.session_model.session_id


async def resolves(technician: Technician) -> str:
    """Write the solution and end the session; return the note as the page showed it."""
    await technician.clicks("Resolve")
    await until(lambda: technician.app.window.current_page == "resolve", "the resolve page")
    await technician.types("Solution in a sentence", " Restarted the spooler.")
    await until(lambda: technician.app.resolve_model.can_resolve, "a complete page")
    await until(
        lambda: "Restarted the spooler." in technician.app.resolve_model.note, "the note to follow"
    )
    await technician.clicks("Resolve")
    await technician.reads(f"Documentation pushed to ticket #{TICKET}")
    return technician.app.resolve_model.note


def check_what_connectwise_holds(
    site: ConnectWiseSite, session_id: str, shown: str, cards: int
) -> None:
    notes = [note for note in site.notes_of(TICKET) if session_id in note["text"]]
    assert len(notes) == 1
    text = notes[0]["text"].replace("\\", "")
    assert text.startswith("═══ FlowPilot Session Documentation ═══")
    assert [line.split(" ", 1)[1] for line in text.splitlines() if line.startswith("── ")] == [
        f"{section} ──"
        for section in (
            "Problem",
            "Diagnosis Path",
            "Resolution",
            "AI Confidence",
            "Session Timing",
        )
    ]
    assert "Restarted the spooler." in text
    assert len(re.findall(r"^\d+\. \[", text, re.MULTILINE)) == cards
    assert re.search(r"^FP-[0-9A-Z]{10}$", text, re.MULTILINE)
    # To the letter what the page showed, and the marker by which it is found again.
    posted = site.requests_for("POST", f"/service/tickets/{TICKET}/notes")[0].json
    written, _, marker = posted["text"].rstrip().rpartition("\n")
    assert written.rstrip() == shown.rstrip()
    assert marker.startswith("FP-")
    assert posted["internalAnalysisFlag"] is True
    assert posted["detailDescriptionFlag"] is False
    assert posted["resolutionFlag"] is False
    assert posted["processNotifications"] is False
    assert posted["member"] == {"identifier": "jblake"}
    assert len(site.entries_of(TICKET)) == 1
    entries = [
        request
        for request in site.requests_for("POST", "/time/entries")
        if request.path.endswith("/time/entries")
    ]
    assert len(entries) == 1
    entry = entries[0].json
    assert entry["chargeToType"] == "ServiceTicket"
    assert entry["chargeToId"] == TICKET
    assert entry["member"] == {"identifier": "jblake"}
    for key in ("timeStart", "timeEnd"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry[key])
        datetime.fromisoformat(entry[key])
    assert all(entry[flag] is False for flag in FLAGS), entry
    assert not site.mails


async def test_a_ticket_from_intake_to_documented_resolution(tmp_path, site, claude):
    connectwise, url = site
    async with at_the_desk(tmp_path) as technician:
        await sets_up(technician, url, claude)
        session_id = await starts(technician)
        for words in ("Since an update", "Did not work", "Worked", "Yes, it holds", "Confirm"):
            await technician.answers((words,))
        steps = technician.view.steps
        assert {step.source for step in steps} == {Source.CLAUDE}
        assert [step.kind for step in steps[-2:]] == [StepKind.VERIFICATION, StepKind.RESOLUTION]
        shown = await resolves(technician)
        check_what_connectwise_holds(connectwise, session_id, shown, cards=len(steps))
        await technician.clicks("History")
        await technician.app.desk.engine.sessions()
        await until(
            lambda: technician.app.history_model.sessions.rowCount() == 1, "the session in history"
        )


async def test_the_same_with_claude_gone_after_the_first_card(tmp_path, site, claude):
    connectwise, url = site
    async with at_the_desk(tmp_path) as technician:
        await sets_up(technician, url, claude)
        session_id = await starts(technician)
        await until(technician._open_card_is_shown, "the first card")
        assert technician.view.steps[0].source is Source.CLAUDE
        claude.away()
        await technician.answers(HOPEFUL)
        await until(technician._open_card_is_shown, "the second card")
        assert technician.view.steps[1].source is Source.FLOW
        by_flow = (*HOPEFUL, "Or type what you see")
        for _ in range(25):
            view = technician.view
            if view.is_verified and view.open_step is None:
                break
            step = view.open_step
            if step is not None and isinstance(step.body, Question):
                by_flow = (step.body.options[0].label, *HOPEFUL)
            await technician.answers(by_flow)
            await until(
                lambda: (
                    not technician.app.session_model.is_thinking
                    and not technician.app.session_model.is_busy
                ),
                "the next card",
            )
        assert technician.sees("goes on by flow")
        steps = technician.view.steps
        assert [step.source for step in steps if step.source is Source.CLAUDE] == [Source.CLAUDE]
        assert technician.view.is_verified
        shown = await resolves(technician)
        check_what_connectwise_holds(connectwise, session_id, shown, cards=len(steps))
