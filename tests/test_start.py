"""The first half second: what is chosen holds from the first line of the log on."""

import logging
from collections.abc import Iterator

import pytest

from flowpilot_desktop.core.events import Events
from flowpilot_desktop.settings import LogLevel, Settings
from flowpilot_desktop.start import log_as_chosen


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    """The root logger, whose level is set back afterwards."""
    logger = logging.getLogger()
    before = logger.level
    yield logger
    logger.setLevel(before)


async def test_the_log_is_as_detailed_as_was_chosen(tmp_path, root_logger):
    events = Events()
    settings = Settings(tmp_path, events)
    await settings.change(Settings.log_level, LogLevel.WARNING)
    log_as_chosen(settings, events)
    assert root_logger.level == logging.WARNING
    await settings.change(Settings.log_level, LogLevel.DEBUG)
    assert root_logger.level == logging.DEBUG
    await settings.reset(Settings.log_level)
    assert root_logger.level == logging.INFO
