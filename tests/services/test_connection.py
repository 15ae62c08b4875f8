"""One connection: kept keys go to their own site only, and what waits goes to no other."""

from dataclasses import replace

import pytest

from flowpilot_desktop.core.errors import InvalidInput, PsaUnreachable
from flowpilot_desktop.core.ticket import MemberMapping, PsaConnection
from flowpilot_desktop.psa.registry import PsaKeys
from flowpilot_desktop.services.tickets import keys_name
from tests.services.desk import ME, open_desk

OURS = PsaConnection("ours", "connectwise", "na.myconnectwise.net", "harbor")
KEYS = PsaKeys("public", "private")


@pytest.fixture
async def desk(tmp_path):
    async with open_desk(tmp_path, connected=False) as opened:
        await opened.tickets.connect(OURS, KEYS)
        yield opened


@pytest.mark.parametrize(
    "change", [{"site": "na.myconnectwise.net.evil.example"}, {"company_id": "x"}]
)
async def test_kept_keys_are_sent_to_no_other_site(desk, change):
    other = replace(OURS, id="other", **change)
    for verb in (desk.tickets.test, desk.tickets.connect):
        with pytest.raises(InvalidInput) as refusal:
            await verb(other, None)
        assert "missing" in refusal.value.message
    assert await desk.tickets.connection() == OURS


async def test_the_same_site_may_be_tested_and_changed_with_the_kept_keys(desk):
    same = replace(OURS, site="NA.myconnectwise.net", ca_file="")
    await desk.tickets.connect(same, None)
    assert await desk.tickets.connection() == same


async def test_another_site_replaces_the_connection_and_its_keys(desk):
    other = PsaConnection("other", "connectwise", "eu.myconnectwise.net", "harbor")
    await desk.tickets.connect(other, PsaKeys("p2", "s2"))
    assert await desk.tickets.connection() == other
    assert keys_name(OURS.id) not in desk.secrets.kept
    with pytest.raises(PsaUnreachable) as refusal:
        await desk.tickets.psa(OURS.id)
    assert "another ConnectWise connection" in refusal.value.message


async def test_new_keys_ask_anew_whose_they_are_and_a_choice_by_hand_stays(desk):
    await desk.store.save(
        MemberMapping(OURS.id, ME.id, 7, "jordan", how="own_keys"),
        MemberMapping(OURS.id, "another engineer", 8, "sam", how="by_hand"),
    )
    await desk.tickets.connect(OURS, None)
    assert len(await desk.store.mappings(OURS.id)) == 2
    await desk.tickets.connect(OURS, PsaKeys("another public", "another private"))
    assert [one.engineer_id for one in await desk.store.mappings(OURS.id)] == ["another engineer"]
