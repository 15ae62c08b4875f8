"""A ConnectWise site over real HTTP, and a desktop that is connected to it already."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from flowpilot_desktop.core.session import Intake, Response, Result
from flowpilot_desktop.core.ticket import PsaConnection
from flowpilot_desktop.psa.registry import PsaKeys
from flowpilot_desktop.services import documentation_push
from tests.e2e.driver import Technician, at_the_desk, until
from tests.simulators.connectwise import COMPANY_ID, PRIVATE_KEY, PUBLIC_KEY, ConnectWiseSite
from tests.simulators.http_server import HttpServer

TICKET = 1005
WORKED = timedelta(minutes=20)
"""How long a session that is verified without clicks has lasted."""


@dataclass
class Served:
    """A site and the server that it stands on."""

    site: ConnectWiseSite
    server: HttpServer

    @property
    def connection(self) -> PsaConnection:
        return PsaConnection(
            "site", "connectwise", self.server.url, COMPANY_ID, name="Harbor & Pine"
        )


@pytest.fixture
def served() -> Iterator[Served]:
    site = ConnectWiseSite()
    with HttpServer(site) as server:
        yield Served(site, server)


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes become tenths of seconds: the scheduler itself wakes at each of them."""
    tenth = timedelta(seconds=0.1)
    monkeypatch.setattr(documentation_push, "BACKOFF", (tenth, 2 * tenth, 3 * tenth))
    monkeypatch.setattr(documentation_push, "FIRST_LOOK", tenth)
    monkeypatch.setattr(documentation_push, "SECOND_LOOK", tenth)
    monkeypatch.setattr(documentation_push, "OFFLINE_PROBE", 2 * tenth)


OpenDesk = Callable[[], AbstractAsyncContextManager[Technician]]


@pytest.fixture
def connected(tmp_path: Path, served: Served) -> OpenDesk:
    """Opens the window on a profile whose ConnectWise is set up."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Technician]:
        async with at_the_desk(tmp_path / "profile") as technician:
            app = technician.app
            app.new_session()
            await app.settings.change_all(
                {
                    type(app.settings).engineer_name: "Jordan Blake",
                    type(app.settings).engineer_email: "",
                }
            )
            keys = PsaKeys(PUBLIC_KEY, PRIVATE_KEY)
            await app.desk.tickets.connect(served.connection, keys)
            picker = app.intake_model.picker
            await until(lambda: picker.is_connected and not picker.is_searching, "tickets")
            yield technician

    return opened


async def verified(technician: Technician, *, ticket: int = TICKET, words: str = "") -> str:
    """Start from a ticket and let a person verify; return the session's id."""
    engine = technician.app.desk.engine
    about = ("site", str(ticket)) if ticket else ("", "")
    started = await engine.start_session(Intake(words, *about))
    session_id = started.session.id
    store = technician.app.desk.store
    earlier = [
        replace(segment, started_at=segment.started_at - WORKED)
        for segment in await store.segments(session_id)
    ]
    await store.save(*earlier)
    step = await engine.ask_verification(session_id)
    await engine.respond(session_id, step.id, Response(result=Result.WORKED))
    return session_id


async def closes(technician: Technician, session_id: str, solution: str = "Restarted it.") -> None:
    """Open the resolve page, write the solution and click Resolve."""
    app = technician.app
    app._open_resolve(session_id)
    await until(lambda: app.resolve_model.preview is not None, "the preview")
    await technician.types("Solution in a sentence", solution)
    await until(lambda: solution in app.resolve_model.note, "the note to follow")
    await technician.clicks("Resolve")
