# SPDX-License-Identifier: Apache-2.0
"""Resources without a Region that AWS Config records in several: counted once.

Rules enforced here (ADR 0021):
- IAM's users, groups, roles and policies belong to an account, not to a Region; a
  recorder that includes them repeats them in its Region, under the rules there;
- one record counts: that of us-east-1 where it is in scope and has the resource, else
  that of the first Region in the alphabet that has it;
- a repeat is left out only where it says nothing that the counted record does not say:
  each stretch that it shows as present, NON_COMPLIANT or unseen has to meet one of the
  counted record and lie within it, give or take how exactly both can tell; else it
  counts on its own.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from .model import State
from .timeline import DAY, HOUR, Instant, Interval, intersect, subtract, union

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .history import Pieces
    from .model import RuleInstance
    from .timeline import Intervals

HOME = "us-east-1"
GLOBAL_TYPES = frozenset(
    f"AWS::IAM::{kind}" for kind in ("User", "Group", "Role", "Policy")
)
"""The types that a recorder includes on demand in any Region (AWS Config Developer
Guide, "Recording global resources")."""

_SAID = (
    frozenset(State) - {State.ABSENT},
    frozenset({State.NON_COMPLIANT}),
    frozenset({State.INSUFFICIENT_DATA, State.UNKNOWN}),
)
"""What a record may say that has to be said by the counted one, too."""


def repeats(
    pieces: Mapping[tuple[str, str], Pieces],
    rows: Mapping[str, RuleInstance],
    regions: Collection[str],
    span: Interval,
) -> dict[tuple[str, str], str]:
    """Find the records to leave out: (instance key, resource) → the Region that counts.

    `rows` are the rule instances by key; only `regions`, an assessment's, are compared,
    over `span`.
    """
    groups: dict[tuple[object, ...], list[tuple[str, str]]] = defaultdict(list)
    for key, resource in pieces:
        row = rows.get(key)
        kind = resource.partition("/")[0]
        if row and row.region in regions and kind in GLOBAL_TYPES:
            rule = (row.identifier, row.parameters, row.account, resource)
            groups[rule].append((key, resource))
    found: dict[tuple[str, str], str] = {}
    for records in groups.values():
        counted, *others = sorted(
            records, key=lambda it: (rows[it[0]].region != HOME, rows[it[0]].region)
        )
        for record in others:
            slack = DAY if rows[record[0]].trigger == "periodic" else HOUR
            if _says_no_more(pieces[record], pieces[counted], slack, span):
                found[record] = rows[counted[0]].region
    return found


def _says_no_more(own: Pieces, counted: Pieces, slack: int, span: Interval) -> bool:
    for states in _SAID:
        said, held = _time(own, states, span), _time(counted, states, span)
        # Near is not the same: each stretch has to meet one of the counted record.
        if not all(intersect((stretch,), held) for stretch in said):
            return False
        if subtract(said, _wider(held, slack)):
            return False
    return True


def _time(pieces: Pieces, states: frozenset[State], span: Interval) -> Intervals:
    return union(
        part
        for piece in pieces
        if piece.state in states and (part := piece.within(span))
    )


def _wider(intervals: Intervals, slack: int) -> Intervals:
    return union(
        Interval(Instant(max(i.start - slack, 0)), Instant(i.end + slack))
        for i in intervals
    )
