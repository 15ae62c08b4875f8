"""What handlers added to a shared session, brought into the session as it is on this desktop.

Answered steps never change and a number is never taken twice, whatever order things arrive in.
What a newer FlowPilot wrote otherwise is left out; the rest is taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from flowpilot_desktop.core.errors import QueueRefused
from flowpilot_desktop.core.session import Step
from flowpilot_desktop.core.timing import Segment
from flowpilot_desktop.services.hand_off import Addition, BilledTime, opened_addition
from flowpilot_desktop.services.sharing import latest


class SharedSteps:
    """All that handlers added, in the order in which the queue accepted it."""

    def __init__(self, contents: Iterable[str]) -> None:
        additions: list[Addition] = []
        for content in contents:
            with suppress(QueueRefused):
                additions.append(opened_addition(content))
        self.steps = tuple(one.step for one in additions if one.step)
        self.set_aside = frozenset(step for one in additions for step in one.set_aside)
        self.billed: tuple[BilledTime, ...] = tuple(t for one in additions for t in one.billed)
        self._segments = tuple(segment for one in additions for segment in one.segments)

    def segments(
        self, session_id: str, *, but: str, before: tuple[Segment, ...] = ()
    ) -> tuple[Segment, ...]:
        """Return the work of others, ``but`` for this engineer's, as the session's own records."""
        return latest(
            replace(segment, session_id=session_id)
            for segment in (*before, *self._segments)
            if segment.engineer_id != but and not segment.is_open
        )


def merged(session_id: str, local: dict[str, Step], incoming: Iterable[Step]) -> list[Step]:
    """Return the steps to save: an answered one never changes, a number is never taken twice."""
    found: dict[str, Step] = {}
    numbers = {step.number: step.id for step in local.values()}
    for step in incoming:
        known = found.get(step.id) or local.get(step.id)
        if known is not None and not known.is_open:
            continue
        number = known.number if known is not None else step.number
        if numbers.get(number, step.id) != step.id:
            number = max(numbers) + 1
        numbers[number] = step.id
        found[step.id] = replace(step, session_id=session_id, number=number)
    return list(found.values())
