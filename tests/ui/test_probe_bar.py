"""Probing from the session's page: by a click, stoppable, and the result is a note."""

from __future__ import annotations

from tests.e2e.driver import at_the_desk, until
from tests.simulators.claude import running


async def test_a_port_is_tried_and_becomes_a_note(tmp_path):
    with running() as server:
        async with at_the_desk(tmp_path, demo=True) as technician:
            app = technician.app
            app.intake_model.set_text("Nobody can print")
            app.intake_model.start()
            await until(lambda: app.session_model.view is not None, "the session")
            await until(lambda: technician.view.open_step is not None, "a card")
            before = len(technician.view.steps)
            await technician.clicks("Probe")
            bar = app.session_page.probe
            bar.kind.setCurrentIndex(2)
            bar._show_port()
            bar.port.setValue(server.port)
            await technician.types("Host name or address", "127.0.0.1")
            assert len(technician.view.steps) == before, "typing a number answers no card"
            await technician.clicks("Look")
            await technician.reads("The port is open")
            assert len(technician.view.steps) == before + 1
            await technician.types("Host name or address", "; reboot")
            await technician.clicks("Look")
            await technician.reads("That is no host name and no address.")
            assert len(technician.view.steps) == before + 1
