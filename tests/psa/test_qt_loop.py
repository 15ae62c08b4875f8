"""The adapter on the loop that the application has: asyncio under Qt."""

import asyncio
import threading

import httpx
import qasync

from flowpilot_desktop.core.ticket import PsaConnection, TicketQuery
from flowpilot_desktop.psa.connectwise import ConnectWisePsa
from flowpilot_desktop.psa.connectwise.wire import Wire
from tests.psa.conftest import KEYS
from tests.simulators.connectwise import COMPANY_ID, ConnectWiseSite
from tests.simulators.exchange import dropped
from tests.simulators.http_server import HttpServer
from tests.simulators.virtual import VirtualClock


async def test_it_works_under_qt(qapp):
    assert isinstance(asyncio.get_running_loop(), qasync.QEventLoop)
    site = ConnectWiseSite()
    site.faults.plan(dropped(stored=False), path="tickets/1005$")
    with HttpServer(site) as server:
        by_name = f"http://localhost:{server.port}"
        connection = PsaConnection("c", "connectwise", site=by_name, company_id=COMPANY_ID)
        psa = ConnectWisePsa(connection, KEYS, VirtualClock())
        context, page = await asyncio.gather(psa.context("1005"), psa.search(TicketQuery()))
        await psa.aclose()
    assert context.missing == ()
    assert page.tickets


async def test_the_client_is_made_beside_the_screens_thread(qapp, monkeypatch):
    """Reading the system's certificates takes about 100 ms; a frame takes 16."""
    threads = []
    made = Wire._made

    def noted(self: Wire) -> httpx.AsyncClient:
        threads.append(threading.current_thread())
        return made(self)

    monkeypatch.setattr(Wire, "_made", noted)
    with HttpServer(ConnectWiseSite()) as server:
        connection = PsaConnection("c", "connectwise", site=server.url, company_id=COMPANY_ID)
        psa = ConnectWisePsa(connection, KEYS, VirtualClock())
        await asyncio.gather(psa.me(), psa.work_types(), psa.work_roles())
        await psa.aclose()
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()
