# SPDX-License-Identifier: Apache-2.0
"""The framework as an OSCAL catalog, and the assessment's numbers as a profile of it.

Rules enforced here:
- a catalog holds numbers, our own titles and who stands under whom: no word of text
  that its owner keeps;
- the number as people write it is the control's `label`: OSCAL's ids cannot hold it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.kinds.frameworks import assessable

from .document import Head, document, filled, line, props

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlbook.model import Requirement
    from controlbook.render.report import Report

    from .document import Ids, Node, Nodes

CATALOG = "catalog.json"


def catalog(report: Report, ids: Ids) -> Node:
    """Write every number of the framework, in its order."""
    framework = report.framework
    below: dict[str, list[Requirement]] = {}
    for item in framework.requirements.values():
        below.setdefault(item.parent, []).append(item)
    asked = set(assessable(framework))
    top = below.get("", [])
    groups: Nodes = [
        _node(item, below, asked, ids) for item in top if item.number not in asked
    ]
    controls: Nodes = [
        _node(item, below, asked, ids) for item in top if item.number in asked
    ]
    return document(
        report,
        ids,
        "catalog",
        Head(
            title=framework.title,
            about=props(
                ("framework", framework.id),
                ("retired", framework.retired),
                ("license", framework.license),
            ),
            links=[{"href": framework.url, "rel": "reference"}]
            if framework.url
            else [],
            remarks="The framework's numbers, with titles of our own; its text is not"
            " here.",
        ),
        {"controls": controls, "groups": groups},
    )


def _node(
    item: Requirement,
    below: Mapping[str, list[Requirement]],
    asked: set[str],
    ids: Ids,
) -> Node:
    """Write a number with what stands below it; a heading at the top is a group."""
    heading = item.number not in asked
    statement: Node = {
        "id": ids.statement(item.number),
        "name": "statement",
        "prose": line(item.title),
    }
    return filled(
        {
            "id": ids.controls[item.number],
            "class": "heading" if heading else "requirement",
            "title": line(item.title),
            "props": [{"name": "label", "value": item.number}],
            "parts": [] if heading else [statement],
            "controls": [
                _node(child, below, asked, ids) for child in below.get(item.number, ())
            ],
        }
    )


def profile(report: Report, ids: Ids) -> Node:
    """Choose the numbers that the assessment takes in."""
    chosen: Nodes = [ids.controls[number] for number in report.assessment.requirements]
    return document(
        report,
        ids,
        "profile",
        Head(title=f"{report.assessment.id}: requirements in scope"),
        {"imports": [{"href": CATALOG, "include-controls": [{"with-ids": chosen}]}]},
    )
