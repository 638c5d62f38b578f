"""Hours and days as they are written, and which moments lie in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceguard.people.hours import DAYS, parse_times

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = datetime(2026, 11, 30)  # noqa: DTZ001  # a wall clock


def at(day: str, time: str) -> datetime:
    """A wall clock in one week."""
    hour, minute = map(int, time.split(":"))
    return MONDAY + timedelta(days=DAYS.index(day), hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("hours", "days", "inside", "outside"),
    [
        ("06:00-20:00", "", ["mon 06:00", "sun 19:59"], ["mon 05:59", "mon 20:00"]),
        ("22:00-06:00", "", ["mon 00:00", "sun 23:59", "wed 05:59"], ["mon 06:00", "mon 21:59"]),
        ("00:00-24:00", "mon", ["mon 00:00", "mon 23:59"], ["tue 00:00", "sun 23:59"]),
        ("", "sat, sun", ["sat 00:00", "sun 23:59"], ["fri 23:59", "mon 00:00"]),
        ("", "fri-mon", ["fri 12:00", "sun 12:00", "mon 12:00"], ["tue 00:00", "thu 23:59"]),
        ("06:00-08:00,16:00-20:00", "wed", ["wed 07:00", "wed 19:00"], ["wed 08:00", "thu 07:00"]),
    ],
)
def test_hours_hold_from_their_first_minute_to_before_their_last(
    hours: str, days: str, inside: list[str], outside: list[str]
) -> None:
    times = parse_times(hours, days)
    assert [each for each in inside if not times.hold_at(at(*each.split()))] == []
    assert [each for each in outside if times.hold_at(at(*each.split()))] == []


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    times = parse_times("22:00-06:00", "fri, sun")
    assert times.hold_at(at("sat", "05:59"))
    assert times.hold_at(at("mon", "03:00"))  # Sunday's, over the end of the week
    assert not times.hold_at(at("fri", "03:00"))
    assert not times.hold_at(at("sat", "22:00"))


@pytest.mark.parametrize(
    ("hours", "days", "fault"),
    [
        ("25:00-26:00", "", "no time of a day"),
        ("06:00-24:01", "", "no time of a day"),
        ("24:00-06:00", "", "no time of a day"),
        ("06:60-08:00", "", "no time of a day"),
        ("08:00-08:00", "", "lasts no time"),
        ("8-20", "", "like"),
        ("08:00-20:00,", "", "like"),
        ("08:00 - 20:00", "", "like"),
        ("٠٨:00-20:00", "", "like"),
        ("06:00-10:00, 09:00-12:00", "", "a time twice"),
        ("22:00-06:00, 05:00-07:00", "", "a time twice"),
        ("", "monday", "like"),
        ("", "mon-", "like"),
        ("", "mon-wed, tue", "a day twice"),
    ],
)
def test_what_is_no_time_is_refused_in_words(hours: str, days: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_times(hours, days)


def test_where_the_clock_is_set_forward_the_missing_hour_does_not_happen() -> None:
    """29 March 2026 in Berlin: after 01:59 comes 03:00."""
    missing, after = parse_times("02:00-03:00", ""), parse_times("03:00-04:00", "")
    night = [datetime(2026, 3, 29, 0, tzinfo=UTC) + timedelta(minutes=m) for m in range(180)]
    assert not any(missing.hold_at(each.astimezone(BERLIN)) for each in night)
    assert sum(after.hold_at(each.astimezone(BERLIN)) for each in night) == 60


def test_where_it_is_set_back_an_hour_lasts_two() -> None:
    """25 October 2026: 02:00 to 02:59 comes twice."""
    twice = parse_times("02:00-03:00", "")
    night = [datetime(2026, 10, 24, 22, tzinfo=UTC) + timedelta(minutes=m) for m in range(360)]
    assert sum(twice.hold_at(each.astimezone(BERLIN)) for each in night) == 120


minutes = st.integers(0, 24 * 60 - 1)
some_days = st.sets(st.sampled_from(DAYS), min_size=1)


def written(start: int, end: int) -> str:
    return f"{start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"


@given(minutes, minutes, some_days, st.integers(0, 7 * 24 * 60 - 1))
def test_a_moment_lies_in_hours_as_one_would_count_it(
    start: int, end: int, days: set[str], minute: int
) -> None:
    """Against the definition: walk through the stretch from each day on which it begins."""
    if start == end:
        return
    length = (end - start) % (24 * 60)
    expected = any(
        (minute - (DAYS.index(day) * 24 * 60 + start)) % (7 * 24 * 60) < length for day in days
    )
    times = parse_times(written(start, end), ", ".join(days))
    assert times.hold_at(MONDAY + timedelta(minutes=minute)) == expected


@given(st.lists(st.tuples(minutes, minutes, some_days), min_size=2, max_size=2))
def test_two_overlap_where_some_minute_lies_in_both(
    two: list[tuple[int, int, set[str]]],
) -> None:
    if any(start == end for start, end, _ in two):
        return
    one, other = (parse_times(written(s, e), ", ".join(days)) for s, e, days in two)
    edges = [start for start, _ in (*one.stretches, *other.stretches)]
    moments = [MONDAY + timedelta(minutes=each) for each in edges]
    assert one.overlap(other) == any(one.hold_at(m) and other.hold_at(m) for m in moments)
