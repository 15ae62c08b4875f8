"""A settings field says what is wrong with a value only as long as it is wrong."""

from pathlib import Path

from flowpilot_desktop.core.errors import InvalidInput
from flowpilot_desktop.settings import Settings
from tests.e2e.driver import at_the_desk, until


async def test_the_old_value_typed_again_takes_its_error_away(tmp_path: Path):
    async with at_the_desk(tmp_path, demo=True) as technician:
        page, model = technician.app.settings_page, technician.app.settings_model
        field = next(one for one in page._fields if one.setting.key == Settings.zoom.key)
        kept = model.value(Settings.zoom)
        page._edited(Settings.zoom, 7)
        await until(lambda: not field.fault.isHidden(), "the error")
        assert isinstance(model.errors[Settings.zoom.key], InvalidInput)
        page._edited(Settings.zoom, kept)
        await until(field.fault.isHidden, "the error to go")
        assert model.errors == {}
