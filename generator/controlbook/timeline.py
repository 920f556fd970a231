# SPDX-License-Identifier: Apache-2.0
"""Instants and half-open intervals, exactly.

Rules enforced here:
- an instant is a whole number of milliseconds since 1970-01-01T00:00:00Z (UTC), the
  resolution of AWS Config's `configurationStateId`; nothing is a float;
- an interval is half-open, `[start, end)`, and never empty;
- a set of intervals is kept sorted, disjoint and merged, so that equal sets are equal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NewType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Instant = NewType("Instant", int)
"""Milliseconds since the epoch, UTC."""

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ISO = re.compile(
    r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(?:\.(\d{1,6}))?(?:Z|\+00:?00)\Z",
    re.ASCII,
)


def instant(text: str) -> Instant:
    """Read a UTC time stamp such as `2028-02-14T03:12:00Z`; digits below 1 ms drop.

    Raises ValueError for anything that is not ISO 8601 in UTC (`Z` or `+00:00`).
    """
    match = _ISO.match(text)
    message = f"{text!r} is not a UTC time like 2028-02-14T03:12:00Z"
    if not match:
        raise ValueError(message)
    day, clock, fraction = match.groups()
    try:
        since = datetime.fromisoformat(f"{day}T{clock}+00:00") - _EPOCH
    except ValueError as error:  # 30 February, a leap second
        text = f"{message}: {error}"
        raise ValueError(text) from error
    millis = int((fraction + "00")[:3]) if fraction else 0
    return Instant(since.days * DAY + since.seconds * SECOND + millis)


def from_datetime(moment: datetime) -> Instant:
    """Convert an aware datetime to an instant; a naive one raises ValueError."""
    if moment.tzinfo is None:
        message = f"{moment!r} has no time zone"
        raise ValueError(message)
    return Instant((moment - _EPOCH) // timedelta(milliseconds=1))


def to_datetime(moment: Instant) -> datetime:
    """Give the aware UTC datetime of an instant."""
    return _EPOCH + timedelta(milliseconds=moment)


def iso(moment: Instant) -> str:
    """Write an instant as `2028-02-14T03:12:00Z`; milliseconds only where not zero."""
    days, clock = divmod(moment, DAY)
    seconds, millis = divmod(clock, SECOND)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    text = f"{_day(days)}T{hour:02d}:{minute:02d}:{second:02d}"
    return f"{text}.{millis:03d}Z" if millis else f"{text}Z"


@lru_cache(maxsize=4096)
def _day(days: int) -> str:
    return (_EPOCH + timedelta(days=days)).date().isoformat()


def told(start: Instant, end: Instant | None) -> str:
    """Write bounds as `START to END`, or `to open` where the end is not known yet."""
    return f"{iso(start)} to {'open' if end is None else iso(end)}"


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """A half-open stretch of time `[start, end)`; start is before end."""

    start: Instant
    end: Instant

    def __post_init__(self) -> None:
        """Refuse empty and backward intervals with ValueError."""
        if self.start >= self.end:
            message = f"the interval ends ({iso(self.end)}) before it starts"
            raise ValueError(message)

    @property
    def length(self) -> int:
        """Milliseconds in the interval."""
        return self.end - self.start

    def contains(self, moment: Instant) -> bool:
        """Tell whether the instant lies in `[start, end)`."""
        return self.start <= moment < self.end

    def clip(self, other: Interval) -> Interval | None:
        """Give the part inside `other`, or None where they do not meet."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Interval(start, end) if start < end else None


Intervals = tuple[Interval, ...]
"""A set of instants: sorted, disjoint and merged intervals."""


def by_day(start: Instant, end: Instant) -> tuple[Interval, ...]:
    """Cut a stretch of time at each UTC midnight in it."""
    found = []
    while start < end:
        midnight = Instant(min(start - start % DAY + DAY, end))
        found.append(Interval(start, midnight))
        start = midnight
    return tuple(found)


def union(intervals: Iterable[Interval]) -> Intervals:
    """Merge intervals, in any order and overlapping or touching, into one set."""
    merged: list[Interval] = []
    for piece in sorted(intervals):
        if merged and piece.start <= merged[-1].end:
            if piece.end > merged[-1].end:
                merged[-1] = Interval(merged[-1].start, piece.end)
        else:
            merged.append(piece)
    return tuple(merged)


def intersect(left: Intervals, right: Intervals) -> Intervals:
    """Give the instants that lie in both sets."""
    return tuple(_overlaps(left, right))


def _overlaps(left: Intervals, right: Intervals) -> Iterator[Interval]:
    i = j = 0
    while i < len(left) and j < len(right):
        common = left[i].clip(right[j])
        if common:
            yield common
        if left[i].end <= right[j].end:
            i += 1
        else:
            j += 1


def subtract(left: Intervals, right: Intervals) -> Intervals:
    """Give the instants of `left` that are not in `right`."""
    out: list[Interval] = []
    for piece in left:
        start = piece.start
        for hole in right:
            if hole.end <= start:
                continue
            if hole.start >= piece.end:
                break
            if hole.start > start:
                out.append(Interval(start, hole.start))
            start = hole.end
        if start < piece.end:
            out.append(Interval(start, piece.end))
    return tuple(out)


def total(intervals: Iterable[Interval]) -> int:
    """Add up the milliseconds of disjoint intervals."""
    return sum(piece.length for piece in intervals)
