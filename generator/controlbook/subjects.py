# SPDX-License-Identifier: Apache-2.0
"""What a sign-off is bound to: (name, sha256) for one control or requirement.

Rules enforced here (trust.md section 2):
- a subject names only what belongs to this control or requirement, so that a change
  elsewhere does not disturb it and a change here names itself;
- nothing in a subject depends on time, commit, status, history or reviews;
- the evidence is bound by what runs recorded of each rule instance, and what changed.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from .digest import canonical, digest_of, leaf_hash, merkle_root, root_of_hashes
from .eventrows import EVENT
from .model import (
    GLOBAL,
    ConfigRule,
    EventQuery,
    ManualDocument,
    SecurityHubControl,
    Snapshot,
    heard_in,
)
from .observations import CONTRADICTION, OBSERVATION
from .timeline import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .digest import Json
    from .model import (
        Annotation,
        Assessment,
        Control,
        Deviation,
        Disagreement,
        EventResult,
        EvidenceSource,
        Findings,
        Gap,
        InstanceResult,
        Ledger,
        Library,
        ObservedResult,
        PlaceObserved,
        Recorded,
        SignOff,
    )

Subject = tuple[tuple[str, str], ...]
"""(name, sha256), in a fixed order."""


def control_subject(
    library: Library,
    findings: Findings,
    ledger: Ledger,
    assessment: Assessment,
    control: str,
) -> Subject:
    """Give what an owner's attestation of one control is bound to."""
    entry = library.controls[control]
    return _subject(
        library,
        findings,
        ledger,
        assessment,
        controls=(entry,),
        mapping={"control": control, "evidence": _evidence_document((entry,))},
        scope=scope_document(assessment, ""),
    )


def requirement_subject(
    library: Library,
    findings: Findings,
    ledger: Ledger,
    assessment: Assessment,
    number: str,
) -> Subject:
    """Give what an assessor's sign-off of one requirement is bound to."""
    item = library.frameworks[assessment.framework].requirements[number]
    controls = tuple(library.controls[name] for name in sorted(item.controls))
    attested = attestations_of(library, assessment, item.controls)
    return (
        *_subject(
            library,
            findings,
            ledger,
            assessment,
            controls=controls,
            mapping={
                "requirement": number,
                "title": item.title,
                "controls": [control.id for control in controls],
                "inherited": item.inherited,
                "not-applicable": item.not_applicable,
                "evidence": _evidence_document(controls),
            },
            scope=scope_document(assessment, number),
        ),
        (
            "attestations",
            digest_of([[name, file.sha256] for name, file in sorted(attested.items())]),
        ),
    )


def attestations_of(
    library: Library, assessment: Assessment, controls: Iterable[str]
) -> Mapping[str, SignOff]:
    """Find the owners' attestations of some controls, by control."""
    wanted = set(controls)
    return {
        file.about: file
        for file in library.signoffs
        if file.role == "owner"
        and file.assessment == assessment.id
        and file.about in wanted
    }


def annotations_of(
    library: Library, ids: Iterable[str], controls: Iterable[str]
) -> tuple[Annotation, ...]:
    """Find the annotations that cover any of these deviations, gaps or controls."""
    wanted = {*ids, *controls}
    return tuple(
        sorted(
            (note for note in library.annotations if wanted & set(note.covers)),
            key=lambda note: note.path,
        )
    )


def _subject(
    library: Library,
    findings: Findings,
    ledger: Ledger,
    assessment: Assessment,
    *,
    controls: tuple[Control, ...],
    mapping: Json,
    scope: Json,
) -> Subject:
    names = [control.id for control in controls]
    own = [findings.controls[name] for name in names]
    ids = {name for found in own for name in found.ids}
    notes = annotations_of(library, ids, names)
    papers = [
        library.manual[evidence.document]
        for control in controls
        for evidence in control.evidence
        if isinstance(evidence, ManualDocument) and evidence.document in library.manual
    ]
    return (
        ("controls", digest_of([[control.id, control.sha256] for control in controls])),
        ("mapping", digest_of(mapping)),
        ("scope", digest_of(scope)),
        ("evidence", evidence_root(findings.recorded, ledger, assessment, controls)),
        ("findings", digest_of(findings_document(findings, names))),
        ("annotations", digest_of([[note.path, note.sha256] for note in notes])),
        (
            "manual",
            digest_of(
                [
                    [paper.path, paper.sha256, paper.object.sha256]
                    for paper in sorted(papers, key=lambda paper: paper.path)
                ]
            ),
        ),
    )


def _evidence_document(controls: tuple[Control, ...]) -> Json:
    return [
        [control.id, [_source_document(evidence) for evidence in control.evidence]]
        for control in controls
    ]


def _source_document(evidence: EvidenceSource) -> Json:
    if isinstance(evidence, ConfigRule):
        return {
            "key": evidence.key,
            "identifier": evidence.identifier,
            "parameters": dict(evidence.parameters),
        }
    document: dict[str, Json] = {"key": evidence.key}
    if isinstance(evidence, Snapshot) and evidence.parameters:
        document["parameters"] = dict(evidence.parameters)
    if isinstance(evidence, Snapshot | SecurityHubControl) and evidence.days > 1:
        document["days"] = str(evidence.days)
    return document


def scope_document(assessment: Assessment, number: str) -> Json:
    """Write the scope that binds a sign-off; `number` adds this requirement's people.

    Other requirements' assessors and delegations stay out, or every delegation would
    make every sign-off stale.
    """
    document: dict[str, Json] = {
        "assessment": assessment.id,
        "framework": assessment.framework,
        "period": [iso(assessment.period.start), iso(assessment.period.end)],
        "accounts": [list(pair) for pair in assessment.accounts],
        "regions": list(assessment.regions),
        "excluded": [list(pair) for pair in assessment.excluded],
        "policy": [list(pair) for pair in assessment.policy],
    }
    if number:
        document["assessor"] = assessment.assessor_of(number)
        document["delegations"] = [
            [d.giver, d.receiver, d.role, iso(d.interval.start), iso(d.interval.end)]
            for d in assessment.delegations
            if number in d.requirements or not d.requirements
        ]
    return document


def evidence_root(
    recorded: Recorded,
    ledger: Ledger,
    assessment: Assessment,
    controls: tuple[Control, ...],
) -> str:
    """Give the Merkle root over what runs recorded for these controls' evidence.

    One leaf per (stream, seq, rule, account, region): the root of its records and the
    digest of its transitions, for every run whose window meets the period or ends at
    its start, in the assessment's accounts and Regions. Then one leaf per observation
    of the other evidence that they name, by stream and seq.
    """
    demands = [
        evidence
        for control in controls
        for evidence in control.evidence
        if isinstance(evidence, ConfigRule)
    ]
    others = chain(
        _observed_leaves(ledger, assessment, controls),
        _event_leaves(ledger, assessment, controls),
    )
    return root_of_hashes(chain(recorded.hashes(demands), map(leaf_hash, others)))


def _observed_leaves(
    ledger: Ledger, assessment: Assessment, controls: tuple[Control, ...]
) -> Iterable[bytes]:
    keys = {evidence.key for control in controls for evidence in control.evidence}
    accounts = {number for _, number in assessment.accounts}
    for _, runs in sorted(ledger.runs.items()):
        for run in runs:
            window, period = run.window, assessment.period
            if window.end < period.start or window.start >= period.end:
                continue
            for row in run.observations:
                placed = row.region in {*assessment.regions, GLOBAL}
                if row.evidence in keys and row.account in accounts and placed:
                    yield canonical([run.stream, run.seq, OBSERVATION.write(row)])


def _event_leaves(
    ledger: Ledger, assessment: Assessment, controls: tuple[Control, ...]
) -> Iterable[bytes]:
    """Give one leaf per (run, query, account, Region): count, root, head of digests.

    A place without an event has its leaf too: that there was none is evidence.
    """
    queries = sorted(
        {
            (evidence.source, evidence.event)
            for control in controls
            for evidence in control.evidence
            if isinstance(evidence, EventQuery)
        }
    )
    accounts = {number for _, number in assessment.accounts}
    period = assessment.period
    for run in ledger.cloudtrail if queries else ():
        if run.window.end <= period.start or run.window.start >= period.end:
            continue
        rows = {(r.source, r.event, r.account, r.region): r for r in run.event_counts}
        heads = {(row.account, row.region): row.head_sha256 for row in run.chains}
        for query in queries:
            regions = heard_in(query[0], assessment.regions)
            for place in sorted(run.collected):
                if query not in run.asked or place[0] not in accounts:
                    continue
                if place[1] not in regions:
                    continue
                row = rows.get((*query, *place))
                yield canonical(
                    [
                        run.stream,
                        run.seq,
                        f"cloudtrail:{query[0]}:{query[1]}",
                        *place,
                        row.count if row else 0,
                        row.root if row else merkle_root(()),
                        heads.get(place, ""),
                    ]
                )


def findings_document(findings: Findings, controls: Iterable[str]) -> Json:
    """Write the findings of some controls as canonical JSON's values."""
    return [
        {
            **_observed_document(own.observed),
            "control": own.control,
            "rules": [
                {
                    "evidence": result.evidence.key,
                    "instances": [_instance(row) for row in result.instances],
                }
                for result in own.rules
            ],
            "documents": list(own.documents),
            **(
                {"events": [_happened(row) for row in own.events]} if own.events else {}
            ),
            "deviations": [deviation_document(item) for item in own.deviations],
            "gaps": [gap_document(item) for item in own.gaps],
            **(
                {"disagreements": [disagreement_document(r) for r in own.disagreements]}
                if own.disagreements
                else {}
            ),
        }
        for own in (findings.controls[name] for name in sorted(set(controls)))
    ]


def _observed_document(results: tuple[ObservedResult, ...]) -> dict[str, Json]:
    """Write what other streams showed; controls without such evidence say nothing."""
    if not results:
        return {}
    return {
        "observed": [
            {
                "evidence": result.evidence.key,
                "places": [_place(place) for place in result.places],
                "conflicts": list(result.conflicts),
            }
            for result in results
        ]
    }


def _place(place: PlaceObserved) -> Json:
    rows = [canonical(OBSERVATION.write(row)) for row in place.observations]
    return {
        "account": place.account,
        "region": place.region,
        "answers": len(place.answers),
        "observations": len(rows),
        "root": merkle_root(rows),
        "due-ms": place.due,
        "held-ms": place.held,
    }


def _instance(row: InstanceResult) -> Json:
    return {
        "rule": row.rule,
        "identifier": row.identifier,
        "parameters": dict(row.parameters),
        "account": row.account,
        "region": row.region,
        "at-start": row.at_start,
        "at-end": row.at_end,
        "resources": list(row.resources),
        "counted-in": row.counted_in,
        "repeated": list(row.repeated),
        "throughout": row.throughout,
        "present-ms": row.share.present,
        "observed-ms": row.share.observed,
        "deviating-ms": row.share.deviating,
        "exempt-ms": row.share.exempt,
    }


def _happened(row: EventResult) -> Json:
    return {
        "evidence": row.key,
        "expect": row.evidence.expect,
        "span": [iso(row.span.start), iso(row.span.end)] if row.span else [],
        "count": row.count,
        "first": "" if row.first is None else iso(row.first),
        "last": "" if row.last is None else iso(row.last),
        "whole": "yes" if row.whole else "no",
        "proven-none": "yes" if row.none else "no",
        "places": [
            {
                "account": place.account,
                "region": place.region,
                "count": place.count,
                "observed-ms": place.observed,
                "digests": place.digests,
                "log-files": place.log_files,
                "head": place.head,
                "head-sha256": place.head_sha256,
            }
            for place in row.places
        ],
        "events": [EVENT.write(event) for event in row.events],
    }


def disagreement_document(row: Disagreement) -> dict[str, Json]:
    """Write one contradiction with Audit Manager as canonical JSON's values."""
    return {
        **CONTRADICTION.write(row.found),
        "now": list(row.now),
        "stands": "yes" if row.stands else "no",
    }


def deviation_document(item: Deviation) -> dict[str, Json]:
    """Write one deviation as canonical JSON's values."""
    return {
        "id": item.id,
        "rule": item.rule,
        "identifier": item.identifier,
        "parameters": dict(item.parameters),
        "account": item.account,
        "region": item.region,
        "resource": item.resource,
        "start": iso(item.start),
        "end": "" if item.end is None else iso(item.end),
        "within": [iso(item.within.start), iso(item.within.end)],
        "ended-by": item.ended_by,
        "precision": item.precision,
    }


def gap_document(item: Gap) -> dict[str, Json]:
    """Write one evidence gap as canonical JSON's values."""
    return {
        "id": item.id,
        "reason": item.reason,
        "account": item.account,
        "region": item.region,
        "rule": item.rule,
        "start": iso(item.start),
        "end": "" if item.end is None else iso(item.end),
        "within": [iso(item.within.start), iso(item.within.end)],
        "resources": list(item.resources),
    }
