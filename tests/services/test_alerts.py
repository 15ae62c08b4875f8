"""Who is interrupted, when, and how often: rules on a clock that only moves when told."""

from dataclasses import replace
from datetime import time, timedelta
from typing import Any

import pytest

from flowpilot_desktop.core.escalation import Escalation, EscalationState
from flowpilot_desktop.services.alerts import BURST, AlertKind, AlertRules, Alerts
from flowpilot_desktop.services.escalations import QueueEntry
from flowpilot_desktop.settings import QuietHours
from tests.clock import VirtualClock


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def rules():
    return [AlertRules()]


@pytest.fixture
def alerts(clock, rules):
    made = Alerts(clock, lambda: rules[0])
    made.look(())
    return made


def entry(clock: VirtualClock, key: str = "1", hop: int = 1, **more: Any) -> QueueEntry:
    fields = {name: more.pop(name) for name in ("assigned_to", "state") if name in more}
    row = Escalation(
        key,
        f"session-{key}",
        fields.get("state", EscalationState.OPEN),
        "other",
        "other",
        f"Problem {key}",
        "no rights",
        created_at=clock.now(),
        raised_at=clock.now() - timedelta(minutes=3),
        assigned_to=fields.get("assigned_to", ""),
        hop_count=hop,
    )
    return QueueEntry(row, raised_by="Priya", **more)


def test_an_arrival_tells_problem_person_and_age_once(alerts, clock):
    (alert,) = alerts.look([entry(clock)])
    assert alert.kind is AlertKind.ARRIVED
    assert alert.title == "Problem 1"
    assert "Priya asks the team · 3 min ago" in alert.text
    assert alert.can_pick_up
    clock.advance(minutes=5)
    assert alerts.look([entry(clock)]) == ()


def test_one_put_back_is_news_again(alerts, clock):
    alerts.look([entry(clock)])
    clock.advance(minutes=5)
    assert alerts.look([]) == ()
    assert len(alerts.look([entry(clock, hop=2)])) == 1


def test_ones_own_somebody_elses_and_taken_ones_are_silent(alerts, clock):
    silent = [
        entry(clock, "own", is_mine=True),
        entry(clock, "other", assigned_to="somebody"),
        entry(clock, "taken", state=EscalationState.CLAIMED),
    ]
    assert alerts.look(silent) == ()
    assert len(alerts.look([*silent, entry(clock, "me", assigned_to="me", for_me=True)])) == 1


def test_what_waits_at_the_start_is_no_news(clock, rules):
    fresh = Alerts(clock, lambda: rules[0])
    waiting = [entry(clock, str(number)) for number in range(20)]
    assert fresh.look(waiting) == ()
    assert len(fresh.look([*waiting, entry(clock, "new")])) == 1


def test_after_a_sleep_there_is_one_alert_at_most(alerts, clock):
    alerts.woke()
    (alert,) = alerts.look([entry(clock, str(number)) for number in range(9)])
    assert alert.kind is AlertKind.SEVERAL
    assert alert.title == "9 escalations wait since you were away"


def test_a_burst_is_joined(alerts, clock):
    assert len(alerts.look([entry(clock, "1")])) == 1
    clock.advance(seconds=2)
    assert alerts.look([entry(clock, "1"), entry(clock, "2")]) == ()
    clock.advance(seconds=2)
    every = [entry(clock, "1"), entry(clock, "2"), entry(clock, "3")]
    assert alerts.look(every) == ()
    clock.advance(seconds=BURST.total_seconds())
    (alert,) = alerts.look(every)
    assert (alert.kind, alert.title) == (AlertKind.SEVERAL, "2 escalations wait")


def test_one_that_was_taken_while_held_back_is_not_told(alerts, clock):
    alerts.look([entry(clock, "1")])
    clock.advance(seconds=2)
    alerts.look([entry(clock, "1"), entry(clock, "2")])
    clock.advance(minutes=1)
    assert alerts.look([entry(clock, "1")]) == ()


@pytest.mark.parametrize("how", ["muted", "off", "quiet hours"])
def test_quiet_is_quiet_and_nothing_is_made_up_for(alerts, clock, rules, how):
    local = clock.now().astimezone().time()
    match how:
        case "muted":
            alerts.mute()
        case "off":
            rules[0] = AlertRules(is_on=False)
        case _:
            rules[0] = AlertRules(quiet_hours=QuietHours(local, time((local.hour + 1) % 24)))
    assert alerts.look([entry(clock)]) == ()
    rules[0] = AlertRules()
    clock.advance(minutes=61)
    assert alerts.muted_until is None
    assert alerts.look([entry(clock)]) == ()
    assert len(alerts.look([entry(clock), entry(clock, "2")])) == 1


def test_a_pickup_gone_stale_is_called_to_mind_once_an_hour(alerts, clock):
    mine = entry(clock, state=EscalationState.CLAIMED, handler="you", idle_since=clock.now())
    assert alerts.look([mine]) == ()
    clock.advance(minutes=31)
    (alert,) = alerts.look([mine])
    assert alert.kind is AlertKind.STALE
    assert "31 min" in alert.text
    clock.advance(minutes=30)
    assert alerts.look([mine]) == ()
    clock.advance(minutes=31)
    assert len(alerts.look([mine])) == 1


def test_the_originator_hears_of_a_handler_gone_silent(alerts, clock):
    row = replace(entry(clock, state=EscalationState.CLAIMED), handler="Sam", can_take_back=True)
    (alert,) = alerts.look([row])
    assert "Sam has it and has not been heard of" in alert.text
