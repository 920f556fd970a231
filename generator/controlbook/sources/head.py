# SPDX-License-Identifier: Apache-2.0
"""The rules and states that a window starts from, and the rows that it ends with.

Rules enforced here:
- a row's counts and records root are those of its states at the window's end; where
  nothing moved they are the last run's, unread;
- which places the last run collected, and which it could not see to the end, decides
  where states must be read afresh.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING

import orjson

from controlbook.digest import merkle_root
from controlbook.model import RuleInstance

from .book import EMPTY, Book

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from controlbook.model import Missing
    from controlbook.timeline import Instant

    from . import Past, Place
    from .book import Row

Rows = tuple[RuleInstance, ...]


@dataclass(slots=True, kw_only=True)
class Head:
    """The rules and states that the next window starts from, by place."""

    rules: dict[Place, Rows] = field(default_factory=dict)
    book: Book = EMPTY
    """The states, on disk or in the vault; opened for the places that moved."""
    collected: frozenset[Place] = frozenset()
    """What the last run collected."""
    behind: frozenset[Place] = frozenset()
    """Places of which deliveries had not come when the last window was closed."""
    looked: Instant | None = None
    """When the last run asked AWS."""
    end: Instant | None = None
    """Where the last window ended."""
    first: bool = True

    @property
    def all_rules(self) -> Rows:
        """Every rule instance, by key."""
        return all_of(self.rules)


def all_of(rules: Mapping[Place, Rows]) -> Rows:
    """Give the rule instances of all places, by key."""
    rows = (row for rows in rules.values() for row in rows)
    return tuple(sorted(rows, key=attrgetter("key")))


def head_of(past: Past) -> Head:
    """Give what the ledger's last run left."""
    last = past.last
    if last is None:
        return Head()
    tiled = past.tiled[-1]
    head = Head(
        first=False,
        collected=frozenset(tiled.collected),
        looked=tiled.started,
        end=tiled.window.end,
    )
    rules: dict[Place, list[RuleInstance]] = {}
    for row in last.rules:
        rules.setdefault((row.account, row.region), []).append(row)
    head.rules = {key: tuple(rows) for key, rows in rules.items()}
    head.book = Book(past.states)
    return head


def behind_places(missing: Iterable[Missing]) -> frozenset[Place]:
    """Give the places of which deliveries had not come."""
    return frozenset(
        (row.account, row.region) for row in missing if row.reason == "delivery-behind"
    )


def behind_since(past: Past, place: Place) -> Instant | None:
    """Give where the windows begin that deliveries have not reached, up to the last."""
    since = None
    for run in reversed(past.tiled):
        if place not in behind_places(run.missing):
            return since
        since = run.window.start
    return since


@cache
def _shared(counts: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    """Give equal counts as one value: many rules have the same."""
    return counts


def counted(
    rules: Mapping[str, RuleInstance],
    before: Rows,
    moved: Mapping[str, Sequence[Row]],
) -> Rows:
    """Give the rule rows with population, counts and records root at a window's end.

    `moved` are the states at its end of the rule instances in which something moved.
    """
    old = {row.key: row for row in before}
    found = []
    for key, rule in sorted(rules.items()):
        if key in old and key not in moved:
            last = old[key]
            if rule is last:
                found.append(last)
                continue
            row = replace(
                rule,
                population=last.population,
                counts=last.counts,
                records_root=last.records_root,
            )
            # One row for as long as nothing changes: a thousand accounts have many.
            found.append(last if row == last else row)
            continue
        standing = moved.get(key, ())
        counts = Counter(state for _, _, state, _ in standing)
        leaves = sorted(orjson.dumps(row[1:]) for row in standing)
        found.append(
            replace(
                rule,
                population=len(standing),
                counts=_shared(tuple(sorted(counts.items()))),
                records_root=merkle_root(leaves),
            )
        )
    return tuple(found)
