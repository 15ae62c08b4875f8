"""A ConnectWise site in virtual time, and the adapter that talks to it."""

from collections.abc import AsyncIterator, Callable

import pytest

from flowpilot_desktop.core.ticket import PsaConnection
from flowpilot_desktop.psa.connectwise import ConnectWisePsa
from flowpilot_desktop.psa.registry import PsaKeys
from tests.simulators.connectwise import COMPANY_ID, PRIVATE_KEY, PUBLIC_KEY, ConnectWiseSite
from tests.simulators.virtual import VirtualClock, VirtualNetwork

CONNECTION = PsaConnection("cw", "connectwise", site="na.myconnectwise.net", company_id=COMPANY_ID)
KEYS = PsaKeys(PUBLIC_KEY, PRIVATE_KEY)

Desk = Callable[..., ConnectWisePsa]


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def site(clock: VirtualClock) -> ConnectWiseSite:
    return ConnectWiseSite(now=clock.now)


@pytest.fixture
def network(site: ConnectWiseSite, clock: VirtualClock) -> VirtualNetwork:
    return VirtualNetwork(site, clock)


@pytest.fixture
async def adapter(network: VirtualNetwork, clock: VirtualClock) -> AsyncIterator[Desk]:
    """Make adapters to the site; they are closed at the end."""
    made: list[ConnectWisePsa] = []

    def make(
        connection: PsaConnection = CONNECTION, keys: PsaKeys = KEYS, api_version: str = ""
    ) -> ConnectWisePsa:
        psa = ConnectWisePsa(
            connection,
            keys,
            clock,
            api_version=api_version,
            transport=network,
            sleep=clock.sleep,
        )
        made.append(psa)
        return psa

    yield make
    for psa in made:
        await psa.aclose()


@pytest.fixture
def psa(adapter: Desk) -> ConnectWisePsa:
    return adapter()
