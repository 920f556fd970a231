# SPDX-License-Identifier: Apache-2.0
"""What runs recorded of rules: counted, and as leaves of evidence roots.

Rules enforced here:
- there is one leaf per run × rule instance in scope: its root of records, and the
  digest of its transitions where there were any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .digest import canonical, digest_of, leaf_hash
from .later import at_hand
from .timeline import iso

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from .digest import Json
    from .model import (
        Assessment,
        ConfigRule,
        Ledger,
        Recorded,
        RuleInstance,
        Run,
        RunRows,
        Transition,
    )


def record(
    recorded: Recorded,
    ledger: Ledger,
    assessment: Assessment,
    demands: Iterable[ConfigRule],
) -> None:
    """Count the rows of a ledger, and add the leaves of demanded rules in scope.

    Leaves are those of the runs whose window meets the period or ends at its start.
    """
    recorded.parts += 1
    demanded = tuple(demands)
    named = {each.identifier for each in demanded}
    accounts = {number for _, number in assessment.accounts}
    period = assessment.period
    known: dict[str, RuleInstance] = {}
    rules: dict[str, RuleInstance] = {}
    for run in ledger.config:
        if not at_hand(run.rules):
            continue
        rules = {row.key: row for row in run.rules}
        _count(recorded.rows[run.seq], run, rules, known, named)
        known |= rules
        if run.window.end < period.start or run.window.start >= period.end:
            continue
        rows = [
            row
            for row in run.rules
            if row.identifier in named
            and row.account in accounts
            and row.region in assessment.regions
            and any(each.met_by(row.identifier, row.parameters) for each in demanded)
        ]
        moves: dict[str, list[Transition]] = {row.key: [] for row in rows}
        for move in run.transitions if moves else ():
            if move.instance in moves:
                moves[move.instance].append(move)
        for row in rows:
            leaf = canonical([run.stream, run.seq, *_leaf(row, moves[row.key])])
            kind = (row.identifier, row.parameters)
            recorded.add(run.seq, kind, row.key, leaf_hash(leaf))
    recorded.last |= {key: row for key, row in rules.items() if row.identifier in named}


def _count(
    found: RunRows,
    run: Run,
    rules: Mapping[str, RuleInstance],
    known: Mapping[str, RuleInstance],
    named: Collection[str],
) -> None:
    """Count a run's rows; `known` are the rules of the runs before it."""
    found.rules += len(rules)
    found.unsummed += [
        row.rule
        for key, row in rules.items()
        # An inherited row is the very row that an earlier run was counted with.
        if known.get(key) is not row
        and sum(number for _, number in row.counts) != row.population
    ]
    if not at_hand(run.transitions):
        return
    found.transitions = (found.transitions or 0) + len(run.transitions)
    for move in run.transitions:
        row = rules.get(move.instance) or known.get(move.instance)
        if row and row.identifier in named:
            found.moved.add(row.identifier)
            found.moves[row.identifier] += move.instance in rules


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
