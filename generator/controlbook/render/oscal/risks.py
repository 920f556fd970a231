# SPDX-License-Identifier: Apache-2.0
"""Deviations and evidence gaps as OSCAL risks; those still open as a plan of action.

Rules enforced here:
- a risk is closed only where the resource was compliant again or is gone, or where
  evidence came back; whatever else ended a deviation leaves it open;
- an explanation is its author's, and never closes a risk;
- without anything open there is no plan of action: OSCAL knows no empty one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.model import Deviation
from controlbook.render import words
from controlbook.timeline import iso

from .deviations import everything, observed, once, resource_item
from .document import Head, document, filled, line, prop, props
from .plan import account_item
from .shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlbook.model import Gap
    from controlbook.render.report import Report

    from .document import Ids, Node, Nodes

POAM = "poam.json"
ENDED = frozenset({"remediated", "deleted"})
"""What closes a risk: the other endings say only that nobody looks any more."""


def is_open(item: Deviation | Gap) -> bool:
    """Tell whether something is still to be done about a deviation or gap."""
    if isinstance(item, Deviation):
        return item.end is None or item.ended_by not in ENDED
    return item.end is None


def risk(shelf: Shelf, item: Deviation | Gap, seen: Node) -> Node:
    """Write the risk of a deviation or gap, which the observation `seen` describes."""
    ids, deviation = shelf.ids, isinstance(item, Deviation)
    notes = shelf.notes(item)
    status = "open" if is_open(item) else "closed"
    return filled(
        {
            "uuid": ids.own("risk", item.id),
            "title": seen["title"],
            "description": seen["description"],
            "statement": "The rule was not met for as long as it lasted."
            if deviation
            else "What happened in this time is not known.",
            "props": [
                *props(
                    ("deviation" if deviation else "gap", item.id),
                    ("explained", "yes" if notes else "no"),
                ),
                *(prop("ticket", note.ticket) for note in notes if note.ticket),
            ],
            "links": [shelf.cite_note(note) for note in notes],
            "status": status,
            "risk-log": {"entries": _entries(ids, item, status)},
            "related-observations": [{"observation-uuid": seen["uuid"]}],
        }
    )


def _entries(ids: Ids, item: Deviation | Gap, status: str) -> Nodes:
    began: Node = {
        "uuid": ids.own("risk", item.id, "began"),
        "title": "Began",
        "start": iso(item.start),
        "status-change": "open",
    }
    if item.end is None:
        return [began]
    how = (
        words.ENDINGS.get(item.ended_by, item.ended_by)
        if isinstance(item, Deviation)
        else "evidence came back"
    )
    ended: Node = {
        "uuid": ids.own("risk", item.id, "ended"),
        "title": line(f"Ended: {how}"),
        "start": iso(item.end),
        "status-change": status,
    }
    return [began, ended]


def plan_of_action(report: Report, ids: Ids, data: Mapping[str, str]) -> Node | None:
    """Write every deviation and gap that is open; None where nothing is."""
    shelf = Shelf(report, ids, data)
    seen = [
        (item, observed(shelf, item)) for item in everything(report) if is_open(item)
    ]
    if not seen:
        return None
    items: Nodes = [
        resource_item(report, ids, item)
        for item in once(item for item, _ in seen if isinstance(item, Deviation))
    ]
    items += [
        account_item(report, ids, account) for _, account in report.assessment.accounts
    ]
    return document(
        report,
        ids,
        "plan-of-action-and-milestones",
        Head(
            title=f"{report.assessment.id}: open deviations and evidence gaps",
            people=True,
        ),
        {
            "system-id": {
                "identifier-type": "http://ietf.org/rfc/rfc4122",
                "id": report.library.settings.ledger,
            },
            "local-definitions": {"inventory-items": items},
            "observations": [node for _, node in seen],
            "risks": [risk(shelf, item, node) for item, node in seen],
            "poam-items": [
                {
                    "uuid": ids.own("poam-item", item.id),
                    "title": node["title"],
                    "description": node["description"],
                    "related-observations": [{"observation-uuid": node["uuid"]}],
                    "related-risks": [{"risk-uuid": ids.own("risk", item.id)}],
                }
                for item, node in seen
            ],
            "back-matter": shelf.back.node(),
        },
    )
