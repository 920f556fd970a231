# SPDX-License-Identifier: Apache-2.0
"""What observations say of a period: where they speak, where they do not, and of what.

Rules enforced here:
- an observation speaks for the UTC day on which it was made and, where a control
  demands one in so many days, for those before it; every other day is a hole with its
  reason;
- it shows one instant: that nothing happened between two of them is never said;
- a verdict holds until the next one that is known.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from .coverage import Hole, merged
from .history import Piece
from .model import (
    ALL,
    GLOBAL,
    OBSERVED,
    ObservedResult,
    PlaceObserved,
    SecurityHubControl,
    Snapshot,
    State,
)
from .reach import near
from .readonly import regionless
from .timeline import DAY, Instant, Interval, intersect, subtract, total, union

if TYPE_CHECKING:
    from .model import Assessment, Observation, Run
    from .timeline import Intervals

FAILED, PASSED = "FAILED", "PASSED"


def observed(
    evidence: Snapshot | SecurityHubControl,
    runs: tuple[Run, ...],
    assessment: Assessment,
    until: Instant | None,
) -> tuple[ObservedResult, tuple[Hole, ...]]:
    """Give what every place of the scope showed, and the days without an answer.

    `until` is where collecting has come to; None: nothing was ever collected.
    """
    places: list[PlaceObserved] = []
    holes: list[Hole] = []
    told: dict[tuple[str, str], list[Observation]] = defaultdict(list)
    for run in runs:
        for row in run.observations if near(run.window, assessment.period) else ():
            if row.evidence == evidence.key:
                told[row.account, row.region].append(row)
    for _, account in assessment.accounts:
        for region in regions_of(evidence, assessment):
            rows = tuple(told.get((account, region), ()))
            due = _due(evidence, rows, assessment.period, until)
            place, lacking = _place(evidence, rows, runs, (account, region), due)
            places.append(place)
            holes += lacking
    return ObservedResult(evidence=evidence, places=tuple(places)), merged(holes)


def regions_of(
    evidence: Snapshot | SecurityHubControl, assessment: Assessment
) -> tuple[str, ...]:
    """Give the Regions in which a piece of evidence is due."""
    if isinstance(evidence, Snapshot) and regionless(evidence.call):
        return (GLOBAL,)
    return assessment.regions


def _due(
    evidence: Snapshot | SecurityHubControl,
    rows: tuple[Observation, ...],
    period: Interval,
    until: Instant | None,
) -> Intervals:
    """Give the time for which evidence is due: while collecting, what is overdue."""
    if until is None or until >= period.end:
        return (period,)
    held = max((row.covers.end for row in rows), default=period.start)
    grace = Instant(until - until % DAY - (evidence.days - 1) * DAY)
    end = min(period.end, max(held, grace))
    return (Interval(period.start, end),) if end > period.start else ()


def _place(
    evidence: Snapshot | SecurityHubControl,
    rows: tuple[Observation, ...],
    runs: tuple[Run, ...],
    place: tuple[str, str],
    due: Intervals,
) -> tuple[PlaceObserved, list[Hole]]:
    days = evidence.days
    held = union(_spoken(row.covers, days) for row in rows if row.state == OBSERVED)
    missing = subtract(due, held)
    asked = union(_spoken(_day_of(run.started), days) for run in runs)
    holes = [
        Hole(
            reason="stream-not-collected",
            account=ALL,
            region=ALL,
            rule=evidence.key,
            interval=piece,
        )
        for piece in subtract(missing, asked)
    ]
    left = intersect(missing, asked)
    for row in sorted(rows, key=lambda row: row.at, reverse=True):
        if row.state != OBSERVED:
            own = (_spoken(row.covers, days),)
            holes += _holes(row.state, place, evidence.key, intersect(left, own))
            left = subtract(left, own)
    holes += _holes("not-asked", place, evidence.key, left)
    speaking = tuple(
        row
        for row in sorted(rows, key=lambda row: row.at)
        if intersect((_spoken(row.covers, days),), due)
    )
    return (
        PlaceObserved(
            account=place[0],
            region=place[1],
            observations=speaking,
            due=total(due),
            held=total(intersect(due, held)),
        ),
        holes,
    )


def _holes(
    reason: str, place: tuple[str, str], key: str, pieces: Intervals
) -> list[Hole]:
    account, region = place
    return [
        Hole(reason=reason, account=account, region=region, rule=key, interval=piece)
        for piece in pieces
    ]


def _spoken(day: Interval, days: int) -> Interval:
    return Interval(Instant(day.start - (days - 1) * DAY), day.end)


def _day_of(moment: Instant) -> Interval:
    start = Instant(moment - moment % DAY)
    return Interval(start, Instant(start + DAY))


def failures(rows: tuple[Observation, ...]) -> tuple[Piece, ...]:
    """Give the stretches in which the verdict was FAILED, each with its precision.

    A start that AWS's history tells is `history`; one that a look found is `look`: it
    began at some time since the look before.
    """
    points: list[tuple[Instant, str, str]] = []
    for row in rows:
        if row.state == OBSERVED:
            points += [(at, result, "history") for at, result in row.moves]
            points.append((row.at, row.result, "look"))
    points.sort()
    found: list[Piece] = []
    start: tuple[Instant, str] | None = None
    for at, result, source in points:
        if result == FAILED and start is None:
            start = (at, source)
        elif result != FAILED and start is not None:
            found.append(_failed(*start, at, result))
            start = None
    if start is not None:
        found.append(_failed(*start, None, ""))
    return tuple(found)


def _failed(start: Instant, precision: str, end: Instant | None, result: str) -> Piece:
    ended = "remediated" if result == PASSED else "evidence-lost"
    return Piece(
        state=State.NON_COMPLIANT,
        start=start,
        end=end,
        ended_by="open" if end is None else ended,
        precision=precision,
    )
