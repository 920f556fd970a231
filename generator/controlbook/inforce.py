# SPDX-License-Identifier: Apache-2.0
"""The rules in force at the end of a chain, and what a run changed of them.

Rules enforced here:
- a row is counted when it changes, and hashed when a root is asked for, and not again:
  a thousand accounts have 800,000 of them, of which a day changes some.
"""

from __future__ import annotations

from collections import Counter
from operator import attrgetter
from typing import TYPE_CHECKING

from .digest import leaf_hash, root_of_hashes
from .manifest import RULE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .model import RuleInstance

    RuleChanges = Mapping[str, tuple[RuleInstance | None, RuleInstance | None]]
    """Key → the row before and the row after."""


class RulesInForce:
    """The rule rows at the end of a chain, with their sums and their root."""

    def __init__(self, *, summed: bool = True) -> None:
        """Begin with no rules; where nobody asks for their sums, none are kept."""
        self._summed = summed
        self.counts: Counter[str] = Counter()
        """State → resources, over all rules."""
        self._rules: Sequence[RuleInstance] = ()
        self._rows: dict[str, RuleInstance] = {}
        self._leaves: dict[str, bytes] = {}
        self._places: Counter[tuple[str, str]] = Counter()
        self._root: str | None = None

    def get(self, key: str) -> RuleInstance | None:
        """Find the row of a rule instance."""
        return self._rows.get(key)

    @property
    def root(self) -> str:
        """Give the Merkle root over all rows, by key."""
        if self._root is None:
            self._root = self.root_over(self._rules)
        return self._root

    @property
    def places(self) -> int:
        """Count the account × Regions that have rules."""
        return len(self._places)

    def take(self, rules: Sequence[RuleInstance]) -> RuleChanges:
        """Put other rows in force; give key → (old, new) of each that differs."""
        if rules is self._rules:
            return {}
        own = self._rows
        changes: dict[str, tuple[RuleInstance | None, RuleInstance | None]] = {
            row.key: (own.get(row.key), row)
            for row in rules
            if own.get(row.key) is not row
        }
        if len(own) + sum(old is None for old, _ in changes.values()) > len(rules):
            stay = {row.key for row in rules}
            gone = [row for key, row in own.items() if key not in stay]
            changes |= {row.key: (row, None) for row in gone}
        for key, (old, new) in changes.items():
            if old:
                self._count(old, -1)
                del own[key]
                self._leaves.pop(key, None)
            if new:
                self._count(new, 1)
                own[key] = new
        self._rules = rules
        if changes:
            self._root = None
        return changes

    def root_over(self, rules: Iterable[RuleInstance]) -> str:
        """Give the Merkle root over rows, by key; what is in force has its hash."""
        ordered = sorted(rules, key=attrgetter("key"))
        return root_of_hashes(list(map(self._leaf, ordered)))

    def _leaf(self, row: RuleInstance) -> bytes:
        old = self._rows.get(row.key)
        if old is not row and old != row:
            return leaf_hash(RULE.line(row))
        if row.key not in self._leaves:
            self._leaves[row.key] = leaf_hash(RULE.line(row))
        return self._leaves[row.key]

    def _count(self, row: RuleInstance, sign: int) -> None:
        if not self._summed:
            return
        for state, count in row.counts:
            self.counts[state] += sign * count
        place = (row.account, row.region)
        self._places[place] += sign
        if not self._places[place]:
            del self._places[place]
