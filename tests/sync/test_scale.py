"""The measurement of `scale.py` in miniature: it runs, and reads no table as a whole."""

from __future__ import annotations

import pytest

from tests.sync.scale import Size, measure


@pytest.mark.timeout(240)
def test_a_small_one() -> None:
    size = Size(
        desktops=20, teams=5, past=20_000, seconds=2.0, interval=0.5, bench_seconds=1,
        receivers=3, alerts=3,
    )  # fmt: skip
    lines = measure(size)
    assert "index access only" in "\n".join(lines)
    assert len(lines) == 7
