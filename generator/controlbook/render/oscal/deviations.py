# SPDX-License-Identifier: Apache-2.0
"""Deviations and evidence gaps as OSCAL observations.

Rules enforced here:
- each is an observation of its own, to the millisecond, and they are never merged;
- one under a rule that no control names is there all the same, and says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.model import Deviation
from controlbook.render import words
from controlbook.render.sentences import state_sentence
from controlbook.timeline import iso

from .document import line, plain, prop, props

if TYPE_CHECKING:
    from collections.abc import Iterable

    from controlbook.model import Gap
    from controlbook.render.report import Report

    from .document import Ids, Node
    from .shelf import Shelf


def everything(report: Report) -> tuple[Deviation | Gap, ...]:
    """Give all deviations and gaps in scope, those under unmapped rules included."""
    found = report.findings
    return (*found.deviations, *found.unmapped, *found.gaps)


def once(items: Iterable[Deviation]) -> tuple[Deviation, ...]:
    """Give one deviation of each resource."""
    return tuple(
        {(item.account, item.region, item.resource): item for item in items}.values()
    )


def resource_uuid(ids: Ids, item: Deviation) -> str:
    """Name the resource of a deviation."""
    return ids.lasting("resource", item.account, item.region, item.resource)


def resource_item(report: Report, ids: Ids, item: Deviation) -> Node:
    """Describe the resource of a deviation."""
    name = report.assessment.account_name(item.account)
    return {
        "uuid": resource_uuid(ids, item),
        "description": line(f"{item.resource} in {name}, {item.region}"),
        "props": [
            {"name": "asset-id", "value": plain(item.resource)},
            *props(("account", item.account), ("region", item.region)),
        ],
    }


def observed(shelf: Shelf, item: Deviation | Gap) -> Node:
    """Observe one deviation, or one evidence gap: a time without any observation."""
    if isinstance(item, Deviation):
        return _deviation(shelf, item)
    return _gap(shelf, item)


def _deviation(shelf: Shelf, item: Deviation) -> Node:
    runs = shelf.runs_of(item)
    return shelf.observation(
        (item.id,),
        {
            "title": line(f"Deviation {item.id}: {item.rule}"),
            "description": line(state_sentence(item, shelf.report.assessment)),
            "methods": ["TEST"],
            "types": ["finding"],
            "props": [
                *props(
                    ("deviation", item.id),
                    (
                        "mapped",
                        "no" if item.id in shelf.unmapped else "yes",
                    ),
                    ("rule", item.rule),
                    ("identifier", item.identifier),
                    ("region", item.region),
                    *_times(item),
                    ("ended-by", item.ended_by),
                    ("precision", words.precision(item.precision)),
                ),
                *(prop("parameter", v, of=n) for n, v in item.parameters),
            ],
            "subjects": [
                {
                    "subject-uuid": resource_uuid(shelf.ids, item),
                    "type": "inventory-item",
                },
                *shelf.accounts(item.account),
            ],
            "collected": iso(shelf.known(item, runs)),
            "relevant-evidence": [
                *shelf.runs(runs),
                *shelf.table("deviations"),
            ],
            "remarks": shelf.explained(item),
        },
    )


def _gap(shelf: Shelf, item: Gap) -> Node:
    assessment = shelf.report.assessment
    runs = shelf.runs_of(item)
    where = (
        f"{words.everything(assessment.account_name(item.account), 'account')},"
        f" {words.everything(item.region, 'Region')}"
    )
    what = words.everything(item.rule, "rule")
    return shelf.observation(
        (item.id,),
        {
            "title": line(f"Evidence gap {item.id}: {what}"),
            "description": line(
                f"No evidence of {what} in {where} for"
                f" {words.duration(item.within.length)}"
                f" ({words.stretch(item.within.start, item.within.end)}):"
                f" {words.gap_reason(item.reason)}. Never counted as compliant."
            ),
            "methods": ["UNKNOWN"],
            "types": ["finding"],
            "props": props(
                ("gap", item.id),
                ("reason", item.reason),
                ("rule", item.rule),
                ("region", item.region),
                *_times(item),
                ("resources", len(item.resources)),
            ),
            "subjects": shelf.accounts(item.account),
            "collected": iso(shelf.known(item, runs)),
            "relevant-evidence": [*shelf.runs(runs), *shelf.table("gaps")],
            "remarks": shelf.explained(item),
        },
    )


def _times(item: Deviation | Gap) -> tuple[tuple[str, object], ...]:
    return (
        ("start", iso(item.start)),
        ("end", "" if item.end is None else iso(item.end)),
        ("within-start", iso(item.within.start)),
        ("within-end", iso(item.within.end)),
        ("within-ms", item.within.length),
    )
