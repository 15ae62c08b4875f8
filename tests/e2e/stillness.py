"""How long the window stood still: the time in which the loop did not come round."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gaps:
    """The longest time for which the loop did not come round."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._task = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.005)
            now = time.perf_counter()
            self.longest, last = max(self.longest, now - last), now

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@asynccontextmanager
async def gaps() -> AsyncIterator[Gaps]:
    """Watch the loop within the block."""
    watch = Gaps()
    try:
        yield watch
    finally:
        await watch.aclose()
