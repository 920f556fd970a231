# SPDX-License-Identifier: Apache-2.0
"""Tables of what follows: populations, deviations, gaps, annotations, transitions.

Rules enforced here:
- annotations that are internal stay out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.timeline import iso

from .table import joined, made, pairs_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlbook.model import Annotation, Deviation, Gap, InstanceResult
    from controlbook.render.report import Report

    from .table import Row, Table


def population(report: Report) -> Table:
    """List every rule instance: what it counted, over which time."""

    def rows() -> Iterator[Row]:
        for name, own in sorted(report.findings.controls.items()):
            for result in own.rules:
                for row in result.instances:
                    yield (name, result.evidence.key, *_instance(report, row))

    return made(
        "population",
        "control evidence rule deployed_as identifier parameters account account_name"
        " region trigger frequency matched at_start at_end resources throughout"
        " present_ms observed_ms deviating_ms exempt_ms deviations gaps repeated"
        " counted_in",
        rows(),
    )


def _instance(report: Report, row: InstanceResult) -> Row:
    return (
        row.rule,
        row.deployed_as,
        row.identifier,
        pairs_of(row.parameters),
        row.account,
        report.assessment.account_name(row.account),
        row.region,
        row.trigger,
        row.frequency,
        row.matched,
        row.at_start,
        row.at_end,
        len(row.resources),
        row.throughout,
        row.share.present,
        row.share.observed,
        row.share.deviating,
        row.share.exempt,
        joined(row.deviations),
        joined(row.gaps),
        len(row.repeated),
        row.counted_in,
    )


def _notes_of(report: Report, item: Deviation | Gap) -> list[Annotation]:
    return [
        note
        for note in report.library.annotations
        if item.id in note.covers and note.audience != "internal"
    ]


def _requirements_of(report: Report, item: Deviation | Gap) -> str:
    return joined(
        number
        for number, own in report.findings.requirements.items()
        if item.id in own.ids
    )


def deviations(report: Report) -> Table:
    """List every deviation, also those under rules that no control names."""

    def rows() -> Iterator[Row]:
        found = report.findings
        mapped = [(item, "yes") for item in found.deviations]
        for item, named in (*mapped, *((item, "no") for item in found.unmapped)):
            notes = _notes_of(report, item)
            yield (
                item.id,
                named,
                _requirements_of(report, item),
                item.rule,
                item.identifier,
                pairs_of(item.parameters),
                item.account,
                report.assessment.account_name(item.account),
                item.region,
                item.resource,
                iso(item.start),
                "" if item.end is None else iso(item.end),
                iso(item.within.start),
                iso(item.within.end),
                item.within.length,
                item.ended_by,
                item.precision,
                joined(note.path for note in notes),
                joined(note.ticket for note in notes if note.ticket),
            )

    return made(
        "deviations",
        "id mapped requirements rule identifier parameters account account_name region"
        " resource start end within_start within_end within_ms ended_by precision"
        " annotations tickets",
        rows(),
    )


def gaps(report: Report) -> Table:
    """List every evidence gap."""

    def rows() -> Iterator[Row]:
        for item in report.findings.gaps:
            notes = _notes_of(report, item)
            yield (
                item.id,
                item.reason,
                _requirements_of(report, item),
                item.rule,
                item.account,
                report.assessment.account_name(item.account),
                item.region,
                iso(item.start),
                "" if item.end is None else iso(item.end),
                iso(item.within.start),
                iso(item.within.end),
                item.within.length,
                joined(item.resources),
                joined(note.path for note in notes),
                joined(note.ticket for note in notes if note.ticket),
            )

    return made(
        "gaps",
        "id reason requirements rule account account_name region start end within_start"
        " within_end within_ms resources annotations tickets",
        rows(),
    )


def notes(report: Report) -> Table:
    """List every annotation that an auditor may read, with what it covers."""
    known = {
        *report.findings.controls,
        *(item.id for item in report.findings.deviations),
        *(item.id for item in report.findings.gaps),
        *(item.id for item in report.findings.unmapped),
    }

    def rows() -> Iterator[Row]:
        for note in sorted(report.library.annotations, key=lambda note: note.path):
            if note.audience != "internal" and known & set(note.covers):
                yield (
                    note.path,
                    note.title,
                    joined(note.covers),
                    "" if note.start is None else iso(note.start),
                    "" if note.end is None else iso(note.end),
                    note.author,
                    note.ticket,
                    note.body,
                    note.sha256,
                )

    return made(
        "annotations",
        "path title covers start end author ticket text sha256",
        rows(),
    )


def transitions(report: Report) -> Table:
    """List every change of state in scope that the runs recorded."""
    assessment = report.assessment
    accounts = {number for _, number in assessment.accounts}

    def rows() -> Iterator[Row]:
        for run in report.runs:
            for move in run.transitions:
                inside = assessment.period.contains(move.at)
                if (
                    inside
                    and move.account in accounts
                    and move.region in assessment.regions
                ):
                    yield (
                        run.seq,
                        iso(move.at),
                        move.rule,
                        move.account,
                        assessment.account_name(move.account),
                        move.region,
                        move.resource,
                        move.before.value,
                        move.after.value,
                        move.precision,
                        move.cause,
                    )

    return made(
        "transitions",
        "seq at rule account account_name region resource before after precision cause",
        rows(),
    )
