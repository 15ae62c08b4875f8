"""Old clients on new schemas, new clients on old ones, and a migration between two tries."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from sync import errors
from sync.client import QueueClient
from sync.port import Access, Feature, NewEscalation, Onward, Queue, State
from tests.simulators.postgres import QueueDatabase, engines, shared_server


def new() -> NewEscalation:
    return NewEscalation(uuid4(), uuid4(), "s", "r", b"package", 1)


@pytest.fixture
def old() -> Iterator[QueueDatabase]:
    """A queue that was never migrated beyond version 1."""
    with shared_server(next(iter(engines()))).database(version=1) as database:
        yield database


async def whole_life(ann: Queue, bob: Queue) -> None:
    """Raise, pick up, hand on, take back, add steps, resolve, and read it all."""
    escalation = new()
    await ann.escalate(uuid4(), escalation)
    fence = (await bob.pick_up(uuid4(), escalation.id, read_back="I take it")).fence
    await bob.append_steps(uuid4(), escalation.id, fence, [b"step"])
    await bob.release(uuid4(), escalation.id, fence, Onward("hm"))
    fence = (await ann.pick_up(uuid4(), escalation.id)).fence
    await ann.renew(escalation.id, fence, lease_seconds=900)
    await ann.resolve(uuid4(), escalation.id, fence, "done")
    row = (await ann.changes(None)).rows[-1]
    assert (row.id, row.state, row.outcome) == (escalation.id, State.RESOLVED, "done")
    assert (await bob.package(escalation.id)).payload == b"package"
    assert [s.payload for s in await bob.steps(escalation.id)] == [b"step"]
    assert len(await bob.hops(escalation.id)) == 2
    assert len(await bob.members()) == 2
    await bob.heartbeat()
    await bob.sweep()


@pytest.mark.parametrize("pair", ["both old", "old and new", "new and old"])
async def test_an_old_client_works_on_the_new_schema(database: QueueDatabase, pair: str) -> None:
    team = database.add_team()
    versions = {
        "both old": ((1,), (1,)),
        "old and new": ((1,), (2, 1)),
        "new and old": ((2, 1), (1,)),
    }
    async with (
        QueueClient(database.invite(team, "Ann"), api_versions=versions[pair][0]) as ann,
        QueueClient(database.invite(team, "Bob"), api_versions=versions[pair][1]) as bob,
    ):
        for queue, spoken in zip((ann, bob), versions[pair], strict=True):
            welcome = await queue.connect()
            assert (welcome.schema_version, welcome.api_version) == (2, spoken[0])
            assert welcome.access is Access.WRITE
            assert welcome.notice == ""
            assert (Feature.READ_BACK in welcome.features) is (spoken[0] == 2)
        await whole_life(ann, bob)


async def test_a_new_client_works_on_the_old_schema_and_says_what_it_lacks(
    old: QueueDatabase,
) -> None:
    team = old.add_team()
    async with (
        QueueClient(old.invite(team, "Ann")) as ann,
        QueueClient(old.invite(team, "Bob")) as bob,
    ):
        welcome = await bob.connect()
        assert (welcome.schema_version, welcome.api_version) == (1, 1)
        assert welcome.features == frozenset()
        await whole_life(ann, bob)
        escalation = new()
        await ann.escalate(uuid4(), escalation)
        claim = await bob.pick_up(uuid4(), escalation.id, read_back="I take it")
        assert claim.not_stored == ("read_back",)
        assert (await ann.escalation(escalation.id)).read_back == ""
        assert all(member.last_seen is None for member in await ann.members())


async def test_an_old_client_turns_read_only_and_its_outbox_is_sent_after_the_update(
    database: QueueDatabase,
) -> None:
    team = database.add_team()
    ann, bob = database.invite(team, "Ann"), database.invite(team, "Bob")
    escalation, op = new(), uuid4()
    async with QueueClient(ann, api_versions=(1,)) as outdated, QueueClient(bob) as mate:
        await outdated.connect()
        waiting = new()
        await mate.escalate(uuid4(), waiting)
        database.administration.require_api(write=2)
        for verb in (
            outdated.escalate(op, escalation),
            outdated.pick_up(uuid4(), waiting.id),
            outdated.withdraw(uuid4(), waiting.id),
        ):
            with pytest.raises(errors.ClientTooOldError) as refused:
                await verb
            assert refused.value.retryable
        welcome = await outdated.test()
        assert welcome.access is Access.READ_ONLY_CLIENT
        assert "too old" in welcome.notice
        assert "Update FlowPilot" in welcome.notice
        assert [row.id for row in (await outdated.changes(None)).rows] == [waiting.id]
        assert (await outdated.package(waiting.id)).payload == b"package"
        assert await outdated.sweep() == 0
        # The update: the same outbox, the same operation id.
        async with QueueClient(ann) as updated:
            assert (await updated.escalate(op, escalation)).replayed is False
        assert {row.id for row in (await mate.changes(None)).rows} == {waiting.id, escalation.id}

        database.administration.require_api(read=2)
        with pytest.raises(errors.ClientTooOldError):
            await outdated.changes(None)
        with pytest.raises(errors.ClientTooOldError):
            await outdated.test()


async def test_a_lost_answer_is_found_again_after_the_migration(old: QueueDatabase) -> None:
    team = old.add_team()
    ann_invitation, bob_invitation = old.invite(team, "Ann"), old.invite(team, "Bob")
    escalation, escalate, pick_up, append = new(), uuid4(), uuid4(), uuid4()
    async with QueueClient(ann_invitation) as ann, QueueClient(bob_invitation) as bob:
        first = await ann.escalate(escalate, escalation)
        cursor = (await ann.changes(None)).cursor
        claim = await bob.pick_up(pick_up, escalation.id, read_back="I take it")
        added = await bob.append_steps(append, escalation.id, claim.fence, [b"step"])

        assert [m.number for m in old.administration.migrate()] == [2]

        # Whoever is connected goes on as before; the feed has no gap.
        assert (await bob.connect()).api_version == 1
        await bob.append_steps(uuid4(), escalation.id, claim.fence, [b"another"])
        assert [r.steps_appended for r in (await ann.changes(cursor)).rows] == [2]

        # All answers were lost, say; the outboxes ask again, in the new version.
        assert (await ann.test()).api_version == 2
        assert (await bob.test()).api_version == 2
        assert (await ann.escalate(escalate, escalation)).team_seq == first.team_seq
        again = await bob.pick_up(pick_up, escalation.id, read_back="I take it")
        assert (again.fence, again.replayed) == (claim.fence, True)
        replay = await bob.append_steps(append, escalation.id, claim.fence, [b"step"])
        assert replay.steps_appended == added.steps_appended
        row = await ann.escalation(escalation.id)
        assert (row.hop_count, row.steps_appended) == (1, 2)
        # There was no room for the read-back then; there is now.
        assert row.read_back == "I take it"
        assert (await ann.hops(escalation.id))[0].read_back == "I take it"
        version = row.version
        await bob.pick_up(pick_up, escalation.id, read_back="I take it")
        assert (await ann.escalation(escalation.id)).version == version


async def test_a_database_without_a_queue_says_so(database: QueueDatabase) -> None:
    invitation = database.invite(database.add_team(), "Ann")
    async with QueueClient(invitation) as queue:
        await queue.connect()
        database.connection.execute("drop schema fp_v1 cascade; drop schema fp_v2 cascade")
        with pytest.raises(errors.ServerTooOldError):
            await queue.changes(None)


async def test_a_server_that_accepts_no_changes_can_be_read(database: QueueDatabase) -> None:
    team = database.add_team()
    ann = database.invite(team, "Ann")
    async with QueueClient(ann) as queue:
        escalation = new()
        await queue.escalate(uuid4(), escalation)
        database.connection.execute(
            f"alter role {ann.role} set default_transaction_read_only = on".encode()
        )
        welcome = await queue.test()
        assert welcome.access is Access.READ_ONLY_SERVER
        assert "can only be read" in welcome.notice
        assert len((await queue.changes(None)).rows) == 1
        with pytest.raises(errors.ReadOnlyServerError) as refused:
            await queue.withdraw(uuid4(), escalation.id)
        assert refused.value.retryable
