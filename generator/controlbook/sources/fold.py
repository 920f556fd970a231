# SPDX-License-Identifier: Apache-2.0
"""From items to transitions: what changed for each resource under each rule.

Rules enforced here:
- an item replaces everything said of its resource before; a rule that is no longer in
  its list says nothing any more: UNKNOWN while the rule is deployed, else ABSENT;
- a deleted resource leaves every population, which is not remediation;
- of two deployed rules that are one rule instance, the worse verdict counts;
- a resource appears with a transition from ABSENT; equal states make no transition.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from controlbook.ledger import fold_states
from controlbook.model import Standing, State, Transition
from controlbook.timeline import Instant

from .items import GONE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controlbook.model import RuleInstance
    from controlbook.timeline import Interval

    from .items import Item

WORST_FIRST = (
    State.NON_COMPLIANT,
    State.INSUFFICIENT_DATA,
    State.UNKNOWN,
    State.COMPLIANT,
    State.NOT_APPLICABLE,
    State.ABSENT,
)

CREATED, DELETED, VANISHED, RULE_REMOVED = (
    "created",
    "deleted",
    "vanished",
    "rule-removed",
)
SEED = "seed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """The rule instances of one account × Region, and how items name them."""

    rules: Mapping[str, RuleInstance]
    """key → deployed instance."""
    arns: Mapping[str, str]
    """ConfigRuleArn → key."""
    names: Mapping[str, str]
    """Deployed name → key; holds names that are gone, too."""
    removed: Mapping[str, RuleInstance] = field(default_factory=dict)
    """key → instance that the last run saw and this one does not."""

    def key_of(self, arn: str, name: str) -> str:
        """Find the instance that an item's entry speaks of, or "": unknown."""
        return self.arns.get(arn) or self.names.get(name, "")

    def instance(self, key: str) -> RuleInstance:
        """Give the instance of a key, deployed or removed."""
        return self.rules.get(key) or self.removed[key]


def precision_of(rule: RuleInstance) -> str:
    """Say how exactly this rule's verdicts fix an instant."""
    if rule.trigger == "periodic":
        return f"periodic:{rule.frequency or 'unknown'}"
    return "change"


class Fold:
    """The states of one account × Region, moved forward item by item."""

    def __init__(self, opening: Iterable[Standing], deployment: Deployment) -> None:
        """Start from the states before the first item."""
        self.deployment = deployment
        self.opening = tuple(opening)
        """The states before the first item."""
        self.unknown: set[str] = set()
        """Names in items that are no deployed rule."""
        self._states: dict[str, dict[str, Standing]] = {}
        self._moves: dict[tuple[Instant, str, str], Transition] = {}
        for row in self.opening:
            self._states.setdefault(row.resource, {})[row.instance] = row

    @property
    def states(self) -> tuple[Standing, ...]:
        """Every resource's state now, as the ledger's readers will fold it."""
        return fold_states(self.opening, self.transitions)

    @property
    def transitions(self) -> tuple[Transition, ...]:
        """What changed so far, in order."""
        return tuple(self._moves[key] for key in sorted(self._moves))

    def of(self, resource: str) -> Mapping[str, Standing]:
        """Give a resource's states by rule instance."""
        return self._states.get(resource, {})

    def add(self, item: Item) -> None:
        """Take an item into account."""
        if item.status in GONE:
            for key in sorted(self.of(item.resource)):
                self._move(item.resource, key, State.ABSENT, item.at, DELETED)
            return
        said = self._verdicts(item)
        for key in sorted({*said, *self.of(item.resource)}):
            if key in said:
                self._move(item.resource, key, said[key], item.at)
            elif key in self.deployment.removed:
                self._move(item.resource, key, State.ABSENT, item.at, RULE_REMOVED)
            else:
                self._move(item.resource, key, State.UNKNOWN, item.at, VANISHED)

    def settle(self, seeds: Iterable[Standing], at: Instant) -> None:
        """Come to states that were read afresh, where what led to them was not seen."""
        due = {(row.instance, row.resource): row.state for row in seeds}
        known = {(row.instance, row.resource) for row in self.states}
        for key, resource in sorted({*due, *known}):
            state = due.get((key, resource), State.ABSENT)
            self._move(resource, key, state, at, precision=SEED)

    def remove_rules(self, window: Interval) -> None:
        """Let the resources of removed rules leave, where no item said when."""
        for resource, table in sorted(self._states.items()):
            for key in sorted(table.keys() & self.deployment.removed.keys()):
                # No earlier than the last thing known, no later than the window.
                at = max(window.start, table[key].since)
                last = Instant(min(at, window.end - 1))
                self._move(resource, key, State.ABSENT, last, RULE_REMOVED)

    def _verdicts(self, item: Item) -> dict[str, State]:
        said: dict[str, State] = {}
        for verdict in item.verdicts:
            key = self.deployment.key_of(verdict.arn, verdict.rule)
            if not key:
                self.unknown.add(verdict.rule)
                continue
            states = {verdict.state, said.get(key, verdict.state)}
            said[key] = min(states, key=WORST_FIRST.index)
        return said

    def _move(
        self,
        resource: str,
        key: str,
        after: State,
        at: Instant,
        cause: str = "",
        *,
        precision: str = "",
    ) -> None:
        table = self._states.setdefault(resource, {})
        before = table[key].state if key in table else State.ABSENT
        if before == after:
            return
        rule = self.deployment.instance(key)
        if before is State.ABSENT and not precision:
            cause = CREATED
        self._note(
            Transition(
                at=at,
                instance=key,
                rule=rule.rule,
                account=rule.account,
                region=rule.region,
                resource=resource,
                before=before,
                after=after,
                precision=precision or precision_of(rule),
                cause=cause,
            )
        )
        if after is State.ABSENT:
            del table[key]
        else:
            table[key] = Standing(
                instance=key, resource=resource, state=after, since=at
            )

    def _note(self, move: Transition) -> None:
        """Keep a transition; two of one resource at one instant become one."""
        key = (move.at, move.instance, move.resource)
        first = self._moves.pop(key, None)
        if first:
            move = replace(move, before=first.before)
        if move.before != move.after:
            self._moves[key] = move


def seeded(
    histories: Iterable[tuple[Item, ...]], deployment: Deployment
) -> tuple[tuple[Standing, ...], set[str]]:
    """Give the states that resources' items up to an instant lead to.

    Also the rule names in them that are no deployed rule.
    """
    fold = Fold((), deployment)
    for items in histories:
        for item in items:
            fold.add(item)
    return fold.states, fold.unknown
