# SPDX-License-Identifier: Apache-2.0
"""Resources of global services, which AWS Config may record in several Regions.

Rules enforced here:
- one resource of one account under one rule counts once, in the Region where its
  partition keeps global services, or else in the first that recorded it;
- it deviates while any Region says so: no Region's COMPLIANT hides another's
  NON_COMPLIANT, and where they disagree, that is said;
- deviations that overlap are one, known by the Region that spoke first, so that its id
  stays when another Region speaks later.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .history import OBSERVED
from .model import Share, State, home_region
from .timeline import intersect, iso, subtract, total, union

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from .history import Pieces
    from .model import Deviation, RuleInstance
    from .timeline import Interval, Intervals

GLOBAL_TYPES = (
    "AWS::IAM::",
    "AWS::CloudFront::",
    "AWS::Route53::",
    "AWS::GlobalAccelerator::",
)
"""What the types of global services begin with: one name means one resource."""


@dataclass(frozen=True, slots=True)
class Placed:
    """One rule instance, and the time in which its verdicts count as observed."""

    row: RuleInstance
    seen: Intervals


@dataclass(frozen=True, slots=True)
class Repeats:
    """Which resources several Regions recorded, and where each counts."""

    elsewhere: Mapping[str, frozenset[str]]
    """instance key → its resources that count under another Region's instance."""
    others: Mapping[tuple[str, str], tuple[Placed, ...]]
    """(instance key, resource) counted here → the instances that repeat it."""


def repeats(
    placed: Sequence[Placed],
    resources: Mapping[str, Collection[str]],
    regions: Collection[str],
) -> Repeats:
    """Find the resources of global services that several Regions recorded.

    `resources` gives, by instance key, what was in the population at some time.
    """
    home = home_region(regions)
    same: dict[tuple[object, ...], list[Placed]] = defaultdict(list)
    for one in placed:
        row = one.row
        same[row.account, row.identifier, row.parameters].append(one)
    elsewhere: dict[str, set[str]] = defaultdict(set)
    others: dict[tuple[str, str], tuple[Placed, ...]] = {}
    for group in same.values():
        if len(group) == 1:
            continue
        group.sort(key=lambda one: (one.row.region != home, one.row.region))
        holders: dict[str, list[Placed]] = defaultdict(list)
        for one in group:
            for resource in resources.get(one.row.key, ()):
                if resource.startswith(GLOBAL_TYPES):
                    holders[resource].append(one)
        for resource, (first, *rest) in holders.items():
            if rest:
                others[first.row.key, resource] = tuple(rest)
            for one in rest:
                elsewhere[one.row.key].add(resource)
    return Repeats(
        elsewhere={key: frozenset(names) for key, names in elsewhere.items()},
        others=others,
    )


def share(recorded: Iterable[tuple[Pieces, Intervals]], span: Interval) -> Share:
    """Count the time of one resource once, whatever number of Regions recorded it."""
    rows = [
        (piece.state, part, seen)
        for pieces, seen in recorded
        for piece in pieces
        if (part := piece.within(span))
    ]

    def time_in(*states: State) -> Intervals:
        return union(
            cut
            for state, part, seen in rows
            if state in states
            for cut in intersect((part,), seen)
        )

    deviating = time_in(State.NON_COMPLIANT)
    judged = union([*deviating, *time_in(State.COMPLIANT)])
    return Share(
        present=total(union(part for _, part, _ in rows)),
        observed=total(time_in(*OBSERVED)),
        deviating=total(deviating),
        exempt=total(subtract(time_in(State.NOT_APPLICABLE), judged)),
    )


def joined(found: Iterable[Deviation]) -> list[Deviation]:
    """Join the overlapping deviations of one resource: the first to start names it."""
    kept: list[Deviation] = []
    for item in sorted(found, key=lambda item: (item.start, item.region)):
        last = kept[-1] if kept else None
        if last is None or (last.end is not None and item.start >= last.end):
            kept.append(item)
            continue
        until = max(last.within.end, item.within.end)
        within = replace(last.within, end=until)
        start = min(last.within.start, item.within.start)
        longer = last.end is not None and (item.end is None or item.end > last.end)
        kept[-1] = replace(
            last,
            end=item.end if longer else last.end,
            ended_by=item.ended_by if longer else last.ended_by,
            within=replace(within, start=start),
        )
    return kept


def disagreement(
    resource: str,
    recorded: Sequence[tuple[Placed, Pieces]],
    span: Interval,
) -> str:
    """Say when Regions gave one resource different verdicts; nothing if never."""
    bad: dict[str, Intervals] = {}
    good: dict[str, Intervals] = {}
    for one, pieces in recorded:
        for verdicts, deviating in ((bad, True), (good, False)):
            parts = union(
                part
                for piece in pieces
                if piece.state in OBSERVED
                and (piece.state is State.NON_COMPLIANT) == deviating
                and (part := piece.within(span))
            )
            verdicts[one.row.region] = intersect(parts, one.seen)
    both = intersect(
        union(part for parts in bad.values() for part in parts),
        union(part for parts in good.values() for part in parts),
    )
    if not both:
        return ""
    failing = " and ".join(sorted(r for r, own in bad.items() if intersect(own, both)))
    passing = " and ".join(sorted(r for r, own in good.items() if intersect(own, both)))
    more = f" and {len(both) - 1} more times" if len(both) > 1 else ""
    return (
        f"{recorded[0][0].row.account} {resource}: {failing} said NON_COMPLIANT and"
        f" {passing} did not, from {iso(both[0].start)} to {iso(both[0].end)}{more}"
    )
