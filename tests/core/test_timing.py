"""Working time: what counts, what is billed, and that nobody bills a minute twice."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowpilot_desktop.core.timing import (
    IDLE_LIMIT,
    Billed,
    Rounding,
    Segment,
    TimeEntryPlan,
    active_time,
    active_times,
    closed,
    closed_after_crash,
    duration_words,
    local_words,
    opened,
    plan_time_entries,
    touched,
    unbilled_time,
)

DAY = datetime(2026, 11, 23, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
CHICAGO = ZoneInfo("America/Chicago")


def at(clock: str, day: int = 0) -> datetime:
    """Return a moment of the test's day, "9:07:30" or "9:07"."""
    hours, minutes, seconds = (*map(float, clock.split(":")), 0.0)[:3]
    return DAY + timedelta(days=day, hours=hours, minutes=minutes, seconds=seconds)


def segment(start: str, end: str, by: str = "ana", *, end_day: int = 0, day: int = 0) -> Segment:
    """Return a closed segment whose last activity is its end."""
    ended = at(end, end_day or day)
    return Segment(f"{by}-{start}", "s1", by, at(start, day), ended, ended)


def billed(start: str, end: str, by: str = "ana") -> Billed:
    return Billed(by, at(start), at(end))


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


@dataclass(frozen=True)
class Case:
    """What was worked and billed, and the entries it makes: (start, end, deducted minutes)."""

    name: str
    segments: list[Segment]
    worked: float
    entries: list[tuple[str, str, float]]
    rounding: Rounding = Rounding.NEAREST_15
    billed: list[Billed] = field(default_factory=list)
    engineer: str = "ana"
    as_of: datetime | None = None


CASES = [
    Case("nothing at all", [], 0, []),
    Case("zero seconds", [segment("9:00", "9:00")], 0, []),
    Case("under a second", [segment("9:00:00.1", "9:00:00.9")], 0, []),
    Case("one second", [segment("9:00", "9:00:01")], 1 / 60, [("9:00", "9:15", 0)]),
    Case("7 minutes", [segment("9:00", "9:07")], 7, [("9:00", "9:15", 0)]),
    Case("7:30", [segment("9:00", "9:07:30")], 7.5, [("9:00", "9:15", 0)]),
    Case("exactly 15", [segment("9:00", "9:15")], 15, [("9:00", "9:15", 0)]),
    Case("22:29 goes down", [segment("9:00", "9:22:29")], 22 + 29 / 60, [("9:00", "9:22:12", 7.2)]),
    Case("22:30 goes up", [segment("9:00", "9:22:30")], 22.5, [("9:00", "9:30", 0)]),
    Case("37:29 goes down", [segment("9:00", "9:37:29")], 37 + 29 / 60, [("9:00", "9:37:12", 7.2)]),
    Case("37:30 goes up", [segment("9:00", "9:37:30")], 37.5, [("9:00", "9:45", 0)]),
    Case(
        "7 min, half hours", [segment("9:00", "9:07")], 7, [("9:00", "9:30", 0)],
        Rounding.NEAREST_30,
    ),
    Case(
        "44:59, halves", [segment("9:00", "9:44:59")], 44 + 59 / 60, [("9:00", "9:44:24", 14.4)],
        Rounding.NEAREST_30,
    ),
    Case(
        "45 minutes, half hours", [segment("9:00", "9:45")], 45, [("9:00", "10:00", 0)],
        Rounding.NEAREST_30,
    ),
    Case(
        "exact 7:29", [segment("9:00", "9:07:29")], 7 + 29 / 60, [("9:00", "9:07", 0)],
        Rounding.EXACT,
    ),
    Case("exact 7:30", [segment("9:00", "9:07:30")], 7.5, [("9:00", "9:08", 0)], Rounding.EXACT),
    Case("exact 2 s", [segment("9:00", "9:00:02")], 2 / 60, [("9:00", "9:01", 0)], Rounding.EXACT),
    Case("no entry wanted", [segment("9:00", "11:00")], 120, [], Rounding.NO_ENTRY),
    Case(
        "lunch is deducted", [segment("11:30", "12:00"), segment("12:45", "13:15")], 60,
        [("11:30", "13:15", 45)],
    ),
    Case(
        "rounding up eats of the pause", [segment("9:00", "9:20"), segment("10:00", "10:18")], 38,
        [("9:00", "10:18", 33)],
    ),
    Case(
        "14 hours paused", [segment("17:00", "17:30"), segment("7:30", "8:00", day=1)], 60,
        [("17:00", "32:00", 14 * 60)],
    ),
    Case(
        "pause over midnight", [segment("23:30", "23:50"), segment("0:10", "0:35", day=1)], 45,
        [("23:30", "24:34:48", 19.8)],
    ),
    Case("work over midnight", [segment("23:40", "0:10", end_day=1)], 30, [("23:40", "24:10", 0)]),
    Case(
        "three stretches", [segment("9:00", "9:10"), segment("9:20", "9:30"),
                            segment("9:40", "9:50")], 30, [("9:00", "9:49:48", 19.8)],
    ),
    Case("end before start", [segment("9:30", "9:00")], 0, []),
    Case(
        "one good, one backwards", [segment("9:30", "9:00"), segment("10:00", "10:15")], 15,
        [("10:00", "10:15", 0)],
    ),
    Case(
        "own overlap counts once", [segment("9:00", "9:30"), segment("9:15", "9:45")], 45,
        [("9:00", "9:45", 0)],
    ),
    Case(
        "own segment inside another", [segment("9:00", "10:00"), segment("9:15", "9:30")], 60,
        [("9:00", "10:00", 0)],
    ),
    Case(
        "clock leapt a year",
        [Segment("x", "s1", "ana", at("9:00"), at("9:30", day=365), at("9:30"))],
        30 + 240, [("9:00", "13:30", 0)],
    ),
    Case(
        "laptop slept over the weekend",
        [Segment("x", "s1", "ana", at("9:00"), at("9:00", day=3), at("9:10"))],
        250, [("9:00", "13:15", 0)],
    ),
    Case(
        "still open, as of now",
        [Segment("x", "s1", "ana", at("9:00"), None, at("9:20"))],
        30, [("9:00", "9:30", 0)], as_of=at("9:30"),
    ),
    Case(
        "open after a crash: to the last sign",
        [Segment("x", "s1", "ana", at("9:00"), None, at("9:20"))],
        20, [("9:00", "9:19:48", 4.8)],
    ),
    Case(
        "open and the clock went back",
        [Segment("x", "s1", "ana", at("9:00"), None, at("9:20"))],
        0, [], as_of=at("8:00"),
    ),
    Case(
        "after an entry only the rest", [segment("9:00", "9:30"), segment("10:00", "10:30")], 30,
        [("10:00", "10:30", 0)], billed=[billed("9:00", "9:30")],
    ),
    Case(
        "own entry reaches into later work", [segment("9:00", "9:07"), segment("9:08", "9:30")],
        15, [("9:15", "9:30", 0)], billed=[billed("9:00", "9:15")],
    ),
    Case(
        "everything billed", [segment("9:00", "9:30")], 0, [], billed=[billed("9:00", "9:30")],
    ),
    Case(
        "shortened by hand: the cut part stays cut", [segment("9:00", "9:30")], 0, [],
        billed=[Billed("ana", at("9:00"), at("9:15"), covers_until=at("9:30"))],
    ),
    Case(
        "a colleague worked before", [segment("9:00", "9:30", "ben"), segment("9:40", "10:10")], 30,
        [("9:40", "10:10", 0)],
    ),
    Case(
        "a colleague's entry does not pay mine", [segment("9:00", "9:30")], 30,
        [("9:30", "10:00", 0)], billed=[billed("9:00", "9:30", "ben")],
    ),
    Case(
        "a colleague's entry was rounded into my work",
        [segment("9:00", "9:07", "ben"), segment("9:08", "9:31")], 23, [("9:15", "9:45", 0)],
        billed=[billed("9:00", "9:15", "ben")],
    ),
    Case(
        "skewed clocks: who began first keeps the time",
        [segment("9:00", "9:20", "ben"), segment("9:15", "9:45")], 25, [("9:20", "9:50", 0)],
    ),
    Case(
        "a colleague in between makes two entries",
        [segment("9:00", "9:30"), segment("9:40", "10:00", "ben"), segment("10:10", "10:40")], 60,
        [("9:00", "9:30", 0), ("10:10", "10:40", 0)],
    ),
    Case(
        "two stretches are rounded as one total",
        [segment("9:00", "9:10"), segment("9:20", "9:30", "ben"), segment("9:40", "9:50")], 20,
        [("9:00", "9:15", 0)],
    ),
    Case(
        "no room before the colleague: the entry begins earlier",
        [segment("9:00", "9:07"), segment("9:08", "9:30", "ben")], 7, [("8:53", "9:08", 0)],
    ),
    Case(
        "no room at all: the entry moves behind",
        [segment("8:30", "9:00", "ben"), segment("9:01", "9:05"), segment("9:06", "9:30", "cleo")],
        4, [("9:30", "9:45", 0)],
    ),
    Case(
        "daylight saving in Berlin: the lost hour is not worked",
        [Segment("x", "s1", "ana", datetime(2026, 3, 29, 1, 30, tzinfo=BERLIN),
                 datetime(2026, 3, 29, 3, 30, tzinfo=BERLIN),
                 datetime(2026, 3, 29, 3, 30, tzinfo=BERLIN))],
        60, [("2026-03-29T00:30", "2026-03-29T01:30", 0)],
    ),
    Case(
        "a pause over the hour that Berlin leaves out",
        [Segment("x", "s1", "ana", datetime(2026, 3, 29, 1, 0, tzinfo=BERLIN),
                 datetime(2026, 3, 29, 1, 30, tzinfo=BERLIN),
                 datetime(2026, 3, 29, 1, 30, tzinfo=BERLIN)),
         Segment("y", "s1", "ana", datetime(2026, 3, 29, 4, 0, tzinfo=BERLIN),
                 datetime(2026, 3, 29, 4, 30, tzinfo=BERLIN),
                 datetime(2026, 3, 29, 4, 30, tzinfo=BERLIN))],
        60, [("2026-03-29T00:00", "2026-03-29T02:30", 90)],
    ),
    Case(
        "a pause over the hour that comes twice in Chicago",
        [Segment("x", "s1", "ana", datetime(2026, 11, 1, 0, 15, tzinfo=CHICAGO),
                 datetime(2026, 11, 1, 0, 45, tzinfo=CHICAGO),
                 datetime(2026, 11, 1, 0, 45, tzinfo=CHICAGO)),
         Segment("y", "s1", "ana", datetime(2026, 11, 1, 2, 0, tzinfo=CHICAGO),
                 datetime(2026, 11, 1, 2, 30, tzinfo=CHICAGO),
                 datetime(2026, 11, 1, 2, 30, tzinfo=CHICAGO))],
        60, [("2026-11-01T05:15", "2026-11-01T08:30", 135)],
    ),
    Case(
        "daylight saving in Chicago: the hour that comes twice is two",
        [Segment("x", "s1", "ana", datetime(2026, 11, 1, 0, 30, tzinfo=CHICAGO),
                 datetime(2026, 11, 1, 2, 30, tzinfo=CHICAGO),
                 datetime(2026, 11, 1, 2, 30, tzinfo=CHICAGO))],
        180, [("2026-11-01T05:30", "2026-11-01T08:30", 0)],
    ),
    Case("others only", [segment("9:00", "10:00", "ben")], 0, []),
    Case(
        "the other engineer's own entry", [segment("9:00", "9:30"), segment("9:40", "9:55", "ben")],
        15, [("9:40", "9:55", 0)], engineer="ben",
    ),
]  # fmt: skip


def test_the_table_is_long_enough():
    assert len(CASES) >= 40
    assert len({case.name for case in CASES}) == len(CASES)


def moment(clock: str) -> datetime:
    """Like `at`, or a date with its time in UTC."""
    return datetime.fromisoformat(clock).replace(tzinfo=UTC) if "T" in clock else at(clock)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_worked_and_billed(case: Case):
    assert unbilled_time(case.segments, case.engineer, case.billed, case.as_of) == timedelta(
        seconds=round(case.worked * 60)
    )
    plans = plan_time_entries(case.segments, case.engineer, case.rounding, case.billed, case.as_of)
    assert [(plan.start, plan.end, plan.deducted) for plan in plans] == [
        (moment(start), moment(end), minutes(deducted)) for start, end, deducted in case.entries
    ]
    for plan in plans:
        assert plan.end - plan.start - plan.deducted == plan.rounded
        assert plan.engineer_id == case.engineer
    if plans:
        worked = sum((plan.worked for plan in plans), timedelta(0))
        assert worked == unbilled_time(case.segments, case.engineer, case.billed, case.as_of)
        assert sum((p.rounded for p in plans), timedelta(0)) == case.rounding.rounded(worked)


# Properties

ENGINEERS = ("ana", "ben", "cleo")
moments = st.integers(0, 3 * 24 * 3600).map(lambda second: DAY + timedelta(seconds=second))


@st.composite
def some_segments(draw: st.DrawFn) -> list[Segment]:
    made = []
    for number in range(draw(st.integers(0, 8))):
        start = draw(moments)
        length = timedelta(seconds=draw(st.integers(-600, 6 * 3600)))
        end = draw(st.sampled_from([start + length, None]))
        seen = start + timedelta(seconds=draw(st.integers(-60, 6 * 3600)))
        made.append(Segment(str(number), "s1", draw(st.sampled_from(ENGINEERS)), start, end, seen))
    return made


roundings = st.sampled_from(list(Rounding))


@given(some_segments(), st.none() | moments)
def test_engineers_share_the_time_and_never_overlap(segments: list[Segment], now: datetime | None):
    times = active_times(segments, now)
    assert all(time >= timedelta(0) for time in times.values())
    covered: set[int] = set()
    for one in segments:
        # The union of all counted seconds, second by second, is what the engineers share.
        if (worked := one.worked(now)) > timedelta(0):
            start = one.started_at.replace(microsecond=0)
            first = int((start - DAY).total_seconds())
            covered.update(range(first, first + int(worked.total_seconds())))
    assert sum(times.values(), timedelta(0)) == timedelta(seconds=len(covered))


@given(some_segments(), roundings, st.none() | moments)
def test_entries_of_all_engineers_never_overlap(
    segments: list[Segment], rounding: Rounding, now: datetime | None
):
    made: list[TimeEntryPlan] = []
    for engineer in ENGINEERS:
        plans = plan_time_entries(segments, engineer, rounding, [p.billed() for p in made], now)
        worked = active_time(segments, engineer, now)
        assert sum((p.rounded for p in plans), timedelta(0)) == rounding.rounded(worked)
        made += plans
    for plan in made:
        assert plan.end - plan.start - plan.deducted == plan.rounded > timedelta(0)
        assert plan.deducted >= timedelta(0)
        assert plan.rounded % rounding.step == timedelta(0)
        assert plan.deducted_hours == plan.deducted / timedelta(hours=1)
        assert (plan.start.microsecond, plan.end.microsecond) == (0, 0)
        assert plan.start.tzinfo is UTC
    spans = sorted((plan.start, plan.end) for plan in made)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))


@given(some_segments(), some_segments(), roundings, moments)
def test_entries_for_several_sessions_of_one_engineer_never_overlap(
    first: list[Segment], second: list[Segment], rounding: Rounding, now: datetime
):
    made: list[TimeEntryPlan] = []
    for segments in (first, second, first[::-1]):
        busy = [plan.billed() for plan in made]
        plans = plan_time_entries(segments, "ana", rounding, (), now, busy=busy)
        worked = active_time(segments, "ana", now)
        assert sum((p.rounded for p in plans), timedelta(0)) == rounding.rounded(worked)
        made += plans
    spans = sorted((plan.start, plan.end) for plan in made)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))


@given(some_segments(), roundings, moments)
def test_an_entry_leaves_nothing_to_bill(
    segments: list[Segment], rounding: Rounding, now: datetime
):
    plans = plan_time_entries(segments, "ana", rounding, (), now)
    if not plans:
        return
    last = max((one.ended_at or now) for one in segments)
    done = [replace(plan.billed(), covers_until=max(last, plan.end)) for plan in plans]
    assert unbilled_time(segments, "ana", done, now) == timedelta(0)
    assert plan_time_entries(segments, "ana", rounding, done, now) == ()


@given(st.integers(0, 40 * 3600), roundings)
def test_rounding_is_near_and_never_nothing(seconds: int, rounding: Rounding):
    worked = timedelta(seconds=seconds)
    rounded = rounding.rounded(worked)
    if rounding is Rounding.NO_ENTRY or not seconds:
        assert rounded == timedelta(0)
        return
    assert rounded > timedelta(0)
    assert rounded == rounding.step or abs(rounded - worked) <= rounding.step / 2
    assert rounding.rounded(rounded) == rounded


@given(some_segments(), st.randoms())
def test_the_order_of_segments_does_not_matter(segments: list[Segment], random):
    mixed = list(segments)
    random.shuffle(mixed)
    assert active_times(mixed, at("12:00")) == active_times(segments, at("12:00"))


# The life of a segment


def test_a_segment_opens_is_touched_and_closes():
    one = opened("1", "s1", "ana", at("9:00"))
    assert one.is_open
    (one,) = touched(one, at("9:10"), "2")
    one = closed(one, at("9:12"))
    assert not one.is_open
    assert one.worked() == minutes(12)
    assert closed(one, at("9:40")) == one
    assert touched(one, at("9:40"), "2") == (one,)


def test_a_long_silence_splits_the_segment():
    one = opened("1", "s1", "ana", at("9:00"))
    (one,) = touched(one, at("9:30"), "unused")
    before, after = touched(one, at("9:30") + IDLE_LIMIT + timedelta(seconds=1), "2")
    assert before.ended_at == at("9:30")
    assert (after.id, after.session_id, after.engineer_id) == ("2", "s1", "ana")
    assert after.is_open
    assert active_time([before, after], "ana", after.started_at) == minutes(30)


def test_activity_under_a_clock_that_went_back_changes_nothing():
    one = opened("1", "s1", "ana", at("9:00"))
    assert touched(one, at("8:00"), "2") == (one,)


def test_a_crash_closes_at_the_last_activity():
    one = replace(opened("1", "s1", "ana", at("9:00")), last_activity_at=at("9:25"))
    assert closed_after_crash(one).ended_at == at("9:25")
    odd = replace(one, last_activity_at=at("8:00"))
    assert closed_after_crash(odd).ended_at == at("9:00")


def test_naive_moments_are_refused():
    with pytest.raises(ValueError, match="aware"):
        Segment("1", "s1", "ana", datetime(2026, 1, 1), None, at("9:00"))  # noqa: DTZ001 - the point


def test_times_come_in_the_order_of_first_work():
    segments = [segment("10:00", "10:30", "ana"), segment("9:00", "9:30", "ben")]
    assert list(active_times(segments)) == ["ben", "ana"]
    assert active_time(segments, "nobody") == timedelta(0)


# Words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 min"),
        (0, "0 min"),
        (0.4, "0 min"),
        (1, "1 s"),
        (59, "59 s"),
        (60, "1 min"),
        (89, "1 min"),
        (90, "2 min"),
        (450, "8 min"),
        (3_569, "59 min"),
        (3_570, "1 h"),
        (3_600, "1 h"),
        (4_320, "1 h 12 min"),
        (7_140, "1 h 59 min"),
        (7_199, "2 h"),
        (93_600, "26 h"),
    ],
)
def test_durations_in_words(seconds: float, words: str):
    assert duration_words(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("moment_utc", "zone", "words"),
    [
        ("2026-03-29T00:59:59", "Europe/Berlin", "2026-03-29 01:59 +01:00"),
        ("2026-03-29T01:00:00", "Europe/Berlin", "2026-03-29 03:00 +02:00"),
        ("2026-11-01T06:30:00", "America/Chicago", "2026-11-01 01:30 -05:00"),
        ("2026-11-01T07:30:00", "America/Chicago", "2026-11-01 01:30 -06:00"),
        ("2026-01-01T00:00:00", "Asia/Kolkata", "2026-01-01 05:30 +05:30"),
        ("2026-01-01T00:00:00", "America/St_Johns", "2025-12-31 20:30 -03:30"),
        ("2026-01-01T00:00:00", "UTC", "2026-01-01 00:00 +00:00"),
    ],
)
def test_moments_in_words(moment_utc: str, zone: str, words: str):
    moment = datetime.fromisoformat(moment_utc).replace(tzinfo=UTC)
    assert local_words(moment, ZoneInfo(zone)) == words


def test_without_a_zone_the_system_s_rules_of_that_moment_apply():
    # Tests run with the clock in Chicago: -05:00 in summer, -06:00 in winter.
    assert local_words(datetime(2026, 7, 1, 12, tzinfo=UTC)).endswith("-05:00")
    assert local_words(datetime(2026, 1, 1, 12, tzinfo=UTC)).endswith("-06:00")
