# SPDX-License-Identifier: Apache-2.0
"""Which attestations and sign-offs count, and why not; the status that follows.

Rules enforced here (design section 6, trust.md 2.1 to 2.3); a sign-off counts only if
1. its subject is current, and it is later than the period's end and the last evidence;
2. every deviation and gap is annotated, with content of its own, and acknowledged, and
   the statement is somebody's own words, not one text for many;
3. the person is the named owner or assessor (or delegate within dates), and an assessor
   owns none of the mapped controls, and wrote neither their text nor an annotation;
4. it reached main through a pull request that somebody else opened, approved by that
   person on its final head, as the `reviews` stream captured it (L1); where the policy
   asks, with the person's SSH signature (L2) and a trusted time (L3). A proof that is
   required and missing means that it does not count, never a lower level;
5. a delegate acts within the dates, by a right that is not passed on, and that the
   giver or a compliance officer approved.
Status is derived from these, first match wins; it is never stored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .annotations import substance
from .entitlement import entitled, wrote
from .judgement import judge
from .model import (
    Findings,
    Judgement,
    Library,
    RequirementStatus,
    SignOff,
    Status,
)
from .subjects import attestations_of, control_subject, requirement_subject

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from .model import Assessment, Deviation, Gap, Requirement
    from .record import Record


def approve(
    record: Record, numbers: Collection[str] | None = None
) -> Mapping[str, RequirementStatus]:
    """Derive the status of every requirement in scope (or of `numbers`), by number."""
    wanted = [
        number
        for number in record.assessment.requirements
        if numbers is None or number in numbers
    ]
    framework = record.library.frameworks[record.assessment.framework]
    unannotated = unannotated_ids(record.library, record.findings, record.assessment)
    attested = {
        control: _attestation(record, control, unannotated)
        for control in dict.fromkeys(
            name
            for number in wanted
            for name in framework.requirements[number].controls
        )
    }
    return {
        number: _requirement(
            record, framework.requirements[number], attested, unannotated
        )
        for number in wanted
    }


def unannotated_ids(
    library: Library, findings: Findings, assessment: Assessment
) -> frozenset[str]:
    """Name the deviations and gaps that no auditor-visible annotation explains.

    An annotation explains only with content of its own, only if the times that it
    states are the facts', and with a ticket where the policy asks (T46, T47).
    """
    ticket = dict(assessment.policy).get("annotation", "none") == "ticket"
    items: tuple[Deviation | Gap, ...] = (*findings.deviations, *findings.gaps)
    explained: set[str] = set()
    for note in library.annotations:
        others = [other for other in library.annotations if other is not note]
        if note.audience == "internal" or substance(note, others):
            continue
        if ticket and not note.ticket:
            continue
        covered = [item for item in items if item.id in note.covers]
        explained |= {
            item.id
            for item in covered
            if note.stated(item.id) == (item.start, item.end)
        }
    return frozenset(item.id for item in items) - explained


def _attestation(
    record: Record, control: str, unannotated: frozenset[str]
) -> Judgement:
    found = attestations_of(record.library, record.assessment, [control])
    file = found.get(control)
    if file is None:
        return _nobody("nobody has attested")
    entry = record.library.controls[control]
    own = record.findings.controls[control]
    members = record.library.members(entry.owner)
    return judge(
        record,
        file,
        control_subject(
            record.library,
            record.findings,
            record.ledger,
            record.assessment,
            control,
        ),
        items=(*own.deviations, *own.gaps),
        unannotated=unannotated,
        duties=entitled(
            record,
            file,
            members,
            f"{file.person} is not the owner of {control} ({entry.owner})",
            _numbers(record, control),
        ),
    )


def _numbers(record: Record, control: str) -> set[str]:
    """Name the requirements in scope that map a control."""
    items = record.library.frameworks[record.assessment.framework].requirements
    return {
        number
        for number in record.assessment.requirements
        if control in items[number].controls
    }


def _nobody(reason: str) -> Judgement:
    return Judgement(signoff=None, counts=False, reasons=(reason,), stale=())


def _requirement(
    record: Record,
    item: Requirement,
    attested: Mapping[str, Judgement],
    unannotated: frozenset[str],
) -> RequirementStatus:
    own = record.findings.requirements[item.number]
    attestations = {control: attested[control] for control in item.controls}
    file = next(
        (
            file
            for file in record.library.signoffs
            if file.role == "assessor"
            and file.assessment == record.assessment.id
            and file.about == item.number
        ),
        None,
    )
    judgement = (
        _signoff(record, item, file, attestations, unannotated)
        if file
        else _nobody("nobody has signed")
    )
    status = _status(judgement, attestations, deviates=bool(own.deviations))
    open_ids = tuple(name for name in own.ids if name in unannotated)
    closed = record.findings.closed
    return RequirementStatus(
        requirement=item.number,
        status=status if closed else Status.COLLECTING,
        interim=None if closed else status,
        conclusion=judgement.signoff.conclusion
        if closed and judgement.counts and judgement.signoff
        else "",
        judgement=judgement,
        attestations=attestations,
        unannotated=open_ids,
        waiting=_waiting(record, item, judgement, attestations, open_ids),
    )


def _signoff(
    record: Record,
    item: Requirement,
    file: SignOff,
    attestations: Mapping[str, Judgement],
    unannotated: frozenset[str],
) -> Judgement:
    own = record.findings.requirements[item.number]
    named = record.assessment.assessor_of(item.number)
    duties = entitled(
        record,
        file,
        [named],
        f"{file.person} is not the assessor of {item.number} ({named})",
        {item.number},
    )
    if item.rests_on_proposals:
        duties.append(f"{item.number} rests on proposed mappings that nobody reviewed")
    duties.extend(
        f"{file.person} assesses {item.number} and owns {control}"
        for control in item.controls
        if file.person in record.library.members(record.library.controls[control].owner)
    )
    duties.extend(wrote(record, file, item, own.ids))
    return judge(
        record,
        file,
        requirement_subject(
            record.library,
            record.findings,
            record.ledger,
            record.assessment,
            item.number,
        ),
        items=(*own.deviations, *own.gaps),
        unannotated=unannotated,
        duties=duties,
        missing=[
            f"the attestation of {control} does not count"
            for control, judgement in attestations.items()
            if not judgement.counts
        ],
    )


def _status(
    judgement: Judgement, attestations: Mapping[str, Judgement], *, deviates: bool
) -> Status:
    files = [
        j
        for j in (judgement, *attestations.values())
        if j.signoff and j.signoff.decision != "withdraw"
    ]
    if any(j.stale and j.reasons for j in files):
        return Status.UNREVIEWED
    if any(j.stale for j in files):
        return Status.STALE
    if any(j.reasons for j in files):
        return Status.UNREVIEWED
    if judgement.signoff and judgement.counts:
        if judgement.signoff.decision == "reject":
            return Status.REJECTED
        return Status.SIGNED_WITH_DEVIATIONS if deviates else Status.SIGNED
    if attestations and all(j.counts for j in attestations.values()):
        return Status.ATTESTED
    return Status.IN_REVIEW


def _waiting(
    record: Record,
    item: Requirement,
    judgement: Judgement,
    attestations: Mapping[str, Judgement],
    open_ids: tuple[str, ...],
) -> tuple[tuple[str, str], ...]:
    """Say who is asked for what next."""
    todo: list[tuple[str, str]] = []
    if item.rests_on_proposals:
        person = record.assessment.assessor_of(item.number)
        return ((person, f"have the proposed mappings of {item.number} reviewed"),)
    for control in item.controls:
        owner = record.library.controls[control].owner
        own = record.findings.controls[control]
        todo.extend((owner, f"annotate {name}") for name in own.ids if name in open_ids)
        if not attestations[control].counts:
            todo.append((owner, f"attest {control}"))
    if not judgement.counts and all(j.counts for j in attestations.values()):
        todo.append((record.assessment.assessor_of(item.number), f"sign {item.number}"))
    return tuple(todo)
