"""Secrets planted wherever people type or paste leave by no way out.

One session runs against ConnectWise and Claude over real HTTP with secrets in the ticket, its
notes, the first words, an answer, a note by hand, the solution and a note edited by hand. Then
every byte that left is looked through: both services' requests, the log, a crash report, the
exported note, the exported record; and in a team, whatever was told to the queue.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flowpilot_desktop.composition import open_desk
from flowpilot_desktop.core.escalation import OperationState
from flowpilot_desktop.core.events import Events
from flowpilot_desktop.core.push import PsaPushStatus
from flowpilot_desktop.core.session import Intake, Response, Result, Source, StepKind
from flowpilot_desktop.core.ticket import PsaConnection
from flowpilot_desktop.diagnostics import crash_of, start_logging
from flowpilot_desktop.profile import Profile
from flowpilot_desktop.psa.registry import PsaKeys
from flowpilot_desktop.services.audit import Audit
from flowpilot_desktop.services.documentation import DocumentationChoices
from flowpilot_desktop.services.model_access import KEY_NAME
from flowpilot_desktop.settings import Settings
from tests.clock import VirtualClock
from tests.services.desk import CONNECTION
from tests.services.team import two_desks
from tests.simulators.claude import ClaudeSimulator
from tests.simulators.connectwise import COMPANY_ID, PRIVATE_KEY, PUBLIC_KEY, ConnectWiseSite
from tests.simulators.exchange import answered
from tests.simulators.http_server import HttpServer

TICKET = 1005
PLANTED = {
    "description": ("The admin password is Sunshine-77!Q and nothing prints", "Sunshine-77!Q"),
    "ticket note": ("Use key AKIAIOSFODNN7EXAMPLE for the backup", "AKIAIOSFODNN7EXAMPLE"),
    "first words": ("Server=db1;User Id=sa;Password=Br0wn-Fox-42;", "Br0wn-Fox-42"),
    "answer": ("It asked again, so I typed it: pw is Gr33n-Apple-19", "Gr33n-Apple-19"),
    "note by hand": (
        "curl -H 'Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgN'",
        "eyJzdWIiOiIxMjM0NTY3ODkwIn0",
    ),
    "solution": ("Reset it, the new password: Blue-Tiger-88", "Blue-Tiger-88"),
    "action": ("Paid with card 4111 1111 1111 1111 as agreed", "4111 1111 1111 1111"),
    "edited note": (
        "Token ghp_0123456789abcdefghijABCDEFGHIJ012345 is revoked",
        "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    ),
    "server's words": ("Refused: password=Echo-Of-Yours-5", "Echo-Of-Yours-5"),
    "bug": ("login failed, password is Crash-Secret-99", "Crash-Secret-99"),
}
SECRETS = {place: secret for place, (_, secret) in PLANTED.items()}


def text(place: str) -> str:
    return PLANTED[place][0]


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    """The real log of the application, as the start opens it."""
    root = logging.getLogger()
    handlers, level = tuple(root.handlers), root.level
    path = start_logging(tmp_path / "logs", "DEBUG")
    yield path
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)


def assert_clean(where: str, *written: str | bytes) -> None:
    for one in written:
        content = one if isinstance(one, str) else one.decode("utf-8", "replace")
        assert content
        leaked = [place for place, secret in SECRETS.items() if secret in content]
        assert not leaked, f"{where} holds what was planted in: {leaked}"


def fail() -> None:
    raise RuntimeError(text("bug"))


async def test_no_planted_secret_leaves_by_any_way_out(tmp_path, log_file, logged_errors):
    site = ConnectWiseSite()
    site.add_note(TICKET, text("description"), detailDescriptionFlag=True)
    site.add_note(TICKET, text("ticket note"), internalAnalysisFlag=True)
    words = text("server's words")
    refusal = answered(400, stored=False, body=f'{{"code":"Invalid","message":"{words}"}}')
    site.faults.plan(refusal, method="POST", path="/time/entries$")
    with HttpServer(site) as server, ClaudeSimulator() as claude:
        events = Events()
        settings = Settings(tmp_path / "profile", events)
        await settings.change(Settings.model_base_url, claude.url)
        profile = Profile(tmp_path / "profile")
        clock = VirtualClock(datetime.now(UTC).replace(microsecond=0))
        async with open_desk(profile, settings=settings, events=events, clock=clock) as desk:
            connection = PsaConnection("site", "connectwise", server.url, COMPANY_ID)
            await desk.tickets.connect(connection, PsaKeys(PUBLIC_KEY, PRIVATE_KEY))
            await desk.secrets.write(KEY_NAME, claude.key)
            engine = desk.engine
            started = await engine.start_session(Intake(text("first words"), "site", str(TICKET)))
            session_id = started.session.id
            clock.advance(minutes=5)  # work without time makes no entry that could be refused
            for answer in (text("answer"), "nothing special"):
                step = await engine.next_step(session_id)
                assert step is not None
                assert step.source is Source.CLAUDE
                result = None if step.kind is StepKind.QUESTION else Result.DID_NOT_WORK
                await engine.respond(session_id, step.id, Response(text=answer, result=result))
                await engine.add_note(session_id, text("note by hand"))
            await engine.next_step(session_id)
            step = await engine.ask_verification(session_id)
            await engine.respond(session_id, step.id, Response(result=Result.WORKED))
            shown = await engine.preview_documentation(session_id, text("solution"), text("action"))
            assert {mask.kind for mask in shown.masked}
            edited = DocumentationChoices(note=f"{shown.note}\n{text('edited note')}")
            await engine.resolve_session(session_id, text("solution"), text("action"), edited)
            await desk.push.run_due()
            exported = await engine.export(session_id)
            record = await Audit(desk.store).csv()
            status = (await engine.session(session_id)).push_status
    with pytest.raises(RuntimeError) as caught:
        fail()
    bug = (caught.type, caught.value, caught.tb)
    logging.getLogger("flowpilot_desktop").error("It failed", exc_info=bug)
    report = crash_of(*bug).report
    assert [one.getMessage() for one in logged_errors] == ["It failed"]
    # Something went each way, so that there is something to look through.
    posted = [request for request in site.requests if request.method in ("POST", "PATCH")]
    assert any("/notes" in request.path for request in posted)
    assert len(claude.asked()) >= 2
    to_claude = b"".join(one.raw for one in claude.requests).decode()
    for around in ("nothing prints", "for the backup", "so I typed it", "Server=db1"):
        assert around in to_claude
    assert "is revoked" in b"".join(request.body for request in posted).decode()
    assert status is PsaPushStatus.FAILED
    assert "FlowPilot Session Documentation" in record
    log_text = log_file.read_text(encoding="utf-8")
    assert_clean("ConnectWise", *(request.target for request in site.requests))
    assert_clean("ConnectWise", *(request.body for request in posted if request.body))
    assert_clean("Claude", *(one.raw for one in claude.requests if one.raw))
    assert_clean("the log", log_text)
    assert_clean("the crash report", report)
    assert_clean("the exported note", exported.text)
    assert_clean("the exported record", record)
    for key in (PRIVATE_KEY, claude.key):
        for written in (log_text, report, exported.text, record):
            assert key not in written
    assert PRIVATE_KEY.encode() not in b"".join(one.raw for one in claude.requests)
    assert claude.key.encode() not in b"".join(request.body for request in site.requests)


async def test_no_planted_secret_is_told_to_the_team(tmp_path):
    async with two_desks(tmp_path) as (team, sam, _):
        told: list[str] = []
        line = next(iter(team.lines.values()))
        queue = line._queue

        class Listening:
            def __getattr__(self, name):
                call = getattr(queue, name)
                if name in ("drop", "aclose", "listen"):
                    return call

                async def heard(*arguments, **named):
                    told.append(repr((name, arguments, named)))
                    return await call(*arguments, **named)

                return heard

        line._queue = Listening()  # type: ignore[assignment]  # it passes every call on
        engine = sam.engine
        started = await engine.start_session(Intake(text("first words"), CONNECTION.id, "12352"))
        session_id = started.session.id
        step = await engine.next_step(session_id)
        assert step is not None
        await engine.respond(session_id, step.id, Response(text=text("answer")))
        await engine.add_note(session_id, text("note by hand"))
        await sam.engine.escalate_session(session_id, text("solution"))
        await sam.escalations.settled()
        operations = await sam.store.queue_operations(tuple(OperationState))
        assert operations
        assert_clean("the operations for the queue", *(one.body for one in operations))
        assert any(session_id in one for one in told)
        assert_clean("the queue", *told)
