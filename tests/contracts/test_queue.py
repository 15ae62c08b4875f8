"""What every team queue does, real or practice: one suite for both."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID, uuid4

import pytest

from sync import errors
from sync.client import QueueClient
from sync.port import (
    LEASE_MAX,
    OUTCOME_MAX,
    PACKAGE_MAX,
    REASON_MAX,
    STEP_MAX,
    STEPS_MAX,
    STEPS_PER_CALL,
    SUMMARY_MAX,
    Access,
    Cursor,
    Feature,
    NewEscalation,
    Onward,
    Queue,
    State,
)
from sync.practice import PracticeQueue, PracticeTeam
from tests.simulators.postgres import QueueDatabase, engines, shared_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Rules(Protocol):
    """What the suite needs of the side that is nobody's desktop."""

    def lapse_lease(self, escalation: UUID) -> None: ...
    def lapse_waiting(self, escalation: UUID) -> None: ...
    def disable(self, engineer: UUID) -> None: ...
    def restore(self) -> None: ...
    def another_team(self) -> Queue: ...


class PracticeRules:
    def __init__(self) -> None:
        self.team = PracticeTeam("Helpdesk")

    def add(self, name: str) -> tuple[UUID, Queue]:
        engineer = self.team.add_engineer(name)
        return engineer, PracticeQueue(self.team, engineer)

    def lapse_lease(self, escalation: UUID) -> None:
        self.team.lapse_lease(escalation)

    def lapse_waiting(self, escalation: UUID) -> None:
        self.team.lapse_waiting(escalation)

    def disable(self, engineer: UUID) -> None:
        self.team.disable_engineer(engineer)

    def restore(self) -> None:
        self.team.epoch = uuid4()

    def another_team(self) -> Queue:
        other = PracticeTeam("Others")
        return other.queue(other.add_engineer("Mallory"))


class PostgresRules:
    def __init__(self, database: QueueDatabase) -> None:
        self.database = database
        self.team = database.add_team("Helpdesk")

    def add(self, name: str) -> tuple[UUID, Queue]:
        invitation = self.database.invite(self.team, name)
        return invitation.engineer_id, QueueClient(invitation)

    def lapse_lease(self, escalation: UUID) -> None:
        self.database.lapse_lease(escalation)

    def lapse_waiting(self, escalation: UUID) -> None:
        self.database.lapse_waiting(escalation)

    def disable(self, engineer: UUID) -> None:
        self.database.administration.disable_engineer(engineer)

    def restore(self) -> None:
        self.database.administration.restore_epoch()

    def another_team(self) -> Queue:
        return QueueClient(self.database.invite(self.database.add_team("Others"), "Mallory"))


@dataclass
class Team:
    """Three engineers and the rules' other side."""

    ann: Queue
    bob: Queue
    cem: Queue
    ann_id: UUID
    bob_id: UUID
    cem_id: UUID
    rules: Rules

    async def raised(self, **fields: Any) -> UUID:
        new = escalation(**fields)
        await self.ann.escalate(uuid4(), new)
        return new.id

    async def taken(self, **fields: Any) -> tuple[UUID, int]:
        raised = await self.raised(**fields)
        return raised, (await self.bob.pick_up(uuid4(), raised)).fence


def escalation(**fields: Any) -> NewEscalation:
    plain = NewEscalation(uuid4(), uuid4(), "Outlook asks for a password", "Stuck", b"{}", 1)
    return replace(plain, **fields)


@pytest.fixture(params=["practice", *engines()])
async def team(request: pytest.FixtureRequest) -> AsyncIterator[Team]:
    async with AsyncExitStack() as stack:
        rules: PracticeRules | PostgresRules
        if request.param == "practice":
            rules = PracticeRules()
        else:
            rules = PostgresRules(stack.enter_context(shared_server(request.param).database()))
        (ann_id, ann), (bob_id, bob), (cem_id, cem) = map(rules.add, ("Ann", "Bob", "Cem"))
        for queue in (ann, bob, cem):
            stack.push_async_callback(queue.aclose)
        yield Team(ann, bob, cem, ann_id, bob_id, cem_id, rules)


# --- who we are ------------------------------------------------------------------------------


async def test_welcome_says_who_and_where(team: Team) -> None:
    welcome = await team.ann.connect()
    assert welcome.me.engineer_id == team.ann_id
    assert welcome.me.display_name == "Ann"
    assert welcome.team_name == "Helpdesk"
    assert welcome.access is Access.WRITE
    assert welcome.features == frozenset(Feature)
    assert abs(welcome.clock_skew) < timedelta(seconds=5)
    assert (await team.ann.test()).epoch == welcome.epoch


async def test_members_and_presence(team: Team) -> None:
    assert [m.display_name for m in await team.bob.members()] == ["Ann", "Bob", "Cem"]
    assert all(m.last_seen is None for m in await team.bob.members())
    await team.ann.heartbeat()
    ann = (await team.bob.members())[0]
    assert ann.last_seen is not None
    assert abs(datetime.now(UTC) - ann.last_seen) < timedelta(minutes=1)
    await team.ann.heartbeat()
    assert (await team.bob.members())[0].last_seen == ann.last_seen
    team.rules.disable(team.cem_id)
    assert [m.active for m in await team.bob.members()] == [True, True, False]


async def test_a_disabled_engineer_is_shut_out(team: Team) -> None:
    raised = await team.raised()
    await team.cem.connect()
    team.rules.disable(team.cem_id)
    with pytest.raises(errors.AccessError):
        await team.cem.changes(None)
    with pytest.raises(errors.AccessError):
        await team.cem.pick_up(uuid4(), raised)
    with pytest.raises(errors.AssigneeError):
        await team.ann.reassign(uuid4(), raised, team.cem_id)


async def test_another_team_sees_nothing(team: Team) -> None:
    raised, fence = await team.taken()
    waiting = await team.raised()
    mallory = team.rules.another_team()
    try:
        assert (await mallory.changes(None)).rows == ()
        assert len(await mallory.members()) == 1
        for attempt in (
            mallory.escalation(raised),
            mallory.package(raised),
            mallory.hops(raised),
            mallory.steps(raised),
            mallory.pick_up(uuid4(), waiting),
            mallory.withdraw(uuid4(), waiting),
            mallory.cancel(uuid4(), waiting, ""),
            mallory.reassign(uuid4(), waiting, None),
            mallory.renew(raised, fence),
            mallory.release(uuid4(), raised, fence, Onward()),
            mallory.release(uuid4(), raised, None, Onward()),
            mallory.resolve(uuid4(), raised, fence, ""),
            mallory.append_steps(uuid4(), raised, fence, [b"x"]),
            mallory.pick_up(uuid4(), uuid4()),  # never existed: the same answer
        ):
            with pytest.raises(errors.NotFoundError):
                await attempt
        # Their id is not taken for us: ids are one team's own.
        await mallory.escalate(uuid4(), escalation(id=waiting))
        assert (await team.ann.escalation(waiting)).originator == team.ann_id
    finally:
        await mallory.aclose()


# --- the life cycle --------------------------------------------------------------------------


async def test_from_escalation_to_outcome(team: Team) -> None:
    new = escalation(
        ticket_number="#812", step_count=4, assigned_to=team.bob_id, package=b"\0\xff" * 9
    )
    receipt = await team.ann.escalate(uuid4(), new)
    assert (receipt.state, receipt.fence, receipt.replayed) == (State.OPEN, 0, False)

    (row,) = (await team.bob.changes(None)).rows
    assert row.id == new.id
    assert (row.session_id, row.summary, row.reason) == (new.session_id, new.summary, new.reason)
    assert (row.originator, row.created_by, row.assigned_to) == (
        team.ann_id,
        team.ann_id,
        team.bob_id,
    )
    assert (row.ticket_number, row.step_count, row.hop_count) == ("#812", 4, 1)
    assert (row.handler, row.claimed_at, row.lease_until, row.ended_at) == (None,) * 4
    assert row.expires_at - row.raised_at == timedelta(days=7)
    assert row.package_size == 18
    package = await team.bob.package(new.id)
    assert (package.schema, package.payload) == (1, new.package)

    claim = await team.bob.pick_up(
        uuid4(), new.id, lease_seconds=120, read_back="I take it; next: rebuild the profile"
    )
    assert (claim.state, claim.fence) == (State.CLAIMED, 1)
    row = await team.ann.escalation(new.id)
    assert (row.state, row.handler, row.fence) == (State.CLAIMED, team.bob_id, 1)
    assert row.read_back == "I take it; next: rebuild the profile"
    assert row.claimed_at is not None
    assert row.lease_until is not None
    assert timedelta(seconds=119) <= row.lease_until - row.claimed_at <= timedelta(seconds=121)

    added = await team.bob.append_steps(uuid4(), new.id, claim.fence, [b"one", b"\0two"])
    assert added.steps_appended == 2
    await team.bob.append_steps(uuid4(), new.id, claim.fence, [b"three"])
    steps = await team.ann.steps(new.id)
    assert [(s.number, s.payload) for s in steps] == [(1, b"one"), (2, b"\0two"), (3, b"three")]
    assert {s.engineer_id for s in steps} == {team.bob_id}
    assert [s.number for s in await team.ann.steps(new.id, after=2)] == [3]

    done = await team.bob.resolve(uuid4(), new.id, claim.fence, "New profile; mail flows")
    assert done.state is State.RESOLVED
    row = await team.ann.escalation(new.id)
    assert row.outcome == "New profile; mail flows"
    assert row.handler == team.bob_id
    assert row.ended_at is not None
    (hop,) = await team.ann.hops(new.id)
    assert (hop.number, hop.raised_by, hop.picked_up_by) == (1, team.ann_id, team.bob_id)
    assert (hop.ended_how, hop.read_back) == ("resolved", row.read_back)
    with pytest.raises(errors.EndedError):
        await team.cem.pick_up(uuid4(), new.id)
    with pytest.raises(errors.EndedError):
        await team.bob.append_steps(uuid4(), new.id, claim.fence, [b"late"])


async def test_first_one_wins_and_the_loser_reads_who(team: Team) -> None:
    raised = await team.raised()
    answers = await asyncio.gather(
        team.bob.pick_up(uuid4(), raised),
        team.cem.pick_up(uuid4(), raised),
        return_exceptions=True,
    )
    (lost,) = [a for a in answers if isinstance(a, errors.AlreadyPickedUpError)]
    winner = "Bob" if lost is answers[1] else "Cem"
    assert lost.message == f"Already picked up by {winner}"
    assert lost.state == "claimed"


async def test_nobody_picks_up_what_they_raised(team: Team) -> None:
    raised = await team.raised()
    with pytest.raises(errors.RaisedByYouError):
        await team.ann.pick_up(uuid4(), raised)
    fence = (await team.bob.pick_up(uuid4(), raised)).fence
    await team.bob.release(uuid4(), raised, fence, Onward("needs a printer person"))
    with pytest.raises(errors.RaisedByYouError):
        await team.bob.pick_up(uuid4(), raised)
    # A later handler raised it: now the originator may.
    assert (await team.ann.pick_up(uuid4(), raised)).state is State.CLAIMED


@pytest.mark.parametrize("whom", ["myself", "a stranger"])
async def test_assignment_is_refused(team: Team, whom: str) -> None:
    to = team.ann_id if whom == "myself" else uuid4()
    with pytest.raises(errors.AssigneeError):
        await team.ann.escalate(uuid4(), escalation(assigned_to=to))
    raised = await team.raised()
    with pytest.raises(errors.AssigneeError):
        await team.ann.reassign(uuid4(), raised, to)


async def test_reassign(team: Team) -> None:
    raised = await team.raised(assigned_to=team.bob_id)
    await team.ann.reassign(uuid4(), raised, team.cem_id)
    assert (await team.cem.escalation(raised)).assigned_to == team.cem_id
    assert (await team.cem.hops(raised))[-1].assigned_to == team.cem_id
    await team.ann.reassign(uuid4(), raised, None)
    assert (await team.cem.escalation(raised)).assigned_to is None
    with pytest.raises(errors.NotAllowedError):
        await team.cem.reassign(uuid4(), raised, team.bob_id)
    await team.bob.pick_up(uuid4(), raised)
    with pytest.raises(errors.AlreadyPickedUpError):
        await team.ann.reassign(uuid4(), raised, team.cem_id)


async def test_an_assigned_one_may_be_reassigned_by_its_originator_but_not_to_its_raiser(
    team: Team,
) -> None:
    raised, fence = await team.taken()
    await team.bob.release(uuid4(), raised, fence, Onward(assigned_to=team.ann_id))
    with pytest.raises(errors.AssigneeError):
        await team.ann.reassign(uuid4(), raised, team.bob_id)
    await team.ann.reassign(uuid4(), raised, team.cem_id)
    assert (await team.cem.escalation(raised)).assigned_to == team.cem_id


async def test_withdraw_by_the_originator_ends_it(team: Team) -> None:
    raised = await team.raised()
    with pytest.raises(errors.NotAllowedError):
        await team.bob.withdraw(uuid4(), raised)
    assert (await team.ann.withdraw(uuid4(), raised)).state is State.CANCELLED
    assert (await team.ann.hops(raised))[-1].ended_how == "withdrawn"
    with pytest.raises(errors.EndedError):
        await team.bob.pick_up(uuid4(), raised)


async def test_withdraw_comes_too_late(team: Team) -> None:
    raised, _ = await team.taken()
    with pytest.raises(errors.AlreadyPickedUpError) as refused:
        await team.ann.withdraw(uuid4(), raised)
    assert refused.value.handler_name == "Bob"


async def test_withdraw_by_a_later_handler_gives_it_back_to_them(team: Team) -> None:
    raised, fence = await team.taken()
    await team.bob.release(uuid4(), raised, fence, Onward("hm"))
    again = await team.bob.withdraw(uuid4(), raised)
    assert again.state is State.CLAIMED
    assert again.fence > fence
    assert (await team.ann.escalation(raised)).handler == team.bob_id
    with pytest.raises(errors.ClaimLostError):
        await team.bob.append_steps(uuid4(), raised, fence, [b"old fence"])
    await team.bob.append_steps(uuid4(), raised, again.fence, [b"new fence"])
    assert [h.ended_how for h in await team.ann.hops(raised)] == ["released", "withdrawn", ""]


async def test_cancel_is_the_originators(team: Team) -> None:
    raised = await team.raised()
    with pytest.raises(errors.NotAllowedError):
        await team.bob.cancel(uuid4(), raised, "no")
    ended = await team.ann.cancel(uuid4(), raised, "The customer hung up")
    assert ended.state is State.CANCELLED
    assert (await team.bob.escalation(raised)).outcome == "The customer hung up"
    taken, _ = await team.taken()
    with pytest.raises(errors.AlreadyPickedUpError):
        await team.ann.cancel(uuid4(), taken, "too late")


async def test_release_keeps_every_hop(team: Team) -> None:
    raised, fence = await team.taken(package=b"first")
    await team.bob.append_steps(uuid4(), raised, fence, [b"mine"])
    receipt = await team.bob.release(
        uuid4(),
        raised,
        fence,
        Onward("Needs Exchange rights", "Mailbox is corrupt", 9, team.cem_id, b"second", 2),
    )
    assert receipt.state is State.OPEN
    row = await team.cem.escalation(raised)
    assert (row.originator, row.created_by, row.assigned_to) == (
        team.ann_id,
        team.bob_id,
        team.cem_id,
    )
    assert (row.handler, row.lease_until, row.claimed_at, row.read_back) == (None, None, None, "")
    assert (row.summary, row.reason, row.step_count) == (
        "Mailbox is corrupt",
        "Needs Exchange rights",
        9,
    )
    assert (row.hop_count, row.steps_appended, row.package_schema, row.package_size) == (2, 1, 2, 6)
    assert (await team.cem.package(raised)).payload == b"second"
    with pytest.raises(errors.ClaimLostError):
        await team.bob.resolve(uuid4(), raised, fence, "late")

    claim = await team.cem.pick_up(uuid4(), raised)
    await team.cem.release(uuid4(), raised, claim.fence, Onward("back"))  # keeps the package
    assert (await team.ann.package(raised)).payload == b"second"
    row = await team.ann.escalation(raised)
    assert (row.summary, row.step_count, row.package_size) == ("Mailbox is corrupt", 9, 6)
    hops = await team.ann.hops(raised)
    assert [(h.raised_by, h.picked_up_by, h.ended_how) for h in hops] == [
        (team.ann_id, team.bob_id, "released"),
        (team.bob_id, team.cem_id, "released"),
        (team.cem_id, None, ""),
    ]


async def test_renew(team: Team) -> None:
    raised, fence = await team.taken()
    before = await team.ann.escalation(raised)
    assert (await team.bob.renew(raised, fence)).lease_until == before.lease_until  # hardly moved
    longer = await team.bob.renew(raised, fence, lease_seconds=3_600)
    assert longer.lease_until is not None
    assert before.lease_until is not None
    assert longer.lease_until - before.lease_until > timedelta(minutes=50)
    assert (await team.ann.escalation(raised)).lease_until == longer.lease_until
    for fence_shown in (fence - 1, fence + 1):
        with pytest.raises(errors.ClaimLostError):
            await team.bob.renew(raised, fence_shown)
    with pytest.raises(errors.ClaimLostError):
        await team.cem.renew(raised, fence)
    much = await team.bob.renew(raised, fence, lease_seconds=10**9)
    assert much.lease_until is not None
    assert much.lease_until - datetime.now(UTC) < timedelta(seconds=LEASE_MAX + 60)


async def test_a_silent_handler_keeps_it_until_somebody_takes_over(team: Team) -> None:
    raised, fence = await team.taken()
    with pytest.raises(errors.AlreadyPickedUpError):
        await team.cem.pick_up(uuid4(), raised)
    with pytest.raises(errors.NotExpiredError):
        await team.ann.release(uuid4(), raised, None, Onward())
    team.rules.lapse_lease(raised)
    # Nothing reopens by itself, and the handler may still come back.
    assert (await team.ann.escalation(raised)).state is State.CLAIMED
    await team.bob.append_steps(uuid4(), raised, fence, [b"saved by Bob"])
    with pytest.raises(errors.RaisedByYouError):
        await team.ann.pick_up(uuid4(), raised)

    over = await team.cem.pick_up(uuid4(), raised, read_back="I take over")
    assert over.fence > fence
    for late in (
        team.bob.append_steps(uuid4(), raised, fence, [b"late"]),
        team.bob.resolve(uuid4(), raised, fence, "late"),
        team.bob.release(uuid4(), raised, fence, Onward()),
        team.bob.renew(raised, fence),
    ):
        with pytest.raises(errors.ClaimLostError) as refused:
            await late
        assert refused.value.message == "Cem handles this escalation now"
    assert [s.payload for s in await team.ann.steps(raised)] == [b"saved by Bob"]
    hops = await team.ann.hops(raised)
    assert [(h.picked_up_by, h.ended_how, h.read_back) for h in hops] == [
        (team.bob_id, "lapsed", ""),
        (team.cem_id, "", "I take over"),
    ]
    assert (await team.ann.escalation(raised)).hop_count == 2


async def test_the_originator_releases_a_silent_one_and_has_it_back(team: Team) -> None:
    raised, fence = await team.taken()
    team.rules.lapse_lease(raised)
    with pytest.raises(errors.NotAllowedError):
        await team.cem.release(uuid4(), raised, None, Onward())
    await team.ann.release(uuid4(), raised, None, Onward("Bob went home"))
    row = await team.cem.escalation(raised)
    assert (row.state, row.created_by, row.reason) == (State.OPEN, team.ann_id, "Bob went home")
    with pytest.raises(errors.NotOpenError):
        await team.ann.release(uuid4(), raised, None, Onward())
    with pytest.raises(errors.ClaimLostError):
        await team.bob.append_steps(uuid4(), raised, fence, [b"late"])
    assert (await team.ann.withdraw(uuid4(), raised)).state is State.CANCELLED


async def test_the_silent_handler_may_claim_it_anew(team: Team) -> None:
    raised, fence = await team.taken()
    team.rules.lapse_lease(raised)
    again = await team.bob.pick_up(uuid4(), raised)
    assert again.fence == fence + 1
    assert len(await team.ann.hops(raised)) == 1


async def test_nobody_came_in_time(team: Team) -> None:
    raised = await team.raised()
    team.rules.lapse_waiting(raised)
    with pytest.raises(errors.EndedError) as refused:
        await team.bob.pick_up(uuid4(), raised)
    assert refused.value.message == "This escalation was expired already"
    row = await team.ann.escalation(raised)
    assert row.state is State.EXPIRED
    assert row.ended_at is not None
    assert [h.ended_how for h in await team.ann.hops(raised)] == ["expired"]


async def test_sweeping_expires_what_is_overdue_and_nothing_else(team: Team) -> None:
    overdue, waiting = await team.raised(), await team.raised()
    team.rules.lapse_waiting(overdue)
    cursor = (await team.bob.changes(None)).cursor
    assert await team.bob.sweep() == 1
    assert await team.bob.sweep() == 0
    (row,) = (await team.bob.changes(cursor)).rows
    assert (row.id, row.state) == (overdue, State.EXPIRED)
    assert (await team.bob.escalation(waiting)).state is State.OPEN


# --- exactly once ----------------------------------------------------------------------------


async def test_a_repeat_gets_the_first_answer(team: Team) -> None:
    new, op = escalation(), uuid4()
    first = await team.ann.escalate(op, new)
    again = await team.ann.escalate(op, new)
    assert again == replace(first, replayed=True)

    op = uuid4()
    claim = await team.bob.pick_up(op, new.id)
    assert await team.bob.pick_up(op, new.id) == replace(claim, replayed=True)

    op = uuid4()
    added = await team.bob.append_steps(op, new.id, claim.fence, [b"once"])
    assert await team.bob.append_steps(op, new.id, claim.fence, [b"once"]) == replace(
        added, replayed=True
    )
    assert len(await team.ann.steps(new.id)) == 1

    op = uuid4()
    released = await team.bob.release(op, new.id, claim.fence, Onward("x"))
    await team.cem.pick_up(uuid4(), new.id)
    # The world went on; the repeat still hears what happened then and changes nothing.
    assert await team.bob.release(op, new.id, claim.fence, Onward("x")) == replace(
        released, replayed=True
    )
    assert (await team.ann.escalation(new.id)).handler == team.cem_id
    assert len(await team.ann.hops(new.id)) == 2


async def test_a_refusal_is_final_for_its_operation(team: Team) -> None:
    raised, fence = await team.taken()
    op = uuid4()
    with pytest.raises(errors.AlreadyPickedUpError):
        await team.cem.pick_up(op, raised)
    await team.bob.release(uuid4(), raised, fence, Onward())
    with pytest.raises(errors.AlreadyPickedUpError):
        await team.cem.pick_up(op, raised)
    assert (await team.cem.pick_up(uuid4(), raised)).state is State.CLAIMED


async def test_an_operation_id_means_one_thing(team: Team) -> None:
    new, op = escalation(), uuid4()
    await team.ann.escalate(op, new)
    with pytest.raises(errors.OperationReusedError):
        await team.ann.escalate(op, replace(new, package=b"other"))
    with pytest.raises(errors.OperationReusedError):
        await team.ann.withdraw(op, new.id)
    with pytest.raises(errors.OperationReusedError):
        await team.ann.escalate(uuid4(), new)  # the escalation's id is taken
    # Another engineer's operation ids are their own.
    assert (await team.bob.pick_up(op, new.id)).replayed is False


# --- the feed --------------------------------------------------------------------------------


async def test_the_feed_brings_each_change_once(team: Team) -> None:
    start = await team.bob.changes(None)
    assert start.resync
    assert not start.restored
    assert start.rows == ()
    raised = await team.raised()
    feed = await team.bob.changes(start.cursor)
    assert not feed.resync
    assert [r.id for r in feed.rows] == [raised]
    assert (await team.bob.changes(feed.cursor)).rows == ()
    other = await team.raised()
    claim = await team.bob.pick_up(uuid4(), raised)
    await team.bob.append_steps(uuid4(), raised, claim.fence, [b"x"])
    feed = await team.bob.changes(feed.cursor)
    # Many changes of one row arrive as one, in the order of the last.
    assert [(r.id, r.steps_appended) for r in feed.rows] == [(other, 0), (raised, 1)]
    assert feed.server_time is not None


async def test_a_replay_or_refusal_moves_nothing(team: Team) -> None:
    new, op = escalation(), uuid4()
    await team.ann.escalate(op, new)
    cursor = (await team.bob.changes(None)).cursor
    await team.ann.escalate(op, new)
    with pytest.raises(errors.RaisedByYouError):
        await team.ann.pick_up(uuid4(), new.id)
    feed = await team.bob.changes(cursor)
    assert feed.cursor == cursor
    assert feed.rows == ()


async def test_more_changes_than_a_page(team: Team) -> None:
    start = (await team.bob.changes(None)).cursor
    raised = [await team.raised() for _ in range(205)]
    assert [r.id for r in (await team.bob.changes(start)).rows] == raised
    picture = await team.bob.changes(None)
    assert picture.resync
    assert [r.id for r in picture.rows] == raised


async def test_another_epoch_asks_for_everything_again(team: Team) -> None:
    raised = await team.raised()
    cursor = (await team.bob.changes(None)).cursor
    team.rules.restore()
    feed = await team.bob.changes(cursor)
    assert feed.resync
    assert feed.restored
    assert [r.id for r in feed.rows] == [raised]
    assert not (await team.bob.changes(feed.cursor)).resync


async def test_a_cursor_above_the_head_asks_for_everything_again(team: Team) -> None:
    raised = await team.raised()
    cursor = (await team.bob.changes(None)).cursor
    feed = await team.bob.changes(Cursor(cursor.epoch, cursor.after + 1))
    assert feed.resync
    assert feed.restored
    assert [r.id for r in feed.rows] == [raised]
    assert feed.cursor == cursor


async def test_a_full_picture_leaves_out_what_others_finished(team: Team) -> None:
    mine, fence = await team.taken()
    await team.bob.resolve(uuid4(), mine, fence, "done")
    assert [r.id for r in (await team.ann.changes(None)).rows] == [mine]
    assert [r.id for r in (await team.bob.changes(None)).rows] == [mine]
    assert (await team.cem.changes(None)).rows == ()


async def test_nudges(team: Team) -> None:
    nudged = asyncio.Event()
    assert await team.bob.listen(nudged.set)
    await team.raised()
    async with asyncio.timeout(10):
        await nudged.wait()


# --- what is too large or unprintable --------------------------------------------------------


async def test_poison_becomes_storable(team: Team) -> None:
    raised = await team.raised(summary="a\0b\ud800c\U0001f600", reason="\0", ticket_number="\0")
    row = await team.bob.escalation(raised)
    assert (row.summary, row.reason, row.ticket_number) == ("a␀b�c😀", "␀", "␀")
    claim = await team.bob.pick_up(uuid4(), raised, read_back="\udfff")
    await team.bob.resolve(uuid4(), raised, claim.fence, "\0")
    assert (await team.ann.escalation(raised)).read_back == "�"


async def test_limits(team: Team) -> None:
    largest = escalation(
        summary="s" * SUMMARY_MAX, reason="r" * REASON_MAX, package=b"p" * PACKAGE_MAX
    )
    await team.ann.escalate(uuid4(), largest)
    claim = await team.bob.pick_up(uuid4(), largest.id)
    await team.bob.append_steps(uuid4(), largest.id, claim.fence, [b"s" * STEP_MAX])
    for beyond in (
        team.ann.escalate(uuid4(), escalation(summary="s" * (SUMMARY_MAX + 1))),
        team.ann.escalate(uuid4(), escalation(reason="r" * (REASON_MAX + 1))),
        team.ann.escalate(uuid4(), escalation(package=b"p" * (PACKAGE_MAX + 1))),
        team.bob.append_steps(uuid4(), largest.id, claim.fence, [b"s" * (STEP_MAX + 1)]),
        team.bob.append_steps(uuid4(), largest.id, claim.fence, [b"s"] * (STEPS_PER_CALL + 1)),
        team.bob.resolve(uuid4(), largest.id, claim.fence, "o" * (OUTCOME_MAX + 1)),
    ):
        with pytest.raises(errors.TooLargeError):
            await beyond
    with pytest.raises(errors.RejectedError):
        await team.bob.append_steps(uuid4(), largest.id, claim.fence, [])
    assert (await team.ann.package(largest.id)).payload == largest.package


async def test_steps_are_limited_in_all(team: Team) -> None:
    raised, fence = await team.taken()
    for _ in range(STEPS_MAX // STEPS_PER_CALL):
        await team.bob.append_steps(uuid4(), raised, fence, [b"s"] * STEPS_PER_CALL)
    with pytest.raises(errors.FullError):
        await team.bob.append_steps(uuid4(), raised, fence, [b"s"])
    assert [s.number for s in await team.ann.steps(raised)] == list(range(1, STEPS_MAX + 1))


async def test_a_closed_queue_says_so(team: Team) -> None:
    await team.ann.aclose()
    await team.ann.aclose()
    with pytest.raises(errors.ClosedError):
        await team.ann.changes(None)
