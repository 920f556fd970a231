# SPDX-License-Identifier: Apache-2.0
"""One requirement as the printed report tells it, so that it can be read alone.

Rules enforced here:
- a conclusion is the assessor's, named with date and basis; where there is none that
  counts, the section says so and why;
- rows that are left out are counted: every deviation and gap stays, runs are shown
  where they open, close or change something.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlbook.model import (
    ALL,
    ConfigRule,
    EventQuery,
    ManualDocument,
    SecurityHubControl,
    Snapshot,
)
from controlbook.subjects import annotations_of
from controlbook.timeline import iso

from . import charts, words

if TYPE_CHECKING:
    from controlbook.model import (
        Annotation,
        Control,
        ControlFindings,
        EventResult,
        EvidenceSource,
        Gap,
        Judgement,
        ManualEvidence,
        Requirement,
        RequirementFindings,
        RequirementStatus,
        RuleResult,
        Run,
    )

    from .report import Report

ROWS = 25
"""Evidence rows and lanes per requirement; all runs stand in the evidence index."""

_FEW = 4
PLURALS = {"event query": "event queries"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlSection:
    """One of our controls as a requirement's section prints it."""

    control: Control
    found: ControlFindings
    attestation: Judgement | None
    others: tuple[EvidenceSource, ...]
    """Evidence that is no Config rule, event query or document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementSection:
    """Everything that one requirement's section prints."""

    requirement: Requirement
    parents: tuple[Requirement, ...]
    status: RequirementStatus
    found: RequirementFindings
    now: dict[str, str]
    """What a sign-off is bound to now: name → digest."""
    controls: tuple[ControlSection, ...]
    documents: tuple[ManualEvidence, ...]
    annotations: tuple[Annotation, ...]
    timeline: str
    runs: tuple[tuple[Run, int], ...]
    """Those that opened, closed or changed something, with their changes."""
    runs_in_all: int

    @property
    def anchor(self) -> str:
        """Name the section's destination in the PDF: `req-3.4`."""
        return f"req-{self.requirement.number}"

    @property
    def rules(self) -> tuple[RuleResult, ...]:
        """Give the results of every rule behind the requirement."""
        return tuple(rule for part in self.controls for rule in part.found.rules)

    @property
    def events(self) -> tuple[EventResult, ...]:
        """Give the results of every event query behind the requirement."""
        return tuple(row for part in self.controls for row in part.found.events)

    @property
    def basis(self) -> str:
        """Say what a conclusion on this requirement rests on."""
        if self.requirement.inherited:
            return "what another party operates, as stated below"
        if self.requirement.not_applicable:
            return "the reason stated below"
        looks = sum(len(part.found.observed) for part in self.controls)
        counts = (
            (len(self.rules), "rule"),
            (looks, "point-in-time source"),
            (len(self.events), "event query"),
            (len(self.documents), "document"),
        )
        parts = [
            words.count(number, noun, PLURALS.get(noun, ""))
            for number, noun in counts
            if number
        ]
        return " and ".join(parts) or "no evidence"

    @property
    def bound(self) -> tuple[tuple[str, str, str], ...]:
        """Give each part of the subject: its name, as signed (or empty), and now."""
        file = self.status.judgement.signoff
        signed = dict(file.subject) if file else {}
        names = dict.fromkeys((*self.now, *signed))
        return tuple(
            (name, signed.get(name, ""), self.now.get(name, "")) for name in names
        )

    @property
    def unchanged(self) -> bool:
        """Tell whether nothing was signed yet, or all of it stands as it was signed."""
        if self.status.judgement.signoff is None:
            return True
        return all(signed == now for _, signed, now in self.bound)


def section_of(report: Report, number: str) -> RequirementSection:
    """Gather what the section of one requirement prints."""
    item = report.framework.requirements[number]
    found = report.findings.requirements[number]
    status = report.statuses[number]
    controls = tuple(
        _control(report, name, status.attestations.get(name)) for name in found.controls
    )
    papers = sorted({name for part in controls for name in part.found.documents})
    return RequirementSection(
        requirement=item,
        parents=_parents(report, item),
        status=status,
        found=found,
        now=dict(report.subjects[number]),
        controls=controls,
        documents=tuple(report.library.manual[name] for name in papers),
        annotations=tuple(
            note
            for note in annotations_of(report.library, found.ids, found.controls)
            if note.audience != "internal"
        ),
        timeline=_timeline(report, found),
        runs=_runs_behind(report, controls, found)[:ROWS],
        runs_in_all=len(report.runs),
    )


def concluded(report: Report, section: RequirementSection, person: str) -> str:
    """Say who concluded what, when and on what; or that nobody has."""
    status = section.status
    found = status.judgement
    label = words.conclusion(report.framework, status.conclusion)
    if found.counts and label and found.signoff:
        merged = f", merged {iso(found.pull.merged_at)}" if found.pull else ""
        pull = found.pull.number if found.pull else words.NOTHING
        acknowledged = " and ".join(
            words.count(number, noun)
            for number, noun in (
                (len(section.found.deviations), "deviation"),
                (len(section.found.gaps), "evidence gap"),
            )
            if number
        )
        return (
            f"{label}: signed by {person} on pull request {pull}{merged}. "
            f"It rests on {section.basis}"
            f"{', and acknowledges ' if acknowledged else ''}{acknowledged}."
        )
    why = "; ".join(found.reasons) or (
        "what was signed has changed" if found.stale else "nobody has signed"
    )
    return f"No conclusion that counts: {why}. There is {section.basis} to judge by."


def _control(
    report: Report, name: str, attestation: Judgement | None
) -> ControlSection:
    control = report.library.controls[name]
    return ControlSection(
        control=control,
        found=report.findings.controls[name],
        attestation=attestation,
        others=tuple(
            source
            for source in control.evidence
            if not isinstance(
                source,
                ConfigRule
                | EventQuery
                | ManualDocument
                | Snapshot
                | SecurityHubControl,
            )
        ),
    )


def _parents(report: Report, item: Requirement) -> tuple[Requirement, ...]:
    table = report.framework.requirements
    found: list[Requirement] = []
    while item.parent and item.parent in table:
        item = table[item.parent]
        found.insert(0, item)
    return tuple(found)


def _runs_behind(
    report: Report, controls: tuple[ControlSection, ...], found: RequirementFindings
) -> tuple[tuple[Run, int], ...]:
    identifiers = {
        rule.evidence.identifier for part in controls for rule in part.found.rules
    }
    if not identifiers:
        return ()
    starts = [item.within.start for item in found.deviations]
    starts += [item.within.start for item in found.gaps]
    ends = {run.seq for run in (*report.runs[:1], *report.runs[-1:])}
    counted = report.findings.recorded.rows
    rows = [
        (run, sum(counted[run.seq].moves[each] for each in identifiers))
        for run in report.runs
    ]
    return tuple(
        (run, changes)
        for run, changes in rows
        if changes
        or run.seq in ends
        or any(run.window.contains(start) for start in starts)
    )


def _timeline(report: Report, found: RequirementFindings) -> str:
    lanes: dict[str, list[charts.Mark]] = {}
    for item in found.deviations:
        mark = charts.Mark(interval=item.within, kind="deviation")
        lanes.setdefault(words.name_of(item.resource), []).append(mark)
    for gap in found.gaps:
        mark = charts.Mark(interval=gap.within, kind="gap")
        for label in _gap_lanes(report, gap):
            lanes.setdefault(label, []).append(mark)
    return charts.swimlane(
        [
            charts.Lane(label=label, marks=tuple(marks))
            for label, marks in list(lanes.items())[:ROWS]
        ],
        report.assessment.period,
    )


def _gap_lanes(report: Report, gap: Gap) -> tuple[str, ...]:
    if 0 < len(gap.resources) <= _FEW:
        return tuple(words.name_of(resource) for resource in gap.resources)
    if gap.rule != ALL:
        return (gap.rule,)
    if gap.account == ALL:
        return ("all accounts",)
    return (report.assessment.account_name(gap.account),)
