# SPDX-License-Identifier: Apache-2.0
"""The canonical facts of one assessment: what a tag, a PDF and a page all name.

Rules enforced here:
- pages are views of these facts; sign the facts, not the pages;
- no commit of the build, build time, release name or toolchain enters: two builds of
  equal content have equal facts;
- every deviation, gap and unmapped deviation stands here in full, never capped;
- a requirement without evidence or sign-off has its row too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controlbook.digest import digest_of, merkle_root
from controlbook.model import FOLLOWING
from controlbook.preserved import answers
from controlbook.subjects import (
    annotations_of,
    deviation_document,
    disagreement_document,
    findings_document,
    gap_document,
    scope_document,
)
from controlbook.timeline import iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from controlbook.digest import Json
    from controlbook.model import (
        Annotation,
        Assessment,
        Deviation,
        Findings,
        Framework,
        Gap,
        Judgement,
        Ledger,
        Library,
        ManualEvidence,
        Person,
        RequirementStatus,
        Run,
        StoredObject,
    )
    from controlbook.subjects import Subject
    from controlbook.timeline import Interval

    from .report import Report

TYPE = "controlbook/facts/1"


def facts(
    library: Library,
    ledger: Ledger,
    findings: Findings,
    statuses: Mapping[str, RequirementStatus],
    subjects: Mapping[str, Subject],
    assessment: Assessment,
) -> dict[str, Json]:
    """Write everything that one assessment says as canonical JSON's values."""
    framework = library.frameworks[assessment.framework]
    notes = _notes(library, findings)
    return {
        "type": TYPE,
        "assessment": assessment.id,
        "title": assessment.title,
        "entity": assessment.entity,
        "framework": {
            "id": framework.id,
            "title": framework.title,
            "retired": framework.retired,
        },
        "period": _span(assessment.period),
        "collected": _span(findings.collected) if findings.collected else [],
        "closed": "yes" if findings.closed else "no",
        "retention-until": ""
        if assessment.retention_until is None
        else iso(assessment.retention_until),
        "scope": scope_document(assessment, ""),
        "people": [
            _person(person) for person in involved(library, findings, assessment)
        ],
        "requirements": [
            _requirement(
                library, framework, assessment, statuses[number], subjects[number]
            )
            for number in assessment.requirements
        ],
        "controls": [
            {
                "id": control.id,
                "title": control.title,
                "owner": control.owner,
                "path": control.path,
                "sha256": control.sha256,
            }
            for control in (
                library.controls[name] for name in sorted(findings.controls)
            )
        ],
        "findings": findings_document(findings, findings.controls),
        "deviations": [_explained(item, notes) for item in findings.deviations],
        "gaps": [_explained(item, notes) for item in findings.gaps],
        "unmapped": [deviation_document(item) for item in findings.unmapped],
        **_audit_manager(ledger, findings, assessment),
        "annotations": [_annotation(note) for note in notes],
        "manual": [_manual(paper) for paper in documents(library, findings)],
        "evidence": [
            _run(run)
            for stream in sorted(ledger.runs)
            for run in indexed(ledger, assessment, stream)
        ],
        "ledger": heads(ledger),
    }


def _audit_manager(
    ledger: Ledger, findings: Findings, assessment: Assessment
) -> dict[str, Json]:
    """Write what is kept of Audit Manager; nothing where nothing is."""
    kept = answers(ledger, assessment)
    if not kept and not findings.disagreements:
        return {}
    return {
        "audit-manager": [
            {
                "evidence": key,
                "seq": run.seq,
                "at": iso(run.observations[number].at),
                "result": run.observations[number].result,
                "counts": dict(run.observations[number].counts),
                "records": run.observations[number].records,
                "root": run.observations[number].records_root,
            }
            for key, (run, number) in sorted(kept.items())
        ],
        "disagreements": [disagreement_document(row) for row in findings.disagreements],
    }


def facts_of(report: Report) -> dict[str, Json]:
    """Write the facts of a report."""
    return facts(
        report.library,
        report.ledger,
        report.findings,
        report.statuses,
        report.subjects,
        report.assessment,
    )


def facts_root(document: Mapping[str, Json]) -> str:
    """Give the SHA-256 of the canonical facts, which the tag's message names."""
    return digest_of(document)


def heads(ledger: Ledger) -> dict[str, Json]:
    """Give the head of every stream and the Merkle root over all its manifests.

    A leaf is the 32 bytes of a manifest's SHA-256, in sequence.
    """
    return {
        stream: {
            "seq": runs[-1].seq,
            "sha256": runs[-1].sha256,
            "root": merkle_root(bytes.fromhex(run.sha256) for run in runs),
        }
        for stream, runs in sorted(ledger.runs.items())
        if runs
    }


def indexed(ledger: Ledger, assessment: Assessment, stream: str) -> tuple[Run, ...]:
    """Give the runs of a stream that an assessment rests on.

    Those whose windows meet the period or open it; of those that follow it, all since.
    """
    period = assessment.period
    return tuple(
        run
        for run in ledger.runs.get(stream, ())
        if stream == "reviews"
        or (
            run.window.end >= period.start
            and (stream in FOLLOWING or run.window.start < period.end)
        )
    )


def documents(library: Library, findings: Findings) -> tuple[ManualEvidence, ...]:
    """Give the manual evidence that the assessment's controls rest on, by id."""
    names = {name for own in findings.controls.values() for name in own.documents}
    return tuple(library.manual[name] for name in sorted(names))


def involved(
    library: Library, findings: Findings, assessment: Assessment
) -> tuple[Person, ...]:
    """Give the people who own, assess, annotate, sign or act for somebody here."""
    names = {person for _, person in assessment.assessors}
    for delegation in assessment.delegations:
        names |= {delegation.giver, delegation.receiver}
    for control in findings.controls:
        names |= set(library.members(library.controls[control].owner))
    names |= {
        file.person for file in library.signoffs if file.assessment == assessment.id
    }
    names |= {note.author for note in _notes(library, findings)}
    names |= {paper.owner for paper in documents(library, findings)}
    return tuple(library.people[name] for name in sorted(names & set(library.people)))


def _notes(library: Library, findings: Findings) -> tuple[Annotation, ...]:
    items: tuple[Deviation | Gap, ...] = (*findings.deviations, *findings.gaps)
    return annotations_of(library, (item.id for item in items), findings.controls)


def _span(interval: Interval) -> list[Json]:
    return [iso(interval.start), iso(interval.end)]


def _person(person: Person) -> dict[str, Json]:
    return {
        "id": person.id,
        "name": person.name,
        "login": person.login,
        "github-ids": list(person.github_ids),
        "roles": list(person.roles),
        "organisation": person.organisation,
        "qualification": person.qualification,
    }


def _requirement(
    library: Library,
    framework: Framework,
    assessment: Assessment,
    status: RequirementStatus,
    subject: Subject,
) -> dict[str, Json]:
    item = framework.requirements[status.requirement]
    return {
        "number": item.number,
        "title": item.title,
        "parent": item.parent,
        "controls": list(item.controls),
        "inherited": item.inherited,
        "not-applicable": item.not_applicable,
        "assessor": assessment.assessor_of(item.number),
        "status": status.status.value,
        "interim": status.interim.value if status.interim else "",
        "conclusion": status.conclusion,
        "label": framework.labels.get(status.conclusion, status.conclusion),
        "judgement": judgement_document(library, status.judgement),
        "attestations": [
            {"control": name, **judgement_document(library, judgement)}
            for name, judgement in sorted(status.attestations.items())
        ],
        "subject": [list(pair) for pair in subject],
        "unannotated": list(status.unannotated),
        "waiting": [list(pair) for pair in status.waiting],
    }


def judgement_document(library: Library, judgement: Judgement) -> dict[str, Json]:
    """Write whether an attestation or sign-off counts, why not, and who proved it."""
    document: dict[str, Json] = {
        "counts": "yes" if judgement.counts else "no",
        "reasons": list(judgement.reasons),
        "stale": [[part.name, part.signed, part.now] for part in judgement.stale],
    }
    if judgement.level in {"L2", "L3"}:
        document["level"] = judgement.level
    if judgement.flags:
        document["flags"] = list(judgement.flags)
    file, pull = judgement.signoff, judgement.pull
    if file:
        document["file"] = {
            "path": file.path,
            "sha256": file.sha256,
            "person": file.person,
            "github-id": file.github_id,
            "decision": file.decision,
            "conclusion": file.conclusion,
            "acknowledged": list(file.acknowledged),
            "claimed-at": iso(file.claimed_at),
            "subject": [list(pair) for pair in file.subject],
        }
    if file and pull:
        person = library.people.get(file.person)
        review = pull.deciding_review(person.github_ids if person else ())
        document["pull"] = {
            "number": pull.number,
            "url": pull.url,
            "head": pull.head,
            "merge": pull.merge,
            "merged-at": iso(pull.merged_at),
            "reviewer-id": review.user_id if review else "",
            "reviewed-at": iso(review.submitted) if review else "",
        }
    return document


def _explained(item: Deviation | Gap, notes: Iterable[Annotation]) -> dict[str, Json]:
    own: list[Json] = [
        [note.path, note.sha256] for note in notes if item.id in note.covers
    ]
    document = (
        gap_document(item) if item.id.startswith("gap-") else deviation_document(item)  # type: ignore[arg-type] # the id's prefix tells which
    )
    return {**document, "annotations": own}


def _annotation(note: Annotation) -> dict[str, Json]:
    return {
        "path": note.path,
        "sha256": note.sha256,
        "covers": list(note.covers),
        "author": note.author,
        "ticket": note.ticket,
        "audience": note.audience,
        "title": note.title,
    }


def _manual(paper: ManualEvidence) -> dict[str, Json]:
    return {
        "id": paper.id,
        "title": paper.title,
        "owner": paper.owner,
        "version": paper.version,
        "covers": _span(paper.covers),
        "received": iso(paper.received),
        "expires": "" if paper.expires is None else iso(paper.expires),
        "file": paper.file,
        "content-sha256": paper.content_sha256,
        "size": paper.size,
        "path": paper.path,
        "sha256": paper.sha256,
        "object": _object(paper.object),
    }


def _run(run: Run) -> dict[str, Json]:
    return {
        "stream": run.stream,
        "seq": run.seq,
        "kind": run.kind,
        "window": _span(run.window),
        "started": iso(run.started),
        "finished": iso(run.finished),
        "endpoint": run.endpoint,
        "vault": run.vault,
        "complete": "yes" if run.complete else "no",
        "sha256": run.sha256,
        "objects": [_object(stored) for stored in run.objects],
    }


def _object(stored: StoredObject) -> dict[str, Json]:
    return {
        "role": stored.role,
        "bucket": stored.bucket,
        "key": stored.key,
        "version-id": stored.version_id,
        "sha256": stored.sha256,
        "size": stored.size,
        "records": stored.records,
        "lock": [stored.lock_mode, stored.lock_until],
    }
