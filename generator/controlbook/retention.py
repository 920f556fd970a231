# SPDX-License-Identifier: Apache-2.0
"""How long evidence has to stay locked, and what nobody may ask for.

Rules enforced here:
- an object is kept as long as the longest of the assessments that it serves asks for;
- no assessment keeps evidence shorter than its framework wants, counted from the
  period's end: collecting would lock it too short, and nobody would notice for years;
- nothing is locked for longer than a person lives: a lock in COMPLIANCE mode cannot be
  taken back, and a slip of the pen in a year would be for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import ControlbookError, Exit
from .timeline import DAY, Instant, from_datetime, iso, to_datetime

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .model import Assessment, Library
    from .timeline import Interval

USUAL = 7 * 365 * DAY
"""Kept after a window's end where an assessment does not say how long."""
LONGEST_YEARS = 50
"""After a period's end, at most; S3 itself refuses more than a hundred."""


def years_after(moment: Instant, years: int) -> Instant:
    """Give the same day and time, years later: 1 March for a 29 February."""
    start = to_datetime(moment)
    year = start.year + min(years, 9000 - start.year)
    try:
        return from_datetime(start.replace(year=year))
    except ValueError:
        return from_datetime(start.replace(year=year, month=3, day=1))


def serves(assessment: Assessment, window: Interval) -> bool:
    """Tell whether an assessment needs a window: its own, or the one that opens it."""
    period = assessment.period
    return bool(period.clip(window)) or period.start == window.end


def least(library: Library, assessment: Assessment) -> Instant:
    """Give until when an assessment's evidence must at least be kept."""
    framework = library.frameworks.get(assessment.framework)
    years = framework.retention_years if framework else 0
    return years_after(assessment.period.end, years)


def retained_until(
    library: Library, assessments: Iterable[Assessment], at_least: Instant
) -> Instant:
    """Give the longest that any of these assessments (all, where none) asks for.

    One that says nothing gets seven years after `at_least`. Raises ControlbookError
    where one asks for less than its framework, or for longer than anybody should.
    """
    wanting = tuple(assessments) or tuple(library.assessments.values())
    usual = Instant(at_least + USUAL)
    found = [at_least] if wanting else [usual]
    for assessment in wanting:
        due, until = least(library, assessment), assessment.retention_until
        if until is None:
            found.append(max(due, usual))
        else:
            _refuse_odd(assessment, due, until)
            found.append(until)
    return max(found)


def _refuse_odd(assessment: Assessment, due: Instant, until: Instant) -> None:
    if until < due:
        end = assessment.period.end
        whose = "the period does" if due == end else f"its framework wants, {iso(due)}"
        message = f"retention ends {iso(until)}, before {whose}"
        advice = "set retention: {until} to the end of the audit or later"
        raise ControlbookError(
            message, place=assessment.path, advice=advice, code=Exit.INTEGRITY
        )
    longest = years_after(assessment.period.end, LONGEST_YEARS)
    if until > longest:
        message = (
            f"retention until {iso(until)} is more than {LONGEST_YEARS} years, and a"
            " lock cannot be shortened"
        )
        advice = "correct the year in retention: {until}"
        raise ControlbookError(message, place=assessment.path, advice=advice)
