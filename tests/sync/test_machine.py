"""The state machine of `machine.py`, with fewer histories, and its mutation check."""

from __future__ import annotations

import pytest

from tests.simulators.postgres import QueueDatabase
from tests.sync.machine import MUTANTS, caught, explore


@pytest.mark.timeout(300)
def test_nothing_is_lost_and_nobody_handles_it_twice(database: QueueDatabase) -> None:
    counts = explore(database, 60, seed=1)
    assert counts["histories"] >= 60
    for name in ("accepted", "refused", "answer lost", "duplicates", "restored", "steps kept"):
        assert counts[name] > 0, name


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("mutant", "seed"), list(zip(MUTANTS, (1, 1, 3, 0), strict=True)))
def test_a_server_without_one_of_its_rules_is_caught(
    database: QueueDatabase, mutant: str, seed: int
) -> None:
    # The seeds are known to find it soon; any other needs a few hundred histories at most.
    assert caught(database, mutant, 3_000, seed)
