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

from dataclasses import replace
from typing import TYPE_CHECKING

from . import observed
from .conflicts import conflicts
from .crosscheck import OurRecord, concerning, disagreements
from .history import deviation_of
from .identity import gap_of
from .instances import demanded, in_order, unmapped
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
    Library,
    ManualDocument,
    ObservedResult,
    PlaceObserved,
    RequirementFindings,
    RuleResult,
    SecurityHubControl,
    Snapshot,
    Standing,
)
from .occurrences import occurrences
from .sight import sight_of
from .timeline import Interval, subtract, union

if TYPE_CHECKING:
    from collections.abc import Callable

    from .history import Piece
    from .model import Ledger, ManualEvidence
    from .sight import Sight
    from .timeline import Intervals


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
    identifiers = {
        evidence.identifier
        for name in control_ids
        for evidence in library.controls[name].evidence
        if isinstance(evidence, ConfigRule)
    }
    sight = sight_of(ledger, opening, assessment, identifiers)
    controls = {
        name: _control(library, assessment, sight, ledger, name) for name in control_ids
    }
    contradicted = disagreements(ledger, assessment, _our_record(sight))
    controls = {
        name: replace(
            own, disagreements=concerning(library.controls[name], contradicted)
        )
        for name, own in controls.items()
    }
    deviations = in_order(
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
                deviations=in_order(
                    d for c in item.controls for d in controls[c].deviations
                ),
                gaps=in_order(g for c in item.controls for g in controls[c].gaps),
            )
            for item in in_scope
        },
        deviations=deviations,
        gaps=in_order(g for findings in controls.values() for g in findings.gaps),
        unmapped=unmapped(assessment, sight, {d.id for d in deviations}),
        disagreements=contradicted,
    )


def _our_record(sight: Sight | None) -> Callable[[], OurRecord]:
    """Lay out our record for comparison, if anything has to be compared."""

    def record() -> OurRecord:
        if sight is None:
            return OurRecord(pieces={}, reach=None)
        rules = {row.key: row for run in sight.runs for row in run.rules}
        return OurRecord.made(sight.pieces, rules, sight.horizon)

    return record


def _control(
    library: Library,
    assessment: Assessment,
    sight: Sight | None,
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
                result, found, missing = demanded(assessment, sight, evidence)
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
        deviations=in_order(deviations),
        gaps=in_order(gaps),
        observed=tuple(looks),
        events=tuple(events),
    )


def _looked(
    assessment: Assessment,
    sight: Sight | None,
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
    if isinstance(evidence, SecurityHubControl) and sight:
        result = replace(result, conflicts=conflicts(evidence, result, sight))
    return result, deviations, gaps


def _failed(
    evidence: Snapshot | SecurityHubControl,
    place: PlaceObserved,
    piece: Piece,
    period: Interval,
) -> Deviation | None:
    last = max(row.covers.end for row in place.observations)
    within = piece.within(Interval(period.start, min(period.end, last)))
    if within is None:
        return None
    return deviation_of(
        piece,
        within,
        place=(place.account, place.region),
        resource=f"AWS::::Account/{place.account}",
        rule=evidence.key,
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
