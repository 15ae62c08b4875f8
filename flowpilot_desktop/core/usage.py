"""What the model cost: one record for each call, and sums of them for the budget.

Money is counted in micro-units, millionths of the currency of the price table, as whole numbers:
sums of many small costs stay exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from flowpilot_desktop.core.session import Usage


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """One call of a model. ``session_id`` is empty for a call that belongs to no session."""

    id: str
    session_id: str
    at: datetime
    model: str
    usage: Usage
    cost_micros: int = 0


@dataclass(frozen=True, slots=True)
class UsageTotal:
    """Many calls added up."""

    usage: Usage = Usage()
    cost_micros: int = 0
    calls: int = 0


@dataclass(frozen=True, slots=True)
class DailyUsage:
    """The calls of one day, as the calendar of the technician's time zone has it."""

    day: date
    total: UsageTotal


@dataclass(frozen=True, slots=True)
class SessionUsage:
    """The calls of one session, with its headline; both empty for calls that belong to none."""

    session_id: str
    problem_summary: str
    total: UsageTotal
