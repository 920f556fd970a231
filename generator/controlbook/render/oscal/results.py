# SPDX-License-Identifier: Apache-2.0
"""What an assessment came to, as OSCAL assessment results.

Rules enforced here:
- `satisfied` stands only where the named assessor's sign-off counts and concludes so:
  whatever is unsigned, stale, rejected or still collecting is `not-satisfied` with
  the reason `other`, and says that nobody has concluded;
- a requirement signed as not applicable has no finding, as OSCAL wants it, and is
  listed with its reason;
- status, conclusion and evidence stay three things.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from controlbook.model import Conclusion, Deviation, Status
from controlbook.render import words
from controlbook.timeline import iso

from .attestations import attestations
from .deviations import everything, observed, once, resource_item
from .document import (
    Head,
    document,
    filled,
    line,
    marks,
    prop,
    props,
    prose,
)
from .observations import of_control
from .plan import PLAN, reviewed
from .risks import risk
from .shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Mapping

    from controlbook.model import Requirement, RequirementStatus
    from controlbook.render.report import Report

    from .document import Ids, Node, Nodes

RESULTS = "assessment-results.json"
SIGNED = frozenset({Status.SIGNED, Status.SIGNED_WITH_DEVIATIONS})


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What OSCAL is told of a requirement."""

    state: str
    """satisfied | not-satisfied: OSCAL knows no third."""
    reason: str
    """pass | fail | other"""
    implemented: str = ""
    """implemented | alternative; empty where it does not follow."""
    remarks: str = ""


def state_of(status: RequirementStatus, item: Requirement) -> State | None:
    """Tell how a requirement stands; None where it is signed as not applicable."""
    signed = status.status in SIGNED and status.judgement.counts
    conclusion = status.conclusion if signed else ""
    if conclusion == Conclusion.NOT_APPLICABLE:
        return None
    if conclusion == Conclusion.SATISFIED:
        if item.inherited:
            # Somebody else does it: nothing of ours was tested.
            remarks = f"Inherited: {item.inherited}"
            return State(state="satisfied", reason="other", remarks=remarks)
        return State(state="satisfied", reason="pass", implemented="implemented")
    if conclusion == Conclusion.COMPENSATED:
        remarks = "Met by a compensating control."
        return State(
            state="satisfied",
            reason="other",
            implemented="alternative",
            remarks=remarks,
        )
    if conclusion == Conclusion.NOT_SATISFIED:
        return State(state="not-satisfied", reason="fail")
    why = (
        "Signed as not tested: this says nothing about whether it is met."
        if conclusion == Conclusion.NOT_TESTED
        else "Not concluded: no assessor's sign-off counts. OSCAL has no word for that;"
        " this does not say that the requirement was found unmet."
    )
    return State(state="not-satisfied", reason="other", remarks=why)


def assessment_results(report: Report, ids: Ids, data: Mapping[str, str]) -> Node:
    """Write findings, observations, risks and attestations of the period."""
    shelf = Shelf(report, ids, data)
    shelf.back.cite("facts.json", report.facts_root, "Canonical facts")
    by_control = {
        name: list(of_control(shelf, own))
        for name, own in sorted(report.findings.controls.items())
    }
    seen = [(item, observed(shelf, item)) for item in everything(report)]
    observations: Nodes = [node for nodes in by_control.values() for node in nodes]
    observations += [node for _, node in seen]
    found = report.findings
    result = filled(
        {
            "uuid": ids.own("result"),
            "title": line(report.assessment.title or report.assessment.id),
            "description": _description(report),
            "start": iso(report.assessment.period.start),
            "end": iso(found.collected.end) if found.collected else "",
            "props": _about(report),
            "local-definitions": filled({"inventory-items": _resources(report, ids)}),
            "reviewed-controls": reviewed(report, ids),
            "attestations": attestations(shelf),
            "observations": observations,
            "risks": [risk(shelf, item, node) for item, node in seen],
            "findings": [
                node
                for status in report.statuses.values()
                if (node := _finding(shelf, status, by_control)) is not None
            ],
        }
    )
    return document(
        report,
        ids,
        "assessment-results",
        Head(
            title=f"{report.assessment.id}: assessment results",
            people=True,
            remarks="A finding is satisfied only where the named assessor's sign-off"
            " counts. Not satisfied with the reason other means that nobody has"
            " concluded, or that it was not tested.",
        ),
        {
            "import-ap": {"href": PLAN},
            "results": [result],
            "back-matter": shelf.back.node(),
        },
    )


def _description(report: Report) -> str:
    period, found = report.assessment.period, report.findings
    concluded = sum(1 for s in report.statuses.values() if s.status in SIGNED)
    text = (
        f"Evidence of {iso(period.start)} to {iso(period.end)} (UTC, the end not"
        f" included). {concluded} of"
        f" {words.count(len(report.statuses), 'requirement')} signed."
    )
    if found.closed:
        return text
    until = iso(found.collected.end) if found.collected else "nothing yet"
    return f"{text} Collection is not complete: {until} is how far it reaches."


def _about(report: Report) -> Nodes:
    period, found = report.assessment.period, report.findings
    counts = Counter(s.status.value for s in report.statuses.values())
    absent: Nodes = [
        prop(
            "not-applicable",
            number,
            remarks=report.framework.requirements[number].not_applicable,
        )
        for number, status in report.statuses.items()
        if state_of(status, report.framework.requirements[number]) is None
    ]
    return [
        *(prop("marking", mark) for mark in marks(report)),
        *props(
            ("period-start", iso(period.start)),
            ("period-end", iso(period.end)),
            ("closed", "yes" if found.closed else "no"),
            ("deviations", len(found.deviations)),
            ("unmapped-deviations", len(found.unmapped)),
            ("gaps", len(found.gaps)),
        ),
        *(
            prop("requirements", n, of=_token(name))
            for name, n in sorted(counts.items())
        ),
        *absent,
    ]


def _token(status: str) -> str:
    return status.replace(" ", "-")


def _resources(report: Report, ids: Ids) -> Nodes:
    return [
        resource_item(report, ids, item)
        for item in once(i for i in everything(report) if isinstance(i, Deviation))
    ]


def _finding(
    shelf: Shelf, status: RequirementStatus, by_control: Mapping[str, list[Node]]
) -> Node | None:
    report, ids, number = shelf.report, shelf.ids, status.requirement
    item = report.framework.requirements[number]
    state = state_of(status, item)
    if state is None:
        return None
    own = report.findings.requirements[number]
    observed = [
        *(node["uuid"] for name in own.controls for node in by_control.get(name, ())),
        *(ids.own("observation", name) for name in own.ids),
    ]
    file = status.judgement.signoff
    signer = {file.person} & set(report.library.people) if file else set()
    return filled(
        {
            "uuid": ids.own("finding", number),
            "title": line(f"{number} {item.title}"),
            "description": _told(report, status),
            "props": _finding_props(report, status),
            "origins": [
                {
                    "actors": [
                        {"type": "party", "actor-uuid": ids.lasting("party", name)}
                    ]
                }
                for name in signer
                if status.conclusion
            ],
            "target": filled(
                {
                    "type": "statement-id",
                    "target-id": ids.statement(number),
                    "status": filled(
                        {
                            "state": state.state,
                            "reason": state.reason,
                            "remarks": prose(state.remarks),
                        }
                    ),
                    "implementation-status": filled({"state": state.implemented}),
                }
            ),
            "related-observations": [{"observation-uuid": uuid} for uuid in observed],
            "related-risks": [{"risk-uuid": ids.own("risk", n)} for n in own.ids],
        }
    )


def _told(report: Report, status: RequirementStatus) -> str:
    """Say in words where a requirement stands, and by whom."""
    label = words.STATUS[status.status]
    file = status.judgement.signoff
    own = report.findings.requirements[status.requirement]
    counts = (
        f" {words.count(len(own.deviations), 'deviation')},"
        f" {words.count(len(own.gaps), 'evidence gap')}."
    )
    if status.conclusion and file:
        person = report.library.people.get(file.person)
        name = person.name if person and person.name else file.person
        word = words.conclusion(report.framework, status.conclusion)
        return line(f"{label.word}: {name} concluded {word}.{counts}")
    waiting = "; ".join(f"{person}: {what}" for person, what in status.waiting)
    return line(
        f"{label.word}: {label.meaning}{counts}"
        + (f" Waiting for {waiting}." if waiting else "")
    )


def _finding_props(report: Report, status: RequirementStatus) -> Nodes:
    item = report.framework.requirements[status.requirement]
    own = report.findings.requirements[status.requirement]
    return [
        *props(
            ("requirement", item.number),
            ("status", _token(status.status.value)),
            ("interim", _token(status.interim.value) if status.interim else ""),
            ("conclusion", status.conclusion),
            ("framework-label", words.conclusion(report.framework, status.conclusion)),
            ("assessor", report.assessment.assessor_of(item.number)),
            ("deviations", len(own.deviations)),
            ("gaps", len(own.gaps)),
            ("inherited", "yes" if item.inherited else ""),
        ),
        *(prop("control", name) for name in item.controls),
        *(prop("unannotated", name) for name in status.unannotated),
        *(prop("does-not-count", why) for why in status.judgement.reasons),
        *(
            prop("stale", f"{part.signed or 'nothing'} {part.now}", of=part.name)
            for part in status.judgement.stale
        ),
    ]
