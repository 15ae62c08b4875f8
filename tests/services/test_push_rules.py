"""What documentation does about a ticket that is not what it was, and about a site that is away.

The real push and the real adapter against the stateful site, in virtual time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from flowpilot_desktop.core.events import Events, Reach, System
from flowpilot_desktop.core.push import PsaPushStatus, PushKind, PushState, session_push_status
from flowpilot_desktop.core.session import Intake
from flowpilot_desktop.psa.connectwise import ConnectWisePsa
from flowpilot_desktop.services.documentation_push import DocumentationPush, PsaSource
from flowpilot_desktop.services.reach import ReachBoard
from flowpilot_desktop.store import Store
from tests.services.desk import CONNECTION, diagnose, open_desk
from tests.services.test_push_faults import Schedule, World, holds
from tests.simulators.exchange import Faults, answered, delayed, dropped, html
from tests.simulators.virtual import VirtualClock

PROJECT_TICKET = 1004


class Quiet(World):
    """A world in which nothing goes wrong but what a test plans."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.plain = self.site.faults = Faults()

    def source(self) -> PsaSource:
        """Return what makes one adapter and keeps it."""
        psa = self.adapter()

        async def source(_: str) -> ConnectWisePsa:
            return psa

        return source

    async def state_of(self, kind: PushKind) -> PushState:
        return next(item.state for item in await self.items() if item.kind is kind)


@pytest.fixture
async def world(tmp_path) -> AsyncIterator[Quiet]:
    store = await Store.open(tmp_path, VirtualClock())
    yield Quiet(store, Schedule([], [], [], [], races=False))
    await store.aclose()


async def test_a_project_ticket_that_was_typed_while_offline_gets_its_documentation(world):
    """Nobody could ask what kind of ticket it is when the rows were written."""
    world.ticket = PROJECT_TICKET
    await world.prepare()
    await world.live()
    assert [item.state for item in await world.items()] == [PushState.SENT] * 4
    (entry,) = world.site.entries_of(PROJECT_TICKET)
    assert entry["chargeToType"] == "ProjectTicket"
    assert set(holds(world).values()) == {1}


async def test_a_ticket_that_was_moved_or_merged_is_told_of(world):
    await world.prepare()
    psa = world.adapter()
    context = await psa.context(str(world.ticket))
    await world.store.save(context)
    world.site.move(world.ticket, board=2)
    world.site.merge(world.ticket, into=1002)
    await world.live()
    for item in await world.items():
        if item.kind is PushKind.STATUS:
            assert item.state is PushState.FAILED
        else:
            assert item.state is PushState.SENT
            assert f"Ticket #{world.ticket} was merged into #1002." in item.warning
            assert "moved from “Service Desk” to “Network & Security”" in item.warning


async def test_a_status_that_is_there_already_is_sent_without_a_request(world):
    await world.prepare()
    world.site.move(world.ticket, status=world.wanted.id)
    await world.live()
    assert await world.state_of(PushKind.STATUS) is PushState.SENT
    assert world.site.requests_for("PATCH") == []


async def test_a_status_is_asked_for_again_when_somebody_else_changed_it(world):
    await world.prepare()
    world.site.move(world.ticket, status=world.elsewhere)
    await world.live()
    change = next(item for item in await world.items() if item.kind is PushKind.STATUS)
    assert change.state is PushState.FAILED
    assert "Choose the status again" in change.error
    assert world.before.name in change.error
    assert world.site.requests_for("PATCH") == []
    assert world.site.tables.tickets[world.ticket]["status"]["id"] == world.elsewhere
    others = [item for item in await world.items() if item.kind is not PushKind.STATUS]
    assert {item.state for item in others} == {PushState.SENT}


async def test_the_status_leaves_last_and_only_after_note_and_time(world):
    """A status that allows no time would refuse the entry that comes after it."""
    await world.prepare()
    world.plain.plan(answered(500, stored=False), method="POST", path="entries$")
    push = world.process()
    await push.run_due()
    assert await world.state_of(PushKind.TIME) is PushState.UNCLEAR
    assert await world.state_of(PushKind.STATUS) is PushState.PENDING
    assert world.site.requests_for("PATCH") == []
    await world.live()
    assert {item.state for item in await world.items()} == {PushState.SENT}
    writes = [request for request in world.site.requests if request.method in ("POST", "PATCH")]
    ends = [request.path.rsplit("/", 1)[-1] for request in writes]
    assert ends == ["notes", "notes", "entries", "entries", str(world.ticket)]


@pytest.mark.parametrize(
    ("where", "page"),
    [
        ("companyinfo", html(404)),
        ("companyinfo", html(403)),
        ("companyinfo", answered(410, stored=False)),
        ("companyinfo", answered(451, stored=False, body="blocked", media_type="text/plain")),
        ("", html(404)),
        ("tickets", html(403)),
    ],
)
async def test_a_page_in_the_place_of_connectwise_fails_nothing(world, where, page):
    """A proxy's or a hotel's page says nothing about the ticket: nothing was sent."""
    await world.prepare()
    world.plain.plan(page, method="GET", path=where, times=-1)
    push = world.process()
    await push.run_due()
    assert {item.state for item in await world.items()} == {PushState.PENDING}
    assert all(item.tries == 0 for item in await world.items())
    assert session_push_status(await world.items(), has_ticket=True) is PsaPushStatus.PENDING_RETRY
    world.plain.clear()
    world.clock.advance(60)
    await world.live()
    assert {item.state for item in await world.items()} == {PushState.SENT}


@pytest.mark.parametrize("status", [403, 404])
async def test_what_may_not_be_looked_for_ends_as_failed_and_is_looked_for_by_hand(world, status):
    """It arrived, but its answer was lost and the right to look was taken away."""
    await world.prepare()
    world.plain.plan(dropped(stored=True), method="POST", path="notes$")
    words = '{"code":"Refused","message":"You may not look","errors":null}'
    push = world.process()
    await push.run_due()
    (first,) = [item for item in await world.items() if item.state is PushState.UNCLEAR]
    world.plain.plan(
        answered(status, stored=False, body=words), method="GET", path="notes$", times=-1
    )
    began = world.clock.now()
    for _ in range(4):
        world.clock.advance(60)
        await push.run_due()
    failed = next(item for item in await world.items() if item.id == first.id)
    assert failed.state is PushState.FAILED
    assert "You may not look" in failed.error
    assert "whether it arrived" in failed.error
    assert failed.updated_at is not None
    assert (failed.updated_at - began).total_seconds() >= 90
    world.plain.clear()
    await push.retry(world.session_id)
    await world.live()
    assert {item.state for item in await world.items()} == {PushState.SENT}
    assert set(holds(world).values()) == {1}


async def test_what_was_sent_in_an_earlier_life_is_always_looked_for_before_it_is_sent_again(world):
    """A late record counts even when a retry by hand never reached the site."""
    await world.prepare()
    world.plain.plan(answered(500, stored=False), method="POST", path="notes$", times=4)
    await world.live()
    assert await world.state_of(PushKind.NOTE) is PushState.FAILED
    push = world.process()
    note = next(item for item in await world.items() if item.kind is PushKind.NOTE)
    world.plain.plan(answered(429, stored=False), method="POST", path="notes$")
    await push.retry(world.session_id, note.id)
    assert await world.state_of(PushKind.NOTE) is PushState.PENDING
    # An early try lands at last.
    world.site.add_note(world.ticket, note.payload.text.text, internalAnalysisFlag=True)
    await world.live()
    assert await world.state_of(PushKind.NOTE) is PushState.SENT
    assert holds(world)[note.marker] == 1


async def test_a_second_copy_that_may_still_come_is_told_of(world):
    await world.prepare()
    world.plain.plan(answered(502, stored=False), method="POST", path="entries$")
    await world.live()
    (entry,) = [item for item in await world.items() if item.kind is PushKind.TIME]
    assert (entry.state, entry.tries) == (PushState.SENT, 2)
    assert "twice" in entry.warning
    assert all(not item.warning for item in await world.items() if item.kind is not PushKind.TIME)


async def test_several_copies_are_told_of_with_a_link(world):
    await world.prepare()
    note = (await world.items())[0]
    world.plain.plan(dropped(stored=True), method="POST", path="notes$")
    await world.process().run_due()
    world.site.add_note(world.ticket, note.payload.text.text, internalAnalysisFlag=True)
    await world.live()
    sent = (await world.items())[0]
    assert sent.state is PushState.SENT
    assert "more than once" in sent.warning
    assert f"recid={world.ticket}" in sent.warning


async def test_refused_keys_say_what_to_do_and_show_in_the_status_bar(world):
    await world.prepare()
    world.site.options.private_key = "rotated"
    board = ReachBoard(Events())
    push = DocumentationPush(world.store, world.source(), world.clock, Events(), board)
    await push.run_due()
    note = (await world.items())[0]
    assert note.state is PushState.FAILED
    assert "Settings → Integrations" in note.error
    assert board.state(System.PSA).reach is Reach.REFUSED


async def test_without_a_connection_documentation_waits_and_nobody_is_away(tmp_path):
    async with open_desk(tmp_path) as desk:
        started = await desk.engine.start_session(Intake("", CONNECTION.id, "12352"))
        await diagnose(desk, started.session.id)
        await desk.engine.resolve_session(started.session.id, "Fixed")
        await desk.tickets.disconnect()
        await desk.push.run_due()
        items = await desk.store.push_items(started.session.id)
        assert {item.state for item in items} == {PushState.PENDING}
        assert "No ConnectWise connection" in items[0].error
        assert desk.reach.state(System.PSA).reach is Reach.NOT_SET_UP


async def test_what_waits_for_the_network_goes_when_it_is_back(world):
    """Whatever it was that waited: a first try, a second one, or a look."""
    await world.prepare()
    push = world.process()
    world.plain.plan(dropped(stored=True), method="POST", path="notes$")
    world.plain.plan(answered(500, stored=False), method="POST", path="entries$")
    await push.run_due()
    world.network.away = True
    world.clock.advance(31)
    await push.run_due()  # both looks fail
    assert {item.state for item in (await world.items())[:1]} == {PushState.UNCLEAR}
    world.network.away = False
    await push.network_is_back()
    items = await world.items()
    assert items[0].state is PushState.SENT
    assert items[1].state is PushState.SENT  # it waited for the first part
    assert next(item for item in items if item.kind is PushKind.TIME).looks == 1


async def test_what_had_arrived_before_it_was_changed_says_so(world):
    """The row must not claim the changed text and times when ConnectWise has the first ones."""
    await world.prepare()
    world.plain.plan(dropped(stored=True), method="POST", path="entries$")
    push = world.process()
    await push.run_due()
    words = '{"code":"Refused","message":"You may not look","errors":null}'
    world.plain.plan(
        answered(403, stored=False, body=words), method="GET", path="entries$", times=-1
    )
    for _ in range(4):
        world.clock.advance(60)
        await push.run_due()
    entry = next(item for item in await world.items() if item.kind is PushKind.TIME)
    assert entry.state is PushState.FAILED
    world.plain.clear()
    shorter = replace(entry.payload, end=entry.payload.end - timedelta(minutes=30))
    await push.edit(entry.id, world.session_id, shorter)
    entry = next(item for item in await world.items() if item.kind is PushKind.TIME)
    assert entry.state is PushState.SENT
    assert "as it was then" in entry.warning
    assert len(world.site.entries_of(world.ticket)) == 1


async def test_what_is_changed_and_then_sent_says_nothing(world):
    await world.prepare()
    words = '{"code":"TimeEntryApi","message":"Period closed","errors":null}'
    world.plain.plan(answered(400, stored=False, body=words), method="POST", path="entries$")
    push = world.process()
    await push.run_due()
    entry = next(item for item in await world.items() if item.kind is PushKind.TIME)
    assert "Period closed" in entry.error
    shorter = replace(entry.payload, end=entry.payload.end - timedelta(minutes=30))
    await push.edit(entry.id, world.session_id, shorter)
    entry = next(item for item in await world.items() if item.kind is PushKind.TIME)
    assert (entry.state, entry.warning, entry.payload) == (PushState.SENT, "", shorter)


async def test_the_looks_and_the_tries_keep_their_distances(world):
    """30 s and 60 s to the looks, then 5, 15 and 45 minutes to the next try, each led by a look."""
    await world.prepare()
    world.plain.plan(dropped(stored=False), method="POST", path="notes$", times=4)
    began = world.clock.now()
    await world.live()
    note = (await world.items())[0]
    assert (note.state, note.tries) == (PushState.FAILED, 4)
    seconds = {
        method: [
            round((request.at - began).total_seconds())
            for request in world.site.requests_for(method, "/notes")
            if method == "POST" or request.headers.get("pagination-type")
        ]
        for method in ("POST", "GET")
    }
    tries = [0, 390, 390 + 990, 390 + 990 + 2790]
    assert seconds["POST"][:4] == tries
    looks = [at + wait for at in tries for wait in (30, 90)]
    assert sorted({*looks, *tries[1:]}) == seconds["GET"]


async def test_a_request_on_its_way_when_the_process_died_is_waited_for(world):
    await world.prepare()
    world.plain.plan(delayed(100), method="POST", path="notes$")
    await world.process().run_due()
    # The row as a power cut leaves it; the request is still on its way.
    note = (await world.items())[0]
    await world.store.save(replace(note, state=PushState.SENDING, next_try_at=None))
    await world.restarted()
    assert await world.state_of(PushKind.NOTE) is PushState.UNCLEAR
    await world.live()
    assert {item.state for item in await world.items()} == {PushState.SENT}
    assert set(holds(world).values()) == {1}
