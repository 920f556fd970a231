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
from typing import TYPE_CHECKING

from controlbook.digest import merkle_root
from controlbook.ledger import records_root_lines
from controlbook.model import RuleInstance, Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controlbook.model import Missing, Run, Transition
    from controlbook.timeline import Instant

    from . import Past, Place

Rows = tuple[RuleInstance, ...]
States = tuple[Standing, ...]


@dataclass(slots=True, kw_only=True)
class Head:
    """The rules and states that the next window starts from, by place."""

    rules: dict[Place, Rows] = field(default_factory=dict)
    states: dict[Place, States] = field(default_factory=dict)
    collected: frozenset[Place] = frozenset()
    """What the last run collected."""
    behind: frozenset[Place] = frozenset()
    """Places of which deliveries had not come when the last window was closed."""
    end: Instant | None = None
    """Where the last window ended."""
    first: bool = True

    @property
    def all_rules(self) -> Rows:
        """Every rule instance, by key."""
        rows = (row for rows in self.rules.values() for row in rows)
        return tuple(sorted(rows, key=lambda row: row.key))

    @property
    def all_states(self) -> States:
        """Every resource's state."""
        return tuple(sorted(row for rows in self.states.values() for row in rows))


def head_of(past: Past) -> Head:
    """Give what the ledger's last run left."""
    last = past.last
    if last is None:
        return Head()
    tiled = regular(past)[-1]
    head = Head(first=False, collected=frozenset(tiled.collected), end=tiled.window.end)
    place = {row.key: (row.account, row.region) for row in last.rules}
    rules: dict[Place, list[RuleInstance]] = {}
    for row in last.rules:
        rules.setdefault(place[row.key], []).append(row)
    states: dict[Place, list[Standing]] = {}
    for standing in past.states():
        states.setdefault(place[standing.instance], []).append(standing)
    head.rules = {key: tuple(rows) for key, rows in rules.items()}
    head.states = {key: tuple(rows) for key, rows in states.items()}
    return head


def regular(past: Past) -> tuple[Run, ...]:
    """Give the runs whose windows tile: all but the corrections."""
    return tuple(run for run in past.runs if run.kind != "correction")


def behind_places(missing: Iterable[Missing]) -> frozenset[Place]:
    """Give the places of which deliveries had not come."""
    return frozenset(
        (row.account, row.region) for row in missing if row.reason == "delivery-behind"
    )


def behind_since(past: Past, place: Place) -> Instant | None:
    """Give where the windows begin that deliveries have not reached, up to the last."""
    since = None
    for run in reversed(regular(past)):
        if place not in behind_places(run.missing):
            return since
        since = run.window.start
    return since


def counted(
    rules: Mapping[str, RuleInstance],
    states: States,
    before: Rows,
    transitions: Iterable[Transition],
) -> Rows:
    """Give the rule rows with population, counts and records root at a window's end."""
    moved = {move.instance for move in transitions}
    old = {row.key: row for row in before}
    by_rule: dict[str, list[Standing]] = {}
    for row in states:
        by_rule.setdefault(row.instance, []).append(row)
    found = []
    for key, rule in sorted(rules.items()):
        if key in old and key not in moved:
            last = old[key]
            found.append(
                replace(
                    rule,
                    population=last.population,
                    counts=last.counts,
                    records_root=last.records_root,
                )
            )
            continue
        standing = by_rule.get(key, [])
        counts = Counter(row.state.value for row in standing)
        found.append(
            replace(
                rule,
                population=len(standing),
                counts=tuple(sorted(counts.items())),
                records_root=merkle_root(records_root_lines(standing)),
            )
        )
    return tuple(found)
