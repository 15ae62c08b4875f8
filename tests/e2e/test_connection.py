"""Setting up and keeping the connection to ConnectWise, by clicks in the settings."""

import pytest

from flowpilot_desktop.core.push import PushKind
from flowpilot_desktop.core.ticket import TicketQuery
from flowpilot_desktop.psa.connectwise import wire
from flowpilot_desktop.psa.registry import PsaKeys
from tests.e2e.conftest import TICKET, OpenDesk, Served, closes, verified
from tests.e2e.driver import Technician, until
from tests.simulators.connectwise import COMPANY_ID, PRIVATE_KEY, PUBLIC_KEY

MAPPING_WARNING = (
    "Map your CW account in Settings → Integrations to enable auto-logged time entries"
)


async def types_connection(technician: Technician, served: Served, private: str) -> None:
    """Type a connection into the settings."""
    app = technician.app
    app.window.show_page("settings")
    app.settings_page.show_section("Integrations")
    for name, text in (
        ("ConnectWise site", served.server.url),
        ("ConnectWise company id", COMPANY_ID),
        ("Public key", PUBLIC_KEY),
        ("Private key", private),
    ):
        field = technician._field(name)
        assert field is not None
        field.clear()  # type: ignore[attr-defined]  # every text field can be cleared
        await technician.types(name, text)


async def test_a_missing_right_is_named_with_its_row_and_wrong_keys_are_recognised(
    connected: OpenDesk, served: Served
):
    served.site.deny("POST", "time/entries")
    served.site.deny("GET", "company/configurations")
    async with connected() as technician:
        await types_connection(technician, served, PRIVATE_KEY)
        await technician.clicks("Test")
        await technician.reads("✗ Add time entries: Time & Expense → Time Entry: Add")
        assert technician.sees("✗ Read configurations: Companies → Configurations: Inquire")
        assert not technician.sees("✗ Add notes")
        # On the cloud wrong keys answer 404, like an address that does not exist.
        await types_connection(technician, served, "not the key")
        await technician.clicks("Test")
        await technician.reads("keys")
        assert technician.app.settings_model.psa_error is not None
        # What was kept still works: a test keeps nothing.
        assert (await technician.app.desk.tickets.find(TicketQuery())).error is None


async def test_rotated_keys_are_used_by_the_next_request(
    connected: OpenDesk, served: Served, monkeypatch: pytest.MonkeyPatch
):
    # A 404 is doubted when the keys were proven more than a moment ago; here that is at once.
    monkeypatch.setattr(wire, "_PROVEN_SECONDS", 0.0)
    async with connected() as technician:
        app = technician.app
        served.site.options.private_key = "the new private key"
        assert (await app.desk.tickets.find(TicketQuery())).error is not None
        await technician.reads("ConnectWise: refused")
        await types_connection(technician, served, "the new private key")
        await technician.clicks("Connect")
        await technician.reads("ConnectWise: connected")
        assert (await app.desk.tickets.find(TicketQuery())).error is None
        assert len(await app.desk.store.connections()) == 1
        assert "new private key" not in repr(await app.desk.store.connections())


async def test_the_client_id_is_flowpilots_own_until_the_settings_say_another(
    connected: OpenDesk, served: Served
):
    async with connected() as technician:
        app = technician.app
        await app.desk.tickets.find(TicketQuery())
        assert served.site.requests[-1].headers["clientid"] == wire.CLIENT_ID
        other = "11111111-2222-3333-4444-555555555555"
        await app.settings.change(type(app.settings).psa_client_id, other)
        await app.desk.tickets.find(TicketQuery())
        assert served.site.requests[-1].headers["clientid"] == other


@pytest.mark.parametrize("how", ["email", "by_hand"])
async def test_keys_of_a_machine_map_the_technician(connected: OpenDesk, served: Served, how: str):
    served.site.options.me = "rmmsync"  # an API member, which is nobody in person
    async with connected() as technician:
        app = technician.app
        if how == "email":
            colleague = served.site.tables.members["pnair"]
            address = colleague["officeEmail"]
            await app.settings.change(type(app.settings).engineer_email, address)
        session_id = await verified(technician)
        app._open_resolve(session_id)
        await until(lambda: app.resolve_model.preview is not None, "the preview")
        if how == "by_hand":
            await technician.clicks(MAPPING_WARNING)  # the warning is the way to the settings
            assert app.window.current_page == "settings"
            await technician.reads("Not mapped: no time entries are made for you.")
            await technician.types("Search members", "pnair")
            await technician.clicks("Find")
            await until(app.settings_page.members.isVisible, "members to choose from")
            await technician.clicks("That's me")
            await technician.reads("You are")
        else:
            assert not technician.sees(MAPPING_WARNING)
        await closes(technician, session_id)
        await technician.reads(f"Documentation pushed to ticket #{TICKET}")
        mapping = await app.desk.tickets.kept_mapping("site", app.desk.engine.me)
        assert mapping is not None
        assert (mapping.member_identifier, mapping.how) == ("pnair", how)
    (entry,) = served.site.entries_of(TICKET)
    assert entry["member"]["identifier"] == "pnair"


async def test_without_a_mapping_the_timing_is_in_the_note_and_the_warning_stays(
    connected: OpenDesk, served: Served
):
    served.site.options.me = "rmmsync"
    async with connected() as technician:
        session_id = await verified(technician)
        await closes(technician, session_id)
        await technician.reads("Time entry was not created")
        await technician.reads("Session timing is included in the ticket note.")
        await until(lambda: technician.app.closed_push_model.items, "the items")
        items = technician.app.closed_push_model.items
        assert [item.kind for item in items] == [PushKind.NOTE]
    assert not served.site.entries_of(TICKET)


async def test_own_keys_map_by_themselves_and_disconnecting_forgets_them(
    connected: OpenDesk, served: Served
):
    async with connected() as technician:
        app = technician.app
        app.window.show_page("settings")
        app.settings_page.show_section("Integrations")
        await technician.reads("You are Jordan Blake")
        await technician.clicks("Disconnect")
        await until(lambda: app.settings_model.connection is None, "no connection")
        app.new_session()
        await technician.reads("Connect your PSA in Settings → Integrations")
        await app.desk.tickets.connect(served.connection, PsaKeys(PUBLIC_KEY, PRIVATE_KEY))
        await until(lambda: app.intake_model.picker.is_connected, "the picker to know")
