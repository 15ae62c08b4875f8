"""The faults of `faults.py`: all at some calls, the quick ones at every call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulators.postgres import QueueDatabase, shared_server
from tests.sync.faults import CALLS, VERBS, torment


@pytest.fixture
def plain() -> Iterator[QueueDatabase]:
    """A queue whose messages the proxy can tell apart."""
    with shared_server("plain").database() as database:
        yield database


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
async def test_cut_and_doubled_at_every_message(plain: QueueDatabase, call: object) -> None:
    counts = await torment(plain, [c for c in CALLS if c is call], ("cut after", "twice"))
    assert counts["cut after"] == counts["twice"] == counts["messages"] > 0


@pytest.mark.parametrize("call", [c for c in CALLS if c.name in VERBS][:2], ids=lambda c: c.name)
async def test_swallowed_and_late_at_every_message(plain: QueueDatabase, call: object) -> None:
    counts = await torment(plain, [c for c in CALLS if c is call], ("hole", "late"))
    assert counts["hole"] == counts["late"] == counts["messages"] > 0
    assert counts["heard nothing although it was done"] > 0
