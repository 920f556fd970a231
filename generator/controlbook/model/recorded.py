# SPDX-License-Identifier: Apache-2.0
"""The leaves of evidence roots: what each run recorded of each demanded rule.

Rules enforced here:
- leaves come account by account, and are given in the order of runs and keys;
- of a leaf its hash is kept: the rows behind it are gone by then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .controls import ConfigRule

    Kind = tuple[str, tuple[tuple[str, str], ...]]
    """(identifier, parameters) of a rule, wherever it is deployed."""

_HASH = 32
"""Bytes of a leaf's hash."""


@dataclass(slots=True)
class _Leaves:
    """The leaves of one kind of rule in one run: keys, and hashes side by side."""

    keys: list[str] = field(default_factory=list)
    hashes: bytearray = field(default_factory=bytearray)

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        for number, key in enumerate(self.keys):
            yield key, bytes(self.hashes[number * _HASH : (number + 1) * _HASH])


class Recorded:
    """The leaves of evidence roots, by run and kind of rule."""

    def __init__(self) -> None:
        """Begin with none."""
        self._runs: dict[int, dict[Kind, _Leaves]] = {}

    def add(self, seq: int, kind: Kind, key: str, leaf: bytes) -> None:
        """Take the hash of a leaf in: what a run recorded of a rule instance."""
        leaves = self._runs.setdefault(seq, {}).setdefault(kind, _Leaves())
        leaves.keys.append(key)
        leaves.hashes += leaf

    def hashes(self, demands: Iterable[ConfigRule]) -> Iterator[bytes]:
        """Give the hashes of the leaves that some demands concern, in order."""
        wanted = list(demands)
        for _, kinds in sorted(self._runs.items()):
            found = [
                leaf
                for (identifier, parameters), leaves in kinds.items()
                if any(each.met_by(identifier, parameters) for each in wanted)
                for leaf in leaves
            ]
            yield from (own for _, own in sorted(found))
