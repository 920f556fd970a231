# SPDX-License-Identifier: Apache-2.0
"""What runs recorded of the rules that controls demand, as leaves of evidence roots.

Rules enforced here:
- there is one leaf per run × rule instance in scope: its root of records, and the
  digest of its transitions where there were any.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from .digest import canonical, digest_of, leaf_hash
from .timeline import iso

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .digest import Json
    from .model import (
        Assessment,
        ConfigRule,
        Ledger,
        Recorded,
        RuleInstance,
        Transition,
    )


def record(
    recorded: Recorded,
    ledger: Ledger,
    assessment: Assessment,
    demands: Iterable[ConfigRule],
) -> None:
    """Add the leaves of demanded rules in an assessment's accounts and Regions.

    Runs count whose window meets the period or ends at its start.
    """
    named: dict[str, list[ConfigRule]] = defaultdict(list)
    for each in demands:
        named[each.identifier].append(each)
    accounts = {number for _, number in assessment.accounts}
    period = assessment.period
    for run in ledger.config if named else ():
        if run.window.end < period.start or run.window.start >= period.end:
            continue
        rows = [
            row
            for row in run.rules
            if row.identifier in named
            and row.account in accounts
            and row.region in assessment.regions
            and any(
                e.met_by(e.identifier, row.parameters) for e in named[row.identifier]
            )
        ]
        moves: dict[str, list[Transition]] = {row.key: [] for row in rows}
        for move in run.transitions:
            if move.instance in moves:
                moves[move.instance].append(move)
        for row in rows:
            leaf = canonical([run.stream, run.seq, *_leaf(row, moves[row.key])])
            kind = (row.identifier, row.parameters)
            recorded.add(run.seq, kind, row.key, leaf_hash(leaf))


def _leaf(row: RuleInstance, moves: list[Transition]) -> list[Json]:
    leaf: list[Json] = [row.key, row.account, row.region, row.records_root]
    if moves:
        leaf.append(
            digest_of(
                [
                    [m.resource, iso(m.at), m.before, m.after, m.precision, m.cause]
                    for m in sorted(moves)
                ]
            )
        )
    return leaf
