# SPDX-License-Identifier: Apache-2.0
"""The report's tables: every requirement, rule, deviation, run and sign-off as rows.

Rules enforced here:
- columns and rows stand in a fixed order, and no table is cut: pages show n of N, the
  table has all N.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import audit_manager, evidence, findings, governance, programme
from .table import Cell, Row, Table

if TYPE_CHECKING:
    from controlbook.render.report import Report

__all__ = ["Cell", "Row", "Table", "tables"]


def tables(report: Report) -> tuple[Table, ...]:
    """Give every table of a report, in a fixed order."""
    return (
        programme.requirements(report),
        programme.controls(report),
        programme.rules(report),
        findings.population(report),
        findings.deviations(report),
        findings.gaps(report),
        findings.notes(report),
        evidence.evidence_index(report),
        governance.signoffs(report),
        programme.documents(report),
        findings.transitions(report),
        evidence.observations(report),
        evidence.events(report),
        evidence.event_queries(report),
        *(
            [audit_manager.kept(report), audit_manager.disagreements(report)]
            if report.preserved or report.findings.disagreements
            else []
        ),
        governance.status_history(report),
        governance.governance_changes(report),
        governance.people_changes(report),
        *([governance.changes(report)] if report.supersedes else []),
    )
