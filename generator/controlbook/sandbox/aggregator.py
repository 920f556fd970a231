# SPDX-License-Identifier: Apache-2.0
"""The organization's aggregator: what it shows of the recording at an instant.

Rules enforced here:
- it shows the latest result only, per rule × account × Region, and only of rules that
  have results;
- a source that is OUTDATED or FAILED keeps showing what was known before;
- an account that the aggregator lost is missing from every one of its views.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlbook.timeline import Instant

from .world import COMPLIANT, INSUFFICIENT_DATA, NON_COMPLIANT

if TYPE_CHECKING:
    from .recording import Entry, Place, Record, Recording
    from .trouble import SourceTrouble, Trouble
    from .world import Rule

CAP = 25
"""Contributors are counted up to here."""


@dataclass(frozen=True, slots=True)
class Source:
    """An account × Region that the aggregator knows, and how fresh it is."""

    place: Place
    seen: Instant
    """Its rows show the state of this instant."""
    trouble: SourceTrouble | None

    @property
    def status(self) -> str:
        """Give LastUpdateStatus."""
        return self.trouble.status if self.trouble else "SUCCEEDED"


@dataclass(frozen=True, slots=True)
class RuleResults:
    """The latest results of one rule in one account × Region."""

    rule: Rule
    results: tuple[tuple[Record, Entry], ...]

    @property
    def compliance(self) -> str:
        """Give the rule's ComplianceType, or empty: it has no results."""
        states = {entry.state for _, entry in self.results}
        order = (NON_COMPLIANT, COMPLIANT, INSUFFICIENT_DATA)
        return next((state for state in order if state in states), "")

    @property
    def contributors(self) -> int:
        """Count the resources that make the rule NON_COMPLIANT."""
        return sum(entry.state == NON_COMPLIANT for _, entry in self.results)


class Aggregator:
    """The aggregator's views as functions of the instant."""

    def __init__(self, recording: Recording, trouble: Trouble) -> None:
        """Look at a recording through some trouble."""
        self._recording = recording
        self._trouble = trouble
        self._cache: dict[tuple[int, int], tuple[RuleResults, ...]] = {}

    def sources(self, now: Instant) -> tuple[Source, ...]:
        """Give the account × Regions that the aggregator still knows."""
        world = self._recording.world
        lost = {
            each.account
            for each in self._trouble.dropped
            if each.start <= now and (each.end is None or now < each.end)
        }
        return tuple(
            self._source((account.id, region), now)
            for account in world.members(now)
            if account.id not in lost
            for region in world.regions
        )

    def _source(self, place: Place, now: Instant) -> Source:
        seen = Instant(now - self._trouble.aggregator_lag)
        for each in self._trouble.sources:
            within = each.start <= now and (each.end is None or now < each.end)
            if within and (each.account, each.region) == place:
                return Source(place, min(seen, each.start), each)
        return Source(place, seen, None)

    def rules(self, source: Source) -> tuple[RuleResults, ...]:
        """Give every deployed rule of a source with its results, by name."""
        standing = self._recording.standing(source.place, source.seen)
        rules = self._recording.rules(source.place, source.seen)
        key = (id(standing), hash(rules))
        # The recording keeps every `standing` it gives, so its id stays its own.
        if key not in self._cache:
            found: dict[str, list[tuple[Record, Entry]]] = {r.name: [] for r in rules}
            for record in standing:
                for entry in record.entries:
                    if entry.rule.name in found:
                        found[entry.rule.name].append((record, entry))
            self._cache[key] = tuple(
                RuleResults(rule, tuple(found[rule.name])) for rule in rules
            )
        return self._cache[key]

    def items(self, source: Source) -> tuple[Record, ...]:
        """Give the current ResourceCompliance items of a source."""
        if source.place[0] in self._trouble.compliance_not_recorded:
            return ()
        return self._recording.standing(source.place, source.seen)
