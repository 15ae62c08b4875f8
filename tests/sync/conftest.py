"""Databases for the tests of the shared queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulators.postgres import QueueDatabase, engines, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def database() -> Iterator[QueueDatabase]:
    """A fresh queue on the first engine that is installed here."""
    with shared_server(next(iter(engines()))).database() as database:
        yield database
