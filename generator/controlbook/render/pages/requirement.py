# SPDX-License-Identifier: Apache-2.0
"""The page of one requirement, which an auditor can read alone (auditors.md 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlbook.model import ConfigRule
from controlbook.render import sentences

from . import frameworks, index, lanes, write

if TYPE_CHECKING:
    from controlbook.model import (
        Control,
        Deviation,
        EvidenceSource,
        Gap,
        Judgement,
        Requirement,
        Run,
    )
    from controlbook.subjects import Subject

    from .view import View
    from .write import Page

RUNS_SHOWN = 25
"""Runs that a requirement's page lists; the evidence page lists all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectRow:
    """One part of what a sign-off is bound to: as signed, and now."""

    name: str
    signed: str
    now: str

    @property
    def same(self) -> bool:
        """Tell whether it is what was signed."""
        return self.signed == self.now


def page(view: View, item: Requirement, views: tuple[View, ...]) -> Page:
    """Show one requirement: what is required, what was seen, who signed."""
    findings: tuple[Deviation | Gap, ...] = (
        *view.deviations(item),
        *view.gaps(item),
    )
    names = {number: name for name, number in view.report.assessment.accounts}
    rows = lanes.lanes_of(findings, names)
    period = view.report.assessment.period
    status = view.status(item.number)
    events = [
        (control, result)
        for control in view.controls(item)
        for result in view.report.findings.controls[control.id].events
    ]
    return write.page(
        write.requirement(view.id, item.number),
        f"{item.number} {item.title}",
        "requirement",
        (view.report,),
        {
            "view": view,
            "item": item,
            "status": status,
            "rules": view.rules(item),
            "events": events,
            "event_rows": index.rows(
                _event_runs(view, {result.key for _, result in events})
            ),
            "sources": _other_sources(view, item),
            "lanes": rows,
            "lanes_shown": lanes.SHOWN,
            "drawing": lanes.draw(rows, period, view.report.findings.collected)
            if rows
            else "",
            "rows": index.rows(_runs(view, item)),
            "runs_shown": RUNS_SHOWN,
            "all_runs": len(view.report.runs),
            "subject": subject_rows(
                status.judgement, view.report.subjects[item.number]
            ),
            "cross": _cross(view, item, views),
            "shared": frameworks.shared(view, item),
            "licensed": view.report.licensed.get(item.number, ""),
            "population": sentences.population,
            "repeated": [
                text
                for _, rule in view.rules(item)
                for text in sentences.repeated_sentences(rule, view.report.assessment)
            ],
            "coverage": sentences.coverage_sentence,
            "no_deviation": sentences.no_deviation_sentence(
                tuple(rule for _, rule in view.rules(item)),
                tuple(result for _, result in events),
            ),
            "queries": _queries(view),
        },
    )


def subject_rows(judgement: Judgement, now: Subject) -> tuple[SubjectRow, ...]:
    """Compare what a sign-off is bound to with what stands there now."""
    signed = dict(judgement.signoff.subject) if judgement.signoff else {}
    changed = {part.name: part for part in judgement.stale}
    names = [*dict(now), *(name for name in changed if name not in dict(now))]
    return tuple(
        SubjectRow(
            name=name,
            signed=changed[name].signed if name in changed else signed.get(name, ""),
            now=changed[name].now if name in changed else dict(now)[name],
        )
        for name in names
    )


def _other_sources(
    view: View, item: Requirement
) -> tuple[tuple[Control, EvidenceSource], ...]:
    return tuple(
        (control, evidence)
        for control in view.controls(item)
        for evidence in control.evidence
        if not isinstance(evidence, ConfigRule)
    )


def _runs(view: View, item: Requirement) -> tuple[Run, ...]:
    """Choose the runs to list: the first, the last, and those that saw a change."""
    runs = view.report.runs
    identifiers = view.identifiers(item)
    counted = view.report.findings.recorded.rows
    changed = [run for run in runs if identifiers & counted[run.seq].moved]
    wanted = {run.seq: run for run in (*runs[:1], *runs[-1:])}
    for run in changed:
        if len(wanted) >= RUNS_SHOWN:
            break
        wanted.setdefault(run.seq, run)
    return tuple(wanted[seq] for seq in sorted(wanted))


def _event_runs(view: View, queries: set[str]) -> tuple[Run, ...]:
    """Choose the runs to list: first, last, corrections, and those that saw one."""
    runs = view.report.event_runs if queries else ()
    seen = [
        r
        for r in runs
        if r.kind == "correction" or any(row.key in queries for row in r.event_counts)
    ]
    wanted = {run.seq: run for run in (*runs[:1], *runs[-1:], *seen[:RUNS_SHOWN])}
    return tuple(wanted[seq] for seq in sorted(wanted))


def _queries(view: View) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Give every query that the runs asked, and the different parameters sent."""
    found: dict[str, list[str]] = {}
    for run in view.report.runs:
        for api, parameters in run.queries:
            sent = found.setdefault(api, [])
            if parameters not in sent:
                sent.append(parameters)
    return tuple((api, tuple(sent)) for api, sent in sorted(found.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """Another requirement that the same controls answer."""

    view: View
    item: Requirement
    controls: tuple[str, ...]


def _cross(
    view: View, item: Requirement, views: tuple[View, ...]
) -> tuple[Crossing, ...]:
    return tuple(
        Crossing(view=other, item=candidate, controls=common)
        for other in views
        for candidate in other.requirements
        if (common := tuple(c for c in candidate.controls if c in item.controls))
        and not (other is view and candidate.number == item.number)
    )
