"""How long a ticket's whole context takes, beside the floor that its requests set.

A simulated ConnectWise in a process of its own answers each request after 200 ms. ``run()`` returns
rows of (name, seconds, floor seconds). The floor is the longest chain of requests that depend on
each other, measured in the same run: as many plain reads, one after another, as the chain is long.
The aim is 1.2 times that.
"""

import asyncio
import contextlib
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from flowpilot_desktop.core.ticket import PsaConnection
from flowpilot_desktop.psa.connectwise import ConnectWisePsa
from flowpilot_desktop.psa.registry import PsaKeys
from tests.simulators.connectwise import COMPANY_ID, PRIVATE_KEY, PUBLIC_KEY

LATENCY = 0.2
CHAIN = 3
ROUNDS = 7
TICKET = "1005"
Row = tuple[str, float, float]


class _SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


@contextlib.contextmanager
def _site(latency: float) -> Iterator[str]:
    """Yield the address of a simulated site with 500 tickets."""
    command = [sys.executable, "-m", "tests.simulators.connectwise", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--tickets", "500", "--latency", str(latency)],
        cwd=Path(__file__).resolve().parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        yield found.group()
    finally:
        process.terminate()
        process.communicate(timeout=10)


async def _measured(address: str) -> tuple[list[float], list[float]]:
    connection = PsaConnection("bench", "connectwise", site=address, company_id=COMPANY_ID)
    psa = ConnectWisePsa(connection, PsaKeys(PUBLIC_KEY, PRIVATE_KEY), _SystemClock())
    context = await psa.context(TICKET)  # opens the connections
    assert not context.missing
    floors, contexts = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(CHAIN):
            await psa.me()
        floors.append(time.perf_counter() - began)
        began = time.perf_counter()
        await psa.context(TICKET)
        contexts.append(time.perf_counter() - began)
    await psa.aclose()
    return floors, contexts


def run() -> list[Row]:
    """Measure with 500 tickets on the site; medians."""
    with _site(LATENCY) as address:
        floors, contexts = asyncio.run(_measured(address))
    return [("a ticket's whole context", statistics.median(contexts), statistics.median(floors))]


if __name__ == "__main__":
    for name, seconds, floor in run():
        print(f"{name:36} {seconds * 1000:8.2f} ms {floor * 1000:8.2f} ms {seconds / floor:6.2f}")
