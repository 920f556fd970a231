# SPDX-License-Identifier: Apache-2.0
"""What is kept of the rows of rules and transitions, when they are gone again.

Rules enforced here:
- rows come account by account; of each run there is what reports count of them;
- there is a leaf for what each run recorded of each demanded rule, of which the hash
  is kept: evidence roots are made of these, in the order of runs and keys.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from .controls import ConfigRule
    from .record import RuleInstance

    Kind = tuple[str, tuple[tuple[str, str], ...]]
    """(identifier, parameters) of a rule, wherever it is deployed."""

_HASH = 32
"""Bytes of a leaf's hash."""


@dataclass(slots=True)
class _Leaves:
    """The leaves of one run: keys, kinds and hashes side by side."""

    keys: list[str] = field(default_factory=list)
    kinds: list[Kind] = field(default_factory=list)
    hashes: bytearray = field(default_factory=bytearray)

    def of(self, kinds: Collection[Kind]) -> Iterator[tuple[str, bytes]]:
        """Give key and hash of the leaves of some kinds of rule."""
        for number, (key, kind) in enumerate(zip(self.keys, self.kinds, strict=True)):
            if kind in kinds:
                yield key, bytes(self.hashes[number * _HASH : (number + 1) * _HASH])


@dataclass(slots=True)
class RunRows:
    """What reports count of the rules and transitions of one run."""

    rules: int = 0
    """Rule instances in force at its end."""
    unsummed: list[str] = field(default_factory=list)
    """Rules whose counts by state are not their population."""
    transitions: int | None = None
    """None where they were not read."""
    moves: Counter[str] = field(default_factory=Counter)
    """Of demanded rules in force at its end: identifier → transitions."""
    moved: set[str] = field(default_factory=set)
    """Identifiers of demanded rules with a transition."""


class Recorded:
    """What runs recorded, by seq: leaves of evidence roots, and what is counted."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._runs: dict[int, _Leaves] = defaultdict(_Leaves)
        self._kinds: dict[Kind, Kind] = {}
        self.parts = 0
        """Of how many parts of a ledger; the rows of one are in order already."""
        self.rows: dict[int, RunRows] = defaultdict(RunRows)
        """seq → the counts of a run; of one whose rows were not read there is none."""
        self.last: dict[str, RuleInstance] = {}
        """key → a demanded rule as the last run left it."""

    def add(self, seq: int, kind: Kind, key: str, leaf: bytes) -> None:
        """Take the hash of a leaf in: what a run recorded of a rule instance."""
        leaves = self._runs[seq]
        leaves.keys.append(key)
        leaves.kinds.append(self._kinds.setdefault(kind, kind))
        leaves.hashes += leaf

    def hashes(self, demands: Iterable[ConfigRule]) -> Iterator[bytes]:
        """Give the hashes of the leaves that some demands concern, in order."""
        wanted = list(demands)
        kinds = {k for k in self._kinds if any(each.met_by(*k) for each in wanted)}
        for _, leaves in sorted(self._runs.items(), key=itemgetter(0)):
            found = leaves.of(kinds)
            yield from (
                leaf for _, leaf in (sorted(found) if self.parts > 1 else found)
            )
