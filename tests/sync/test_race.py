"""The races of `race.py`, small."""

from __future__ import annotations

import pytest

from tests.simulators.postgres import QueueDatabase
from tests.sync.race import pickup_race, withdraw_race


@pytest.mark.timeout(180)
def test_every_escalation_has_exactly_one_handler(database: QueueDatabase) -> None:
    race = pickup_race(database, 4, 40)
    assert race.handlers == {1: 40}


@pytest.mark.timeout(180)
def test_withdraw_against_pickup_has_exactly_one_winner(database: QueueDatabase) -> None:
    won = withdraw_race(database, 100)
    assert won.total() == 100
    assert min(won["withdraw"], won["pick up"]) > 0
