# SPDX-License-Identifier: Apache-2.0
"""What the `cloudtrail` runs say of one event query: how often, by whom, or never.

Rules enforced here (ADR 0016):
- a place is observed only in windows whose run asked this query, collected the place
  and misses nothing there, by itself or by a correction whose digests verify; all else
  is an evidence gap with its reason;
- where none is expected, each event is a deviation, one second long: the second that
  CloudTrail gives; events that the manifest only counts are one deviation together;
- where some are expected, a whole period without any, observed without a gap, is one
  deviation; while anything is open or unseen, nothing is concluded;
- a time that no run has reached yet is not a gap.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import coverage
from .history import Piece, deviation_of
from .identity import gap_of
from .model import (
    ALL,
    Deviation,
    Event,
    EventCount,
    EventPlace,
    EventQuery,
    EventResult,
    Gap,
    State,
    heard_in,
    recorded_in,
)
from .reach import near
from .timeline import SECOND, Instant, Interval, iso, subtract, total, union

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .model import Assessment, DigestChain, Run
    from .timeline import Intervals

    Counts = tuple[tuple[Run, EventCount], ...]

STREAM = "cloudtrail"
"""Stands as rule in gaps that every query of a place shares."""

Place = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrences:
    """One query's result, and what follows from it."""

    result: EventResult
    deviations: tuple[Deviation, ...]
    gaps: tuple[Gap, ...]


def occurrences(
    evidence: EventQuery,
    runs: tuple[Run, ...],
    assessment: Assessment,
    until: Instant | None,
) -> Occurrences:
    """Judge one query over a period; `until` is how far any evidence reaches."""
    period = assessment.period
    query = (evidence.source, evidence.event)
    reached = max(
        (r.window.end for r in coverage.windows(runs) if query in r.asked), default=None
    )
    runs = tuple(run for run in runs if near(run.window, period))
    asking = tuple(run for run in coverage.mended(runs) if query in run.asked)
    end = max((at for at in (reached, until) if at is not None), default=None)
    # Before the first run all of the period is without evidence, and said to be.
    end = period.end if reached is None or end is None else min(end, period.end)
    if end <= period.start:
        end = period.end
    span = Interval(period.start, end)
    unasked = subtract((span,), union(run.window for run in asking))
    gaps = [gap_of("stream-not-collected", ALL, ALL, evidence.key, p) for p in unasked]
    accounts = [number for _, number in assessment.accounts]
    places: list[EventPlace] = []
    counts = _counts(evidence, runs, assessment)
    looked = coverage.sighted(asking, ())
    told = _told(asking, counts, span)
    for account in accounts:
        for region in recorded_in(evidence.source, assessment.regions):
            holes = coverage.place_holes(looked, account, region)
            gaps.extend(
                gap_of(hole.reason, account, region, STREAM, piece)
                for hole in holes
                if (piece := hole.interval.clip(span))
            )
            unseen = union([*unasked, *(hole.interval for hole in holes)])
            seen = subtract((span,), unseen)
            places.append(_place((account, region), told, seen))
    result = _result(evidence, tuple(places), counts, span, reached)
    events = tuple(event for event in result.events if period.contains(event.at))
    deviations = _judged(evidence, result, counts, events, period, closed=end)
    return Occurrences(
        result=result,
        deviations=tuple(deviations),
        gaps=tuple({gap.id: gap for gap in gaps}.values()),
    )


def _counts(
    evidence: EventQuery, runs: Iterable[Run], assessment: Assessment
) -> Counts:
    """Give the counts of a query in scope, of every run that lies in the period."""
    accounts = {number for _, number in assessment.accounts}
    regions = heard_in(evidence.source, assessment.regions)
    return tuple(
        (run, row)
        for run in runs
        for row in run.event_counts
        if row.key == evidence.key
        and row.account in accounts
        and row.region in regions
        and row.last >= assessment.period.start
        and row.first < assessment.period.end
    )


def _told(
    runs: Iterable[Run], counts: Counts, span: Interval
) -> Mapping[Place, tuple[list[DigestChain], list[int]]]:
    """Sort chains of digests and counts of events by their account × Region."""
    found: dict[Place, tuple[list[DigestChain], list[int]]] = defaultdict(
        lambda: ([], [])
    )
    for run in runs:
        for chain in run.chains if run.window.clip(span) else ():
            found[chain.account, chain.region][0].append(chain)
    for _, row in counts:
        found[row.account, row.region][1].append(row.count)
    return found


def _place(
    place: Place,
    told: Mapping[Place, tuple[list[DigestChain], list[int]]],
    seen: Intervals,
) -> EventPlace:
    chains, counted = told.get(place, ([], []))
    last = max(chains, key=lambda row: (row.end, row.head), default=None)
    return EventPlace(
        account=place[0],
        region=place[1],
        count=sum(counted),
        observed=total(seen),
        digests=sum(row.digests for row in chains),
        log_files=sum(row.log_files for row in chains),
        head=last.head if last else "",
        head_sha256=last.head_sha256 if last else "",
    )


def _result(
    evidence: EventQuery,
    places: tuple[EventPlace, ...],
    counts: Counts,
    span: Interval,
    reached: Instant | None,
) -> EventResult:
    listed: dict[tuple[str, str], Event] = {}
    counted = {(row.account, row.region) for _, row in counts}
    for run in {run.seq: run for run, _ in counts}.values():
        for event in run.events:
            if event.key == evidence.key and (event.account, event.region) in counted:
                listed.setdefault((event.account, event.id), event)
    return EventResult(
        evidence=evidence,
        span=span if reached is not None else None,
        places=places,
        count=sum(row.count for _, row in counts),
        first=min((row.first for _, row in counts), default=None),
        last=max((row.last for _, row in counts), default=None),
        events=tuple(sorted(listed.values())),
        whole=reached is not None
        and all(place.observed == span.length for place in places),
    )


def _judged(
    evidence: EventQuery,
    result: EventResult,
    counts: Counts,
    events: tuple[Event, ...],
    period: Interval,
    *,
    closed: Instant,
) -> list[Deviation]:
    if evidence.expect == "none":
        return [
            *(_unexpected(evidence, event) for event in events),
            *_further(evidence, counts),
        ]
    never = evidence.expect == "some" and not result.count and result.whole
    if never and closed == period.end and result.span == period:
        return [_deviation(evidence, (ALL, ALL), "AWS::CloudTrail::Event/none", period)]
    return []


def _unexpected(evidence: EventQuery, event: Event) -> Deviation:
    return _deviation(
        evidence,
        (event.account, event.region),
        f"AWS::CloudTrail::Event/{event.id}",
        Interval(event.at, Instant(event.at + SECOND)),
    )


def _further(evidence: EventQuery, counts: Counts) -> Iterable[Deviation]:
    """Give the events that a manifest counts and does not list, as one deviation."""
    listed: dict[tuple[int, str, str], int] = defaultdict(int)
    for run in {run.seq: run for run, _ in counts}.values():
        for event in run.events:
            if event.key == evidence.key:
                listed[run.seq, event.account, event.region] += 1
    for run, row in counts:
        more = row.count - listed[run.seq, row.account, row.region]
        if more:
            yield _deviation(
                evidence,
                (row.account, row.region),
                f"AWS::CloudTrail::Event/{more} more of {row.count}, {iso(row.first)}",
                Interval(row.first, Instant(row.last + SECOND)),
            )


def _deviation(
    evidence: EventQuery, place: Place, resource: str, interval: Interval
) -> Deviation:
    never = resource.endswith("/none")
    piece = Piece(
        state=State.NON_COMPLIANT,
        start=interval.start,
        end=interval.end,
        ended_by="not-met" if never else "event",
        precision="period" if never else "event",
    )
    return deviation_of(
        piece, interval, place=place, resource=resource, rule=evidence.key
    )
