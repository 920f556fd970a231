# SPDX-License-Identifier: Apache-2.0
"""What the `config` stream lets one assessment see: runs, states and holes.

Rules enforced here:
- a period opens with the state of the run before it; where collection began later, the
  time before the first run is an evidence gap;
- what a rule said of a resource in two Regions counts in one of them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import coverage, history
from .repeats import repeats
from .timeline import Interval, subtract, union

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from .history import Pieces
    from .model import Assessment, ConfigRule, Ledger, RuleInstance, Run, Standing
    from .timeline import Intervals


def opening_run(runs: Iterable[Run], period: Interval) -> Run | None:
    """Choose the run whose state pack opens a period.

    It is the last one whose window ends at or before the period's start; where
    collection began later, the first one: the time before it is an evidence gap.
    """
    windows = coverage.windows(runs)
    before = [run for run in windows if run.window.end <= period.start]
    return before[-1] if before else next(iter(windows), None)


def horizon_of(ledger: Ledger, period: Interval) -> Interval | None:
    """Give the time from the state that opens a period to the end of collection.

    None where nothing of the period was ever collected.
    """
    windows = coverage.windows(ledger.config)
    first = opening_run(windows, period)
    end = coverage.collected_until(windows, period.start)
    if first is None or end is None:
        return None
    return Interval(min(first.window.end, period.start), min(end, period.end))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What assessing one assessment looks at."""

    period: Interval
    horizon: Interval
    """From the opening state to the end of collection (or of the period)."""
    runs: tuple[Run, ...]
    sighted: tuple[coverage.Sighted, ...]
    """The same, prepared for the rules that controls name."""
    windows: Intervals
    """The time that they cover."""
    rows: Mapping[str, RuleInstance]
    """instance key → its rule, as the last of these runs has it."""
    pieces: Mapping[tuple[str, str], Pieces]
    by_instance: Mapping[str, tuple[str, ...]]
    """instance key → its resources, less those that count in another Region."""
    repeated: Mapping[str, tuple[str, tuple[str, ...]]]
    """instance key → the Region that counts instead, and those resources."""
    no_runs: tuple[coverage.Hole, ...]
    places: dict[tuple[str, str], tuple[coverage.Hole, ...]] = field(
        default_factory=dict
    )
    deployed: dict[tuple[ConfigRule, str, str], coverage.Deployment] = field(
        default_factory=dict
    )
    """What was followed through the runs already: many controls ask for one rule."""
    covering: dict[tuple[str, str], Intervals] = field(default_factory=dict)

    @property
    def span(self) -> Interval:
        """The part of the period that has been collected."""
        return Interval(self.period.start, self.horizon.end)

    def place_holes(self, account: str, region: str) -> tuple[coverage.Hole, ...]:
        """Give the stretches in which runs could not cover one account × Region."""
        key = (account, region)
        if key not in self.places:
            self.places[key] = coverage.place_holes(self.sighted, account, region)
        return self.places[key]

    def covered(self, account: str, region: str) -> Intervals:
        """Give the time in which any verdict in an account × Region is observed."""
        key = (account, region)
        if key not in self.covering:
            holes = (*self.place_holes(account, region), *self.no_runs)
            unseen = union(hole.interval for hole in holes)
            self.covering[key] = subtract(self.windows, unseen)
        return self.covering[key]

    def deployment(
        self, evidence: ConfigRule, account: str, region: str
    ) -> coverage.Deployment:
        """Follow one demanded rule in one account × Region through the runs."""
        key = (evidence, account, region)
        if key not in self.deployed:
            found = coverage.deployment(evidence, self.sighted, account, region)
            self.deployed[key] = found
        return self.deployed[key]


def sight_of(
    ledger: Ledger,
    opening: tuple[Standing, ...],
    assessment: Assessment,
    identifiers: Collection[str],
) -> Sight | None:
    """Bring together what is looked at; None where nothing was ever collected.

    `opening` is the state at the end of `opening_run`'s window; the rules of these
    identifiers are followed through the runs.
    """
    period = assessment.period
    windows = coverage.windows(ledger.config)
    first = opening_run(windows, period)
    horizon = horizon_of(ledger, period)
    if first is None or horizon is None:
        return None
    runs = tuple(
        run
        for run in windows
        if run.window.end > horizon.start and run.window.start < horizon.end
    )
    pieces = history.pieces_by_resource(
        opening,
        (
            move
            for run in ledger.config
            if first.window.end < run.window.end and run.window.start < horizon.end
            for move in run.transitions
            if first.window.end <= move.at < horizon.end
        ),
    )
    rows = {row.key: row for run in runs for row in run.rules}
    elsewhere = repeats(pieces, rows, assessment.regions, horizon)
    return Sight(
        period=period,
        horizon=horizon,
        runs=runs,
        sighted=coverage.sighted(runs, identifiers),
        windows=union(run.window for run in runs),
        rows=rows,
        pieces=pieces,
        by_instance=_by_instance(key for key in pieces if key not in elsewhere),
        repeated={
            key: (elsewhere[key, resources[0]], resources)
            for key, resources in _by_instance(elsewhere).items()
        },
        no_runs=coverage.uncollected(runs, horizon),
    )


def _by_instance(keys: Iterable[tuple[str, str]]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for instance, resource in keys:
        found[instance].append(resource)
    return {instance: tuple(resources) for instance, resources in found.items()}
