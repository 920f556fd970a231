# SPDX-License-Identifier: Apache-2.0
"""Where evidence covers time, and where it does not.

Rules enforced here:
- an account × Region is covered in a window only if that window's run says that it
  collected it; a window without a run covers nothing;
- a rule speaks in a window only where that run found it deployed with the demanded
  parameters and working; what is absent, failing or different is a hole with a reason;
- equal causes that touch in time are one hole.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from .model import ALL, ConfigRule, RuleInstance, Run
from .timeline import Interval, Intervals, subtract, union

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from .model import Missing
    from .timeline import Instant


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Hole:
    """An interval without evidence, by cause; `rule` is an identifier or `all`."""

    reason: str
    account: str
    region: str
    rule: str
    interval: Interval


def windows(runs: Iterable[Run]) -> tuple[Run, ...]:
    """Give the runs that cover time (corrections only add to earlier windows)."""
    return tuple(run for run in runs if run.kind != "correction")


def mended(runs: Iterable[Run]) -> tuple[Run, ...]:
    """Give the runs that cover time, with what corrections proved of them later.

    A correction with chains of digests speaks anew for its places in that window: what
    it calls missing is all that still is.
    """
    found = {run.seq: run for run in runs if run.kind != "correction"}
    for run in runs:
        base = found.get(run.corrects) if run.kind == "correction" else None
        if base is None:
            continue
        anew = {(row.account, row.region) for row in run.chains}
        if not anew:
            continue
        found[base.seq] = replace(
            base,
            missing=(
                *(m for m in base.missing if (m.account, m.region) not in anew),
                *run.missing,
            ),
            collected=tuple(sorted({*base.collected, *run.collected})),
            chains=(
                *(c for c in base.chains if (c.account, c.region) not in anew),
                *run.chains,
            ),
        )
    return tuple(found.values())


def merged(holes: Iterable[Hole]) -> tuple[Hole, ...]:
    """Merge holes of one cause that overlap or touch."""
    by_cause: dict[tuple[str, str, str, str], list[Interval]] = defaultdict(list)
    for hole in holes:
        cause = (hole.reason, hole.account, hole.region, hole.rule)
        by_cause[cause].append(hole.interval)
    return tuple(
        Hole(reason=reason, account=account, region=region, rule=rule, interval=piece)
        for (reason, account, region, rule), pieces in sorted(by_cause.items())
        for piece in union(pieces)
    )


def uncollected(runs: tuple[Run, ...], span: Interval) -> tuple[Hole, ...]:
    """Give the stretches of `span` that no run's window covers."""
    covered = union(run.window for run in runs)
    return tuple(
        Hole(reason="no-run", account=ALL, region=ALL, rule=ALL, interval=piece)
        for piece in subtract((span,), covered)
    )


class Covering(Protocol):
    """What says which accounts × Regions a window covers."""

    @property
    def window(self) -> Interval:
        """When."""

    @property
    def missing(self) -> Sequence[Missing]:
        """What it does not cover, and why."""

    @property
    def collected(self) -> Collection[tuple[str, str]]:
        """Where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighted:
    """One run as it is looked at again and again: places and rules found at once."""

    window: Interval
    missing: Sequence[Missing]
    collected: frozenset[tuple[str, str]]
    rules: Mapping[tuple[str, str, str], tuple[RuleInstance, ...]]
    """(identifier, account, region) → the rules deployed there, of those asked for."""


def sighted(runs: Iterable[Run], identifiers: Collection[str]) -> tuple[Sighted, ...]:
    """Prepare runs for following the rules of these identifiers through them."""
    found: list[Sighted] = []
    last: Sequence[RuleInstance] | None = None
    for run in runs:
        rules: dict[tuple[str, str, str], list[RuleInstance]] = defaultdict(list)
        for row in run.rules if run.rules is not last else ():
            if row.identifier in identifiers:
                rules[row.identifier, row.account, row.region].append(row)
        same = run.rules is last
        last = run.rules
        found.append(
            Sighted(
                window=run.window,
                missing=run.missing,
                collected=frozenset(run.collected),
                rules=found[-1].rules
                if same
                else {key: tuple(rows) for key, rows in rules.items()},
            )
        )
    return tuple(found)


def place_holes(
    runs: Iterable[Covering], account: str, region: str
) -> tuple[Hole, ...]:
    """Give the stretches in which runs could not cover one account × Region."""
    found: list[Hole] = []
    for run in runs:
        rows = [
            row
            for row in run.missing
            if row.account in {account, ALL} and row.region in {region, ALL}
        ]
        pieces = [(row.reason, row.interval.clip(run.window)) for row in rows]
        if (account, region) not in run.collected and not rows:
            pieces.append(("account-missing", run.window))
        found.extend(
            Hole(
                reason=reason, account=account, region=region, rule=ALL, interval=piece
            )
            for reason, piece in pieces
            if piece
        )
    return merged(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Where and when a demanded rule spoke in one account × Region."""

    instances: Mapping[str, RuleInstance]
    """key → the instance as the last run saw it."""
    in_force: Mapping[str, Intervals]
    """key → the windows in which it was deployed as demanded."""
    holes: tuple[Hole, ...]


def deployment(
    evidence: ConfigRule, runs: Iterable[Sighted], account: str, region: str
) -> Deployment:
    """Follow one demanded rule in one account × Region through the runs."""
    instances: dict[str, RuleInstance] = {}
    in_force: dict[str, list[Interval]] = defaultdict(list)
    holes: list[Hole] = []
    for run in runs:
        if (account, region) not in run.collected:
            continue
        candidates = run.rules.get((evidence.identifier, account, region), ())
        matching = [
            row for row in candidates if evidence.met_by(row.identifier, row.parameters)
        ]
        for row in matching:
            instances[row.key] = row
            in_force[row.key].append(run.window)
        reason = _silence(candidates, matching)
        if reason:
            holes.append(
                Hole(
                    reason=reason,
                    account=account,
                    region=region,
                    rule=evidence.identifier,
                    interval=run.window,
                )
            )
    return Deployment(
        instances=instances,
        in_force={key: union(pieces) for key, pieces in in_force.items()},
        holes=merged(holes),
    )


def _silence(
    candidates: Sequence[RuleInstance], matching: Sequence[RuleInstance]
) -> str:
    if not candidates:
        return "rule-absent"
    if not matching:
        return "parameters-differ"
    if all(row.status not in {"ok", "idle"} for row in matching):
        return "rule-failing"
    return ""


def collected_until(runs: tuple[Run, ...], start: Instant) -> Instant | None:
    """Give the end of the last window after `start`, or None."""
    ends = [run.window.end for run in runs if run.window.end > start]
    return max(ends, default=None)
