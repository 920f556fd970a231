# SPDX-License-Identifier: Apache-2.0
"""What AWS Config recorded of a world: the one source of every view.

Rules enforced here:
- an item is written on a transition of a resource's list of verdicts, never on a
  repeated evaluation (aws.md section 4);
- a deleted resource ends with an item ResourceDeleted; a rule that no longer speaks of
  a resource (removed, NOT_APPLICABLE) leaves the list;
- while a rule fails, its entry says INSUFFICIENT_DATA;
- while the recorder is off nothing is recorded; what changed meanwhile appears, with
  the capture time of the restart, when it starts again.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .world import (
    COMPLIANT,
    INSUFFICIENT_DATA,
    NON_COMPLIANT,
    NOT_APPLICABLE,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlbook.timeline import Instant

    from .world import (
        RecorderStop,
        Resource,
        Rule,
        RuleFailure,
        Verdict,
        World,
    )

Place = tuple[str, str]
"""(account, Region)"""
Key = tuple[str, str, str]
"""(account, Region, `type/id`)"""

DISCOVERED, OK, DELETED = "ResourceDiscovered", "OK", "ResourceDeleted"


@dataclass(frozen=True, slots=True)
class Entry:
    """One rule's verdict within an item, and since when it has stood."""

    rule: Rule
    state: str
    since: Instant


@dataclass(frozen=True, slots=True)
class Record:
    """A ResourceCompliance item: what Config says of one resource from `at` on."""

    at: Instant
    account: str
    region: str
    target_type: str
    target_id: str
    status: str
    entries: tuple[Entry, ...]

    @property
    def resource(self) -> str:
        """Give the item's resource id, `type/id` of its target."""
        return f"{self.target_type}/{self.target_id}"

    @property
    def compliance(self) -> str:
        """Sum the verdicts up the way Config does: one bad one decides."""
        states = {entry.state for entry in self.entries}
        order = (NON_COMPLIANT, COMPLIANT, INSUFFICIENT_DATA)
        return next((state for state in order if state in states), NOT_APPLICABLE)


class Recording:
    """Every item that Config wrote in a world, indexed; immutable once built."""

    def __init__(self, world: World) -> None:
        """Derive the items of a world."""
        self.world = world
        found = sorted(
            (
                record
                for key, facts in _facts(world).items()
                for record in facts.items()
            ),
            key=lambda record: (
                record.at,
                record.account,
                record.region,
                record.resource,
            ),
        )
        self.records: tuple[Record, ...] = tuple(found)
        self.histories: dict[Key, tuple[Record, ...]] = _grouped(found)
        self._places: dict[Place, tuple[list[Instant], list[Key]]] = {}
        for record in found:
            times, keys = self._places.setdefault(
                (record.account, record.region), ([], [])
            )
            times.append(record.at)
            keys.append((record.account, record.region, record.resource))
        self._standing: dict[tuple[Place, int], tuple[Record, ...]] = {}

    def history(self, key: Key, until: Instant) -> tuple[Record, ...]:
        """Give a resource's items up to and including an instant, oldest first."""
        return tuple(each for each in self.histories.get(key, ()) if each.at <= until)

    def standing(self, place: Place, moment: Instant) -> tuple[Record, ...]:
        """Give the item in force of every live resource of an account × Region."""
        times, keys = self._places.get(place, ([], []))
        version = bisect_right(times, moment)
        cached = self._standing.get((place, version))
        if cached is None:
            cached = tuple(self._in_force(sorted(set(keys[:version])), moment))
            self._standing[place, version] = cached
        return cached

    def _in_force(self, keys: Iterable[Key], moment: Instant) -> Iterable[Record]:
        for key in keys:
            items = self.histories[key]
            last = items[bisect_right(items, moment, key=lambda each: each.at) - 1]
            if last.status != DELETED:
                yield last

    def resources(self, place: Place, moment: Instant) -> tuple[Resource, ...]:
        """Give the resources that exist in an account × Region."""
        return tuple(
            each
            for each in self.world.resources
            if (each.account, each.region) == place and each.exists_at(moment)
        )

    def rules(self, place: Place, moment: Instant) -> tuple[Rule, ...]:
        """Give the rules deployed in an account × Region, by name."""
        return tuple(
            sorted(
                (
                    rule
                    for rule in self.world.rules
                    if (rule.account, rule.region) == place and rule.exists_at(moment)
                ),
                key=lambda rule: rule.name,
            )
        )

    def stop_at(self, place: Place, moment: Instant) -> RecorderStop | None:
        """Give the stop that an instant falls into, or None: recording."""
        return _stop_at(self.world.stops, place, moment)


def _stop_at(
    stops: Iterable[RecorderStop], place: Place, moment: Instant
) -> RecorderStop | None:
    for stop in stops:
        within = stop.start <= moment and (stop.end is None or moment < stop.end)
        if within and (stop.account, stop.region) == place:
            return stop
    return None


def _grouped(records: Iterable[Record]) -> dict[Key, tuple[Record, ...]]:
    groups: dict[Key, list[Record]] = {}
    for record in records:
        key = (record.account, record.region, record.resource)
        groups.setdefault(key, []).append(record)
    return {key: tuple(group) for key, group in groups.items()}


class _Facts:
    """All that a world says of one resource, in all its lives."""

    def __init__(self, key: Key, lives: list[Resource]) -> None:
        self.key = key
        self.lives = lives
        self.verdicts: dict[str, list[Verdict]] = {}
        self.rules: dict[str, Rule] = {}
        self.failures: list[RuleFailure] = []
        self.stops: list[RecorderStop] = []

    def items(self) -> Iterable[Record]:
        """Fold the facts into items: one per instant at which the list changed."""
        account, region, _ = self.key
        kind, ident = self.lives[0].type, self.lives[0].id
        before: tuple[tuple[Rule, str], ...] | None = None
        since: dict[str, Entry] = {}
        for at in self._moments():
            now = self._list(at)
            if now == before or (before is None and not now):
                continue
            if now is None:
                status, since = DELETED, {}
            else:
                status = DISCOVERED if before is None else OK
                since = {
                    rule.name: _entry(since, rule, state, at) for rule, state in now
                }
            yield Record(
                at, account, region, kind, ident, status, tuple(since.values())
            )
            before = now

    def _moments(self) -> list[Instant]:
        moments = {life.created for life in self.lives}
        moments |= {life.deleted for life in self.lives if life.deleted is not None}
        for verdicts in self.verdicts.values():
            moments |= {verdict.at for verdict in verdicts}
        moments |= {rule.deleted for rule in self.rules.values() if rule.deleted}
        for failure in self.failures:
            moments |= {failure.start, failure.end}
        recorded = set()
        for moment in moments:
            stop = _stop_at(self.stops, self.key[:2], moment)
            if stop is None:
                recorded.add(moment)
            elif stop.end is not None:
                recorded.add(stop.end)
        return sorted(recorded)

    def _list(self, at: Instant) -> tuple[tuple[Rule, str], ...] | None:
        """Give the verdicts in force, by rule name; None while it does not exist."""
        life = next((each for each in self.lives if each.exists_at(at)), None)
        if life is None:
            return None
        found = []
        for name, verdicts in sorted(self.verdicts.items()):
            rule = self.rules[name]
            past = [v for v in verdicts if life.created <= v.at <= at]
            if not past or not rule.exists_at(at) or past[-1].state == NOT_APPLICABLE:
                continue
            failing = any(
                f.rule == name and f.start <= at < f.end for f in self.failures
            )
            found.append((rule, INSUFFICIENT_DATA if failing else past[-1].state))
        return tuple(found)


def _entry(since: dict[str, Entry], rule: Rule, state: str, at: Instant) -> Entry:
    old = since.get(rule.name)
    return old if old and old.state == state else Entry(rule, state, at)


def _facts(world: World) -> dict[Key, _Facts]:
    lives: dict[Key, list[Resource]] = {}
    for life in sorted(world.resources, key=lambda each: each.created):
        lives.setdefault((life.account, life.region, life.name), []).append(life)
    facts = {key: _Facts(key, found) for key, found in lives.items()}
    rules = {(rule.account, rule.region, rule.name): rule for rule in world.rules}
    for verdict in sorted(world.verdicts):
        one = facts[verdict.account, verdict.region, verdict.resource]
        one.verdicts.setdefault(verdict.rule, []).append(verdict)
        one.rules[verdict.rule] = rules[verdict.account, verdict.region, verdict.rule]
    for key, one in facts.items():
        one.failures = [
            each
            for each in world.failures
            if (each.account, each.region) == key[:2] and each.rule in one.rules
        ]
        one.stops = [s for s in world.stops if (s.account, s.region) == key[:2]]
    return facts
