# SPDX-License-Identifier: Apache-2.0
"""Our controls as an OSCAL component definition.

Rules enforced here:
- a component says what we demand and by what it is evidenced, never that it holds;
- reviewed mappings only: a proposed one answers nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .catalog import CATALOG
from .document import (
    OWNER,
    Head,
    document,
    filled,
    line,
    prop,
    props,
    prose,
    responsible,
)

if TYPE_CHECKING:
    from controlbook.model import Control, MappedControl, Requirement
    from controlbook.render.report import Report

    from .document import Ids, Node, Nodes

COMPONENTS = "component-definition.json"


def component_definition(report: Report, ids: Ids) -> Node:
    """Write every control that the assessment rests on, with the numbers it answers."""
    return document(
        report,
        ids,
        "component-definition",
        Head(
            title=f"{report.assessment.id}: controls",
            people=True,
            remarks="What the programme demands of itself and maps to the framework."
            " Whether it held in the period stands in assessment-results.json alone.",
        ),
        {
            "components": [
                _component(report, ids, report.library.controls[name])
                for name in sorted(report.findings.controls)
            ]
        },
    )


def _component(report: Report, ids: Ids, control: Control) -> Node:
    known = {*report.library.people, *report.library.teams}
    answered: Nodes = [
        _implemented(ids, item, row, report)
        for item in report.framework.requirements.values()
        for row in item.mappings
        if row.control == control.id and row.control in item.controls
    ]
    parts: Nodes = responsible(ids, OWNER, {control.owner} & known)
    return filled(
        {
            "uuid": ids.lasting("control", control.id),
            "type": "policy",
            "title": line(control.title),
            "description": prose(control.statement),
            "props": [
                *props(("control", control.id), ("sha256", control.sha256)),
                *(prop("evidence", source.key) for source in control.evidence),
            ],
            "responsible-roles": parts,
            "control-implementations": [
                {
                    "uuid": ids.own("implementation", control.id),
                    "source": CATALOG,
                    "description": f"Requirements of {line(report.framework.title)}"
                    " that this control is mapped to.",
                    "implemented-requirements": answered,
                }
            ]
            if answered
            else [],
        }
    )


def _implemented(
    ids: Ids, item: Requirement, row: MappedControl, report: Report
) -> Node:
    source = report.framework.sources.get(row.source, row.source)
    return {
        "uuid": ids.own("mapping", row.control, item.number),
        "control-id": ids.controls[item.number],
        "description": f"Mapped to {item.number}, reviewed: as sets of what they ask"
        f" for, the control and the requirement stand as {row.relation.value}.",
        "props": props(
            ("requirement", item.number),
            ("relation", row.relation.value),
            ("mapping", row.state.value),
            ("source", source),
        ),
    }
