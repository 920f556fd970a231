# SPDX-License-Identifier: Apache-2.0
"""Tables of Audit Manager: what the vault keeps of it, and where it contradicts us.

Rules enforced here:
- everything kept has its row, also what lies outside the period, which says so;
- a disagreement has its row whether or not a control names its rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.timeline import iso

from .table import joined, made

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlbook.model import Disagreement
    from controlbook.preserved import Kept
    from controlbook.render.report import Report

    from .table import Row, Table

NUMBERS = (
    *("evidence", "compliance checks", "issues", "configuration data", "manual"),
    *("user activity", "compared", "contradictions", "not in our record"),
    "ahead of our record",
)


def kept(report: Report) -> Table:
    """List everything that the vault keeps of Audit Manager."""

    def rows() -> Iterator[Row]:
        for each in report.preserved:
            for item in each.items:
                about = (each.id, each.name, each.run.seq)
                yield (*about, *_kept(report, item))

    columns = " ".join(name.replace(" ", "_") for name in NUMBERS)
    return made(
        "audit-manager",
        "assessment assessment_name seq kind control_set control at in_period by to"
        f" name status response text rules {columns} sha256",
        rows(),
    )


def _kept(report: Report, item: Kept) -> Row:
    period = report.assessment.period
    inside = "" if item.at is None else "yes" if period.contains(item.at) else "no"
    action = " ".join(filter(None, (item.told("action"), item.told("object"))))
    return (
        item.kind,
        item.told("set"),
        item.told("control"),
        item.told("at"),
        inside,
        item.told("by") or item.told("owners"),
        item.told("to"),
        item.told("name"),
        item.told("status") or action,
        item.told("response"),
        item.told("text"),
        item.told("rules") or item.told("sources"),
        *(item.number(name) for name in NUMBERS),
        item.sha256,
    )


def disagreements(report: Report) -> Table:
    """List every verdict of Audit Manager that our record contradicts."""

    def rows() -> Iterator[Row]:
        for row in report.findings.disagreements:
            yield _disagreement(report, row)

    return made(
        "disagreements",
        "at account account_name resource identifier audit_manager our_record_then"
        " our_record_now stands controls requirements assessment control_set control"
        " evidence",
        rows(),
    )


def _disagreement(report: Report, row: Disagreement) -> Row:
    found = row.found
    controls = [
        name
        for name, own in sorted(report.findings.controls.items())
        if row in own.disagreements
    ]
    return (
        iso(found.at),
        found.account,
        report.assessment.account_name(found.account),
        found.resource,
        found.identifier,
        found.theirs,
        joined(found.ours),
        joined(row.now),
        "yes" if row.stands else "no",
        joined(controls),
        joined(
            number
            for number, own in report.findings.requirements.items()
            if set(own.controls) & set(controls)
        ),
        found.evidence,
        found.group,
        found.control,
        found.id,
    )
