"""Coroutines on behalf of a screen: the one place where slots meet asyncio.

A slot is a plain method; it hands a coroutine to ``Tasks`` and returns. A task has a name, and
starting another one under the same name cancels the former: its result is no longer wanted. What
goes wrong is sorted here, once:

- cancelled: nobody hears of it;
- a ``FlowPilotError``: the world failed; it goes to ``failed``;
- anything else: a bug; it goes to ``sys.excepthook`` with its traceback.

References are kept until a task has ended, so that the garbage collector cannot take one away.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from flowpilot_desktop.core.errors import FlowPilotError

_Run = Coroutine[Any, Any, Any]


class Tasks:
    """The running coroutines of one owner, by name.

    ``failed`` hears of errors; ``ended`` of every name that has become free by itself, before that.
    """

    def __init__(
        self,
        failed: Callable[[FlowPilotError], None],
        ended: Callable[[str], None] | None = None,
    ) -> None:
        self._failed = failed
        self._ended = ended
        self._tasks: dict[str, tuple[asyncio.Task[None], _Run]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def start(self, name: str, coroutine: _Run) -> None:
        """Run the coroutine under the name; one that runs under it already is cancelled.

        After ``aclose`` nothing starts any more.
        """
        if self._is_closed:
            coroutine.close()
            return
        self.cancel(name)
        task = asyncio.get_running_loop().create_task(self._run(name, coroutine), name=name)
        # Cancelled before its first step, a task would leave the coroutine unawaited.
        task.add_done_callback(lambda _: coroutine.close())
        self._tasks[name] = task, coroutine

    def start_unless_running(self, name: str, coroutine: _Run) -> bool:
        """Run the coroutine, or drop it when the name runs already; return whether it started.

        For verbs: a second click while the first is on its way is no second verb.
        """
        if self._is_closed or self.is_running(name):
            coroutine.close()
            return False
        self.start(name, coroutine)
        return True

    def is_running(self, name: str) -> bool:
        """Return whether a task of that name is under way."""
        return name in self._tasks

    @property
    def names(self) -> frozenset[str]:
        """The names under way."""
        return frozenset(self._tasks)

    def cancel(self, name: str) -> None:
        """End the task of that name, silently; absent is fine."""
        task, _ = self._tasks.pop(name, (None, None))
        if task is not None and not task.done():
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
            task.cancel()

    async def aclose(self) -> None:
        """Cancel everything and wait until it has ended."""
        self._is_closed = True
        for name in tuple(self._tasks):
            self.cancel(name)
        mine = asyncio.current_task()
        ending = [task for task in self._ending if task is not mine]
        if ending:
            await asyncio.wait(ending)

    async def _run(self, name: str, coroutine: _Run) -> None:
        try:
            await coroutine
        except asyncio.CancelledError:
            self._forget(name, coroutine)
        except FlowPilotError as error:
            self._forget(name, coroutine)
            self._failed(error)
        except Exception:  # noqa: BLE001 - a bug; the hook logs it and shows the crash card
            self._forget(name, coroutine)
            sys.excepthook(*sys.exc_info())
        else:
            self._forget(name, coroutine)

    def _forget(self, name: str, coroutine: _Run) -> None:
        """Free the name, unless a successor has it already."""
        if self._tasks.get(name, (None, None))[1] is coroutine:
            del self._tasks[name]
            if self._ended is not None:
                self._ended(name)
