"""Typed keys stay in their fields until they are kept, and half a pair is never sent."""

from PySide6.QtWidgets import QLineEdit

from flowpilot_desktop.core.errors import InvalidInput
from tests.e2e.conftest import OpenDesk, Served
from tests.e2e.driver import Technician, until
from tests.simulators.connectwise import COMPANY_ID, PRIVATE_KEY, PUBLIC_KEY


async def fill(technician: Technician, site: str, public: str, private: str) -> None:
    """Type a connection into the settings."""
    app = technician.app
    app.window.show_page("settings")
    app.settings_page.show_section("Integrations")
    for name, text in (
        ("ConnectWise site", site),
        ("ConnectWise company id", COMPANY_ID),
        ("Public key", public),
        ("Private key", private),
    ):
        field = technician._field(name)
        assert isinstance(field, QLineEdit)
        field.clear()
        await technician.types(name, text)


async def test_keys_leave_their_fields_only_once_they_are_kept(connected: OpenDesk, served: Served):
    async with connected() as technician:
        page, model = technician.app.settings_page, technician.app.settings_model
        await fill(technician, served.server.url, PUBLIC_KEY, "not the key")
        await technician.clicks("Connect")
        await until(lambda: model.psa_error is not None, "the refusal")
        assert (page.public_key.text(), page.private_key.text()) == (PUBLIC_KEY, "not the key")
        await fill(technician, served.server.url, PUBLIC_KEY, PRIVATE_KEY)
        await technician.clicks("Connect")
        await technician.reads("Connected to")
        assert (page.public_key.text(), page.private_key.text()) == ("", "")
        await technician.clicks("Test")  # with the kept pair
        await until(lambda: model.is_testing_psa, "the test to begin")
        await until(lambda: not model.is_testing_psa, "the test to end")
        assert model.psa_error is None


async def test_half_a_pair_of_keys_is_refused_here(connected: OpenDesk, served: Served):
    async with connected() as technician:
        model = technician.app.settings_model
        await fill(technician, served.server.url, PUBLIC_KEY, "")
        await technician.clicks("Test")
        await technician.reads("The private key is missing.")
        assert isinstance(model.psa_error, InvalidInput)
        assert model.psa_test is None
