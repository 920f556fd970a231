# SPDX-License-Identifier: Apache-2.0
"""What the evidence of a control showed, as OSCAL observations.

Rules enforced here:
- one observation per control × evidence × account × Region, with its counts; never one
  per verdict: the tables hold those;
- a document is examined, a rule tests: OSCAL's methods say which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.model import ManualDocument
from controlbook.render import words
from controlbook.render.sentences import EMPTY, whole
from controlbook.timeline import iso

from .document import line, prop, props

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controlbook.model import (
        ControlFindings,
        EventPlace,
        EventResult,
        InstanceResult,
        ManualEvidence,
        ObservedResult,
        PlaceObserved,
        StoredObject,
    )

    from .document import Node, Nodes
    from .shelf import Shelf

EXAMINE, TEST = "EXAMINE", "TEST"


def of_control(shelf: Shelf, own: ControlFindings) -> Iterator[Node]:
    """Observe a control by each piece of its evidence, place by place."""
    for rule in own.rules:
        for row in rule.instances:
            yield _instance(shelf, own.control, rule.evidence.key, row)
    for seen in own.observed:
        for look in seen.places:
            yield _looks(shelf, own.control, seen, look)
    for found in own.events:
        for place in found.places:
            yield _events(shelf, own.control, found, place)
    for name in own.documents:
        yield _document(shelf, own.control, shelf.report.library.manual[name])


def _instance(shelf: Shelf, control: str, evidence: str, row: InstanceResult) -> Node:
    name = shelf.report.assessment.account_name(row.account)
    share = row.share
    kinds = {words.kind_of(each) for each in row.resources}
    kind = words.resource_kind(
        kinds.pop() if len(kinds) == 1 else "", len(row.resources)
    )
    told = (
        f"{row.throughout:,} of {len(row.resources):,} {line(kind)} compliant for all"
        f" of the time {_how_long(shelf)};"
        f" {words.percent(share.observed, share.present)} of resource-time has"
        f" evidence; deviating for {words.duration(share.deviating)}."
        if row.resources
        else EMPTY
    )
    return shelf.observation(
        (control, evidence, row.account, row.region, row.deployed_as),
        {
            "title": line(f"{control}: {row.rule} in {name}, {row.region}"),
            "description": told,
            "methods": [TEST],
            "types": ["control-objective"],
            "props": [
                *props(
                    ("control", control),
                    ("evidence", evidence),
                    ("identifier", row.identifier),
                    ("deployed-as", row.deployed_as),
                    ("region", row.region),
                    ("trigger", row.trigger),
                    ("frequency", row.frequency),
                    ("resources", len(row.resources)),
                    ("throughout", row.throughout),
                    ("present-ms", share.present),
                    ("observed-ms", share.observed),
                    ("deviating-ms", share.deviating),
                    ("exempt-ms", share.exempt),
                    ("counted-in", row.counted_in),
                ),
                *(prop("parameter", v, of=n) for n, v in row.parameters),
            ],
            "subjects": shelf.accounts(row.account),
            "collected": iso(shelf.last("config")),
            "relevant-evidence": shelf.whole("config", "population"),
        },
    )


def _how_long(shelf: Shelf) -> str:
    """Say which time the counts are about: never the period while it is not over."""
    found = shelf.report.findings
    if whole(found, shelf.report.assessment):
        return "that they existed in the period"
    until = found.collected
    if until is None:
        return "collected so far"
    return f"collected so far ({words.stretch(until.start, until.end)})"


def _looks(
    shelf: Shelf, control: str, seen: ObservedResult, place: PlaceObserved
) -> Node:
    evidence = seen.evidence.key
    stream = evidence.partition(":")[0]
    name = shelf.report.assessment.account_name(place.account)
    part = words.percent(place.held, place.due) if place.due else "no part"
    until = "" if whole(shelf.report.findings, shelf.report.assessment) else " so far"
    told = (
        f"{words.count(len(place.answers), 'answer')}; {part} of the time due{until}"
        " has one. Each shows its own instant, not the time between."
    )
    results = {row.result for row in place.answers if row.result}
    return shelf.observation(
        (control, evidence, place.account, place.region),
        {
            "title": line(f"{control}: {evidence} in {name}, {place.region}"),
            "description": told,
            "methods": [TEST if stream == "security-hub" else EXAMINE],
            "types": ["control-objective"],
            "props": [
                *props(
                    ("control", control),
                    ("evidence", evidence),
                    ("region", place.region),
                    ("answers", len(place.answers)),
                    ("looks", place.taken),
                    ("due-ms", place.due),
                    ("held-ms", place.held),
                ),
                *(prop("result", result) for result in sorted(results)),
            ],
            "subjects": shelf.accounts(place.account),
            "collected": iso(shelf.last(stream)),
            "relevant-evidence": shelf.whole(stream, "observations"),
        },
    )


def _events(shelf: Shelf, control: str, found: EventResult, place: EventPlace) -> Node:
    name = shelf.report.assessment.account_name(place.account)
    behind = (
        f"{words.count(place.digests, 'signed digest')} behind it"
        if place.digests
        else "no signed digest behind it"
    )
    return shelf.observation(
        (control, found.key, place.account, place.region),
        {
            "title": line(
                f"{control}: {found.evidence.event} in {name}, {place.region}"
            ),
            "description": f"{words.count(place.count, 'event')} in"
            f" {words.duration(place.observed)} with evidence; {behind}.",
            "methods": [EXAMINE],
            "types": ["control-objective"],
            "props": props(
                ("control", control),
                ("evidence", found.key),
                ("expected", found.evidence.expect),
                ("region", place.region),
                ("events", place.count),
                ("observed-ms", place.observed),
                ("digests", place.digests),
                ("log-files", place.log_files),
                ("head-sha256", place.head_sha256),
            ),
            "subjects": shelf.accounts(place.account),
            "collected": iso(shelf.last("cloudtrail")),
            "relevant-evidence": shelf.whole("cloudtrail", "event_queries"),
        },
    )


def _document(shelf: Shelf, control: str, paper: ManualEvidence) -> Node:
    evidence = ManualDocument(document=paper.id).key
    path = f"sources/{paper.path}"
    cited = shelf.back.cite(
        path,
        paper.sha256,
        f"Record of the document {paper.title}",
        media_type="application/yaml",
        about=_stored(paper.object) + props(("content-sha256", paper.content_sha256)),
    )
    return shelf.observation(
        (control, evidence),
        {
            "title": line(f"{control}: {paper.title}"),
            "description": f"Document {line(paper.file)}, covering"
            f" {iso(paper.covers.start)} to {iso(paper.covers.end)}.",
            "methods": [EXAMINE],
            "types": ["control-objective"],
            "props": props(
                ("control", control),
                ("evidence", evidence),
                ("version", paper.version),
                ("covers-start", iso(paper.covers.start)),
                ("covers-end", iso(paper.covers.end)),
                ("expires", "" if paper.expires is None else iso(paper.expires)),
            ),
            "subjects": [],
            "collected": iso(paper.received),
            "relevant-evidence": [{"href": cited, "description": line(paper.title)}],
        },
    )


def _stored(stored: StoredObject) -> Nodes:
    return props(
        ("bucket", stored.bucket),
        ("key", stored.key),
        ("version-id", stored.version_id),
        ("lock-mode", stored.lock_mode),
        ("retain-until", stored.lock_until),
    )
