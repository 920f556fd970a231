# SPDX-License-Identifier: Apache-2.0
"""What the `config` stream says of a demanded rule, instance by instance.

Rules enforced here:
- every expected rule × account × Region either has evidence or an evidence gap with
  one reason;
- a deviation is one interval of one resource under one rule, with its true start;
- a gap is one interval of one cause, however many resources it touches;
- deviations under rules that no control names are listed, not lost.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, TypeVar

from . import coverage, history
from .identity import gap_of
from .model import ALL, InstanceResult, RuleResult, Share, State
from .timeline import Interval, intersect, subtract, union

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .history import Pieces
    from .model import Assessment, ConfigRule, Deviation, Gap, RuleInstance
    from .sight import Sight
    from .timeline import Instant, Intervals

    Item = TypeVar("Item", Deviation, Gap)


def in_order(found: Iterable[Item]) -> tuple[Item, ...]:
    """Give deviations or gaps by start and id, each once."""
    items = {item.id: item for item in found}.values()
    return tuple(sorted(items, key=lambda item: (item.within.start, item.id)))


def demanded(
    assessment: Assessment, sight: Sight | None, evidence: ConfigRule
) -> tuple[RuleResult, list[Deviation], list[Gap]]:
    """Judge one demanded rule in every account and Region of an assessment."""
    if sight is None:
        gap = gap_of("no-run", ALL, ALL, ALL, assessment.period)
        return RuleResult(evidence=evidence, instances=(), share=Share()), [], [gap]
    results: list[InstanceResult] = []
    deviations: list[Deviation] = []
    gaps = _hole_gaps(sight, sight.no_runs, evidence, ())
    accounts = [number for _, number in assessment.accounts]
    for account, region in product(accounts, assessment.regions):
        own, found, missing = _place(sight, evidence, account, region)
        results.extend(own)
        deviations.extend(found)
        gaps.extend(missing)
    share = sum((result.share for result in results), Share())
    result = RuleResult(evidence=evidence, instances=tuple(results), share=share)
    return result, deviations, gaps


def _place(
    sight: Sight, evidence: ConfigRule, account: str, region: str
) -> tuple[list[InstanceResult], list[Deviation], list[Gap]]:
    deployed = sight.deployment(evidence, account, region)
    holes = (*sight.place_holes(account, region), *deployed.holes)
    touched = {
        resource
        for key in deployed.instances
        for resource in sight.by_instance.get(key, ())
    }
    results: list[InstanceResult] = []
    deviations: list[Deviation] = []
    gaps = _hole_gaps(sight, holes, evidence, tuple(sorted(touched)))
    for key, row in sorted(deployed.instances.items()):
        seen = subtract(
            intersect(sight.windows, deployed.in_force[key]),
            union(hole.interval for hole in (*holes, *sight.no_runs)),
        )
        result, found, unseen = _instance(sight, row, seen)
        results.append(result)
        deviations.extend(found)
        gaps.extend(unseen)
    return results, deviations, gaps


def _hole_gaps(
    sight: Sight,
    holes: Iterable[coverage.Hole],
    evidence: ConfigRule,
    resources: tuple[str, ...],
) -> list[Gap]:
    return [
        _hole_gap(hole, evidence, sight, resources)
        for hole in holes
        if hole.interval.clip(sight.period)
    ]


def _hole_gap(
    hole: coverage.Hole,
    evidence: ConfigRule,
    sight: Sight,
    resources: tuple[str, ...],
) -> Gap:
    everywhere = hole.rule == ALL
    gap = gap_of(
        hole.reason,
        hole.account,
        hole.region,
        ALL if everywhere else (evidence.canonical_name or evidence.name),
        hole.interval,
        identifier=hole.rule,
    )
    still = hole.interval.end >= sight.horizon.end < sight.period.end
    return replace(
        gap,
        end=None if still else gap.end,
        within=hole.interval.clip(sight.period) or hole.interval,
        resources=() if everywhere else resources,
    )


def _instance(
    sight: Sight, row: RuleInstance, seen: Intervals
) -> tuple[InstanceResult, list[Deviation], list[Gap]]:
    span = sight.span
    pieces, shares = {}, {}
    for resource in sight.by_instance.get(row.key, ()):
        own = sight.pieces[row.key, resource]
        share = history.share_of(own, seen, span)
        if share.present:
            pieces[resource], shares[resource] = own, share
    deviations = [
        deviation
        for resource, own in pieces.items()
        for deviation in _deviations(sight, row, resource, own, seen)
    ]
    gaps = _unseen_gaps(sight, row, pieces)
    counted_in, repeated = sight.repeated.get(row.key, ("", ()))
    result = InstanceResult(
        rule=row.rule,
        deployed_as=row.deployed_as,
        identifier=row.identifier,
        parameters=row.parameters,
        account=row.account,
        region=row.region,
        trigger=row.trigger,
        frequency=row.frequency,
        matched=row.matched,
        at_start=sum(history.present_at(own, span.start) for own in pieces.values()),
        at_end=sum(piece.end is None for own in pieces.values() for piece in own),
        resources=tuple(sorted(pieces)),
        throughout=sum(
            share.present == share.observed - share.deviating - share.exempt
            for share in shares.values()
        ),
        share=sum(shares.values(), Share()),
        deviations=tuple(item.id for item in in_order(deviations)),
        gaps=tuple(item.id for item in in_order(gaps)),
        counted_in=counted_in,
        repeated=repeated,
    )
    return result, deviations, gaps


def _deviations(
    sight: Sight, row: RuleInstance, resource: str, pieces: Pieces, seen: Intervals
) -> list[Deviation]:
    periodic = row.trigger == "periodic"
    precision = f"periodic:{row.frequency}" if periodic else "change"
    return [
        history.deviation_of(
            replace(part, precision=precision),
            within,
            place=(row.account, row.region),
            resource=resource,
            rule=row.rule,
            identifier=row.identifier,
            parameters=row.parameters,
        )
        for piece in pieces
        if piece.state is State.NON_COMPLIANT
        for part in history.observed_parts(piece, seen, sight.horizon)
        if (inside := part.within(sight.horizon))
        if (within := inside.clip(sight.span))
    ]


def _unseen_gaps(
    sight: Sight, row: RuleInstance, pieces: Mapping[str, Pieces]
) -> list[Gap]:
    """Give a gap per stretch in which the rule gave no verdict, for all it touches."""
    unseen: dict[tuple[str, Instant], list[tuple[str, Instant | None]]] = {}
    for resource, own in pieces.items():
        for piece in own:
            reason = history.UNSEEN.get(piece.state)
            if reason and piece.within(sight.span):
                touched = unseen.setdefault((reason, piece.start), [])
                touched.append((resource, piece.end))
    return [
        _unseen_gap(sight, row, reason, start, touched)
        for (reason, start), touched in sorted(unseen.items())
    ]


def _unseen_gap(
    sight: Sight,
    row: RuleInstance,
    reason: str,
    start: Instant,
    touched: list[tuple[str, Instant | None]],
) -> Gap:
    ends = [end for _, end in touched if end is not None]
    last = max(ends) if len(ends) == len(touched) else None
    whole = Interval(start, sight.horizon.end if last is None else last)
    return replace(
        gap_of(
            reason, row.account, row.region, row.rule, whole, identifier=row.identifier
        ),
        end=last,
        within=whole.clip(sight.period) or whole,
        resources=tuple(sorted(resource for resource, _ in touched)),
    )


def unmapped(
    assessment: Assessment, sight: Sight | None, mapped: set[str]
) -> tuple[Deviation, ...]:
    """Give the deviations in scope under rules that no control names."""
    if sight is None:
        return ()
    accounts = {number for _, number in assessment.accounts}
    found: list[Deviation] = []
    for key, row in sight.rows.items():
        if row.account not in accounts or row.region not in assessment.regions:
            continue
        deviating = [
            (resource, pieces)
            for resource in sight.by_instance.get(key, ())
            if (pieces := sight.pieces[key, resource])
            and any(piece.state is State.NON_COMPLIANT for piece in pieces)
        ]
        if not deviating:
            continue
        seen = sight.covered(row.account, row.region)
        for resource, pieces in deviating:
            found.extend(_deviations(sight, row, resource, pieces, seen))
    return in_order(item for item in found if item.id not in mapped)
