# SPDX-License-Identifier: Apache-2.0
"""What a run says of rules and states, held against what the runs before it left.

Rules enforced here:
- a rule's counts are its population, all rules' counts are the run's, and `rules_root`
  binds the rows in force;
- the counts before, moved by the transitions, are the counts after; a root of records
  moves only with a transition;
- a transition leaves the state that the one before it left, inside the run's window.

Of a part of the accounts no sum over all is checked (ADR 0026), all else is.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from .digest import digest_of
from .inforce import RulesInForce
from .later import at_hand
from .model import State, Transition
from .timeline import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .inforce import RuleChanges
    from .model import RuleInstance, Run
    from .reach import Depth

in_order = attrgetter(*Transition.__slots__)
"""Puts transitions in the order of a manifest: that of their fields."""


def rule_key(
    identifier: str,
    parameters: Iterable[tuple[str, str]],
    account: str,
    region: str,
) -> str:
    """Give the key of a rule instance: 16 hex digits over what it checks, and where."""
    pairs = [list(pair) for pair in sorted(parameters)]
    return digest_of([identifier, pairs, account, region])[:16]


class Movement:
    """The rules and the last known states at the end of a chain, run after run."""

    def __init__(self, *, summed: bool = True) -> None:
        """Begin with nothing; sums over all accounts are for who reads all at once."""
        self._rules = RulesInForce(summed=summed)
        self._states: dict[tuple[str, str], State] = {}

    def rules_root(self, rules: Iterable[RuleInstance]) -> str:
        """Give the root over rules that are to follow, without reading all again."""
        return self._rules.root_over(rules)

    def begin(self, run: Run, depth: Depth) -> Iterator[str]:
        """Take the rules that a run left, and say which sums of its do not agree."""
        self._rules.take(run.rules)
        yield from self._sum_problems(run, depth)

    def take(self, run: Run, depth: Depth, *, inherits: bool) -> Iterator[str]:
        """Take the next run in, and say what does not follow from those before.

        `inherits` tells whether the rules before it were read.
        """
        changes = self._rules.take(run.rules)
        # An inherited row is the very row that an earlier manifest was checked with.
        for old, new in changes.values():
            if new:
                yield from _row_problems(old, new)
        yield from self._sum_problems(run, depth)
        if at_hand(run.transitions):
            yield from self._transition_problems(run, changes, inherits=inherits)

    def _sum_problems(self, run: Run, depth: Depth) -> Iterator[str]:
        if depth.accounts is not None:
            return
        rules = self._rules
        if dict(run.counts) != {s: count for s, count in rules.counts.items() if count}:
            yield "sums: counts differ from the sum over the rules"
        if run.rules_root != rules.root:
            yield (
                f"rules_root is {run.rules_root[:16]}…, the rules give"
                f" {rules.root[:16]}…"
            )
        states = [stored for stored in run.objects if stored.role == "state"]
        places = rules.places
        if places and [stored.records for stored in states] != [places]:
            yield "sums: one state pack with one record per account × Region is due"

    def _transition_problems(
        self, run: Run, changes: RuleChanges, *, inherits: bool
    ) -> Iterator[str]:
        if not _sorted(run.transitions):
            yield "transitions are not in order"
        moved: dict[str, dict[str, int]] = {}
        for change in run.transitions:
            old, new = changes.get(change.instance, (None, None))
            row = new or old or self._rules.get(change.instance)
            for problem in self._change_problems(change, run, row):
                at = f"under {change.rule} at {iso(change.at)}"
                yield f"transition of {change.resource} {at}: {problem}"
            delta = moved.setdefault(change.instance, {})
            delta[change.before] = delta.get(change.before, 0) - 1
            delta[change.after] = delta.get(change.after, 0) + 1
        if inherits:
            yield from self._movement_problems(changes, moved)

    def _change_problems(
        self, change: Transition, run: Run, row: RuleInstance | None
    ) -> Iterator[str]:
        if row is None:
            yield f"rule instance {change.instance} is not in force"
        elif (row.rule, row.account, row.region) != (
            change.rule,
            change.account,
            change.region,
        ):
            yield f"rule or place differ from instance {change.instance}"
        if not run.window.contains(change.at):
            yield "lies outside the run's window"
        if change.before is change.after:
            yield "changes nothing"
        key = (change.instance, change.resource)
        last = self._states.get(key, change.before)
        if last is not change.before:
            yield f"leaves {change.before}, but the state before is {last}"
        self._states[key] = change.after

    def _movement_problems(
        self, changes: RuleChanges, moved: Mapping[str, Mapping[str, int]]
    ) -> Iterator[str]:
        for key in sorted({*changes, *moved}):
            same = self._rules.get(key)
            old, new = changes.get(key, (same, same))
            due = dict(old.counts) if old else {}
            for state, number in moved.get(key, {}).items():
                due[state] = due.get(state, 0) + number
            due.pop(State.ABSENT, None)
            if not all(due.values()):
                due = {state: number for state, number in due.items() if number}
            if due != (dict(new.counts) if new else {}):
                name = _named(new or old, key)
                yield f"sums: {name}: the transitions do not lead to its counts"
            elif (
                old
                and new
                and key not in moved
                and old.records_root != new.records_root
            ):
                name = _named(new, key)
                yield f"records_root of {name} changed without a transition"


def _named(row: RuleInstance | None, key: str) -> str:
    return f"rule {row.rule} in {row.account} {row.region}" if row else key


def _sorted(moves: Sequence[Transition]) -> bool:
    keys = list(map(in_order, moves))
    return keys == sorted(keys)


def _row_problems(old: RuleInstance | None, row: RuleInstance) -> Iterator[str]:
    counted = sum([count for _, count in row.counts])
    if counted != row.population:
        yield (
            f"sums: rule {row.rule} in {row.account} {row.region} counts"
            f" {counted} resources of {row.population}"
        )
    same = old and (old.identifier, old.parameters, old.account, old.region)
    checked = (row.identifier, row.parameters, row.account, row.region)
    if same != checked and row.key != rule_key(*checked):
        yield f"rules: key {row.key} is not that of {row.rule} in {row.account}"
