# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlbook.timeline import (
    DAY,
    Instant,
    Interval,
    by_day,
    from_datetime,
    instant,
    intersect,
    iso,
    subtract,
    to_datetime,
    total,
    union,
)

moments = st.integers(0, 60).map(Instant)
intervals = st.tuples(moments, moments).filter(lambda t: t[0] < t[1])
sets = st.lists(intervals.map(lambda t: Interval(*t)), max_size=8).map(union)


def points(pieces: tuple[Interval, ...]) -> set[int]:
    return {n for piece in pieces for n in range(piece.start, piece.end)}


@given(sets, sets)
def test_set_operations_equal_those_on_the_points_themselves(
    left: tuple[Interval, ...], right: tuple[Interval, ...]
) -> None:
    assert points(intersect(left, right)) == points(left) & points(right)
    assert points(subtract(left, right)) == points(left) - points(right)
    assert points(union([*left, *right])) == points(left) | points(right)


@given(sets, sets)
def test_results_are_sorted_disjoint_and_merged(
    left: tuple[Interval, ...], right: tuple[Interval, ...]
) -> None:
    for pieces in (intersect(left, right), subtract(left, right), union(left + right)):
        assert all(a.end <= b.start for a, b in itertools.pairwise(pieces))
        assert total(pieces) == len(points(pieces))
    merged = union(left + right)
    assert all(a.end < b.start for a, b in itertools.pairwise(merged))


@given(
    st.lists(intervals.map(lambda t: Interval(*t)), max_size=8).flatmap(
        lambda found: st.tuples(st.just(found), st.permutations(found))
    )
)
def test_union_does_not_depend_on_order(
    both: tuple[list[Interval], list[Interval]],
) -> None:
    assert union(both[0]) == union(both[1])


@given(st.integers(0, 4_102_444_800_000).map(Instant))
def test_iso_round_trips_to_the_millisecond(moment: Instant) -> None:
    assert instant(iso(moment)) == moment
    assert from_datetime(to_datetime(moment)) == moment


def test_milliseconds_show_only_where_there_are_some() -> None:
    assert iso(instant("2028-02-14T03:12:00.000Z")) == "2028-02-14T03:12:00Z"
    assert iso(instant("2028-02-14T03:12:00.25Z")) == "2028-02-14T03:12:00.250Z"


@pytest.mark.threat("T25")
def test_a_leap_day_and_a_quarter_have_their_true_length() -> None:
    quarter = Interval(instant("2028-01-01T00:00:00Z"), instant("2028-04-01T00:00:00Z"))
    assert quarter.length == 91 * 86_400_000
    assert quarter.contains(instant("2028-02-29T12:00:00Z"))
    assert not quarter.contains(quarter.end)


@pytest.mark.threat("T25")
@pytest.mark.parametrize(
    "text",
    ["2028-02-14", "2028-02-14T03:12:00", "2028-02-14T03:12:00+01:00", "soon", ""],
)
def test_what_is_not_utc_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a UTC time"):
        instant(text)


def test_an_empty_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="before it starts"):
        Interval(Instant(5), Instant(5))


def test_a_naive_datetime_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        from_datetime(datetime(2028, 1, 1, tzinfo=UTC).replace(tzinfo=None))


@given(st.integers(0, 10 * DAY), st.integers(0, 10 * DAY))
def test_days_tile_and_none_holds_a_midnight(start: int, length: int) -> None:
    whole = Interval(Instant(start), Instant(start + length)) if length else None
    days = by_day(Instant(start), Instant(start + length))
    assert total(days) == length
    assert union(days) == ((whole,) if whole else ())
    assert all(a.end == b.start for a, b in itertools.pairwise(days))
    assert all(not day.end % DAY for day in days[:-1])
    assert all(day.length <= DAY for day in days)
