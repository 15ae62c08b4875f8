"""The intake page in a window as small as it gets, and with larger text."""

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint

from flowpilot_desktop.core.session import Intake
from tests.e2e.driver import at_the_desk, until


@pytest.mark.parametrize("scale", [1.0, 1.6])
async def test_nothing_is_squeezed_away_on_the_intake_page(tmp_path: Path, scale: float):
    async with at_the_desk(tmp_path, demo=True) as technician:
        app = technician.app
        page = app.intake_page
        for number in range(3):
            await app.desk.engine.start_session(Intake(f"problem {number}"))
        app.window.show_page("sessions")
        await until(lambda: app.open_sessions.sessions.rowCount() == 3, "the open sessions")
        await until(page.picker.list.isVisible, "tickets")
        app.window.resize(app.window.minimumSize())
        app.theme.show(text_scale=scale)
        try:
            await until(
                lambda: page.open_list.viewport().height() >= 3 * page.open_list.sizeHintForRow(0),
                "three whole rows",
            )
            await until(
                lambda: page.picker.list.height() >= page.picker.list.sizeHintForRow(0),
                "a ticket",
            )
            page.area.ensureWidgetVisible(page.words)
            top = page.words.mapTo(page.area.viewport(), QPoint(0, 0)).y()
            assert page.words.height() >= page.words.minimumSizeHint().height()
            assert 0 <= top < page.area.viewport().height()
        finally:
            app.theme.show(text_scale=1.0)
