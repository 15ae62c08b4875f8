"""The life-cycle table: each allowed change, and every other one refused by name."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from flowpilot_desktop.core.errors import NotAllowed, TransitionRefused
from flowpilot_desktop.core.lifecycle import TRANSITIONS, Role, Verb, has_role, moved, transition
from flowpilot_desktop.core.session import Intake, Session, SessionStatus

AT = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
LATER = AT + timedelta(hours=3)
ORIGINATOR, HANDLER, STRANGER = "originator", "handler", "stranger"


def a_session(status: SessionStatus, *, handler: str = ORIGINATOR, hops: int = 0) -> Session:
    return Session(
        id="s",
        user_id=ORIGINATOR,
        handler_id=handler,
        status=status,
        intake=Intake("printer offline"),
        created_at=AT,
        updated_at=AT,
        hop_count=hops,
        paused_at=AT if status is SessionStatus.PAUSED else None,
        escalation_reason="stuck" if status is SessionStatus.REQUESTING_ESCALATION else "",
        escalated_at=AT if status is SessionStatus.REQUESTING_ESCALATION else None,
    )


def someone_with(role: Role, session: Session) -> str:
    return next(who for who in (ORIGINATOR, HANDLER, STRANGER, "") if has_role(session, who, role))


@pytest.mark.parametrize("row", TRANSITIONS, ids=lambda row: f"{row.before}-{row.verb}-{row.role}")
def test_each_row_moves_the_session_for_its_role(row):
    hops = 1 if row.role is Role.PICKED_UP_HANDLER else 0
    session = a_session(row.before, handler=HANDLER if hops else ORIGINATOR, hops=hops)
    after = moved(session, row.verb, someone_with(row.role, session), LATER)
    assert after.status is row.after
    assert after.updated_at == LATER
    assert after.user_id == ORIGINATOR


def every_other_change() -> list[tuple[SessionStatus, Verb]]:
    allowed = {(row.before, row.verb) for row in TRANSITIONS}
    return [
        (status, verb) for status in SessionStatus for verb in Verb if (status, verb) not in allowed
    ]


@pytest.mark.parametrize(("status", "verb"), every_other_change())
@pytest.mark.parametrize("who", [ORIGINATOR, HANDLER, STRANGER, ""])
def test_every_other_change_is_refused_naming_state_and_verb(status, verb, who):
    with pytest.raises(TransitionRefused) as refusal:
        transition(a_session(status), verb, who)
    assert verb.value in refusal.value.message
    words = "waiting for a pickup" if "request" in status else status.value
    assert words in refusal.value.message


@pytest.mark.parametrize("row", TRANSITIONS, ids=lambda row: f"{row.before}-{row.verb}-{row.role}")
def test_the_wrong_engineer_is_refused(row):
    session = a_session(row.before, handler=HANDLER, hops=1)
    rows = [other for other in TRANSITIONS if (other.before, other.verb) == (row.before, row.verb)]
    for who in (ORIGINATOR, HANDLER, STRANGER, ""):
        if any(has_role(session, who, other.role) for other in rows):
            continue
        with pytest.raises(NotAllowed) as refusal:
            transition(session, row.verb, who)
        assert row.role in refusal.value.message or len(rows) > 1


def test_final_states_have_no_way_out():
    final = {status for status in SessionStatus if status.is_final}
    assert final == {
        SessionStatus.RESOLVED,
        SessionStatus.ESCALATED,
        SessionStatus.ABANDONED,
    }
    assert not [row for row in TRANSITIONS if row.before in final]


def test_pausing_stamps_and_resuming_clears():
    paused = moved(a_session(SessionStatus.ACTIVE), Verb.PAUSE, ORIGINATOR, LATER)
    assert paused.paused_at == LATER
    assert moved(paused, Verb.RESUME, ORIGINATOR, LATER).paused_at is None


def test_escalating_stamps_escalated_at_and_not_resolved_at():
    waiting = moved(a_session(SessionStatus.ACTIVE), Verb.ESCALATE, ORIGINATOR, LATER)
    assert (waiting.escalated_at, waiting.resolved_at) == (LATER, None)


def test_pickup_changes_the_handler_and_never_the_originator():
    waiting = a_session(SessionStatus.REQUESTING_ESCALATION)
    taken = moved(waiting, Verb.PICK_UP, STRANGER, LATER)
    assert (taken.user_id, taken.handler_id, taken.hop_count) == (ORIGINATOR, STRANGER, 1)


def test_nobody_picks_up_what_they_raised():
    with pytest.raises(NotAllowed):
        transition(a_session(SessionStatus.REQUESTING_ESCALATION), Verb.PICK_UP, ORIGINATOR)


def test_the_originator_may_pick_up_what_a_later_handler_raised():
    waiting = a_session(SessionStatus.REQUESTING_ESCALATION, handler=HANDLER, hops=1)
    taken = moved(waiting, Verb.PICK_UP, ORIGINATOR, LATER)
    assert (taken.handler_id, taken.hop_count) == (ORIGINATOR, 2)


def test_resolving_after_a_hand_off_ends_as_escalated():
    picked_up = a_session(SessionStatus.ACTIVE, handler=HANDLER, hops=1)
    assert moved(picked_up, Verb.RESOLVE, HANDLER, LATER).status is SessionStatus.ESCALATED
    own = a_session(SessionStatus.ACTIVE)
    assert moved(own, Verb.RESOLVE, ORIGINATOR, LATER).status is SessionStatus.RESOLVED


def test_withdrawing_clears_the_request():
    session = replace(a_session(SessionStatus.REQUESTING_ESCALATION), escalated_to=STRANGER)
    back = moved(session, Verb.WITHDRAW, ORIGINATOR, LATER)
    assert (back.escalated_at, back.escalation_reason, back.escalated_to) == (None, "", "")
