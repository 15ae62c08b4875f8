"""Benchmarks: how long something takes, next to the least it could take, measured in one run.

Every module here with a function ``run()`` is one benchmark; ``python -m tests.bench`` gathers
them. ``run`` returns rows of (name, seconds, seconds of the floor), or a ``Measure`` where there is
more to say. They compare ratios, which hold from machine to machine, and are no tests: nothing
fails because a computer is slow.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Measure(NamedTuple):
    """One figure: seconds for one time (the median), and the floor's; 0 for no floor.

    ``floor`` says what the floor is; ``slow`` is the 99th percentile, 0 where it means nothing.
    """

    name: str
    seconds: float
    floor_seconds: float = 0.0
    floor: str = ""
    slow: float = 0.0

    @property
    def ratio(self) -> float | None:
        """How many times the floor it takes."""
        return self.seconds / self.floor_seconds if self.floor_seconds else None


def timed(call: Callable[[], object], times: int) -> list[float]:
    """Return the seconds of each of so many calls."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds


def median(seconds: list[float]) -> float:
    """Return the middle one."""
    return statistics.median(seconds)


def percentile_99(seconds: list[float]) -> float:
    """Return what one in a hundred exceeds."""
    return statistics.quantiles(seconds, n=100)[98]
