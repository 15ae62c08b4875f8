"""What tests of view-models share: garbage is collected on Qt's thread alone, as in the product."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _no_garbage_on_workers() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()
