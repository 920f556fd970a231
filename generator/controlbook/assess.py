# SPDX-License-Identifier: Apache-2.0
"""(library, ledger, opening state, assessment) → findings.

Rules enforced here:
- nothing is compliant that was not observed: every expected rule × account × Region
  either has evidence or an evidence gap with one reason;
- a deviation is one interval of one resource under one rule, with its true start;
- a gap is one interval of one cause, however many resources it touches;
- ids do not depend on the end of the interval, nor on who looks at it;
- deviations under rules that no control names are listed, not lost;
- rules are judged part after part of the ledger: what an account's rules show depends
  on no other account.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    Recorded,
    RequirementFindings,
    RuleResult,
    SecurityHubControl,
    Share,
    Snapshot,
)
from .occurrences import occurrences
from .opened import Opened
from .recorded import record
from .sight import horizon_of, sight_of
from .timeline import Interval, subtract, union

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .history import Piece
    from .model import Disagreement, Ledger, ManualEvidence
    from .opened import Opening
    from .sight import Sight
    from .timeline import Intervals


def assess(
    library: Library,
    ledger: Ledger,
    opening: Opening,
    assessment: Assessment,
) -> Findings:
    """Derive everything that the evidence says about one assessment.

    `opening` is the state at the end of `opening_run`'s window. The result depends on
    these values alone: no clock, no commit, no history.
    """
    framework = library.frameworks[assessment.framework]
    in_scope = [framework.requirements[n] for n in assessment.requirements]
    names = sorted({c for item in in_scope for c in item.controls})
    horizon = horizon_of(ledger, assessment.period)
    gathered = {
        name: _Gathered(library, ledger, assessment, name, horizon) for name in names
    }
    whole = _Whole()
    for part in ledger.parts():
        whole.take(part, opening, assessment, gathered)
    contradicted = whole.disagreements
    controls = {
        name: own.findings(concerning(library.controls[name], contradicted))
        for name, own in gathered.items()
    }
    deviations = in_order(d for own in controls.values() for d in own.deviations)
    collected = horizon and Interval(assessment.period.start, horizon.end)
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
        unmapped=in_order(whole.unmapped),
        disagreements=contradicted,
        recorded=whole.recorded,
    )


class _Whole:
    """What the parts of a ledger say together, beside that on each control."""

    def __init__(self) -> None:
        self.unmapped: list[Deviation] = []
        self.recorded = Recorded()
        self._contradicted: list[Disagreement] = []

    @property
    def disagreements(self) -> tuple[Disagreement, ...]:
        found = sorted(self._contradicted, key=lambda row: (row.found.at, row.found))
        return tuple(found)

    def take(
        self,
        part: Ledger,
        opening: Opening,
        assessment: Assessment,
        gathered: Mapping[str, _Gathered],
    ) -> None:
        """Judge what one part says of its accounts."""
        scope = assessment.of(part.accounts)
        demands = {each for own in gathered.values() for each in own.rules}
        states = opening.of(part.accounts) if isinstance(opening, Opened) else opening
        sight = sight_of(part, states, scope, {each.identifier for each in demands})
        mapped = {name for own in gathered.values() for name in own.take(scope, sight)}
        self.unmapped += unmapped(scope, sight, mapped)
        self._contradicted += disagreements(part, scope, _our_record(sight))
        record(self.recorded, part, scope, demands)


def _our_record(sight: Sight | None) -> Callable[[], OurRecord]:
    """Lay out our record for comparison, if anything has to be compared."""

    def laid_out() -> OurRecord:
        if sight is None:
            return OurRecord(None)
        found = OurRecord(sight.horizon)
        found.add(sight.pieces, {row.key: row for r in sight.runs for row in r.rules})
        return found

    return laid_out


class _Gathered:
    """What was found of one control so far: of its rules, part after part."""

    def __init__(
        self,
        library: Library,
        ledger: Ledger,
        assessment: Assessment,
        control: str,
        horizon: Interval | None,
    ) -> None:
        """Judge the evidence that is no Config rule, which a ledger has in one."""
        self.control = control
        evidence = library.controls[control].evidence
        self.rules = [each for each in evidence if isinstance(each, ConfigRule)]
        self._results: list[list[RuleResult]] = [[] for _ in self.rules]
        self._deviations: dict[str, Deviation] = {}
        self._gaps: dict[str, Gap] = {}
        self._documents: list[str] = []
        self._looks: list[_Looked] = []
        self._events: list[EventResult] = []
        for each in evidence:
            match each:
                case ManualDocument(document=document):
                    paper = library.manual.get(document)
                    self._documents += [document] if paper else []
                    self._add((), _document_gaps(assessment, each, paper))
                case Snapshot() | SecurityHubControl():
                    looked = _looked(assessment, horizon, ledger, each)
                    self._looks.append(looked)
                    self._add(looked.deviations, looked.gaps)
                case EventQuery():
                    until = horizon.end if horizon else None
                    seen = occurrences(each, ledger.cloudtrail, assessment, until)
                    self._events.append(seen.result)
                    self._add(seen.deviations, seen.gaps)

    def _add(self, deviations: Iterable[Deviation], gaps: Iterable[Gap]) -> None:
        self._deviations |= {item.id: item for item in deviations}
        self._gaps |= {item.id: item for item in gaps}

    def take(self, scope: Assessment, sight: Sight | None) -> Iterator[str]:
        """Judge the rules in some accounts; give the ids of their deviations."""
        for evidence, results in zip(self.rules, self._results, strict=True):
            result, found, missing = demanded(scope, sight, evidence)
            results.append(result)
            self._add(found, missing)
            yield from (item.id for item in found)
        for looked in self._looks:
            looked.take(scope, sight)

    def findings(self, contradicted: tuple[Disagreement, ...]) -> ControlFindings:
        """Put everything together."""
        return ControlFindings(
            control=self.control,
            rules=tuple(
                RuleResult(
                    evidence=evidence,
                    instances=tuple(row for own in results for row in own.instances),
                    share=sum((own.share for own in results), Share()),
                )
                for evidence, results in zip(self.rules, self._results, strict=True)
            ),
            documents=tuple(sorted(self._documents)),
            deviations=in_order(self._deviations.values()),
            gaps=in_order(self._gaps.values()),
            observed=tuple(looked.result for looked in self._looks),
            events=tuple(self._events),
            disagreements=contradicted,
        )


@dataclass(slots=True, kw_only=True)
class _Looked:
    """What evidence that shows instants says, and where Config says otherwise."""

    evidence: Snapshot | SecurityHubControl
    result: ObservedResult
    deviations: list[Deviation]
    gaps: list[Gap]

    def take(self, scope: Assessment, sight: Sight | None) -> None:
        """Hold the verdicts in some accounts against what Config recorded there."""
        if isinstance(self.evidence, SecurityHubControl) and sight:
            accounts = {number for _, number in scope.accounts}
            places = [row for row in self.result.places if row.account in accounts]
            found = conflicts(self.evidence, places, sight)
            self.result = replace(
                self.result, conflicts=(*self.result.conflicts, *found)
            )


def _looked(
    assessment: Assessment,
    horizon: Interval | None,
    ledger: Ledger,
    evidence: Snapshot | SecurityHubControl,
) -> _Looked:
    """Judge evidence that shows instants: a hole is a gap, FAILED is a deviation."""
    period = assessment.period
    until = horizon.end if horizon else None
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
    return _Looked(evidence=evidence, result=result, deviations=deviations, gaps=gaps)


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
