# SPDX-License-Identifier: Apache-2.0
"""(library, ledger, opening state, assessment) → findings.

Rules enforced here:
- nothing is compliant that was not observed: every expected rule × account × Region
  either has evidence or an evidence gap with one reason;
- a deviation is one interval of one resource under one rule, with its true start;
- a gap is one interval of one cause, however many resources it touches;
- ids do not depend on the end of the interval, nor on who looks at it;
- deviations under rules that no control names are listed, not lost.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from . import coverage, history, observed
from .hub_controls import rule_of
from .identity import deviation_id, gap_of
from .model import (
    ALL,
    Assessment,
    ConfigRule,
    ControlFindings,
    Deviation,
    EventQuery,
    EventResult,
    Findings,
    Gap,
    InstanceResult,
    Library,
    ManualDocument,
    ObservedResult,
    PlaceObserved,
    RequirementFindings,
    RuleInstance,
    RuleResult,
    Run,
    SecurityHubControl,
    Share,
    Snapshot,
    Standing,
    State,
)
from .occurrences import occurrences
from .repeats import repeats
from .timeline import Interval, iso, subtract, union

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from .history import Pieces
    from .model import Ledger, ManualEvidence
    from .timeline import Instant, Intervals


def opening_run(runs: Iterable[Run], period: Interval) -> Run | None:
    """Choose the run whose state pack opens a period.

    It is the last one whose window ends at or before the period's start; where
    collection began later, the first one: the time before it is an evidence gap.
    """
    windows = coverage.windows(runs)
    before = [run for run in windows if run.window.end <= period.start]
    return before[-1] if before else next(iter(windows), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sight:
    """What assessing one assessment looks at."""

    period: Interval
    horizon: Interval
    """From the opening state to the end of collection (or of the period)."""
    runs: tuple[Run, ...]
    sighted: tuple[coverage.Sighted, ...]
    """The same, prepared for the rules that controls name."""
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

    def deployment(
        self, evidence: ConfigRule, account: str, region: str
    ) -> coverage.Deployment:
        """Follow one demanded rule in one account × Region through the runs."""
        key = (evidence, account, region)
        if key not in self.deployed:
            found = coverage.deployment(evidence, self.sighted, account, region)
            self.deployed[key] = found
        return self.deployed[key]


def assess(
    library: Library,
    ledger: Ledger,
    opening: tuple[Standing, ...],
    assessment: Assessment,
) -> Findings:
    """Derive everything that the evidence says about one assessment.

    `opening` is the state at the end of `opening_run`'s window. The result depends on
    these values alone: no clock, no commit, no history.
    """
    framework = library.frameworks[assessment.framework]
    in_scope = [framework.requirements[n] for n in assessment.requirements]
    control_ids = sorted({c for item in in_scope for c in item.controls})
    demanded = {
        evidence.identifier
        for name in control_ids
        for evidence in library.controls[name].evidence
        if isinstance(evidence, ConfigRule)
    }
    sight = _sight(ledger, opening, assessment, demanded)
    controls = {
        name: _control(library, assessment, sight, ledger, name) for name in control_ids
    }
    deviations = _unique_deviations(
        d for findings in controls.values() for d in findings.deviations
    )
    collected = sight.span if sight else None
    return Findings(
        assessment=assessment.id,
        collected=collected,
        closed=collected is not None and collected.end >= assessment.period.end,
        controls=controls,
        requirements={
            item.number: RequirementFindings(
                requirement=item.number,
                controls=item.controls,
                deviations=_unique_deviations(
                    d for c in item.controls for d in controls[c].deviations
                ),
                gaps=_unique_gaps(g for c in item.controls for g in controls[c].gaps),
            )
            for item in in_scope
        },
        deviations=deviations,
        gaps=_unique_gaps(g for findings in controls.values() for g in findings.gaps),
        unmapped=_unmapped(assessment, sight, {d.id for d in deviations}),
    )


def _unique_deviations(found: Iterable[Deviation]) -> tuple[Deviation, ...]:
    return tuple(sorted({d.id: d for d in found}.values(), key=_order))


def _unique_gaps(found: Iterable[Gap]) -> tuple[Gap, ...]:
    return tuple(sorted({g.id: g for g in found}.values(), key=_order))


def _order(item: Deviation | Gap) -> tuple[Instant, str]:
    return item.within.start, item.id


def _sight(
    ledger: Ledger,
    opening: tuple[Standing, ...],
    assessment: Assessment,
    demanded: Collection[str],
) -> _Sight | None:
    period = assessment.period
    first = opening_run(ledger.config, period)
    end = coverage.collected_until(coverage.windows(ledger.config), period.start)
    if first is None or end is None:
        return None
    start = min(first.window.end, period.start)
    horizon = Interval(start, min(end, period.end))
    runs = tuple(
        run
        for run in coverage.windows(ledger.config)
        if run.window.end > start and run.window.start < horizon.end
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
    elsewhere = repeats(
        pieces,
        {row.key: row for run in runs for row in run.rules},
        assessment.regions,
        horizon,
    )
    by_instance: dict[str, list[str]] = defaultdict(list)
    for key, resource in pieces:
        if (key, resource) not in elsewhere:
            by_instance[key].append(resource)
    repeated: dict[str, tuple[str, tuple[str, ...]]] = {}
    for (key, resource), region in elsewhere.items():
        repeated[key] = (region, (*repeated.get(key, (region, ()))[1], resource))
    return _Sight(
        period=period,
        horizon=horizon,
        runs=runs,
        sighted=coverage.sighted(runs, demanded),
        pieces=pieces,
        by_instance={key: tuple(names) for key, names in by_instance.items()},
        repeated=repeated,
        no_runs=coverage.uncollected(runs, horizon),
    )


def _control(
    library: Library,
    assessment: Assessment,
    sight: _Sight | None,
    ledger: Ledger,
    name: str,
) -> ControlFindings:
    control = library.controls[name]
    rules: list[RuleResult] = []
    deviations: list[Deviation] = []
    gaps: list[Gap] = []
    documents: list[str] = []
    looks: list[ObservedResult] = []
    events: list[EventResult] = []
    for evidence in control.evidence:
        match evidence:
            case ConfigRule():
                result, found, missing = _rule(assessment, sight, evidence)
                rules.append(result)
                deviations.extend(found)
                gaps.extend(missing)
            case ManualDocument(document=document):
                paper = library.manual.get(document)
                documents.extend([document] if paper else [])
                gaps.extend(_document_gaps(assessment, evidence, paper))
            case Snapshot() | SecurityHubControl():
                looked, found, missing = _looked(assessment, sight, ledger, evidence)
                looks.append(looked)
                deviations.extend(found)
                gaps.extend(missing)
            case EventQuery():
                until = sight.span.end if sight else None
                seen = occurrences(evidence, ledger.cloudtrail, assessment, until)
                events.append(seen.result)
                deviations.extend(seen.deviations)
                gaps.extend(seen.gaps)
    return ControlFindings(
        control=name,
        rules=tuple(rules),
        documents=tuple(sorted(documents)),
        deviations=_unique_deviations(deviations),
        gaps=_unique_gaps(gaps),
        observed=tuple(looks),
        events=tuple(events),
    )


def _looked(
    assessment: Assessment,
    sight: _Sight | None,
    ledger: Ledger,
    evidence: Snapshot | SecurityHubControl,
) -> tuple[ObservedResult, list[Deviation], list[Gap]]:
    """Judge evidence that shows instants: a hole is a gap, FAILED is a deviation."""
    period = assessment.period
    until = sight.horizon.end if sight else None
    runs = ledger.observing(evidence.key)
    result, holes = observed.observed(evidence, runs, assessment, until)
    gaps = []
    for hole in holes:
        piece = hole.interval
        gap = gap_of(hole.reason, hole.account, hole.region, evidence.key, piece)
        still = until is not None and until < period.end and piece.end >= until
        gaps.append(replace(gap, end=None) if still else gap)
    deviations = [
        found
        for place in result.places
        for piece in observed.failures(place.observations)
        if (found := _failed(evidence, place, piece, period))
    ]
    conflicts: tuple[str, ...] = ()
    if isinstance(evidence, SecurityHubControl) and sight:
        conflicts = _conflicts(evidence, result, sight)
    return replace(result, conflicts=conflicts), deviations, gaps


def _conflicts(
    evidence: SecurityHubControl, result: ObservedResult, sight: _Sight
) -> tuple[str, ...]:
    """Hold each verdict against what Config recorded of the control's rule then."""
    identifier = rule_of(evidence.control)
    rows = {r.key: r for run in sight.runs for r in run.rules}
    found: list[str] = []
    for place in result.places:
        keys = [
            key
            for key, row in rows.items()
            if (row.identifier, row.account, row.region)
            == (identifier, place.account, place.region)
        ]
        for seen in place.answers:
            states = {
                piece.state
                for key in keys
                for resource in sight.by_instance.get(key, ())
                for piece in sight.pieces[key, resource]
                if piece.start <= seen.at and (piece.end is None or seen.at < piece.end)
            }
            if not states or seen.at >= sight.horizon.end:
                continue
            bad = State.NON_COMPLIANT in states
            if (seen.result == observed.FAILED) != bad:
                config = "NON_COMPLIANT" if bad else "no deviation"
                found.append(
                    f"{place.account} {place.region} at {iso(seen.at)}: Security Hub"
                    f" says {seen.result}, AWS Config recorded {config}"
                )
    return tuple(found)


def _failed(
    evidence: Snapshot | SecurityHubControl,
    place: PlaceObserved,
    piece: history.Piece,
    period: Interval,
) -> Deviation | None:
    last = max(row.covers.end for row in place.observations)
    within = piece.within(Interval(period.start, min(period.end, last)))
    if within is None:
        return None
    resource = f"AWS::::Account/{place.account}"
    return Deviation(
        id=deviation_id(
            evidence.key, (), place.account, place.region, resource, piece.start
        ),
        rule=evidence.key,
        identifier=evidence.key,
        parameters=(),
        account=place.account,
        region=place.region,
        resource=resource,
        start=piece.start,
        end=piece.end,
        within=within,
        ended_by=piece.ended_by,
        precision=piece.precision,
    )


def _document_gaps(
    assessment: Assessment, evidence: ManualDocument, paper: ManualEvidence | None
) -> list[Gap]:
    held = union([paper.covers] if paper else [])
    expired: Intervals = ()
    if paper and paper.expires is not None and paper.expires < assessment.period.end:
        late = Interval(
            max(paper.expires, assessment.period.start), assessment.period.end
        )
        expired = (late,)
    missing = subtract((assessment.period,), union([*held, *expired]))
    return [
        gap_of(reason, ALL, ALL, evidence.key, piece)
        for reason, pieces in (
            ("document-missing", missing),
            ("document-expired", expired),
        )
        for piece in pieces
    ]


def _rule(
    assessment: Assessment, sight: _Sight | None, evidence: ConfigRule
) -> tuple[RuleResult, list[Deviation], list[Gap]]:
    results: list[InstanceResult] = []
    deviations: list[Deviation] = []
    gaps: list[Gap] = []
    if sight is None:
        gaps.append(gap_of("no-run", ALL, ALL, ALL, assessment.period))
        return RuleResult(evidence=evidence, instances=(), share=Share()), [], gaps
    gaps.extend(
        _hole_gap(hole, evidence, sight, ())
        for hole in sight.no_runs
        if hole.interval.clip(sight.period)
    )
    for _, account in assessment.accounts:
        for region in assessment.regions:
            places = sight.place_holes(account, region)
            deployed = sight.deployment(evidence, account, region)
            holes = (*places, *deployed.holes)
            touched = tuple(
                sorted(
                    {
                        resource
                        for key in deployed.instances
                        for resource in sight.by_instance.get(key, ())
                    }
                )
            )
            gaps.extend(
                _hole_gap(hole, evidence, sight, touched)
                for hole in holes
                if hole.interval.clip(sight.period)
            )
            for key, row in sorted(deployed.instances.items()):
                seen = coverage.covered(
                    sight.runs, (*holes, *sight.no_runs), deployed.in_force[key]
                )
                result, found, unseen = _instance(sight, row, seen)
                results.append(result)
                deviations.extend(found)
                gaps.extend(unseen)
    share = sum((result.share for result in results), Share())
    return (
        RuleResult(evidence=evidence, instances=tuple(results), share=share),
        deviations,
        gaps,
    )


def _hole_gap(
    hole: coverage.Hole,
    evidence: ConfigRule,
    sight: _Sight,
    resources: tuple[str, ...],
) -> Gap:
    everywhere = hole.rule == ALL
    gap = gap_of(
        hole.reason,
        hole.account,
        hole.region,
        ALL if everywhere else (evidence.canonical_name or evidence.name),
        hole.interval,
        identifier=hole.rule,
    )
    still = hole.interval.end >= sight.horizon.end < sight.period.end
    return replace(
        gap,
        end=None if still else gap.end,
        within=hole.interval.clip(sight.period) or hole.interval,
        resources=() if everywhere else resources,
    )


def _instance(
    sight: _Sight, row: RuleInstance, seen: Intervals
) -> tuple[InstanceResult, list[Deviation], list[Gap]]:
    span = sight.span
    resources: list[str] = []
    throughout = at_start = at_end = 0
    share = Share()
    deviations: list[Deviation] = []
    unseen: dict[tuple[str, Instant], list[tuple[str, history.Piece]]] = {}
    for resource in sight.by_instance.get(row.key, ()):
        pieces = sight.pieces[row.key, resource]
        own = history.share_of(pieces, seen, span)
        if not own.present:
            continue
        resources.append(resource)
        share += own
        throughout += own.present == own.observed - own.deviating - own.exempt
        at_start += history.present_at(pieces, span.start)
        at_end += any(piece.end is None for piece in pieces)
        for piece in pieces:
            if piece.state is State.NON_COMPLIANT:
                deviations.extend(_deviations(sight, row, resource, piece, seen))
            reason = history.UNSEEN.get(piece.state)
            if reason and piece.within(span):
                unseen.setdefault((reason, piece.start), []).append((resource, piece))
    gaps = [
        _unseen_gap(sight, row, reason, found)
        for (reason, _), found in sorted(unseen.items())
    ]
    counted_in, repeated = sight.repeated.get(row.key, ("", ()))
    result = InstanceResult(
        rule=row.rule,
        deployed_as=row.deployed_as,
        identifier=row.identifier,
        parameters=row.parameters,
        account=row.account,
        region=row.region,
        trigger=row.trigger,
        frequency=row.frequency,
        matched=row.matched,
        at_start=at_start,
        at_end=at_end,
        resources=tuple(sorted(resources)),
        throughout=throughout,
        share=share,
        deviations=tuple(d.id for d in sorted(deviations, key=_order)),
        gaps=tuple(g.id for g in sorted(gaps, key=_order)),
        counted_in=counted_in,
        repeated=repeated,
    )
    return result, deviations, gaps


def _deviations(
    sight: _Sight,
    row: RuleInstance,
    resource: str,
    piece: history.Piece,
    seen: Intervals,
) -> list[Deviation]:
    return [
        Deviation(
            id=deviation_id(
                row.identifier,
                row.parameters,
                row.account,
                row.region,
                resource,
                part.start,
            ),
            rule=row.rule,
            identifier=row.identifier,
            parameters=row.parameters,
            account=row.account,
            region=row.region,
            resource=resource,
            start=part.start,
            end=part.end,
            within=within,
            ended_by=part.ended_by,
            precision=_precision(row),
        )
        for part in history.observed_parts(piece, seen, sight.horizon)
        if (within := _within(part, sight))
    ]


def _within(part: history.Piece, sight: _Sight) -> Interval | None:
    inside = part.within(sight.horizon)
    return inside.clip(sight.span) if inside else None


def _precision(row: RuleInstance) -> str:
    return f"periodic:{row.frequency}" if row.trigger == "periodic" else "change"


def _unseen_gap(
    sight: _Sight,
    row: RuleInstance,
    reason: str,
    found: list[tuple[str, history.Piece]],
) -> Gap:
    start = found[0][1].start
    ends = [piece.end for _, piece in found]
    last = None if None in ends else max(end for end in ends if end is not None)
    whole = Interval(start, sight.horizon.end if last is None else last)
    return replace(
        gap_of(
            reason, row.account, row.region, row.rule, whole, identifier=row.identifier
        ),
        end=last,
        within=whole.clip(sight.period) or whole,
        resources=tuple(sorted(resource for resource, _ in found)),
    )


def _unmapped(
    assessment: Assessment, sight: _Sight | None, mapped: set[str]
) -> tuple[Deviation, ...]:
    if sight is None:
        return ()
    accounts = {number for _, number in assessment.accounts}
    rows = {
        row.key: row
        for run in sight.runs
        for row in run.rules
        if row.account in accounts and row.region in assessment.regions
    }
    found: list[Deviation] = []
    windows = union(run.window for run in sight.runs)
    for key, row in rows.items():
        bad = [
            (resource, piece)
            for resource in sight.by_instance.get(key, ())
            for piece in sight.pieces[key, resource]
            if piece.state is State.NON_COMPLIANT
        ]
        if not bad:
            continue
        holes = (*sight.place_holes(row.account, row.region), *sight.no_runs)
        seen = coverage.covered(sight.runs, holes, windows)
        for resource, piece in bad:
            found.extend(_deviations(sight, row, resource, piece, seen))
    return _unique_deviations(d for d in found if d.id not in mapped)
