"""Work that a verb leaves running when it returns: kept, logged if it fails, ended with its owner.

Our own errors are the world's and no more than a line in the log; anything else is a mistake.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from flowpilot_desktop.core.errors import FlowPilotError

log = logging.getLogger(__name__)


class Background:
    """The tasks of one owner."""

    def __init__(self) -> None:
        self.running: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Start the work; once closed, nothing starts any more."""
        if self._is_closed:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self.running.add(task)
        task.add_done_callback(self._ended)

    async def settled(self) -> None:
        """Wait until nothing runs."""
        while self.running:
            await asyncio.wait(tuple(self.running))

    def close(self) -> None:
        """Let nothing begin any more."""
        self._is_closed = True

    async def aclose(self) -> None:
        """Cancel what runs and wait for its end."""
        self.close()
        for task in tuple(self.running):
            task.cancel()
        await self.settled()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.running.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, FlowPilotError):
            log.info("In the background: %s", type(error).__name__)
        elif error is not None:
            log.error("A background task failed", exc_info=error)
