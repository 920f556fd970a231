# SPDX-License-Identifier: Apache-2.0
"""Tables of what people wrote: requirements, controls, rules, documents.

Rules enforced here:
- a requirement left out of the assessment has its row, with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.model import ConfigRule
from controlbook.render import facts
from controlbook.timeline import iso

from .table import joined, made, pairs_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlbook.model import EvidenceSource
    from controlbook.render.report import Report

    from .table import Row, Table


def requirements(report: Report) -> Table:
    """List every requirement of the assessment, and each that is left out."""

    def rows() -> Iterator[Row]:
        for number, status in report.statuses.items():
            item = report.framework.requirements[number]
            own = report.findings.requirements[number]
            yield (
                number,
                item.title,
                joined(item.controls),
                item.inherited,
                item.not_applicable,
                report.assessment.assessor_of(number),
                status.status.value,
                status.conclusion,
                report.framework.labels.get(status.conclusion, status.conclusion),
                len(own.deviations),
                len(own.gaps),
                len(status.unannotated),
                joined(f"{person}: {what}" for person, what in status.waiting),
                "",
            )
        for number, reason in report.assessment.excluded:
            entry = report.framework.requirements.get(number)
            title = entry.title if entry else ""
            yield (number, title, *[""] * 4, "excluded", *[""] * 6, reason)

    return made(
        "requirements",
        "requirement title controls inherited not_applicable assessor status conclusion"
        " label deviations gaps unannotated waiting excluded_because",
        rows(),
    )


def controls(report: Report) -> Table:
    """List every control, with the requirements that it answers."""
    used: dict[str, list[str]] = {}
    for number in report.assessment.requirements:
        for name in report.framework.requirements[number].controls:
            used.setdefault(name, []).append(number)

    def rows() -> Iterator[Row]:
        for name, own in sorted(report.findings.controls.items()):
            control = report.library.controls[name]
            yield (
                name,
                control.title,
                control.owner,
                joined(used.get(name, ())),
                joined(evidence.key for evidence in control.evidence),
                len(own.deviations),
                len(own.gaps),
                control.path,
                control.sha256,
            )

    return made(
        "controls",
        "control title owner requirements evidence deviations gaps path sha256",
        rows(),
    )


def rules(report: Report) -> Table:
    """List every piece of evidence that a control names, and what became of it."""

    def rows() -> Iterator[Row]:
        for name, own in sorted(report.findings.controls.items()):
            results = {result.evidence.key: result for result in own.rules}
            for evidence in report.library.controls[name].evidence:
                if isinstance(evidence, ConfigRule):
                    result = results[evidence.key]
                    yield (
                        name,
                        evidence.key,
                        evidence.identifier,
                        pairs_of(evidence.parameters),
                        len(result.instances),
                        result.resources,
                        result.throughout,
                        result.share.present,
                        result.share.observed,
                        result.share.deviating,
                        result.share.exempt,
                    )
                else:
                    yield (name, *_other(evidence))

    return made(
        "rules",
        "control evidence identifier parameters instances resources throughout"
        " present_ms observed_ms deviating_ms exempt_ms",
        rows(),
    )


def _other(evidence: EvidenceSource) -> Row:
    return (evidence.key, *[""] * 9)


def documents(report: Report) -> Table:
    """List every document of the assessment, with its dates and digest."""

    def rows() -> Iterator[Row]:
        for paper in facts.documents(report.library, report.findings):
            users = [
                name
                for name, own in sorted(report.findings.controls.items())
                if paper.id in own.documents
            ]
            yield (
                paper.id,
                paper.title,
                paper.owner,
                paper.version,
                joined(users),
                iso(paper.covers.start),
                iso(paper.covers.end),
                iso(paper.received),
                "" if paper.expires is None else iso(paper.expires),
                paper.file,
                paper.size,
                paper.content_sha256,
                paper.object.bucket,
                paper.object.key,
                paper.object.version_id,
                paper.object.lock_mode,
                paper.object.lock_until,
                paper.path,
                paper.sha256,
            )

    return made(
        "documents",
        "document title owner version controls covers_start covers_end received expires"
        " file size content_sha256 bucket key version_id lock_mode retain_until path"
        " sha256",
        rows(),
    )
