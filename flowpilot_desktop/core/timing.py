"""Working time: segments per engineer, what is still unbilled, and the time entries made of it.

A *segment* is one uninterrupted stretch of one engineer's work on one session. Starting, resuming
and picking up open one; pausing, escalating, resolving and quitting close it; after a crash it is
closed at the last activity that reached the disk. The store keeps segments; everything here is a
pure function over them.

Three decisions shape the arithmetic:

- **UTC and whole seconds.** Moments are aware datetimes; they are cut to whole UTC seconds before
  anything is added up, because a time entry carries whole seconds and sums must agree with it.
  Local time is for display only, so daylight saving never adds or removes an hour.
- **Clocks lie.** A segment that ends before it starts counts nothing. Time after the last known
  activity counts for at most `IDLE_LIMIT`, so a clock that leaps forward (or a laptop that sleeps)
  cannot bill a weekend. In doubt the smaller time is billed.
- **Nobody's minute twice.** Where the segments of two engineers overlap, the one who began first
  keeps the time. A planned entry overlaps neither another engineer's work or entry nor the
  engineer's own earlier entry, be it for this session or for another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from enum import Enum

IDLE_LIMIT = timedelta(hours=4)
"""How much time without any recorded activity still counts as work."""

_DEDUCTION_STEP = timedelta(seconds=36)
"""0.01 hour: pauses are deducted in hours with two decimals, so they are planned in such steps."""

_NOTHING = timedelta(0)
_Interval = tuple[datetime, datetime]


class Rounding(Enum):
    """How worked time becomes billed time. What is above zero never becomes zero."""

    NEAREST_15 = "nearest_15"
    NEAREST_30 = "nearest_30"
    EXACT = "exact"
    """Whole minutes: nobody bills seconds, and hours with two decimals could not carry them."""
    NO_ENTRY = "no_entry"

    @property
    def step(self) -> timedelta:
        """The unit that billed time is a multiple of; zero for no entry at all."""
        return _STEPS[self]

    def rounded(self, worked: timedelta) -> timedelta:
        """Return the billed time for a worked time; halves go up, above zero is at least a step."""
        if worked <= _NOTHING or self is Rounding.NO_ENTRY:
            return _NOTHING
        return max(self.step, (worked + self.step / 2) // self.step * self.step)


_STEPS = {
    Rounding.NEAREST_15: timedelta(minutes=15),
    Rounding.NEAREST_30: timedelta(minutes=30),
    Rounding.EXACT: timedelta(minutes=1),
    Rounding.NO_ENTRY: _NOTHING,
}


@dataclass(frozen=True, slots=True)
class Segment:
    """One uninterrupted stretch of one engineer's work; open while `ended_at` is None.

    Moments are aware; they are kept in UTC.
    """

    id: str
    session_id: str
    engineer_id: str
    started_at: datetime
    ended_at: datetime | None
    last_activity_at: datetime

    def __post_init__(self) -> None:
        # Two moments of the same zone compare and add by the wall clock: only UTC is safe.
        for name in ("started_at", "ended_at", "last_activity_at"):
            moment: datetime | None = getattr(self, name)
            if moment is None:
                continue
            if moment.utcoffset() is None:
                raise ValueError("A segment's moments are aware datetimes.")
            object.__setattr__(self, name, moment.astimezone(UTC))

    @property
    def is_open(self) -> bool:
        """Tell whether work goes on in this segment."""
        return self.ended_at is None

    def worked(self, as_of: datetime | None = None) -> timedelta:
        """Return the time that counts; an open segment runs to `as_of`, else to its last sign."""
        interval = _counted(self, as_of)
        return interval[1] - interval[0] if interval else _NOTHING


@dataclass(frozen=True, slots=True)
class Billed:
    """A time entry that exists already, as far as planning the next one needs it.

    `covers_until` is the last moment whose work it accounts for: a technician who shortens an
    entry by hand has decided about the rest as well.
    """

    engineer_id: str
    start: datetime
    end: datetime
    covers_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class TimeEntryPlan:
    """One time entry to make: `end - start - deducted == rounded`, in whole UTC seconds.

    `deducted` is the pauses inside the span and, when rounding took something away, that too.
    """

    engineer_id: str
    start: datetime
    end: datetime
    deducted: timedelta
    worked: timedelta
    rounded: timedelta

    @property
    def deducted_hours(self) -> float:
        """The deduction in hours; two decimals hold it exactly."""
        return round(self.deducted / timedelta(hours=1), 2)

    def billed(self) -> Billed:
        """Return this plan as an entry that exists."""
        return Billed(self.engineer_id, self.start, self.end)


# The life of a segment


def opened(segment_id: str, session_id: str, engineer_id: str, at: datetime) -> Segment:
    """Begin a segment."""
    return Segment(segment_id, session_id, engineer_id, at, None, at)


def touched(segment: Segment, at: datetime, new_id: str) -> tuple[Segment, ...]:
    """Record activity in an open segment.

    After a silence longer than `IDLE_LIMIT` (a closed lid, a clock that leapt) the segment ends at
    its last activity and a second one with `new_id` begins now. A clock that went back changes
    nothing.
    """
    if not segment.is_open or at <= segment.last_activity_at:
        return (segment,)
    if at - segment.last_activity_at > IDLE_LIMIT:
        return (
            closed_after_crash(segment),
            opened(new_id, segment.session_id, segment.engineer_id, at),
        )
    return (replace(segment, last_activity_at=at),)


def closed(segment: Segment, at: datetime) -> Segment:
    """End a segment now. One that ended already stays as it is."""
    return replace(segment, ended_at=at) if segment.is_open else segment


def closed_after_crash(segment: Segment) -> Segment:
    """End a segment that nobody closed at its last activity that reached the disk."""
    return closed(segment, max(segment.started_at, segment.last_activity_at))


# Sums


def active_times(
    segments: Iterable[Segment], as_of: datetime | None = None
) -> dict[str, timedelta]:
    """Return each engineer's own active time, in the order in which they first worked.

    Overlapping segments of one engineer count once; time that two engineers claim belongs to the
    one who began first.
    """
    return {
        engineer: sum((end - start for start, end in spans), _NOTHING)
        for engineer, spans in _shares(segments, as_of).items()
    }


def active_time(
    segments: Iterable[Segment], engineer_id: str, as_of: datetime | None = None
) -> timedelta:
    """Return one engineer's own active time."""
    return active_times(segments, as_of).get(engineer_id, _NOTHING)


def unbilled_time(
    segments: Iterable[Segment],
    engineer_id: str,
    billed: Iterable[Billed] = (),
    as_of: datetime | None = None,
) -> timedelta:
    """Return one engineer's own active time since their last entry, not rounded."""
    spans = _unbilled(segments, engineer_id, tuple(billed), as_of)
    return sum((end - start for start, end in spans), _NOTHING)


def plan_time_entries(
    segments: Sequence[Segment],
    engineer_id: str,
    rounding: Rounding = Rounding.NEAREST_15,
    billed: Sequence[Billed] = (),
    as_of: datetime | None = None,
    *,
    busy: Sequence[Billed] = (),
) -> tuple[TimeEntryPlan, ...]:
    """Plan the time entries for an engineer's own active time since their last entry.

    That is one entry, or none when nothing was worked. Only when another engineer's work lies
    between two stretches of unbilled work are there more, for an entry never spans somebody else's
    minutes. The sum of the entries is the total worked, rounded once. `busy` are the engineer's
    entries for other work: rounded up, they may reach into this one's, so it makes room for them
    as well, but they account for none of its time.

    Start and end are the real ones as long as they hold the rounded time; else the end moves
    later, then the start earlier, as far as neighbouring work and entries leave room, and last of
    all the whole entry moves behind them.
    """
    segments = tuple(segments)
    work = _unbilled(segments, engineer_id, tuple(billed), as_of)
    if not work or rounding is Rounding.NO_ENTRY:
        return ()
    taken = [
        interval
        for other, spans in _shares(segments, as_of).items()
        if other != engineer_id
        for interval in spans
    ]
    taken += [(_second(entry.start), _second(entry.end)) for entry in (*billed, *busy)]
    plans: list[TimeEntryPlan] = []
    worked_before = carried = _NOTHING
    for stretch in _stretches(work, taken):
        worked = sum((end - start for start, end in stretch), _NOTHING)
        # Rounding the running total spreads it over the entries without inventing time.
        due = rounding.rounded(worked_before + worked) - rounding.rounded(worked_before)
        worked_before += worked
        carried += worked
        if due <= _NOTHING:
            continue
        start, end, deducted = _placed(stretch[0][0], stretch[-1][1], due, taken)
        plans.append(TimeEntryPlan(engineer_id, start, end, deducted, carried, due))
        taken.append((start, end))
        carried = _NOTHING
    if carried and plans:
        plans[-1] = replace(plans[-1], worked=plans[-1].worked + carried)
    return tuple(plans)


# Words


def duration_words(duration: timedelta) -> str:
    """Write a duration for people: "45 s", "12 min", "2 h", "1 h 12 min"; never negative."""
    seconds = max(0, round(duration.total_seconds()))
    if 0 < seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds} s"
    hours, minutes = divmod((seconds + 30) // 60, 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def local_words(moment: datetime, tz: tzinfo | None = None) -> str:
    """Write a moment in local time with its offset: "2026-03-29 03:15 +02:00".

    Without `tz` the system's own zone rules for that very moment apply.
    """
    local = moment.astimezone(tz)
    return f"{local:%Y-%m-%d %H:%M} {_offset_words(local)}"


def _offset_words(local: datetime) -> str:
    minutes = round((local.utcoffset() or _NOTHING).total_seconds() / 60)
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


# Intervals


def _second(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def _counted(segment: Segment, as_of: datetime | None) -> _Interval | None:
    """Return the part of a segment that counts, or None."""
    end = (segment.ended_at or as_of or segment.last_activity_at).astimezone(UTC)
    last_sign = max(segment.started_at, segment.last_activity_at)
    start, end = _second(segment.started_at), _second(min(end, last_sign + IDLE_LIMIT))
    return (start, end) if end > start else None


def _shares(segments: Iterable[Segment], as_of: datetime | None) -> dict[str, list[_Interval]]:
    """Return each engineer's intervals, disjoint within and between engineers, in order."""
    claims = sorted(
        (interval, segment.engineer_id)
        for segment in segments
        if (interval := _counted(segment, as_of)) is not None
    )
    shares: dict[str, list[_Interval]] = {}
    reached: datetime | None = None
    for (start, end), engineer in claims:
        # In order of their starts, whatever lies before the furthest end is somebody's already.
        free_from = start if reached is None else max(start, reached)
        own = shares.setdefault(engineer, [])
        if end > free_from:
            if own and own[-1][1] == free_from:
                own[-1] = (own[-1][0], end)
            else:
                own.append((free_from, end))
            reached = end
    return shares


def _unbilled(
    segments: Iterable[Segment],
    engineer_id: str,
    billed: Sequence[Billed],
    as_of: datetime | None,
) -> list[_Interval]:
    since = max(
        (
            max(_second(entry.end), _second(entry.covers_until or entry.end))
            for entry in billed
            if entry.engineer_id == engineer_id
        ),
        default=None,
    )
    spans = _shares(segments, as_of).get(engineer_id, [])
    if since is None:
        return spans
    return [(max(start, since), end) for start, end in spans if end > since]


def _stretches(work: Sequence[_Interval], taken: Sequence[_Interval]) -> list[list[_Interval]]:
    """Group work so that between two intervals of a group nobody else's time lies."""
    stretches: list[list[_Interval]] = []
    for interval in work:
        last_end = stretches[-1][-1][1] if stretches else None
        if last_end is None or any(
            start < interval[0] and end > last_end for start, end in taken if end > start
        ):
            stretches.append([interval])
        else:
            stretches[-1].append(interval)
    return stretches


def _placed(
    start: datetime, end: datetime, due: timedelta, taken: Sequence[_Interval]
) -> tuple[datetime, datetime, timedelta]:
    """Find start, end and deduction for `due`, touching nothing that is taken."""
    blocks = sorted(block for block in taken if block[1] > block[0])
    # Another engineer's entry may have been rounded up into this work: step aside.
    for block_start, block_end in blocks:
        if block_start <= start < block_end:
            start = block_end
    ceiling = min((block[0] for block in blocks if block[0] >= start), default=None)
    end = max(start, end if ceiling is None else min(end, ceiling))
    if end - start >= due:
        deducted = (end - start - due) // _DEDUCTION_STEP * _DEDUCTION_STEP
        return start, start + due + deducted, deducted
    if ceiling is None or ceiling - start >= due:
        return start, start + due, _NOTHING
    floor = max((block[1] for block in blocks if block[1] <= start), default=None)
    if floor is None or ceiling - floor >= due:
        return ceiling - due, ceiling, _NOTHING
    start = ceiling
    for block_start, block_end in blocks:
        if block_end > start and block_start < start + due:
            start = block_end
    return start, start + due, _NOTHING
